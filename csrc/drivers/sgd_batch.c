/* sgd_batch.c -- gradient descent over batches: the lecture's learning rule, one epoch a call.
 *
 * for each batch of rows:   each chunk of the batch:    Z = x W' + b;  loss, R;  G_part = R' x      (any worker)
 *                           each block of a class:      G = sum of the parts, in order;  W -= ...   (any worker)
 * with a barrier after each line.  Chunks and blocks depend on the batch, d and k alone, so the bits do not depend on the
 * number of threads.  Parameters are double; a tile computes in real, and so do the sums of a chunk, REAL_ROWS at most.
 * A batch of more chunks than step adds up takes them in rounds, whose parts are added to a total in double.
 */
#define _POSIX_C_SOURCE 199309L
#include "drivers/tile.h"
#include "fastlr.h"

#include <string.h>
#include <time.h>

enum {
    TILE_BYTES = 160 << 10,
    LEAST_CHUNK = 16,
    REAL_ROWS = 256,       /* most rows of a chunk */
    ROUND_CHUNKS = 24,     /* of a large batch, which busies as many threads */
    ROUND_BYTES = 32 << 20, /* of their parts, if those are more than FLR_STEP_PARTS */
    COLUMNS = 1024,
    POLL_ROWS = 4096,      /* a batch of so many is worth a look at the clock */
};
static const double SECONDS_BETWEEN_POLLS = 0.05;

typedef struct {
    const flr_pass *p;
    const flr_epoch_options *o;
    const flr_kernels *kernels;
    const flr_products *products;
    flr_tiling tiling;
    int64_t chunk_rows, max_parts, n_blocks;
    int in_rounds;              /* batches may have more chunks than step adds up */
    char *G;                    /* partial sums: (max_parts, k, d) real */
    double *total;              /* (k, d) sums of a batch that takes rounds */
    double *g;                  /* (max_parts, k) */
    double *b_shift;            /* (n_blocks, k) parts of (W * scale) shift */
    struct part { double loss, weight; int64_t correct; } *parts; /* (max_parts,); correct: labelled so before the step */
    flr_scratch memory;
    double total_loss;
    int64_t total_correct;
    int stop;
    atomic_int arrived, phase;
} job;

/* What one worker holds. */
typedef struct {
    const void **x;     /* (rows,) */
    const char **ahead; /* (max(rows, d),): columns may be fetched */
    char *tile;         /* (rows, ld) real, if X must be converted */
    char *Z, *prob;     /* (rows, k) real */
    int32_t *label;     /* (rows,) */
    double *weight;     /* (rows,) */
    double *g;          /* (k,): gradient of b, of the batch */
    char *row_scratch;
    char *zeros;        /* (ld,) real: the row of x that one of weight 0 is in gradients, whatever it holds */
} scratch;

static scratch lay_out(const job *j, flr_arena *arena) {
    const flr_pass *p = j->p;
    const int64_t size = j->kernels->size, rows = j->tiling.rows, k = p->k, d = p->X.d;
    scratch s;
    s.x = flr_take(arena, rows, sizeof(void *));
    s.ahead = flr_take(arena, rows > d ? rows : d, sizeof(void *));
    s.tile = flr_take(arena, j->tiling.in_place ? 0 : rows * j->tiling.ld, size);
    s.Z = flr_take(arena, rows * k, size);
    s.prob = flr_take(arena, p->prob ? rows * k : 0, size);
    s.label = flr_take(arena, rows, sizeof(int32_t));
    s.weight = flr_take(arena, rows, sizeof(double));
    s.g = flr_take(arena, k, sizeof(double));
    s.row_scratch = flr_take(arena, 1, flr_row_scratch(k, size));
    s.zeros = flr_take(arena, p->weight ? j->tiling.ld : 0, size);
    return s;
}

static void lay_out_shared(job *j, flr_arena *arena) {
    const int64_t k = j->p->k, d = j->p->X.d;
    j->G = flr_take(arena, j->max_parts * k * d, j->kernels->size);
    j->total = flr_take(arena, j->in_rounds ? k * d : 0, sizeof(double));
    j->g = flr_take(arena, j->max_parts * k, sizeof(double));
    j->b_shift = flr_take(arena, j->n_blocks * k, sizeof(double));
    j->parts = flr_take(arena, j->max_parts, sizeof *j->parts);
}

static void barrier(job *j, int n_workers) {
    if (n_workers == 1) return;
    const int phase = atomic_load(&j->phase);
    if (atomic_fetch_add(&j->arrived, 1) == n_workers - 1) {
        atomic_store(&j->arrived, 0);
        atomic_store(&j->phase, phase + 1);
    } else {
        for (int spins = 0; atomic_load(&j->phase) == phase;) flr_relax(&spins);
    }
}

/* loss and gradient of rows [first, first + m) of the order, into part q; meanwhile the rows of the worker's next chunk,
 * from next on, are fetched */
static void chunk(job *j, const scratch *s, int64_t q, int64_t first, int64_t m, int64_t next) {
    const flr_pass *p = j->p;
    const int64_t k = p->k, d = p->X.d, size = j->kernels->size, rows = j->tiling.rows;
    double *g = j->g + q * k;
    const int rank_one = j->o->batch == 1;
    struct part part = {0};

    memset(g, 0, (size_t)(k * 8));
    for (int64_t begin = first, end = first + m; begin < end; begin += rows) {
        const int64_t t = end - begin < rows ? end - begin : rows;
        const int64_t *order = j->o->order ? j->o->order + begin : NULL;
        flr_load_tile(s->x, s->tile, &p->X, &j->tiling, size, begin, order, t);
        for (int64_t i = 0; i < t; i++) {
            const int64_t row = order ? order[i] : begin + i;
            if (p->label) s->label[i] = p->label[row];
            if (p->weight) part.weight += s->weight[i] = p->weight[row];
            if (p->prob) memcpy(s->prob + i * k * size, (const char *)p->prob + row * k * size, (size_t)(k * size));
        }
        const flr_targets y = {.label = p->label ? s->label : NULL,
                               .prob = p->prob ? s->prob : NULL,
                               .weight = p->weight ? s->weight : NULL,
                               .grad_scale = 1};
        const int64_t later = begin + t < end ? begin + t : next, left = p->X.n - later, fetched = left < t ? left : t;
        flr_ahead rest = {0};
        if (fetched > 0)
            rest = flr_rows_ahead(s->ahead, &p->X, later, j->o->order ? j->o->order + later : NULL, fetched);
        const int64_t half = rank_one ? rest.n : rest.n / 2;
        const flr_ahead early = flr_some_of(&rest, 0, half), late = flr_some_of(&rest, half, rest.n - half);
        j->products->forward(s->Z, k, s->x, p->W, p->ldw, p->b, t, d, k, j->tiling.head, &early);
        if (p->label)
            part.correct += j->kernels->correct(s->Z, s->label, p->loss == FLR_SQUARED_ERROR ? 0.5 : 0, t, k);
        part.loss += j->kernels->residual[p->loss](s->Z, NULL, s->Z, &y, s->row_scratch, t, k, 0);
        j->kernels->column_sums(g, s->Z, t, k);
        for (int64_t i = 0; p->weight && i < t; i++)
            if (s->weight[i] == 0) s->x[i] = s->zeros;
        if (!rank_one)
            j->products->backward(j->G + q * k * d * size, d, s->Z, k, s->x, t, d, k, j->tiling.head, begin == first,
                                  &late);
    }
    if (p->weight == NULL) part.weight = (double)m;
    j->parts[q] = part;
}

/* b_real = b - (W * scale) shift, what the next batch computes with */
static void refresh_b(job *j) {
    const int64_t k = j->p->k;
    for (int64_t c = 0; c < k; c++) {
        double b = j->o->b[c];
        for (int64_t block = 0; j->o->shift && block < j->n_blocks; block++) b -= j->b_shift[block * k + c];
        if (j->kernels->size == 4)
            ((float *)j->p->b)[c] = (float)b;
        else
            ((double *)j->p->b)[c] = b;
    }
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* blocks of a class that are this worker's */
static int64_t share_begin(const job *j, int worker, int n_workers) {
    return worker * (j->p->k * j->n_blocks) / n_workers;
}

static int64_t block_begin(const job *j, int64_t block) { return block * j->p->X.d / j->n_blocks; }

/* total (+)= the parts, in order, in the worker's blocks */
static void add_parts(job *j, int64_t n_parts, int fresh, int worker, int n_workers) {
    const int64_t k = j->p->k, d = j->p->X.d, size = j->kernels->size;
    for (int64_t t = share_begin(j, worker, n_workers); t < share_begin(j, worker + 1, n_workers); t++) {
        const int64_t j0 = block_begin(j, t % j->n_blocks), columns = block_begin(j, t % j->n_blocks + 1) - j0;
        const int64_t at = t / j->n_blocks * d + j0;
        if (fresh) memset(j->total + at, 0, (size_t)(columns * 8));
        for (int64_t q = 0; q < n_parts; q++) j->kernels->flush(j->total + at, j->G + (q * k * d + at) * size, columns);
    }
}

/* all chunks of a batch, in rounds; the sum of its weights.  The worker's s->g and its blocks of total are complete. */
static double gradient(job *j, const scratch *s, int64_t first, int64_t m, int worker, int n_workers) {
    const int64_t k = j->p->k, rows = j->chunk_rows, n_chunks = (m + rows - 1) / rows, n_values = k * j->p->X.d;
    const int in_rounds = n_chunks > FLR_STEP_PARTS, folded = n_workers <= 2 && !in_rounds;
    double weight = 0;
    memset(s->g, 0, (size_t)(k * 8));
    for (int64_t done = 0; done < n_chunks; done += j->max_parts) {
        const int64_t n_parts = n_chunks - done < j->max_parts ? n_chunks - done : j->max_parts;
        for (int64_t q = worker; q < n_parts; q += n_workers) {
            const int64_t begin = (done + q) * rows, bytes = n_values * j->kernels->size;
            const int64_t next = q + n_workers < n_parts ? done + q + n_workers : done + n_parts + worker;
            chunk(j, s, q, first + begin, m - begin < rows ? m - begin : rows,
                  first + (next < n_chunks ? next * rows : j->o->batch + worker * rows));
            if (folded && q >= 2) j->kernels->add(j->G + (q - 2) * bytes, j->G + q * bytes, n_values);
        }
        barrier(j, n_workers);
        for (int64_t q = 0; q < n_parts; q++) {
            weight += j->parts[q].weight;
            for (int64_t c = 0; (worker == 0 || j->o->shift) && c < k; c++) s->g[c] += j->g[q * k + c];
            if (worker == 0) j->total_loss += j->parts[q].loss, j->total_correct += j->parts[q].correct;
        }
        if (in_rounds) add_parts(j, n_parts, done == 0, worker, n_workers);
        if (done + n_parts < n_chunks) barrier(j, n_workers);
    }
    return weight;
}

static void work(void *context, int worker, int n_workers) {
    job *j = context;
    const flr_pass *p = j->p;
    const flr_epoch_options *o = j->o;
    const int64_t n = p->X.n, k = p->k, d = p->X.d;
    flr_arena arena = flr_worker_arena(&j->memory, worker);
    const scratch s = lay_out(j, &arena);
    double polled = seconds();
    int64_t batches = 0;

    for (int64_t first = 0; first < n; first += o->batch) {
        const int64_t m = n - first < o->batch ? n - first : o->batch, n_chunks = (m + j->chunk_rows - 1) / j->chunk_rows;
        const double weight = gradient(j, &s, first, m, worker, n_workers);
        flr_step step = {.W = o->W, .velocity = o->W_velocity, .W_real = (void *)p->W, .ldw = p->ldw, .G = j->G,
                         .g = s.g, .n_parts = n_chunks, .part_stride = k * d,
                         .folded = n_workers <= 2, /* its worker made both parts: the others have less to read */
                         .total = n_chunks > FLR_STEP_PARTS ? j->total : NULL, .scale = o->scale, .shift = o->shift,
                         .factor = o->factor > 0 ? o->factor : weight > 0 ? 1 / weight : 0, .alpha = o->alpha,
                         .learning_rate = o->learning_rate, .momentum = o->momentum, .k = k, .d = d};
        if (o->batch == 1) {
            step.r = s.Z;
            step.x = s.x[0];
        }
        const int steps = o->factor > 0 || weight > 0;
        const int64_t end = share_begin(j, worker + 1, n_workers);
        for (int64_t t = share_begin(j, worker, n_workers); steps && t < end; t++) {
            const int64_t c = t / j->n_blocks, block = t % j->n_blocks;
            j->kernels->step(&step, c, c + 1, block_begin(j, block), block_begin(j, block + 1), j->b_shift + block * k);
        }
        if (worker == 0) {
            for (int64_t c = 0; steps && c < k; c++) {
                double gradient = step.factor * s.g[c];
                if (o->b_velocity) gradient = o->b_velocity[c] = o->momentum * o->b_velocity[c] + gradient;
                o->b[c] -= o->learning_rate * gradient;
            }
            if (!o->shift) refresh_b(j);
            if (((++batches & 15) == 0 || m >= POLL_ROWS) && seconds() - polled > SECONDS_BETWEEN_POLLS) {
                polled = seconds();
                j->stop = o->poll(o->poll_context);
            }
        }
        barrier(j, n_workers);
        if (o->shift) {
            if (worker == 0) refresh_b(j);
            barrier(j, n_workers);
        }
        if (j->stop) return;
    }
}

/* chunks, and parts of them that are held at once: by the batch and the sizes alone */
static void divide(job *j) {
    const int64_t batch = j->o->batch, k = j->p->k, d = j->p->X.d, part_bytes = k * d * j->kernels->size;
    int64_t n_chunks = FLR_STEP_PARTS, most = FLR_STEP_PARTS;
    if (batch > FLR_STEP_PARTS * REAL_ROWS) {
        n_chunks = (batch + REAL_ROWS - 1) / REAL_ROWS;
        most = part_bytes > 0 ? ROUND_BYTES / part_bytes : ROUND_CHUNKS;
        if (most > ROUND_CHUNKS) most = ROUND_CHUNKS;
        if (most < FLR_STEP_PARTS) most = FLR_STEP_PARTS;
    }
    j->chunk_rows = (batch + n_chunks - 1) / n_chunks;
    if (j->chunk_rows < LEAST_CHUNK) j->chunk_rows = LEAST_CHUNK;
    n_chunks = (batch + j->chunk_rows - 1) / j->chunk_rows;
    j->max_parts = n_chunks < most ? n_chunks : most;
    j->in_rounds = n_chunks > FLR_STEP_PARTS;
    j->n_blocks = (d + COLUMNS - 1) / COLUMNS;
    if (j->n_blocks < 1) j->n_blocks = 1;
    const int64_t tiles = (j->chunk_rows + j->tiling.rows - 1) / j->tiling.rows;
    j->tiling.rows = (j->chunk_rows + tiles - 1) / tiles;
}

int flr_epoch(double *loss_out, int64_t *correct_out, const flr_pass *pass, const flr_epoch_options *options) {
    const int64_t k = pass->k, d = pass->X.d, batch = options->batch;
    if (batch == 1 && !options->W_velocity && options->alpha == 0 && !options->shift)
        return flr_epoch_by_row(loss_out, correct_out, pass, options);
    const int64_t size = flr_real_size(pass->X.dtype);
    job j = {.p = pass, .o = options, .kernels = flr_kernels_of(size)};
    j.tiling = flr_tiling_of(&pass->X, size, TILE_BYTES, batch > 1);
    j.products = &j.kernels->products[j.tiling.type];
    divide(&j);
    const int n_threads = flr_workers_for(pass->n_threads, j.max_parts);
    flr_arena shared = {0}, each = {0};
    lay_out_shared(&j, &shared);
    lay_out(&j, &each);
    if (flr_open_scratch(&j.memory, shared.bytes, each.bytes, n_threads) != FLR_OK) return FLR_NO_MEMORY;
    shared = flr_shared_arena(&j.memory);
    lay_out_shared(&j, &shared);
    for (int worker = 0; pass->weight && worker < n_threads; worker++) {
        flr_arena arena = flr_worker_arena(&j.memory, worker);
        memset(lay_out(&j, &arena).zeros, 0, (size_t)(j.tiling.ld * size));
    }

    /* a step of length 0 fills W_real and the parts of b */
    memset(j.g, 0, (size_t)(k * 8));
    const flr_step none = {.W = options->W, .W_real = (void *)pass->W, .ldw = pass->ldw, .g = j.g,
                           .scale = options->scale, .shift = options->shift, .k = k, .d = d};
    for (int64_t block = 0; block < j.n_blocks; block++)
        j.kernels->step(&none, 0, k, block_begin(&j, block), block_begin(&j, block + 1), j.b_shift + block * k);
    refresh_b(&j);
    flr_gang(work, &j, n_threads);
    *loss_out = j.total_loss;
    *correct_out = j.total_correct;
    flr_close_scratch(&j.memory);
    return j.stop ? FLR_INTERRUPTED : FLR_OK;
}
