/* epoch.c -- gradient descent over batches: the lecture's learning rule, one epoch a call.
 *
 * for each batch of rows:   each chunk of the batch:    Z = x W' + b;  loss, R;  G_part = R' x      (any worker)
 *                           each block of a class:      G = sum of the parts, in order;  W -= ...   (any worker)
 * with a barrier after each line.  Chunks and blocks depend on the batch and on d alone, so the bits do not depend on
 * the number of threads.  Parameters and sums are double; a tile computes in real.
 */
#define _POSIX_C_SOURCE 199309L
#include "fastlr.h"

#include <string.h>
#include <time.h>

enum { TILE_BYTES = 160 << 10, CHUNKS = 4, LEAST_CHUNK = 16, COLUMNS = 1024 };
static const double SECONDS_BETWEEN_POLLS = 0.05;

typedef struct {
    const flr_pass *p;
    const flr_epoch_options *o;
    const flr_kernels *kernels;
    const flr_products *products;
    flr_tiling tiling;
    int64_t chunk_rows, max_parts, n_blocks;
    char *G;                    /* partial sums: (max_parts, k, d) real */
    double *g, *loss;           /* (max_parts, k), (max_parts,) */
    double *b_shift;            /* (n_blocks, k) parts of (W * scale) shift */
    double *b_total;            /* (k,) gradient of b */
    char *memory;               /* workers' tiles */
    int64_t worker_bytes;
    int64_t *correct;           /* (max_parts,) rows that the model labelled correctly before the step */
    double total_loss;
    int64_t total_correct;
    int stop;
    atomic_int arrived, phase;
} job;

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
 * [next, next + m), are fetched */
static void chunk(job *j, int64_t q, int worker, int64_t first, int64_t m, int64_t next, const void **last_x) {
    const flr_pass *p = j->p;
    const int64_t k = p->k, d = p->X.d, size = j->kernels->size, rows = j->tiling.rows;
    char *memory = j->memory + worker * j->worker_bytes;
    const void **x = (void *)memory;
    const char **ahead = (void *)(x + rows);
    char *Z = (char *)(ahead + (rows > d ? rows : d)); /* columns may be fetched */
    int32_t *label = (void *)(Z + rows * k * size);
    double *weight = (void *)((char *)label + rows * 8);
    char *prob = (char *)(weight + rows), *tile = prob + (p->prob ? rows * k * size : 0);
    char *row_scratch = tile;
    tile += flr_row_scratch(k, size);
    tile += (64 - (uintptr_t)tile % 64) % 64;
    char *G = j->G + q * k * d * size;
    double *g = j->g + q * k;
    const int rank_one = j->o->batch == 1;

    j->loss[q] = 0;
    j->correct[q] = 0;
    memset(g, 0, (size_t)(k * 8));
    for (int64_t begin = first, end = first + m; begin < end; begin += rows) {
        const int64_t t = end - begin < rows ? end - begin : rows;
        const int64_t *order = j->o->order ? j->o->order + begin : NULL;
        flr_load_tile(x, tile, &p->X, &j->tiling, size, begin, order, t);
        for (int64_t i = 0; i < t; i++) {
            const int64_t row = order ? order[i] : begin + i;
            if (p->label) label[i] = p->label[row];
            if (p->weight) weight[i] = p->weight[row];
            if (p->prob) memcpy(prob + i * k * size, (const char *)p->prob + row * k * size, (size_t)(k * size));
        }
        const flr_targets y = {.label = p->label ? label : NULL,
                               .prob = p->prob ? prob : NULL,
                               .weight = p->weight ? weight : NULL,
                               .grad_scale = 1};
        const int64_t later = begin + t < end ? begin + t : next, left = p->X.n - later, fetched = left < t ? left : t;
        flr_ahead rest = {0};
        if (fetched > 0)
            rest = flr_rows_ahead(ahead, &p->X, later, j->o->order ? j->o->order + later : NULL, fetched);
        const int64_t half = rank_one ? rest.n : rest.n / 2;
        const flr_ahead early = flr_some_of(&rest, 0, half), late = flr_some_of(&rest, half, rest.n - half);
        j->products->forward(Z, k, x, p->W, p->ldw, p->b, t, d, k, j->tiling.head, &early);
        if (p->label)
            j->correct[q] += j->kernels->correct(Z, label, p->loss == FLR_SQUARED_ERROR ? 0.5 : 0, t, k);
        j->loss[q] += j->kernels->residual[p->loss](Z, NULL, Z, &y, row_scratch, t, k, 0);
        j->kernels->column_sums(g, Z, t, k);
        if (!rank_one) j->products->backward(G, d, Z, k, x, t, d, k, j->tiling.head, begin == first, &late);
    }
    last_x[0] = Z;
    last_x[1] = x[0];
}

static double weight_of(const job *j, int64_t first, int64_t m) {
    if (j->p->weight == NULL) return (double)m;
    double sum = 0;
    for (int64_t i = first; i < first + m; i++) sum += j->p->weight[j->o->order ? j->o->order[i] : i];
    return sum;
}

/* b_real = b - (W * scale) shift, what the next batch computes with */
static void refresh_b(job *j) {
    const int64_t k = j->p->k;
    for (int64_t c = 0; c < k; c++) {
        double b = j->o->b[c];
        for (int64_t block = 0; block < j->n_blocks; block++) b -= j->b_shift[block * k + c];
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

static void work(void *context, int worker, int n_workers) {
    job *j = context;
    const flr_pass *p = j->p;
    const flr_epoch_options *o = j->o;
    const int64_t n = p->X.n, k = p->k, d = p->X.d;
    const int folded = n_workers <= 2; /* its worker made both parts: the others have less to read */
    double polled = seconds();
    int64_t batches = 0;

    for (int64_t first = 0; first < n; first += o->batch) {
        const int64_t m = n - first < o->batch ? n - first : o->batch;
        const int64_t n_parts = (m + j->chunk_rows - 1) / j->chunk_rows;
        const void *row[2] = {NULL, NULL};
        for (int64_t q = worker; q < n_parts; q += n_workers) {
            const int64_t begin = q * j->chunk_rows;
            const int64_t next = q + n_workers < n_parts ? first + (q + n_workers) * j->chunk_rows
                                                         : first + o->batch + worker * j->chunk_rows;
            chunk(j, q, worker, first + begin, m - begin < j->chunk_rows ? m - begin : j->chunk_rows, next, row);
            const int64_t bytes = k * d * j->kernels->size;
            if (folded && q >= 2) j->kernels->add(j->G + (q - 2) * bytes, j->G + q * bytes, k * d);
        }
        barrier(j, n_workers);

        const double weight = o->sum ? 1 : weight_of(j, first, m);
        double g[64], *g_total = worker == 0 || k > 64 ? j->b_total : g;
        if (worker == 0 || k <= 64)
            for (int64_t c = 0; c < k; c++) {
                g_total[c] = 0;
                for (int64_t q = 0; q < n_parts; q++) g_total[c] += j->g[q * k + c];
            }
        if (k > 64 && p->k && o->shift) barrier(j, n_workers);
        flr_step step = {.W = o->W, .velocity = o->W_velocity, .W_real = (void *)p->W, .ldw = p->ldw, .G = j->G,
                         .g = g_total, .n_parts = n_parts, .part_stride = k * d, .folded = folded, .scale = o->scale,
                         .shift = o->shift, .factor = weight > 0 ? 1 / weight : 0, .alpha = o->alpha,
                         .learning_rate = o->learning_rate, .momentum = o->momentum, .k = k, .d = d};
        if (o->batch == 1) {
            step.n_parts = 0;
            step.r = row[0];
            step.x = row[1];
        }
        const int64_t tasks = weight > 0 ? k * j->n_blocks : 0;
        for (int64_t t = worker * tasks / n_workers; t < (worker + 1) * tasks / n_workers; t++) {
            const int64_t c = t / j->n_blocks, block = t % j->n_blocks;
            const int64_t j0 = block * d / j->n_blocks, j1 = (block + 1) * d / j->n_blocks;
            j->kernels->step(&step, c, c + 1, j0, j1, j->b_shift + block * k);
        }
        if (worker == 0) {
            for (int64_t q = 0; q < n_parts; q++) {
                j->total_loss += j->loss[q];
                j->total_correct += j->correct[q];
            }
            for (int64_t c = 0; weight > 0 && c < k; c++) {
                double gradient = step.factor * g_total[c];
                if (o->b_velocity) gradient = o->b_velocity[c] = o->momentum * o->b_velocity[c] + gradient;
                o->b[c] -= o->learning_rate * gradient;
            }
            if (!o->shift) refresh_b(j);
            if ((++batches & 15) == 0 && seconds() - polled > SECONDS_BETWEEN_POLLS) {
                polled = seconds();
                j->stop = o->poll();
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

int flr_epoch(double *loss_out, int64_t *correct_out, const flr_pass *pass, const flr_epoch_options *options) {
    const int64_t k = pass->k, d = pass->X.d, batch = options->batch;
    if (batch == 1 && !options->W_velocity && options->alpha == 0 && !options->shift)
        return flr_epoch_by_row(loss_out, correct_out, pass, options);
    const int64_t size = flr_real_size(pass->X.dtype);
    job j = {.p = pass, .o = options, .kernels = flr_kernels_of(size)};
    j.tiling = flr_tiling_of(&pass->X, size, TILE_BYTES, batch > 1);
    j.products = &j.kernels->products[j.tiling.type];
    j.chunk_rows = (batch + CHUNKS - 1) / CHUNKS;
    if (j.chunk_rows < LEAST_CHUNK) j.chunk_rows = LEAST_CHUNK;
    const int64_t tiles = (j.chunk_rows + j.tiling.rows - 1) / j.tiling.rows;
    j.tiling.rows = (j.chunk_rows + tiles - 1) / tiles;
    j.max_parts = (batch + j.chunk_rows - 1) / j.chunk_rows;
    j.n_blocks = (d + COLUMNS - 1) / COLUMNS;
    if (j.n_blocks < 1) j.n_blocks = 1;
    int n_threads = pass->n_threads;
    if (n_threads > j.max_parts) n_threads = (int)j.max_parts;

    const int64_t rows = j.tiling.rows;
    j.worker_bytes = (rows + (rows > d ? rows : d)) * (int64_t)sizeof(void *);
    j.worker_bytes += rows * (k * size + 8 + 8 + (pass->prob ? k * size : 0) +
                             (j.tiling.in_place ? 0 : j.tiling.ld * size)) + flr_row_scratch(k, size) + 256;
    j.worker_bytes = (j.worker_bytes + 63) / 64 * 64;
    const int64_t doubles = j.max_parts * (k + 2) + j.n_blocks * k + k;
    const int64_t G_bytes = (j.max_parts * k * d * size + 63) / 64 * 64;
    j.memory = flr_take_scratch(doubles * 8 + G_bytes + n_threads * j.worker_bytes);
    if (j.memory == NULL) return FLR_NO_MEMORY;
    j.G = j.memory + n_threads * j.worker_bytes;
    j.g = (double *)(j.G + G_bytes);
    j.loss = j.g + j.max_parts * k;
    j.correct = (int64_t *)(j.loss + j.max_parts);
    j.b_shift = j.loss + 2 * j.max_parts;
    j.b_total = j.b_shift + j.n_blocks * k;

    /* a step of length 0 fills W_real and the parts of b */
    const flr_step none = {.W = options->W, .W_real = (void *)pass->W, .ldw = pass->ldw, .g = j.b_total,
                           .scale = options->scale, .shift = options->shift, .k = k, .d = d};
    memset(j.b_total, 0, (size_t)(k * 8));
    memset(j.b_shift, 0, (size_t)(j.n_blocks * k * 8));
    for (int64_t block = 0; block < j.n_blocks; block++)
        j.kernels->step(&none, 0, k, block * d / j.n_blocks, (block + 1) * d / j.n_blocks, j.b_shift + block * k);
    refresh_b(&j);
    flr_gang(work, &j, n_threads);
    *loss_out = j.total_loss;
    *correct_out = j.total_correct;
    flr_return_scratch(j.memory);
    return j.stop ? FLR_INTERRUPTED : FLR_OK;
}
