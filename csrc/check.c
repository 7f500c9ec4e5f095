/* check.c -- where X is not finite: one read of X, no copy. */
#include "fastlr.h"

#include <stddef.h>

enum { CHUNK_BYTES = 1 << 20, TILE_BYTES = 64 << 10 };

typedef struct {
    const flr_matrix *X;
    const flr_kernels *kernels;
    flr_tiling tiling;
    int64_t chunk_rows, worker_bytes;
    char *scratch;
    atomic_llong first; /* the first row found so far; n if none */
} job;

static void check_chunk(void *context, int64_t task, int worker) {
    job *j = context;
    const int64_t begin = task * j->chunk_rows, rows = j->tiling.rows;
    const int64_t end = begin + j->chunk_rows < j->X->n ? begin + j->chunk_rows : j->X->n;
    const void **x = (void *)(j->scratch + worker * j->worker_bytes);
    for (int64_t i = begin; i < end && i < atomic_load(&j->first); i += rows) {
        const int64_t m = end - i < rows ? end - i : rows;
        flr_load_tile(x, x + rows, j->X, &j->tiling, j->kernels->size, i, NULL, m);
        for (int64_t r = 0; r < m; r++) {
            if (j->kernels->first_nonfinite(x[r], j->X->d) == j->X->d) continue;
            long long first = atomic_load(&j->first);
            while (i + r < first && !atomic_compare_exchange_weak(&j->first, &first, i + r)) continue;
            return;
        }
    }
}

int flr_find_nonfinite(int64_t *row_out, int64_t *col_out, const flr_matrix *X, int n_threads) {
    *row_out = *col_out = -1;
    if (X->dtype > FLR_BF16 || X->n == 0 || X->d == 0) return FLR_OK;
    job j = {.X = X, .kernels = flr_kernels_of(flr_real_size(X->dtype)), .first = X->n};
    const int64_t size = j.kernels->size;
    j.tiling = flr_tiling_of(X, size, TILE_BYTES, 0);
    j.chunk_rows = CHUNK_BYTES / (X->d * size) + 1;
    const int64_t tasks = (X->n + j.chunk_rows - 1) / j.chunk_rows;
    if (n_threads > tasks) n_threads = (int)tasks;
    j.worker_bytes = j.tiling.rows * ((int64_t)sizeof(void *) + (j.tiling.in_place ? 0 : j.tiling.ld * size));
    j.worker_bytes = (j.worker_bytes + 63) / 64 * 64;
    j.scratch = flr_take_scratch(j.worker_bytes * n_threads);
    if (j.scratch == NULL) return FLR_NO_MEMORY;
    flr_parallel_for(check_chunk, &j, tasks, n_threads);
    if (j.first < X->n) {
        const void **x = (void *)j.scratch;
        flr_load_tile(x, x + j.tiling.rows, X, &j.tiling, size, j.first, NULL, 1);
        *row_out = j.first;
        *col_out = j.kernels->first_nonfinite(x[0], X->d);
    }
    flr_return_scratch(j.scratch);
    return FLR_OK;
}
