/* pass.c -- one pass over X: loss and gradient, Hessian product, logits.
 *
 * for each chunk of rows (a grid that depends on the problem alone), on any thread
 *     for each tile of the chunk:  Z = x W' + b;  loss, R = residual(Z);  G_part += R' x     (x is hot, Z and R small)
 *     when all earlier chunks have been added:  G += G_part
 * The order of every sum is fixed, so the bits do not depend on the number of threads.
 *
 * Few classes: the kernels of linear_tpl.h, G_part double, tile sums real.  Many: gemm on larger tiles, one BLAS thread
 * under each of ours (the caller sees to that); G_part is then real and a chunk short, so that rounding stays small.
 */
#include "fastlr.h"

#include <stdlib.h>
#include <string.h>

enum {
    TILE_BYTES = 128 << 10,  /* a quarter of the smallest L2 in use today: this tile and the next, which is fetched */
    BINARY_TILE_BYTES = 48 << 10, /* where little is computed, phases that fetch more or less must be short */
    FLUSH_ROWS = 256,        /* rows whose gradient is summed in real before it is added up in double */
    CHUNK_BYTES = 4 << 20,
    CHUNKS = 24,             /* aimed at when X is small; divides evenly among 1, 2, 3, 4, 6, 8 threads */
    GEMM_CHUNKS = 12,        /* adding up (k, d) sums costs as much as some hundred rows */
    GEMM_TILE_VALUES = 2 << 20,
    MANY_ROWS = 2048,        /* of a chunk under gemm; for many classes, whose sums lie beyond L1, between flushes */
};

flr_blas flr_blas_f32, flr_blas_f64;

typedef enum { LOSS_AND_GRAD, HESSP, LOGITS, EVALUATE } flr_op;

typedef struct {
    const flr_pass *p;
    flr_op op;
    const flr_kernels *kernels;
    const flr_products *products; /* of the tile's rows */
    flr_tiling tiling;
    int gemm;
    int64_t ldg;                 /* values from a class to the next in a worker's gradient */
    int64_t flush_rows;          /* after so many rows sums go from real to double */
    int64_t n_chunks;
    const void *V, *c;           /* direction of hessp */
    void *Z_out;                 /* destination of logits */
    double loss, *G, *g;         /* totals */
    int64_t correct;
    char *scratch;
    int64_t worker_bytes;
    atomic_llong turn;           /* the chunk whose sums are added next */
} job;

static int has_gradient(const job *j) { return j->op == LOSS_AND_GRAD || j->op == HESSP; }

/* What one worker holds: m rows of the largest tile. */
typedef struct {
    const void **x;     /* (slab,) rows of the tile, and of those that were loaded with it */
    const char **ahead; /* (max(m, d),) rows or columns of a later tile, as X has them */
    char *tile;         /* (slab, ld) real, if X must be converted */
    char *Z, *U;        /* (m, k) real; U for hessp */
    char *G_real;       /* (k, ldg) real: sums over some rows */
    double *G;          /* (k, ldg): sums over the chunk; NULL under gemm, where G_real is flushed to the total */
    double *g;          /* (k,) */
    char *rows;         /* scratch of the row kernels */
    int64_t bytes;      /* of all, from the scratch's beginning */
} scratch;

static int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }

static char *take(char *base, int64_t *used, int64_t bytes) {
    char *p = base + *used;
    *used += (bytes + 127) / 64 * 64;
    return p;
}

static scratch lay_out(const job *j, char *base) {
    const int64_t size = j->kernels->size, m = j->tiling.rows, k = j->p->k, d = j->p->X.d;
    scratch s = {0};
    s.x = (void *)take(base, &s.bytes, j->tiling.slab * (int64_t)sizeof(void *));
    s.ahead = (void *)take(base, &s.bytes, at_least(m, d) * (int64_t)sizeof(void *));
    s.tile = take(base, &s.bytes, j->tiling.in_place ? 0 : j->tiling.slab * j->tiling.ld * size);
    s.Z = take(base, &s.bytes, j->op == LOGITS ? 0 : m * k * size);
    s.U = take(base, &s.bytes, j->op == HESSP ? m * k * size : 0);
    /* its columns lie in lines of the cache as X's do */
    s.G_real = take(base, &s.bytes, has_gradient(j) ? k * j->ldg * size + 64 : 0) + (64 - j->tiling.head * size) % 64;
    s.G = (double *)take(base, &s.bytes, has_gradient(j) && !j->gemm ? k * j->ldg * 8 : 0);
    s.g = (double *)take(base, &s.bytes, k * 8);
    s.rows = take(base, &s.bytes, flr_row_scratch(k, size));
    return s;
}

static void gemm(const job *j, char ta, char tb, int m, int n, int k, const void *A, int64_t lda, const void *B,
                 int64_t ldb, void *C, int64_t ldc) {
    float one_f = 1;
    double one_d = 1;
    const int f32 = j->kernels->size == 4;
    void *one = f32 ? (void *)&one_f : (void *)&one_d;
    int lda_ = (int)lda, ldb_ = (int)ldb, ldc_ = (int)ldc;
    (f32 ? flr_blas_f32 : flr_blas_f64)
        .gemm(&ta, &tb, &m, &n, &k, one, (void *)A, &lda_, (void *)B, &ldb_, one, C, &ldc_);
}

/* rows of the tile are evenly apart */
static int64_t row_distance(const job *j) {
    return j->tiling.in_place ? j->p->X.row_stride / j->kernels->size : j->tiling.ld;
}

/* Z (m, k) = x W' + b */
static void forward(const job *j, void *Z, const scratch *s, const void *W, const void *b, int64_t m,
                    const flr_ahead *next) {
    const flr_pass *p = j->p;
    const int64_t k = p->k, d = p->X.d, size = j->kernels->size;
    if (!j->gemm) {
        j->products->forward(Z, s->x, W, p->ldw, b, m, d, k, j->tiling.head, next);
        return;
    }
    for (int64_t i = 0; i < m; i++) memcpy((char *)Z + i * k * size, b, (size_t)(k * size));
    gemm(j, 'T', 'N', (int)k, (int)m, (int)d, W, p->ldw, s->x[0], row_distance(j), Z, k);
}

/* G (k, d) += R (m, k)' x;  g (k,) += R' 1 */
static void backward(const job *j, const scratch *s, const void *R, int64_t m, const flr_ahead *next) {
    const int64_t k = j->p->k, d = j->p->X.d;
    if (j->gemm)
        gemm(j, 'N', 'T', (int)d, (int)k, (int)m, s->x[0], row_distance(j), R, k, s->G_real, j->ldg);
    else
        j->products->backward(s->G_real, j->ldg, R, s->x, m, d, k, j->tiling.head, next);
    j->kernels->column_sums(s->g, R, m, k);
}

static void add_offset(const job *j, void *Z, int64_t first, int64_t m) {
    const int64_t k = j->p->k, at = first * k;
    if (j->p->offset == NULL) return;
    if (j->kernels->size == 4)
        for (int64_t i = 0; i < m * k; i++) ((float *)Z)[i] += ((const float *)j->p->offset)[at + i];
    else
        for (int64_t i = 0; i < m * k; i++) ((double *)Z)[i] += ((const double *)j->p->offset)[at + i];
}

static double tile(const job *j, const scratch *s, int64_t *correct, int64_t first, int64_t m) {
    const flr_pass *p = j->p;
    const int64_t size = j->kernels->size, k = p->k;
    const double *weight = p->weight ? p->weight + first : NULL;
    void *const kept = j->op == LOGITS ? j->Z_out : j->op == LOSS_AND_GRAD ? p->R_out : NULL;
    char *Z = kept ? (char *)kept + first * k * size : s->Z;

    /* the tile that is loaded a slab later is fetched, in each phase about as much as its time allows */
    const int64_t later = first + j->tiling.slab, left = p->X.n - later, d = p->X.d;
    const flr_ahead next = flr_rows_ahead(s->ahead, &p->X, later, NULL, left < 0 ? 0 : left < m ? left : m);
    const int64_t amid = has_gradient(j) ? (next.n * 16 + d) / (16 + d) : 0;
    const int64_t half = has_gradient(j) ? (next.n - amid) / 2 : next.n;
    const flr_ahead early = flr_some_of(&next, 0, half), middle = flr_some_of(&next, half, amid),
                    late = flr_some_of(&next, half + amid, next.n - half - amid);
    forward(j, Z, s, p->W, p->b, m, &early);
    add_offset(j, Z, first, m);
    if (j->op == LOGITS) return 0;
    if (j->op == HESSP) {
        forward(j, s->U, s, j->V, j->c, m, NULL);
        j->kernels->curvature[p->loss](s->U, Z, s->U, weight, s->rows, m, k);
        backward(j, s, s->U, m, &late);
        return 0;
    }
    const flr_targets y = {.label = p->label ? p->label + first : NULL,
                           .prob = p->prob ? (const char *)p->prob + first * k * size : NULL,
                           .weight = weight,
                           .grad_scale = 1,
                           .next = &middle};
    if (j->op == EVALUATE) {
        if (y.label)
            *correct += j->kernels->correct(Z, y.label, p->loss == FLR_SQUARED_ERROR ? 0.5 : 0, m, k);
        return j->kernels->residual[p->loss](NULL, NULL, Z, &y, s->rows, m, k, 0);
    }
    const double loss = j->kernels->residual[p->loss](Z, NULL, Z, &y, s->rows, m, k, 0);
    backward(j, s, Z, m, &late);
    return loss;
}

static void flush(const job *j, const scratch *s) { j->kernels->flush(s->G, s->G_real, j->p->k * j->ldg); }

static void add_in_turn(job *j, const scratch *s, double loss, int64_t correct, int64_t chunk) {
    const int64_t k = has_gradient(j) ? j->p->k : 0, d = j->p->X.d;
    flr_await_turn(&j->turn, chunk);
    j->loss += loss;
    j->correct += correct;
    for (int64_t c = 0; c < k; c++) {
        if (j->gemm)
            j->kernels->flush(j->G + c * d, s->G_real + c * j->ldg * j->kernels->size, d);
        else
            flr_kernels_of(8)->flush(j->G + c * d, s->G + c * j->ldg, d);
        j->g[c] += s->g[c];
    }
    flr_end_turn(&j->turn);
}

static void do_chunk(void *context, int64_t chunk, int worker) {
    job *j = context;
    const int64_t n = j->p->X.n, k = j->p->k;
    const int64_t begin = (int64_t)((__int128)n * chunk / j->n_chunks);
    const int64_t end = (int64_t)((__int128)n * (chunk + 1) / j->n_chunks);
    scratch s = lay_out(j, j->scratch + worker * j->worker_bytes);
    const void **x = s.x;
    if (has_gradient(j)) memset(s.g, 0, (size_t)(k * 8));
    double loss = 0;
    int64_t correct = 0;
    for (int64_t first = begin, unflushed = 0; first < end; first += j->tiling.rows) {
        const int64_t left = end - first, m = left < j->tiling.rows ? left : j->tiling.rows;
        const int64_t at = (first - begin) % j->tiling.slab;
        if (at == 0)
            flr_load_tile(x, s.tile, &j->p->X, &j->tiling, j->kernels->size, first, NULL,
                          left < j->tiling.slab ? left : j->tiling.slab);
        s.x = x + at;
        loss += tile(j, &s, &correct, first, m);
        unflushed += m;
        if (has_gradient(j) && !j->gemm && (unflushed >= j->flush_rows || first + m == end)) {
            flush(j, &s);
            unflushed = 0;
        }
    }
    if (j->op != LOGITS) add_in_turn(j, &s, loss, correct, chunk);
}

static int run(job *j) {
    const flr_pass *p = j->p;
    const int64_t n = p->X.n, d = p->X.d, k = p->k, size = j->kernels->size;
    j->gemm = k >= j->kernels->gemm_classes && d >= 16 && d < INT32_MAX;
    const int64_t tile_bytes = j->gemm  ? GEMM_TILE_VALUES / at_least(d, k) * d * size
                               : k == 1 ? BINARY_TILE_BYTES
                                        : TILE_BYTES;
    j->tiling = flr_tiling_of(&p->X, size, tile_bytes, !j->gemm);
    j->products = &j->kernels->products[j->tiling.type];
    /* gemm wants rows in their order, none over another */
    if (j->gemm && (p->X.row_stride < d * size || p->X.row_stride / size >= INT32_MAX)) j->tiling.in_place = 0;

    j->ldg = j->gemm ? d : j->tiling.ld;
    j->flush_rows = k < FLR_GEMM_CLASSES ? FLUSH_ROWS : MANY_ROWS;
    int64_t chunk_rows = j->gemm ? MANY_ROWS : CHUNK_BYTES / at_least(d * size, 1);
    const int64_t chunks = j->gemm ? GEMM_CHUNKS : CHUNKS;
    if (chunk_rows > n / chunks) chunk_rows = n / chunks;
    chunk_rows = at_least(chunk_rows, at_least(j->tiling.rows / 8, 64));
    j->n_chunks = (n + chunk_rows - 1) / chunk_rows;
    if (j->n_chunks > chunks / 2) j->n_chunks = (j->n_chunks + chunks - 1) / chunks * chunks;
    if (j->gemm && n > 0) { /* tiles of equal size, each long enough for pieces of columns */
        const int64_t most = (n + j->n_chunks - 1) / j->n_chunks, tiles = (most + j->tiling.rows - 1) / j->tiling.rows;
        j->tiling.slab = j->tiling.rows = (most + tiles - 1) / tiles;
    }

    int n_threads = p->n_threads;
    if (n_threads > j->n_chunks) n_threads = (int)at_least(j->n_chunks, 1);
    j->worker_bytes = lay_out(j, NULL).bytes;
    j->scratch = NULL;
    char *memory = malloc((size_t)(j->worker_bytes * n_threads + 64));
    if (memory == NULL) return FLR_NO_MEMORY;
    j->scratch = memory + (64 - (uintptr_t)memory % 64);
    for (int worker = 0; has_gradient(j) && worker < n_threads; worker++) { /* flushes leave zeros, too */
        const scratch s = lay_out(j, j->scratch + worker * j->worker_bytes);
        memset(s.G_real, 0, (size_t)(k * j->ldg * size));
        if (!j->gemm) memset(s.G, 0, (size_t)(k * j->ldg * 8));
    }
    if (has_gradient(j)) {
        memset(j->G, 0, (size_t)(k * d * 8));
        memset(j->g, 0, (size_t)(k * 8));
    }
    flr_parallel_for(do_chunk, j, j->n_chunks, n_threads);
    free(memory);
    return FLR_OK;
}

int flr_loss_and_grad(double *loss_out, double *G_out, double *g_out, const flr_pass *pass) {
    job j = {.p = pass, .op = LOSS_AND_GRAD, .kernels = flr_kernels_of(flr_real_size(pass->X.dtype)), .G = G_out, .g = g_out};
    const int status = run(&j);
    *loss_out = j.loss;
    return status;
}

int flr_hessp(double *H_out, double *h_out, const flr_pass *pass, const void *V, const void *c) {
    job j = {.p = pass, .op = HESSP, .kernels = flr_kernels_of(flr_real_size(pass->X.dtype)), .V = V, .c = c,
             .G = H_out, .g = h_out};
    return run(&j);
}

int flr_logits(void *Z_out, const flr_pass *pass) {
    job j = {.p = pass, .op = LOGITS, .kernels = flr_kernels_of(flr_real_size(pass->X.dtype)), .Z_out = Z_out};
    return run(&j);
}

int flr_evaluate(double *loss_out, int64_t *correct_out, const flr_pass *pass) {
    job j = {.p = pass, .op = EVALUATE, .kernels = flr_kernels_of(flr_real_size(pass->X.dtype))};
    const int status = run(&j);
    *loss_out = j.loss;
    *correct_out = j.correct;
    return status;
}
