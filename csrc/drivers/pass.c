/* pass.c -- one pass over X: loss and gradient, Hessian product, logits.
 *
 * for each chunk of rows (a grid that depends on the problem alone), on any thread
 *     for each tile of the chunk:  Z = x W' + b;  loss, R = residual(Z);  G_part += R' x     (x is hot, Z and R small)
 *     when all earlier chunks have been added:  G += G_part
 * The order of every sum is fixed, so the bits do not depend on the number of threads.
 *
 * Softmax of few classes may leave out a reference class: Z and R have its column, W and the sums have not.
 * Few classes: G_part is double, the sums of some tiles real.  Many, whose sums lie beyond L1: G_part is real, and a chunk
 * so short that rounding stays small.
 */
#include "fastlr.h"

#include <string.h>

enum {
    TILE_BYTES = 160 << 10,  /* a third of the smallest L2 in use today: this tile and the next, which is fetched */
    BINARY_TILE_BYTES = 48 << 10, /* where little is computed, phases that fetch more or less must be short */
    FLUSH_ROWS = 256,        /* at most, whose gradient is summed in float before it is added up in double */
    CHUNK_BYTES = 8 << 20,
    CHUNKS = 24,             /* aimed at when X is small; divides evenly among 1, 2, 3, 4, 6, 8 threads */
    MANY_TILE_BYTES = 256 << 10,
    LONG_TILE_BYTES = 1 << 20, /* where W and its gradient leave L2 while a tile is multiplied */
    MANY_VALUES = 2 << 20,   /* of a tile's logits */
    MANY_CHUNKS = 12,        /* adding up (k, d) sums costs as much as some hundred rows */
    MANY_ROWS = 2048,        /* of a chunk, for many classes */
    MANY_LEAST_ROWS = 32,    /* to be worth packing W */
};

typedef enum { LOSS_AND_GRAD, HESSP, LOGITS, EVALUATE } flr_op;

typedef struct {
    const flr_pass *p;
    flr_op op;
    const flr_kernels *kernels;
    const flr_products *products; /* of the tile's rows */
    flr_tiling tiling;
    int64_t k;                   /* classes whose logits are multiplied: all, or all but the reference */
    int many;                    /* classes: products packed, no sums of a chunk in double */
    const void *packed_W, *packed_V;
    int64_t ldg;                 /* values from a class to the next in a worker's gradient */
    int64_t n_chunks;
    const void *V, *c;           /* direction of hessp */
    void *Z_out;                 /* destination of logits */
    double loss, *G, *g;         /* totals */
    int64_t correct;
    flr_scratch memory;
    atomic_llong unclaimed;      /* the chunk that is done next */
    atomic_llong turn;           /* the chunk whose sums are added next */
} job;

static int has_gradient(const job *j) { return j->op == LOSS_AND_GRAD || j->op == HESSP; }

/* What one worker holds: m rows of the largest tile. */
typedef struct {
    const void **x;     /* (slab,) rows of the tile, and of those that were loaded with it */
    const char **ahead; /* (max(m, d),) rows or columns of a later tile, as X has them */
    char *tile;         /* (slab, ld) real, if X must be converted */
    char *Z, *U;        /* (m, k) real; U for hessp */
    char *G_real;       /* (k, ldg) real: sums over some rows; as products_packed_tpl.h has them for many classes */
    char *packed;       /* scratch of many.backward */
    double *G;          /* (k, ldg): sums over the chunk; NULL for many classes, whose G_real is flushed to the total */
    double *g;          /* (k,) */
    char *rows;         /* scratch of the row kernels */
    char *zeros;        /* (ld,) real: the row of x that one of weight 0 is in gradients, whatever it holds */
} scratch;

static int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }

/* of a worker's sums in real */
static int64_t sums_size(const job *j) {
    return j->many ? j->kernels->many.sums_size(j->k, j->p->X.d) : j->k * j->ldg;
}

static scratch lay_out(const job *j, flr_arena *arena) {
    const int64_t size = j->kernels->size, m = j->tiling.rows, k = j->p->k, d = j->p->X.d;
    const int gradient = has_gradient(j);
    scratch s;
    s.x = flr_take(arena, j->tiling.slab, sizeof(void *));
    s.ahead = flr_take(arena, at_least(m, d), sizeof(void *));
    s.tile = flr_take(arena, j->tiling.in_place ? 0 : j->tiling.slab * j->tiling.ld, size);
    s.Z = flr_take(arena, j->op == LOGITS ? 0 : m * k, size);
    s.U = flr_take(arena, j->op == HESSP ? m * k : 0, size);
    /* its columns lie in lines of the cache as X's do */
    const int64_t shift = j->many ? 0 : (64 / size - j->tiling.head) % (64 / size);
    s.G_real = flr_take(arena, gradient ? sums_size(j) + shift : 0, size);
    if (gradient && s.G_real) s.G_real += shift * size;
    s.packed = flr_take(arena, gradient && j->many ? j->kernels->many.backward_size(m, k) : 0, size);
    s.G = flr_take(arena, gradient && !j->many ? j->k * j->ldg : 0, sizeof(double));
    s.g = flr_take(arena, k, sizeof(double));
    s.rows = flr_take(arena, 1, flr_row_scratch(k, size));
    s.zeros = flr_take(arena, gradient ? j->tiling.ld : 0, size);
    return s;
}

static void lay_out_shared(job *j, flr_arena *arena) {
    const int64_t values = j->many ? j->kernels->many.packed_size(j->p->k, j->p->X.d) : 0, size = j->kernels->size;
    j->packed_W = flr_take(arena, j->p->W ? values : 0, size);
    j->packed_V = flr_take(arena, j->V ? values : 0, size);
}

/* W and b have the last class in the place of the reference, and so have logits and gradients while they are multiplied:
 * exchange the two columns of Z (m, k) */
static void exchange_reference(const job *j, void *Z, int64_t m) {
    const int64_t k = j->p->k, r = j->p->reference;
    if (j->k < k && r < k - 1) j->kernels->exchange_columns(Z, m, k, r, k - 1);
}

/* Z (m, k) = x W' + b, b alone for the reference */
static void forward(const job *j, void *Z, const scratch *s, const void *W, const void *packed, const void *b, int64_t m,
                    const flr_ahead *next) {
    const flr_pass *p = j->p;
    if (j->many)
        j->kernels->many.forward(Z, s->x, packed, W, p->ldw, b, m, p->X.d, p->k, j->tiling.head, next);
    else
        j->products->forward(Z, p->k, s->x, W, p->ldw, b, m, p->X.d, j->k, j->tiling.head, next);
    exchange_reference(j, Z, m);
}

/* G (k, d) += R (m, k)' x;  g (k,) += R' 1 */
static void backward(const job *j, const scratch *s, void *R, int64_t m, const flr_ahead *next) {
    const int64_t k = j->p->k;
    j->kernels->column_sums(s->g, R, m, k);
    exchange_reference(j, R, m);
    if (j->many)
        j->kernels->many.backward(s->G_real, R, s->x, s->packed, m, j->p->X.d, k, next);
    else
        j->products->backward(s->G_real, j->ldg, R, k, s->x, m, j->p->X.d, j->k, j->tiling.head, 0, next);
    if (j->p->R_out) exchange_reference(j, R, m);
}

static void add_offset(const job *j, void *Z, int64_t first, int64_t m) {
    const int64_t k = j->p->k;
    if (j->p->offset) j->kernels->add(Z, (const char *)j->p->offset + first * k * j->kernels->size, m * k);
}

/* later: the first row of the tile that is loaded next, which is fetched meanwhile */
static double tile(const job *j, const scratch *s, int64_t *correct, int64_t first, int64_t m, int64_t later) {
    const flr_pass *p = j->p;
    const int64_t size = j->kernels->size, k = p->k;
    const double *weight = p->weight ? p->weight + first : NULL;
    void *const kept = j->op == LOGITS ? j->Z_out : j->op == LOSS_AND_GRAD ? p->R_out : NULL;
    char *Z = kept ? (char *)kept + first * k * size : s->Z;

    /* in each phase about as much as its time allows */
    const int64_t left = p->X.n - later, d = p->X.d;
    const flr_ahead next = flr_rows_ahead(s->ahead, &p->X, later, NULL, left < 0 ? 0 : left < m ? left : m);
    const int64_t amid = has_gradient(j) ? (next.n * 16 + d) / (16 + d) : 0;
    const int64_t half = has_gradient(j) ? (next.n - amid) / 2 : next.n;
    const flr_ahead early = flr_some_of(&next, 0, half), middle = flr_some_of(&next, half, amid),
                    late = flr_some_of(&next, half + amid, next.n - half - amid);
    for (int64_t i = 0; weight && has_gradient(j) && i < m; i++)
        if (weight[i] == 0) s->x[i] = s->zeros;
    if (p->logits == NULL) {
        forward(j, Z, s, p->W, j->packed_W, p->b, m, &early);
        add_offset(j, Z, first, m);
    }
    if (j->op == LOGITS) return 0;
    if (j->op == HESSP) {
        const void *at = p->logits ? (const char *)p->logits + first * k * size : Z;
        forward(j, s->U, s, j->V, j->packed_V, j->c, m, p->logits ? &early : NULL);
        j->kernels->curvature[p->loss](s->U, at, s->U, weight, s->rows, m, k);
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
    const void *at = p->logits ? (const char *)p->logits + first * k * size : Z;
    const double loss = j->kernels->residual[p->loss](Z, NULL, at, &y, s->rows, m, k, 0);
    backward(j, s, Z, m, &late);
    return loss;
}

static void flush(const job *j, const scratch *s) { j->kernels->flush(s->G, s->G_real, j->k * j->ldg); }

static void add_in_turn(job *j, const scratch *s, double loss, int64_t correct, int64_t chunk) {
    const int64_t k = has_gradient(j) ? j->p->k : 0, d = j->p->X.d;
    flr_await_turn(&j->turn, chunk);
    j->loss += loss;
    j->correct += correct;
    if (j->many && has_gradient(j)) j->kernels->many.flush(j->G, s->G_real, k, d);
    for (int64_t c = 0; c < k; c++) {
        if (!j->many && c < j->k) flr_kernels_of(8)->flush(j->G + c * d, s->G + c * j->ldg, d);
        j->g[c] += s->g[c];
    }
    flr_end_turn(&j->turn);
}

/* whole tiles where there are many, so that none is short */
static int64_t chunk_begin(const job *j, int64_t chunk) {
    const int64_t n = j->p->X.n, rows = j->tiling.rows, unit = n / j->n_chunks >= 8 * rows ? rows : 1;
    const int64_t begin = (int64_t)((__int128)((n + unit - 1) / unit) * chunk / j->n_chunks) * unit;
    return begin < n ? begin : n;
}

static int64_t claim_chunk(job *j) { return atomic_fetch_add(&j->unclaimed, 1); }

/* returns the worker's next chunk, claimed before the last tile so that its first can be fetched */
static int64_t do_chunk(job *j, int64_t chunk, const scratch *all) {
    const int64_t k = j->p->k, begin = chunk_begin(j, chunk), end = chunk_begin(j, chunk + 1);
    const int64_t most = j->kernels->size == 4 ? FLUSH_ROWS : INT64_MAX; /* rows whose sums stay real */
    scratch s = *all;
    const void **x = s.x;
    if (has_gradient(j)) memset(s.g, 0, (size_t)(k * 8));
    double loss = 0;
    int64_t correct = 0, next = -1;
    for (int64_t first = begin, unflushed = 0; first < end; first += j->tiling.rows) {
        const int64_t left = end - first, m = left < j->tiling.rows ? left : j->tiling.rows;
        const int64_t at = (first - begin) % j->tiling.slab;
        if (at == 0)
            flr_load_tile(x, s.tile, &j->p->X, &j->tiling, j->kernels->size, first, NULL,
                          left < j->tiling.slab ? left : j->tiling.slab);
        s.x = x + at;
        int64_t later = first + j->tiling.slab;
        if (later >= end) {
            if (next < 0) next = claim_chunk(j);
            later = chunk_begin(j, next) + at;
        }
        loss += tile(j, &s, &correct, first, m, later);
        unflushed += m;
        if (has_gradient(j) && !j->many && (unflushed + j->tiling.rows > most || first + m == end)) {
            flush(j, &s);
            unflushed = 0;
        }
    }
    if (j->op != LOGITS) add_in_turn(j, &s, loss, correct, chunk);
    return next < 0 ? claim_chunk(j) : next;
}

static void work(void *context, int worker, int n_workers) {
    job *j = context;
    flr_arena arena = flr_worker_arena(&j->memory, worker);
    const scratch s = lay_out(j, &arena);
    (void)n_workers;
    for (int64_t chunk = claim_chunk(j); chunk < j->n_chunks;) chunk = do_chunk(j, chunk, &s);
}

static void pack(void *context, int64_t panel, int worker) {
    const job *j = context;
    const flr_pass *p = j->p;
    (void)worker;
    if (p->W) j->kernels->many.pack((void *)j->packed_W, p->W, p->ldw, p->k, p->X.d, panel);
    if (j->V) j->kernels->many.pack((void *)j->packed_V, j->V, p->ldw, p->k, p->X.d, panel);
}

/* residuals of a row sum to 0: the gradient of the reference is minus the sum of the others */
static void finish_gradient(const job *j) {
    const int64_t d = j->p->X.d;
    double *last = j->G + j->k * d, *own = j->G + j->p->reference * d;
    for (int64_t c = 0; c < j->k; c++)
        for (int64_t i = 0; i < d; i++) last[i] -= j->G[c * d + i];
    for (int64_t i = 0; own < last && i < d; i++) {
        const double minus_others = last[i];
        last[i] = own[i];
        own[i] = minus_others;
    }
}

static int many(const flr_pass *p) {
    return p->k >= flr_kernels_of(flr_real_size(p->X.dtype))->many_classes && p->X.n >= MANY_LEAST_ROWS;
}

int flr_wants_reference(const flr_pass *p) { return p->loss == FLR_SOFTMAX && p->k > 1 && !many(p); }

static int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

/* about those of a tile as reals */
static int64_t tile_bytes(const job *j) {
    const int64_t size = j->kernels->size, d = j->p->X.d, k = j->p->k, row = (d + 15) / 16 * 16 * size;
    if (j->many) {
        const int64_t bytes = k * d * size > LONG_TILE_BYTES ? LONG_TILE_BYTES : MANY_TILE_BYTES;
        return at_most(bytes, MANY_VALUES / at_least(k, 1) * row);
    }
    const int64_t bytes = k == 1 ? BINARY_TILE_BYTES : TILE_BYTES;
    return has_gradient(j) && size == 4 ? at_most(bytes, FLUSH_ROWS * row) : bytes;
}

static int run(job *j) {
    const flr_pass *p = j->p;
    const int64_t n = p->X.n, d = p->X.d, k = p->k, size = j->kernels->size;
    j->many = many(p);
    j->k = k - p->has_reference;
    j->tiling = flr_tiling_of(&p->X, size, tile_bytes(j), !j->many);
    j->products = &j->kernels->products[j->tiling.type];
    j->ldg = j->tiling.ld;

    int64_t chunk_rows = j->many ? MANY_ROWS : CHUNK_BYTES / at_least(d * size, 1);
    const int64_t chunks = j->many ? MANY_CHUNKS : CHUNKS;
    if (chunk_rows > n / chunks) chunk_rows = n / chunks;
    chunk_rows = at_least(chunk_rows, at_least(j->tiling.rows / 8, 64));
    j->n_chunks = (n + chunk_rows - 1) / chunk_rows;
    if (j->n_chunks > chunks / 2) j->n_chunks = (j->n_chunks + chunks - 1) / chunks * chunks;

    const int n_threads = flr_workers_for(p->n_threads, j->n_chunks);
    flr_arena shared = {0}, each = {0};
    lay_out_shared(j, &shared);
    lay_out(j, &each);
    if (flr_open_scratch(&j->memory, shared.bytes, each.bytes, n_threads) != FLR_OK) return FLR_NO_MEMORY;
    shared = flr_shared_arena(&j->memory);
    lay_out_shared(j, &shared);
    if (j->many)
        flr_parallel_for(pack, j, (k + j->kernels->panel_classes - 1) / j->kernels->panel_classes, n_threads);
    for (int worker = 0; has_gradient(j) && worker < n_threads; worker++) { /* flushes leave zeros, too */
        flr_arena arena = flr_worker_arena(&j->memory, worker);
        const scratch s = lay_out(j, &arena);
        memset(s.G_real, 0, (size_t)(sums_size(j) * size));
        if (!j->many) memset(s.G, 0, (size_t)(j->k * j->ldg * 8));
        memset(s.zeros, 0, (size_t)(j->tiling.ld * size));
    }
    if (has_gradient(j)) {
        memset(j->G, 0, (size_t)(k * d * 8));
        memset(j->g, 0, (size_t)(k * 8));
    }
    flr_gang(work, j, n_threads);
    if (has_gradient(j) && j->k < k) finish_gradient(j);
    flr_close_scratch(&j->memory);
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
