/* rowwise.c -- element-wise and row kernels on many threads: a grid of chunks that depends on the sizes alone. */
#include "fastlr.h"
#include "runtime/runtime.h"

#include <stddef.h>

/* From this size on the output goes past the caches: it would only evict what is read. */
enum { CHUNK_VALUES = 1 << 15, STREAM_BYTES = 16 << 20 };

typedef struct {
    const flr_kernels *kernels;
    char *out, *losses;
    const char *in;
    int64_t n, k, chunk;         /* rows (or values), classes, rows of a chunk */
    int op;                      /* flr_map, flr_row_map or flr_loss */
    int stream;
    const flr_targets *y;
    flr_scratch scratch;
    double *sums, total;         /* of the losses of each chunk, and of all */
} job;

static int64_t length(const job *j, int64_t task) {
    const int64_t left = j->n - task * j->chunk;
    return left < j->chunk ? left : j->chunk;
}

static void *row_scratch(const job *j, int worker) {
    flr_arena arena = flr_worker_arena(&j->scratch, worker);
    return flr_take(&arena, 1, flr_row_scratch(j->k, j->kernels->size));
}

static void map_chunk(void *context, int64_t task, int worker) {
    const job *j = context;
    const int64_t at = task * j->chunk * j->kernels->size;
    (void)worker;
    j->kernels->map[j->op](j->out + at, j->in + at, length(j, task), j->stream);
}

static void rows_chunk(void *context, int64_t task, int worker) {
    const job *j = context;
    const int64_t first = task * j->chunk * j->kernels->size, width = j->op == FLR_ROWS_LOGSUMEXP ? 1 : j->k;
    j->kernels->rows[j->op](j->out + first * width, j->in + first * j->k, row_scratch(j, worker),
                            length(j, task), j->k, j->stream);
}

static void residual_chunk(void *context, int64_t task, int worker) {
    const job *j = context;
    const int64_t row = task * j->chunk, size = j->kernels->size;
    flr_targets y = *j->y;
    y.next = NULL; /* another worker may take the next chunk */
    if (y.label) y.label += row;
    if (y.prob) y.prob = (const char *)y.prob + row * j->k * size;
    if (y.weight) y.weight += row;
    j->sums[task] = j->kernels->residual[j->op](
        j->out ? j->out + row * j->k * size : NULL, j->losses ? j->losses + row * size : NULL,
        j->in + row * j->k * size, &y, row_scratch(j, worker), length(j, task), j->k, j->stream);
}

/* chunks of whole vectors of rows; few of them when the rows are few */
static int64_t n_chunks(job *j) {
    j->chunk = j->k < CHUNK_VALUES / 16 ? CHUNK_VALUES / j->k / 16 * 16 : j->k < CHUNK_VALUES ? 16 : 1;
    return (j->n + j->chunk - 1) / j->chunk;
}

void flr_map_values(void *out, const void *z, int64_t n, int64_t size, flr_map map, int n_threads) {
    job j = {.kernels = flr_kernels_of(size), .out = out, .in = z, .n = n, .k = 1, .op = map,
             .stream = n * size >= STREAM_BYTES && out != z};
    flr_parallel_for(map_chunk, &j, n_chunks(&j), n_threads);
}

/* run over rows with scratch for each worker, and for the sums, one a chunk */
static int run_rows(job *j, flr_task_fn fn, int n_threads) {
    const int64_t tasks = n_chunks(j);
    flr_arena sums = {0}, each = {0};
    n_threads = flr_workers_for(n_threads, tasks);
    j->stream = j->out && j->out != j->in && j->n * j->k * j->kernels->size >= STREAM_BYTES;
    flr_take(&sums, tasks, sizeof(double));
    flr_take(&each, 1, flr_row_scratch(j->k, j->kernels->size));
    if (flr_open_scratch(&j->scratch, sums.bytes, each.bytes, n_threads) != FLR_OK) return FLR_NO_MEMORY;
    sums = flr_shared_arena(&j->scratch);
    j->sums = flr_take(&sums, tasks, sizeof(double));
    flr_parallel_for(fn, j, tasks, n_threads);
    for (int64_t task = 0; j->y && task < tasks; task++) j->total += j->sums[task];
    flr_close_scratch(&j->scratch);
    return FLR_OK;
}

int flr_map_rows(void *out, const void *Z, int64_t n, int64_t k, int64_t size, flr_row_map map, int n_threads) {
    job j = {.kernels = flr_kernels_of(size), .out = out, .in = Z, .n = n, .k = k, .op = map};
    return run_rows(&j, rows_chunk, n_threads);
}

int flr_residuals(double *loss_out, void *R_out, void *losses_out, const void *Z, const flr_targets *y, flr_loss loss,
                  int64_t n, int64_t k, int64_t size, int n_threads) {
    job j = {.kernels = flr_kernels_of(size), .out = R_out, .losses = losses_out, .in = Z, .n = n, .k = k, .op = loss,
             .y = y};
    const int status = run_rows(&j, residual_chunk, n_threads);
    *loss_out = j.total;
    return status;
}
