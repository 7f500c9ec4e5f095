/* sgd_rows.c -- gradient descent over single rows, each example in turn, without momentum, penalty and shift.
 *
 * A step changes the logits of a later row by what the two rows have in common:  z_i = W_0 x_i - sum over l < i of
 * learning_rate r_l (x_l' x_i + 1).  So for each block of rows, with W_0 the parameters before it,
 *     Z = X W_0' + b,  K = X X'                     two products of the block, rather than one of each row
 *     for each row i:  z_i -= sum over l < i of learning_rate (K_il + 1) r_l;  loss, r_i
 *     W -= learning_rate R' X,  b -= learning_rate R' 1, in double
 * which is the lecture's rule, example by example, up to rounding; W crosses the caches once a block.
 */
#include "drivers/tile.h"
#include "fastlr.h"
#include "runtime/runtime.h"

#include <string.h>

/* GROUP: K is made of groups of rows, each with the rows up to its end; a multiple of the products' 3 and 4 rows */
enum { BLOCK = 24, GROUP = 12, BLOCKS_BETWEEN_POLLS = 128 };

typedef struct {
    const flr_pass *p;
    const flr_epoch_options *o;
    const flr_kernels *kernels;
    const flr_products *products;
    flr_tiling tiling;
    const void **x;        /* (BLOCK,) rows of the block */
    const char **ahead;    /* (max(BLOCK, d),) rows of the next, or columns */
    char *tile, *partner;  /* (BLOCK, ld) real: the block, and it times scale^2 (the same without a scale) */
    char *R, *rates;       /* (BLOCK, k) real: logits that become residuals; learning_rate R */
    char *K, *zeros;       /* room for (BLOCK, BLOCK), (BLOCK,) real */
    char *G, *row_scratch; /* (k, d) real */
    double rate;           /* of the weights as they are passed, which may be divided by a factor */
    double loss;
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

/* rows [first, first + m) of the order: Z into R, and K; meanwhile the next block is prefetched */
static void multiply(job *j, int64_t first, int64_t m) {
    const flr_pass *p = j->p;
    const int64_t n = p->X.n, d = p->X.d, size = j->kernels->size, ld = j->tiling.ld;
    const int64_t *order = j->o->order, left = n - first - m;
    flr_ahead next = {0};
    if (order) next = flr_rows_ahead(j->ahead, &p->X, 0, order + first + m, left < BLOCK ? left : BLOCK);
    flr_load_tile(j->x, j->tile, &p->X, &j->tiling, size, first, order ? order + first : NULL, m);
    for (int64_t i = 0; j->o->scale && i < m; i++)
        for (int64_t c = 0; c < d; c++)
            put(j->partner, i * ld + c, size, get(j->tile, i * ld + c, size) * j->o->scale[c] * j->o->scale[c]);
    j->products->forward(j->R, p->k, j->x, p->W, p->ldw, p->b, m, d, p->k, 0, &next);
    for (int64_t i = 0; i < m; i += GROUP) {
        const int64_t rows = m - i < GROUP ? m - i : GROUP, end = i + rows;
        j->products->forward(j->K + i * BLOCK * size, end, j->x + i, j->partner, ld, j->zeros, rows, d, end, 0, NULL);
    }
}

/* the step of row i of a block of m, which is row `row` of X */
static void descend(job *j, int64_t i, int64_t m, int64_t row) {
    const int64_t group = i / GROUP * GROUP, width = m < group + GROUP ? m : group + GROUP;
    const flr_pass *p = j->p;
    const int64_t k = p->k, size = j->kernels->size;
    char *r = j->R + i * k * size;
    const double weight = p->weight ? p->weight[row] : 1;
    const flr_targets y = {.label = p->label ? p->label + row : NULL,
                           .prob = p->prob ? (const char *)p->prob + row * k * size : NULL,
                           .weight = &weight,
                           .grad_scale = j->o->factor > 0 ? 1 : weight > 0 ? 1 / weight : 0};
    j->kernels->subtract_steps(r, j->rates, j->K + (group * BLOCK + (i - group) * width) * size, i, k);
    if (p->label) j->correct += j->kernels->correct(r, y.label, p->loss == FLR_SQUARED_ERROR ? 0.5 : 0, 1, k);
    j->loss += j->kernels->residual[p->loss](r, NULL, r, &y, j->row_scratch, 1, k, 0);
    for (int64_t c = 0; c < k; c++)
        put(j->rates, i * k + c, size, j->rate * get(r, c, size));
}

/* what the block's m rows did, in double, and W_real and b_real of the new W and b */
static void settle(job *j, int64_t m) {
    const flr_pass *p = j->p;
    const flr_epoch_options *o = j->o;
    const int64_t k = p->k, d = p->X.d, size = j->kernels->size;
    j->products->backward(j->G, d, j->R, k, j->x, m, d, k, 0, 1, NULL);
    const flr_step step = {.W = o->W, .W_real = (void *)p->W, .ldw = p->ldw, .G = j->G, .n_parts = 1,
                           .part_stride = k * d, .scale = o->scale, .factor = 1, .learning_rate = j->rate,
                           .k = k, .d = d};
    j->kernels->step(&step, 0, k, 0, d, NULL);
    for (int64_t c = 0; c < k; c++) {
        double g = 0;
        for (int64_t i = 0; i < m; i++) g += get(j->R, i * k + c, size);
        o->b[c] -= j->rate * g;
        put((void *)p->b, c, size, o->b[c]);
    }
}

static int run(job *j) {
    const int64_t n = j->p->X.n;
    settle(j, 0);
    for (int64_t first = 0, block = 1; first < n; first += BLOCK, block++) {
        const int64_t m = n - first < BLOCK ? n - first : BLOCK;
        multiply(j, first, m);
        for (int64_t i = 0; i < m; i++) descend(j, i, m, j->o->order ? j->o->order[first + i] : first + i);
        settle(j, m);
        if (block % BLOCKS_BETWEEN_POLLS == 0 && j->o->poll(j->o->poll_context)) return FLR_INTERRUPTED;
    }
    return FLR_OK;
}

/* what is read before it is written, or behind it, is zero */
static void *take_zeros(flr_arena *arena, int64_t count, int64_t size) {
    void *piece = flr_take(arena, count, size);
    return piece ? memset(piece, 0, (size_t)(count * size)) : NULL;
}

static void lay_out(job *j, flr_arena *arena) {
    const int64_t k = j->p->k, d = j->p->X.d, size = j->kernels->size, ld = j->tiling.ld;
    j->x = flr_take(arena, BLOCK, sizeof(void *));
    j->ahead = flr_take(arena, d > BLOCK ? d : BLOCK, sizeof(void *));
    j->tile = take_zeros(arena, BLOCK * ld, size);
    j->partner = j->o->scale ? take_zeros(arena, BLOCK * ld, size) : j->tile;
    j->R = take_zeros(arena, BLOCK * k, size);
    j->rates = flr_take(arena, BLOCK * k, size);
    j->K = flr_take(arena, BLOCK * BLOCK, size);
    j->zeros = take_zeros(arena, BLOCK, size);
    j->G = take_zeros(arena, k * d, size);
    j->row_scratch = flr_take(arena, 1, flr_row_scratch(k, size));
}

int flr_epoch_by_row(double *loss_out, int64_t *correct_out, const flr_pass *pass, const flr_epoch_options *options) {
    const int64_t size = flr_real_size(pass->X.dtype);
    job j = {.p = pass, .o = options, .kernels = flr_kernels_of(size)};
    j.rate = options->learning_rate * (options->factor > 0 ? options->factor : 1);
    j.tiling = flr_tiling_of(&pass->X, size, 0, 0);
    j.products = &j.kernels->products[j.tiling.type];
    j.tiling.in_place = 0; /* the block is a factor of K: rows in their order, with zeros behind them */
    flr_arena arena = {0};
    flr_scratch memory;
    lay_out(&j, &arena);
    if (flr_open_scratch(&memory, arena.bytes, 0, 0) != FLR_OK) return FLR_NO_MEMORY;
    arena = flr_shared_arena(&memory);
    lay_out(&j, &arena);
    const int status = run(&j);
    flr_close_scratch(&memory);
    *loss_out = j.loss;
    *correct_out = j.correct;
    return status;
}
