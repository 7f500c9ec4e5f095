/* by_row.c -- gradient descent over single rows, each example in turn, without momentum, penalty and shift.
 *
 * for each block of rows
 *     for each row:  z = W x + b;  loss, r;  W -= learning_rate r x',  b -= learning_rate r      in real, in L1 and L2
 *     W -= learning_rate R' X and the same for b, of the whole block, in double; the real copies are rounded anew
 * so that the rounding of at most BLOCK steps is ever lost, and then only from the next rows' logits.
 */
#include "fastlr.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 32, BLOCKS_BETWEEN_POLLS = 64 };

typedef struct {
    const flr_pass *p;
    const flr_epoch_options *o;
    const flr_kernels *kernels;
    flr_tiling tiling;
    const void **x;
    char *tile, *R, *rate, *G, *row_scratch, *scale2;
    double *b_shift, loss;
    int64_t correct;
} job;

static double get(const void *values, int64_t i, int64_t size) {
    return size == 4 ? (double)((const float *)values)[i] : ((const double *)values)[i];
}

static void put(void *values, int64_t i, int64_t size, double value) {
    if (size == 4)
        ((float *)values)[i] = (float)value;
    else
        ((double *)values)[i] = value;
}

/* the step of row i of the block, which is row `row` of X; meanwhile the row at next is fetched */
static void descend(job *j, int64_t i, int64_t row, const char *next) {
    const flr_pass *p = j->p;
    const int64_t k = p->k, d = p->X.d, size = j->kernels->size;
    char *r = j->R + i * k * size;
    const double weight = p->weight ? p->weight[row] : 1;
    const flr_targets y = {.label = p->label ? p->label + row : NULL,
                           .prob = p->prob ? (const char *)p->prob + row * k * size : NULL,
                           .weight = &weight,
                           .grad_scale = j->o->sum ? 1 : weight > 0 ? 1 / weight : 0};
    const flr_ahead ahead = {&next, next != NULL, d * p->X.col_stride};
    j->kernels->forward(r, j->x + i, p->W, p->ldw, p->b, 1, d, k, j->tiling.head, &ahead);
    if (p->label) j->correct += j->kernels->correct(r, y.label, p->loss == FLR_SQUARED_ERROR ? 0.5 : 0, 1, k);
    j->loss += j->kernels->residual[p->loss](r, NULL, r, &y, j->row_scratch, 1, k, 0);
    for (int64_t c = 0; c < k; c++) {
        const double rate = j->o->learning_rate * get(r, c, size);
        put(j->rate, c, size, rate);
        put((void *)p->b, c, size, get(p->b, c, size) - rate);
    }
    j->kernels->subtract_outer((void *)p->W, p->ldw, j->rate, j->x[i], j->scale2, d, k);
}

/* what the block's m rows did, in double; also, with m = 0, W_real and b_real of W and b */
static void settle(job *j, int64_t m) {
    const flr_pass *p = j->p;
    const flr_epoch_options *o = j->o;
    const int64_t k = p->k, d = p->X.d, size = j->kernels->size;
    memset(j->G, 0, (size_t)(k * d * size));
    j->kernels->backward(j->G, d, j->R, j->x, m, d, k, j->tiling.head, NULL);
    const flr_step step = {.W = o->W, .W_real = (void *)p->W, .ldw = p->ldw, .G = j->G, .n_parts = 1,
                           .part_stride = k * d, .scale = o->scale, .factor = 1, .learning_rate = o->learning_rate,
                           .k = k, .d = d};
    j->kernels->step(&step, 0, d, j->b_shift);
    for (int64_t c = 0; c < k; c++) {
        double g = 0;
        for (int64_t i = 0; i < m; i++) g += get(j->R, i * k + c, size);
        o->b[c] -= o->learning_rate * g;
        put((void *)p->b, c, size, o->b[c]);
    }
}

static int run(job *j) {
    const int64_t n = j->p->X.n, size = j->kernels->size;
    settle(j, 0);
    for (int64_t first = 0, block = 1; first < n; first += BLOCK, block++) {
        const int64_t m = n - first < BLOCK ? n - first : BLOCK;
        const int64_t *order = j->o->order ? j->o->order + first : NULL;
        flr_load_tile(j->x, j->tile, &j->p->X, &j->tiling, size, first, order, m);
        for (int64_t i = 0; i < m; i++) {
            const int64_t later = first + i + (j->tiling.in_place ? 2 : BLOCK); /* a block is converted at once */
            const char *next = NULL;
            if (later < n && j->o->order) flr_rows_ahead(&next, &j->p->X, later, j->o->order + later, 1);
            descend(j, i, order ? order[i] : first + i, next);
        }
        settle(j, m);
        if (block % BLOCKS_BETWEEN_POLLS == 0 && j->o->poll()) return FLR_INTERRUPTED;
    }
    return FLR_OK;
}

int flr_epoch_by_row(double *loss_out, int64_t *correct_out, const flr_pass *pass, const flr_epoch_options *options) {
    const int64_t k = pass->k, d = pass->X.d, size = flr_real_size(pass->X.dtype);
    job j = {.p = pass, .o = options, .kernels = flr_kernels_of(size)};
    j.tiling = flr_tiling_of(&pass->X, size, 0);
    const int64_t parts[] = {BLOCK * (int64_t)sizeof(void *), j.tiling.in_place ? 0 : BLOCK * j.tiling.ld * size,
                             BLOCK * k * size, k * size, k * d * size, flr_row_scratch(k, size),
                             options->scale ? d * size : 0, k * (int64_t)sizeof(double)};
    void *place[8];
    int64_t bytes = 64;
    for (int i = 0; i < 8; i++) bytes += (parts[i] + 63) / 64 * 64;
    char *memory = malloc((size_t)bytes), *at = memory;
    if (memory == NULL) return FLR_NO_MEMORY;
    at += 64 - (uintptr_t)at % 64;
    for (int i = 0; i < 8; i++) {
        place[i] = at;
        at += (parts[i] + 63) / 64 * 64;
    }
    j.x = place[0], j.tile = place[1], j.R = place[2], j.rate = place[3], j.G = place[4], j.row_scratch = place[5];
    j.scale2 = options->scale ? place[6] : NULL;
    j.b_shift = place[7];
    for (int64_t c = 0; options->scale && c < d; c++) put(j.scale2, c, size, options->scale[c] * options->scale[c]);
    const int status = run(&j);
    free(memory);
    *loss_out = j.loss;
    *correct_out = j.correct;
    return status;
}
