/* gram.c -- X' diag(weight) X in one pass: tiles of standardised rows, multiplied by the packed products; sums in a
 * fixed order, as in pass.c.
 */
#include "drivers/tile.h"
#include "fastlr.h"
#include "runtime/runtime.h"

#include <string.h>

enum {
    TILE_ROWS = 192, /* summed in real; the sums of a chunk's tiles are added in real again */
    CHUNK_ROWS = 4096,
    LEAST_CHUNK_ROWS = 512,
    CHUNKS = 8,
};

typedef struct {
    const flr_pass *p;
    const flr_kernels *kernels;
    flr_tiling tiling;
    const void *scale, *shift;
    int64_t n_chunks;
    flr_scratch scratch;
    double *G, *s;
    atomic_llong turn;
} job;

typedef struct {
    double *s;      /* (d,): sums of the chunk */
    const void **x; /* (rows,) */
    char *tile;     /* (rows, ld): standardised */
    char *zeros;    /* (ld,): a row of weight 0, which may hold nan */
    char *packed;
    char *G;        /* sums of the chunk, as products_packed_tpl.h has them */
} scratch;

static scratch lay_out(const job *j, flr_arena *arena) {
    const flr_many *many = &j->kernels->many;
    const int64_t size = j->kernels->size, d = j->p->X.d, rows = j->tiling.rows, ld = j->tiling.ld;
    scratch s;
    s.s = flr_take(arena, d, sizeof(double));
    s.x = flr_take(arena, rows, sizeof(void *));
    s.tile = flr_take(arena, rows * ld, size);
    s.zeros = flr_take(arena, ld, size);
    s.packed = flr_take(arena, many->backward_size(rows, d), size);
    s.G = flr_take(arena, many->sums_size(d, d), size);
    return s;
}

static void do_chunk(void *context, int64_t chunk, int worker) {
    job *j = context;
    const flr_matrix *X = &j->p->X;
    const int64_t n = X->n, d = X->d, size = j->kernels->size, ld = j->tiling.ld, rows = j->tiling.rows;
    const int64_t begin = flr_part_begin(n, chunk, j->n_chunks);
    const int64_t end = flr_part_begin(n, chunk + 1, j->n_chunks);
    flr_arena arena = flr_worker_arena(&j->scratch, worker);
    const scratch s = lay_out(j, &arena);

    memset(s.s, 0, (size_t)(d * 8));
    int64_t held = begin;
    for (int64_t first = begin; first < end; first += rows) {
        const int64_t m = end - first < rows ? end - first : rows;
        flr_load_tile(s.x, s.tile, X, &j->tiling, size, first, NULL, m);
        const double *weight = j->p->weight ? j->p->weight + first : NULL;
        for (int64_t i = 0; weight && i < m; i++)
            if (weight[i] == 0) s.x[i] = s.zeros;
        j->kernels->standardise(s.tile, ld, s.s, s.x, j->scale, j->shift, weight, m, d);
        j->kernels->many.gram(s.G, s.tile, ld, s.packed, m, d);
        held = flr_release_rows(X, held, first + m, 0);
    }
    flr_release_rows(X, held, end, 1);
    flr_await_turn(&j->turn, chunk);
    j->kernels->many.flush_gram(j->G, s.G, d);
    for (int64_t a = 0; a < d; a++) j->s[a] += s.s[a];
    flr_end_turn(&j->turn);
}

int flr_gram(double *G_out, double *s_out, const flr_pass *pass, const void *scale, const void *shift) {
    const int64_t n = pass->X.n, d = pass->X.d;
    const int64_t size = flr_real_size(pass->X.dtype);
    job j = {.p = pass, .kernels = flr_kernels_of(size), .scale = scale, .shift = shift, .G = G_out, .s = s_out};
    j.tiling = flr_tiling_of(&pass->X, size, 0, 0);
    j.tiling.rows = TILE_ROWS;
    j.tiling.ld = (d + 7 + 15) / 16 * 16;
    j.n_chunks = ((n + CHUNK_ROWS - 1) / CHUNK_ROWS + CHUNKS - 1) / CHUNKS * CHUNKS;
    if (n < CHUNKS * LEAST_CHUNK_ROWS) j.n_chunks = (n + LEAST_CHUNK_ROWS - 1) / LEAST_CHUNK_ROWS;
    memset(G_out, 0, (size_t)(d * d * 8));
    memset(s_out, 0, (size_t)(d * 8));

    const int n_threads = flr_workers_for(pass->n_threads, j.n_chunks);
    flr_arena empty = {0};
    lay_out(&j, &empty);
    if (flr_open_scratch(&j.scratch, 0, empty.bytes, n_threads) != FLR_OK) return FLR_NO_MEMORY;
    for (int worker = 0; worker < n_threads; worker++) { /* flushes leave zeros, too */
        flr_arena arena = flr_worker_arena(&j.scratch, worker);
        const scratch s = lay_out(&j, &arena);
        memset(s.G, 0, (size_t)(j.kernels->many.sums_size(d, d) * size));
        memset(s.tile, 0, (size_t)(j.tiling.rows * j.tiling.ld * size)); /* what lies behind column d is read */
        memset(s.zeros, 0, (size_t)(j.tiling.ld * size));
    }
    flr_parallel_for(do_chunk, &j, j.n_chunks, n_threads);
    flr_close_scratch(&j.scratch);
    for (int64_t a = 0; a < d; a++)
        for (int64_t b = 0; b < a; b++) G_out[a * d + b] = G_out[b * d + a];
    return FLR_OK;
}
