/* csr_by_column.c -- gradients by a transposed copy of X, whose columns are summed by one worker each.
 *
 * for each block of rows:  R of its rows, on any thread;  then G' += x' R, the block's non-zeros cut into equal parts.
 * A column that parts cut is summed part by part, in their order, so that one full column does not keep all others
 * waiting; each other column is whole within a part.  Blocks are so short that R stays in a cache.
 */
#include "drivers/csr_pass.h"

#include <string.h>

enum {
    TASK_ROWS = 64,           /* at least */
    PARTS = 64,
    PART_NONZEROS = 4096,     /* at least */
    BLOCK_BYTES = 512 << 10,  /* of R */
    SHORT_ROWS = 1 << 16,     /* whose number takes two bytes */
    LEAST_ROWS = 256,
    COLUMN_FILL = 4,          /* non-zeros of a block, at least, for each column, as it has a place in starts */
};

/* ---- the copy ---------------------------------------------------------------------------------------------------- */
flr_csr_columns flr_csr_plan_columns(const flr_csr *X, int64_t k) {
    const int64_t size = flr_real_size(X->dtype), nonzeros = flr_csr_nonzeros(X), n = csr_at_least(X->n, 1);
    int64_t rows = csr_at_most(csr_at_least(BLOCK_BYTES / size / k, LEAST_ROWS), SHORT_ROWS);
    const int64_t most_blocks = csr_at_least(nonzeros / (COLUMN_FILL * csr_at_least(X->d, 1)), 1);
    rows = csr_at_most(csr_at_least(rows, (n + most_blocks - 1) / most_blocks), INT32_MAX);
    return (flr_csr_columns){.row_size = rows <= SHORT_ROWS ? 2 : 4, .block_rows = rows,
                             .n_blocks = (n + rows - 1) / rows};
}

typedef struct { flr_csr_columns *columns; const flr_csr *X; atomic_int finite; } transposition;

/* starts becomes counts, then where each column begins, then, a place further on, where its next non-zero goes */
static void transpose_block(void *context, int64_t block, int worker) {
    transposition *t = context;
    const flr_csr *X = t->X;
    const flr_csr_columns *to = t->columns;
    const int64_t first = block * to->block_rows, end = csr_at_most(first + to->block_rows, X->n), d = X->d;
    const int64_t size = flr_real_size(X->dtype), from = flr_csr_start(X, first), stop = flr_csr_start(X, end);
    int64_t *starts = to->starts + block * (d + 1);
    (void)worker;
    memset(starts, 0, (size_t)(d + 1) * 8);
    for (int64_t at = from; at < stop; at++)
        if (flr_csr_column(X, at) + 2 <= d) starts[flr_csr_column(X, at) + 2]++;
    starts[0] = from;
    if (d > 0) starts[1] = from;
    for (int64_t c = 2; c <= d; c++) starts[c] += starts[c - 1];
    for (int64_t row = first; row < end; row++)
        for (int64_t at = flr_csr_start(X, row), last = flr_csr_start(X, row + 1); at < last; at++) {
            const int64_t place = starts[flr_csr_column(X, at) + 1]++;
            if (size == 4)
                ((float *)to->data)[place] = ((const float *)X->data)[at];
            else
                ((double *)to->data)[place] = ((const double *)X->data)[at];
            if (to->row_size == 2)
                ((uint16_t *)to->rows)[place] = (uint16_t)(row - first);
            else
                ((int32_t *)to->rows)[place] = (int32_t)(row - first);
        }
    const char *values = (const char *)X->data + from * size;
    if (flr_kernels_of(size)->first_nonfinite(values, stop - from) < stop - from) atomic_store(&t->finite, 0);
}

void flr_csr_transpose(flr_csr_columns *columns, const flr_csr *X, int n_threads) {
    transposition t = {.columns = columns, .X = X, .finite = 1};
    flr_parallel_for(transpose_block, &t, X->n > 0 ? columns->n_blocks : 0, n_threads);
    columns->finite = t.finite;
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */
/* of the parts of a block: the ends that cut a column, what they have of it (ldg,), and which it is, or -1 */
typedef struct {
    csr_job *j;
    char *R;
    int64_t first, rows, n_tasks; /* of the block */
    double *losses, *g;           /* (CSR_CHUNKS,), (CSR_CHUNKS, k) */
    const int64_t *starts;
    int64_t n_parts;
    double *ends;                 /* (PARTS, 2, ldg) */
    int64_t cut[PARTS][2];
} block;

int64_t flr_csr_sums_of_blocks(const csr_job *j) { return CSR_CHUNKS * (j->p->k + 1) + 2 * PARTS * j->ldg; }

static void do_rows(void *context, int64_t task, int worker) {
    block *b = context;
    csr_job *j = b->j;
    const flr_csr_pass *p = j->p;
    const int64_t begin = b->first + b->rows * task / b->n_tasks, end = b->first + b->rows * (task + 1) / b->n_tasks;
    const int64_t k = p->k, row_bytes = k * j->kernels->size;
    csr_buffers s = flr_csr_buffers_of(j, worker);
    double *g = b->g + task * k;
    memset(g, 0, (size_t)k * 8);
    b->losses[task] = 0;
    for (int64_t first = begin, m; first < end; first += m) {
        flr_csr_rows rows;
        m = flr_csr_take_rows(&rows, s.starts, &p->X, first, end, j->tile_rows, CSR_TILE_NONZEROS);
        char *own = b->R + (first - b->first) * row_bytes;
        *(j->op == CSR_HESSP ? &s.U : &s.Z) = own;
        const char *R = flr_csr_tile(j, &s, &b->losses[task], NULL, &rows, first, m);
        j->kernels->column_sums(g, R, m, k);
        for (int64_t i = 0; R != own && i < m; i++) /* of rows of weight 0 there may be anything */
            if (p->weight && p->weight[first + i] == 0)
                memset(own + i * row_bytes, 0, (size_t)row_bytes);
            else
                memcpy(own + i * row_bytes, R + i * row_bytes, (size_t)row_bytes);
    }
}

/* the first column of the block that ends behind this place */
static int64_t column_at(const block *b, int64_t place) {
    int64_t low = 0, high = b->j->p->X.d;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (b->starts[middle + 1] <= place)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void gather(const block *b, double *G, const int64_t *starts, int64_t m) {
    const flr_csr_pass *p = b->j->p;
    const flr_csr_rows columns = {p->columns->data, p->columns->rows, starts, p->columns->row_size};
    const double *weight = p->weight && !p->columns->finite ? p->weight + b->first : NULL;
    b->j->kernels->csr.gather(G, b->j->ldg, &columns, b->R, weight, m, p->k);
}

static void do_part(void *context, int64_t part, int worker) {
    block *b = context;
    csr_job *j = b->j;
    const int64_t all = b->starts[j->p->X.d] - b->starts[0], ldg = j->ldg;
    const int64_t begin = b->starts[0] + flr_part_begin(all, part, b->n_parts);
    const int64_t end = b->starts[0] + flr_part_begin(all, part + 1, b->n_parts);
    int64_t first = column_at(b, begin), last = column_at(b, end);
    (void)worker;
    for (int side = 0; side < 2; side++) b->cut[part][side] = -1;
    if (begin == end) return;
    memset(b->ends + 2 * part * ldg, 0, (size_t)(2 * ldg) * 8);
    if (b->starts[first] < begin) {
        const int64_t here[2] = {begin, csr_at_most(end, b->starts[first + 1])};
        gather(b, b->ends + 2 * part * ldg, here, 1);
        b->cut[part][0] = first++;
    }
    if (first <= last && last < j->p->X.d && b->starts[last] < end) {
        const int64_t here[2] = {b->starts[last], end};
        gather(b, b->ends + (2 * part + 1) * ldg, here, 1);
        b->cut[part][1] = last;
    }
    if (first < last) gather(b, j->G_table + first * ldg, b->starts + first, last - first);
}

void flr_csr_by_column(csr_job *j) {
    const flr_csr_columns *columns = j->p->columns;
    const int64_t n = j->p->X.n, d = j->p->X.d, k = j->p->k, ldg = j->ldg;
    double *const sums = j->sums;
    block b = {.j = j, .R = j->R_table, .losses = sums, .g = sums + CSR_CHUNKS, .ends = sums + CSR_CHUNKS * (k + 1)};
    for (int64_t i = 0; i < columns->n_blocks && n > 0; i++) {
        b.first = i * columns->block_rows;
        b.rows = csr_at_most(columns->block_rows, n - b.first);
        b.n_tasks = csr_at_least(csr_at_most(b.rows / TASK_ROWS, CSR_CHUNKS), 1);
        flr_parallel_for(do_rows, &b, b.n_tasks, j->p->n_threads);
        for (int64_t task = 0; task < b.n_tasks; task++) {
            j->loss += b.losses[task];
            for (int64_t c = 0; c < k; c++) j->g[c] += b.g[task * k + c];
        }
        b.starts = columns->starts + i * (d + 1);
        b.n_parts = csr_at_least(csr_at_most((b.starts[d] - b.starts[0]) / PART_NONZEROS, PARTS), 1);
        flr_parallel_for(do_part, &b, b.n_parts, j->p->n_threads);
        for (int64_t end = 0; end < 2 * b.n_parts; end++) {
            const int64_t column = b.cut[end / 2][end % 2];
            for (int64_t c = 0; column >= 0 && c < k; c++) j->G_table[column * ldg + c] += b.ends[end * ldg + c];
        }
    }
}
