/* csr_descent.c -- gradient descent over batches of sparse rows, one epoch a call, at a cost of the rows' non-zeros.
 *
 * for each batch:   each row:  z = x W' + b;    tile by tile:  loss, R;    the step (csr_descent_rules.c)
 * One row after another, on one thread: a step waits for the one before, and is too short to be shared.  The weights
 * that one non-zero needs lie side by side, in double.  The order is known, so that rows are prefetched, and of tables
 * that exceed the caches what they need of these.
 */
#include "drivers/batch.h"
#include "drivers/csr_descent.h"

#include <string.h>

enum {
    TILE = 64,                    /* rows whose losses are made at once */
    AHEAD = 8,                    /* rows from the one that is read to the one that is prefetched */
    NEAR = 2,                     /* to the one whose weights are */
    MOST_FETCHED = 256,           /* non-zeros of a row; the hardware goes on */
    CACHED_BYTES = 512 << 10,     /* of a table, at most */
    WORK_BETWEEN_POLLS = 1 << 22, /* multiplications */
    ROW_WORK = 16,
};

void flr_descent_fetch(const descent *j, int64_t place) {
    const flr_csr *X = &j->p->X;
    const int64_t size = j->kernels->size;
    if (place + 2 * AHEAD < X->n)
        __builtin_prefetch((const char *)X->indptr + descent_row(j, place + 2 * AHEAD) * X->indptr_size);
    if (place + AHEAD < X->n) {
        const int64_t begin = flr_csr_start(X, descent_row(j, place + AHEAD));
        const uintptr_t data = (uintptr_t)X->data + (uintptr_t)(begin * size);
        const uintptr_t indices = (uintptr_t)X->indices + (uintptr_t)(begin * X->index_size);
        for (int64_t at = 0; at < j->fetched * size; at += 64) __builtin_prefetch((const void *)(data + (uintptr_t)at));
        for (int64_t at = 0; at < j->fetched * X->index_size; at += 64)
            __builtin_prefetch((const void *)(indices + (uintptr_t)at));
    }
    if (j->p->X.d * j->stride * 8 > CACHED_BYTES && place + NEAR < X->n) {
        const flr_csr_row row = descent_row_at(j, descent_row(j, place + NEAR));
        j->kernels->csr_descent.fetch(j->table, j->stride, &row);
    }
}

static int losses_can_wait(const descent *j) { return j->o->batch == 1 && j->kernels->error[j->p->loss]; }

static void lay_out(descent *j, flr_arena *arena) {
    const int64_t k = j->p->k, size = j->kernels->size;
    j->z = flr_take(arena, j->width, sizeof(double));
    j->wide = flr_take(arena, j->width, sizeof(double));
    j->R = flr_take(arena, j->o->batch * k, size);
    j->Z = losses_can_wait(j) ? flr_take(arena, TILE * k, size) : NULL;
    j->row_scratch = flr_take(arena, 1, flr_row_scratch(k, size));
    j->prob = flr_take(arena, j->p->prob ? TILE * k : 0, size);
    j->label = flr_take(arena, TILE, sizeof(int32_t));
    j->weight = flr_take(arena, TILE, sizeof(double));
    j->g = flr_take(arena, k, sizeof(double));
    flr_descent_lay_out(j, arena);
}

/* Z (k,) of the row at this place of the order */
static void multiply(descent *j, char *Z, int64_t place) {
    const int64_t k = j->p->k;
    const double *b = j->o->b;
    const flr_csr_row x = descent_row_at(j, descent_row(j, place));
    j->work += ROW_WORK + x.count * k;
    flr_descent_settle_row(j, &x);
    j->kernels->csr_descent.dot(j->z, &x, j->table, j->stride, j->width);
    flr_descent_fetch(j, place); /* while the sum is awaited */
    for (int64_t c = 0; c < k; c++)
        if (j->kernels->size == 4)
            ((float *)Z)[c] = (float)(j->scale * j->z[c] + b[c]);
        else
            ((double *)Z)[c] = j->scale * j->z[c] + b[c];
}

/* targets of rows [first, first + m) of the order, a tile, whose residuals are multiplied by grad_scale */
static flr_targets targets(const descent *j, int64_t first, int64_t m, double grad_scale) {
    const flr_csr_pass *p = j->p;
    const int64_t row_bytes = p->k * j->kernels->size;
    for (int64_t i = 0; i < m; i++) {
        const int64_t row = descent_row(j, first + i);
        if (p->label) j->label[i] = p->label[row];
        if (p->weight) j->weight[i] = p->weight[row];
        if (p->prob) memcpy(j->prob + i * row_bytes, (const char *)p->prob + row * row_bytes, (size_t)row_bytes);
    }
    return (flr_targets){.label = p->label ? j->label : NULL,
                         .prob = p->prob ? j->prob : NULL,
                         .weight = p->weight ? j->weight : NULL,
                         .grad_scale = grad_scale};
}

/* losses at logits Z (m, k), and the residuals, or NULL */
static void account(descent *j, void *R_out, const void *Z, const flr_targets *y, int64_t m) {
    const flr_csr_pass *p = j->p;
    if (p->label) j->correct += j->kernels->correct(Z, y->label, p->loss == FLR_SQUARED_ERROR ? 0.5 : 0, m, p->k);
    j->loss += j->kernels->residual[p->loss](R_out, NULL, Z, y, j->row_scratch, m, p->k, 0);
}

static void batch(descent *j, int64_t first, int64_t m) {
    const int64_t k = j->p->k, row_bytes = k * j->kernels->size;
    const flr_batch b = flr_batch_of(j->o, j->p->weight, first, m);
    memset(j->g, 0, (size_t)(k * 8));
    for (int64_t at = 0; at < m; at += TILE) {
        const int64_t rows = m - at < TILE ? m - at : TILE;
        char *R = j->R + at * row_bytes;
        const flr_targets y = targets(j, first + at, rows, b.grad_scale);
        for (int64_t i = 0; i < rows; i++) multiply(j, R + i * row_bytes, first + at + i);
        account(j, R, R, &y, rows);
        j->kernels->column_sums(j->g, R, rows, k);
    }
    if (b.steps) flr_descent_step(j, first, m, b.factor);
}

/* batches of one row each, whose losses, which no step waits for, are made together; weights multiply steps, in double */
static void single_rows(descent *j, int64_t first, int64_t m) {
    const int64_t k = j->p->k, row_bytes = k * j->kernels->size;
    const flr_targets y = targets(j, first, m, 1);
    for (int64_t i = 0; i < m; i++) {
        const double weight = y.weight ? y.weight[i] : 1, counts = weight != 0;
        const flr_targets own = {.label = y.label ? y.label + i : NULL,
                                 .prob = y.prob ? (const char *)y.prob + i * row_bytes : NULL,
                                 .weight = &counts};
        char *Z = j->Z + i * row_bytes;
        multiply(j, Z, first + i);
        j->kernels->error[j->p->loss](j->R, Z, &own, k);
        for (int64_t c = 0; c < k; c++) j->g[c] = descent_residual(j, c);
        if (j->o->factor > 0)
            flr_descent_step(j, first + i, 1, j->o->factor * weight);
        else if (weight > 0)
            flr_descent_step(j, first + i, 1, 1);
    }
    account(j, NULL, j->Z, &y, m);
}

static int run(descent *j) {
    const int64_t n = j->p->X.n;
    const int single = losses_can_wait(j);
    for (int64_t first = 0, m; first < n; first += m) {
        m = single ? TILE : j->o->batch;
        if (m > n - first) m = n - first;
        (single ? single_rows : batch)(j, first, m);
        if (j->work > WORK_BETWEEN_POLLS) {
            j->work = 0;
            if (j->o->poll(j->o->poll_context)) return FLR_INTERRUPTED;
        }
    }
    return FLR_OK;
}

int flr_csr_epoch(double *loss_out, int64_t *correct_out, const flr_csr_pass *pass, const flr_epoch_options *options,
                  const flr_ftrl *ftrl, double *ftrl_table) {
    descent j = {.p = pass, .o = options, .ftrl = ftrl, .kernels = flr_kernels_of(flr_real_size(pass->X.dtype)),
                 .width = flr_csr_width(pass->k), .scale = 1};
    j.stride = j.width * (ftrl ? FLR_FTRL_FIELDS : options->W_velocity ? 2 : 1);
    flr_arena arena = {0};
    lay_out(&j, &arena);
    if (flr_open_scratch(&j.memory, arena.bytes, 0, 0) != FLR_OK) return FLR_NO_MEMORY;
    arena = flr_shared_arena(&j.memory);
    lay_out(&j, &arena);
    if (pass->X.n > 0) j.fetched = flr_csr_nonzeros(&pass->X) / pass->X.n * 5 / 4 + 16;
    if (j.fetched > MOST_FETCHED) j.fetched = MOST_FETCHED;
    if (!descent_has_table(&j)) j.table = ftrl ? ftrl_table : options->W;
    memset(j.wide, 0, (size_t)(j.width * 8));
    flr_descent_begin(&j);
    const int status = run(&j);
    flr_descent_end(&j);
    flr_close_scratch(&j.memory);
    *loss_out = j.loss;
    *correct_out = j.correct;
    return status;
}
