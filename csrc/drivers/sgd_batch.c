/* sgd_batch.c -- gradient descent over batches: the lecture's learning rule, one epoch a call.
 *
 * for each batch of rows:   each chunk of the batch:    Z = x W' + b;  loss, R;  G_part = R' x      (any worker)
 *                           each block of a class:      G = sum of the parts, in order;  W -= ...   (any worker)
 * with a barrier after each line; the first is in sgd_gradient.c.  Chunks and blocks depend on the batch, d and k
 * alone, so the bits do not depend on the number of threads.  Parameters are double; tiles and the sums of a chunk,
 * which has REAL_ROWS rows at most, are real.  A batch of more chunks than the step kernel adds up takes them in
 * rounds, whose parts are added to a total in double.
 */
#include "drivers/batch.h"
#include "drivers/sgd_batch.h"
#include "runtime/clock.h"

#include <string.h>

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

static void lay_out_shared(sgd_job *j, flr_arena *arena) {
    const int64_t k = j->p->k, d = j->p->X.d;
    j->G = flr_take(arena, j->max_parts * k * d, j->kernels->size);
    j->total = flr_take(arena, j->in_rounds ? k * d : 0, sizeof(double));
    j->g = flr_take(arena, j->max_parts * k, sizeof(double));
    j->b_shift = flr_take(arena, j->n_blocks * k, sizeof(double));
    j->parts = flr_take(arena, j->max_parts, sizeof *j->parts);
}

/* b_real = b - (W * scale) shift, what the next batch computes with */
static void refresh_b(sgd_job *j) {
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

static void work(void *context, int worker, int n_workers) {
    sgd_job *j = context;
    const flr_pass *p = j->p;
    const flr_epoch_options *o = j->o;
    const int64_t n = p->X.n, k = p->k, d = p->X.d;
    flr_arena arena = flr_worker_arena(&j->memory, worker);
    const sgd_buffers s = flr_lay_out_sgd(j, &arena);
    double polled = clock_seconds();
    int64_t batches = 0;

    for (int64_t first = 0; first < n; first += o->batch) {
        const int64_t m = n - first < o->batch ? n - first : o->batch;
        const int64_t n_chunks = (m + j->chunk_rows - 1) / j->chunk_rows;
        const flr_batch batch = flr_batch_of(o, p->weight, first, m);
        flr_sgd_gradient(j, &s, batch.grad_scale, first, m, worker, n_workers);
        flr_step step = {.W = o->W, .velocity = o->W_velocity, .W_real = (void *)p->W, .ldw = p->ldw, .G = j->G,
                         .g = s.g, .n_parts = n_chunks, .part_stride = k * d,
                         .folded = n_workers <= 2, /* its worker made both parts: the others have less to read */
                         .total = n_chunks > FLR_STEP_PARTS ? j->total : NULL, .scale = o->scale, .shift = o->shift,
                         .factor = batch.factor, .alpha = o->alpha,
                         .learning_rate = o->learning_rate, .momentum = o->momentum, .k = k, .d = d};
        if (o->batch == 1) {
            step.r = s.Z;
            step.x = s.x[0];
        }
        const int64_t end = sgd_share_begin(j, worker + 1, n_workers);
        for (int64_t t = sgd_share_begin(j, worker, n_workers); batch.steps && t < end; t++) {
            const int64_t c = t / j->n_blocks, block = t % j->n_blocks;
            j->kernels->step(&step, c, c + 1, sgd_block_begin(j, block), sgd_block_begin(j, block + 1),
                             j->b_shift + block * k);
        }
        if (worker == 0) {
            for (int64_t c = 0; batch.steps && c < k; c++) {
                double gradient = step.factor * s.g[c];
                if (o->b_velocity) gradient = o->b_velocity[c] = o->momentum * o->b_velocity[c] + gradient;
                o->b[c] -= o->learning_rate * gradient;
            }
            if (!o->shift) refresh_b(j);
            if (((++batches & 15) == 0 || m >= POLL_ROWS) && clock_seconds() - polled > SECONDS_BETWEEN_POLLS) {
                polled = clock_seconds();
                j->stop = o->poll(o->poll_context);
            }
        }
        flr_sgd_barrier(j, n_workers);
        if (o->shift) {
            if (worker == 0) refresh_b(j);
            flr_sgd_barrier(j, n_workers);
        }
        if (j->stop) return;
    }
}

/* chunks, and parts of them that are held at once: by the batch and the sizes alone */
static void divide(sgd_job *j) {
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
    sgd_job j = {.p = pass, .o = options, .kernels = flr_kernels_of(size)};
    j.tiling = flr_tiling_of(&pass->X, size, TILE_BYTES, batch > 1);
    j.products = &j.kernels->products[j.tiling.type];
    divide(&j);
    const int n_threads = flr_workers_for(pass->n_threads, j.max_parts);
    flr_arena shared = {0}, each = {0};
    lay_out_shared(&j, &shared);
    flr_lay_out_sgd(&j, &each);
    if (flr_open_scratch(&j.memory, shared.bytes, each.bytes, n_threads) != FLR_OK) return FLR_NO_MEMORY;
    shared = flr_shared_arena(&j.memory);
    lay_out_shared(&j, &shared);
    for (int worker = 0; pass->weight && worker < n_threads; worker++) {
        flr_arena arena = flr_worker_arena(&j.memory, worker);
        memset(flr_lay_out_sgd(&j, &arena).zeros, 0, (size_t)(j.tiling.ld * size));
    }

    /* a step of length 0 fills W_real and the parts of b */
    memset(j.g, 0, (size_t)(k * 8));
    const flr_step none = {.W = options->W, .W_real = (void *)pass->W, .ldw = pass->ldw, .g = j.g,
                           .scale = options->scale, .shift = options->shift, .k = k, .d = d};
    for (int64_t block = 0; block < j.n_blocks; block++)
        j.kernels->step(&none, 0, k, sgd_block_begin(&j, block), sgd_block_begin(&j, block + 1), j.b_shift + block * k);
    refresh_b(&j);
    flr_gang(work, &j, n_threads);
    *loss_out = j.total_loss;
    *correct_out = j.total_correct;
    flr_close_scratch(&j.memory);
    return j.stop ? FLR_INTERRUPTED : FLR_OK;
}
