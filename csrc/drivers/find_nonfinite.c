/* find_nonfinite.c -- where X is not finite: one read of X, no copy; and places that lie outside. */
#include "drivers/tile.h"
#include "fastlr.h"
#include "runtime/runtime.h"

#include <stddef.h>

enum { CHUNK_BYTES = 1 << 20, TILE_BYTES = 64 << 10 };

typedef struct {
    const flr_matrix *X;
    const flr_kernels *kernels;
    flr_tiling tiling;
    int64_t chunk_rows;
    flr_scratch scratch;
    atomic_llong first; /* the first row found so far; n if none */
} job;

typedef struct { const void **x; void *tile; } scratch;

static scratch lay_out(const job *j, flr_arena *arena) {
    scratch s;
    s.x = flr_take(arena, j->tiling.rows, sizeof(void *));
    s.tile = flr_take(arena, j->tiling.in_place ? 0 : j->tiling.rows * j->tiling.ld, j->kernels->size);
    return s;
}

static void check_chunk(void *context, int64_t task, int worker) {
    job *j = context;
    const int64_t begin = task * j->chunk_rows, rows = j->tiling.rows;
    const int64_t end = begin + j->chunk_rows < j->X->n ? begin + j->chunk_rows : j->X->n;
    flr_arena arena = flr_worker_arena(&j->scratch, worker);
    const scratch s = lay_out(j, &arena);
    for (int64_t i = begin; i < end && i < atomic_load(&j->first); i += rows) {
        const int64_t m = end - i < rows ? end - i : rows;
        flr_load_tile(s.x, s.tile, j->X, &j->tiling, j->kernels->size, i, NULL, m);
        for (int64_t r = 0; r < m; r++) {
            if (j->kernels->first_nonfinite(s.x[r], j->X->d) == j->X->d) continue;
            long long first = atomic_load(&j->first);
            while (i + r < first && !atomic_compare_exchange_weak(&j->first, &first, i + r)) continue;
            return;
        }
    }
    flr_release_rows(j->X, begin, end, 1);
}

int flr_find_nonfinite(int64_t *row_out, int64_t *col_out, const flr_matrix *X, int n_threads) {
    *row_out = *col_out = -1;
    if (X->dtype > FLR_BF16 || X->n == 0 || X->d == 0) return FLR_OK;
    job j = {.X = X, .kernels = flr_kernels_of(flr_real_size(X->dtype)), .first = X->n};
    const int64_t size = j.kernels->size;
    j.tiling = flr_tiling_of(X, size, TILE_BYTES, 0);
    j.chunk_rows = CHUNK_BYTES / (X->d * size) + 1;
    const int64_t tasks = (X->n + j.chunk_rows - 1) / j.chunk_rows;
    n_threads = flr_workers_for(n_threads, tasks);
    flr_arena empty = {0};
    lay_out(&j, &empty);
    if (flr_open_scratch(&j.scratch, 0, empty.bytes, n_threads) != FLR_OK) return FLR_NO_MEMORY;
    flr_parallel_for(check_chunk, &j, tasks, n_threads);
    if (j.first < X->n) {
        flr_arena arena = flr_worker_arena(&j.scratch, 0);
        const scratch s = lay_out(&j, &arena);
        flr_load_tile(s.x, s.tile, X, &j.tiling, size, j.first, NULL, 1);
        *row_out = j.first;
        *col_out = j.kernels->first_nonfinite(s.x[0], X->d);
    }
    flr_close_scratch(&j.scratch);
    return FLR_OK;
}

/* In each block the sign bit of x | (end - 1 - x), gathered over all x: no branch, so the compiler makes it vectors. */
#define DEFINE_OUTSIDE(name, type, utype)                                                                             \
    int64_t name(const type *x, int64_t n, int64_t end) {                                                             \
        enum { BLOCK = 512 };                                                                                         \
        for (int64_t begin = 0; begin < n; begin += BLOCK) {                                                          \
            const int64_t stop = begin + BLOCK < n ? begin + BLOCK : n;                                               \
            utype gathered = 0;                                                                                       \
            for (int64_t i = begin; i < stop; i++) gathered |= (utype)x[i] | ((utype)(end - 1) - (utype)x[i]);        \
            for (int64_t i = begin; gathered >> (sizeof(type) * 8 - 1) && i < stop; i++)                              \
                if (x[i] < 0 || x[i] >= end) return i;                                                                \
        }                                                                                                             \
        return -1;                                                                                                    \
    }
DEFINE_OUTSIDE(flr_label_outside, int32_t, uint32_t)
DEFINE_OUTSIDE(flr_order_outside, int64_t, uint64_t)
