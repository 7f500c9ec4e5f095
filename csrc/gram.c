/* gram.c -- X' D X in one pass: tiles of standardised rows, their products on packed panels as for many classes, sums in
 * a fixed order (as in pass.c).
 */
#include "fastlr.h"

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
    int64_t n_chunks, worker_bytes;
    char *scratch;
    double *G, *s;
    atomic_llong turn;
} job;

typedef struct {
    double *s;      /* (d,): sums of the chunk */
    const void **x; /* (rows,) */
    char *tile;     /* (rows, ld): standardised */
    char *packed;
    char *G;        /* sums of the chunk, as many_tpl.h has them */
} scratch;

static scratch lay_out(const job *j, char *base, int64_t *bytes_out) {
    const flr_many *many = &j->kernels->many;
    const int64_t size = j->kernels->size, d = j->p->X.d, rows = j->tiling.rows;
    int64_t used = 0;
    scratch s = {0};
#define TAKE(bytes) (void *)(base + used); used += ((bytes) + 63) / 64 * 64
    s.s = TAKE(d * 8);
    s.x = TAKE(rows * (int64_t)sizeof(void *));
    s.tile = TAKE(rows * j->tiling.ld * size);
    s.packed = TAKE(many->backward_size(rows, d) * size);
    s.G = TAKE(many->sums_size(d, d) * size);
    *bytes_out = used;
    return s;
}

static void do_chunk(void *context, int64_t chunk, int worker) {
    job *j = context;
    const flr_matrix *X = &j->p->X;
    const int64_t n = X->n, d = X->d, size = j->kernels->size, ld = j->tiling.ld, rows = j->tiling.rows;
    const int64_t begin = (int64_t)((__int128)n * chunk / j->n_chunks);
    const int64_t end = (int64_t)((__int128)n * (chunk + 1) / j->n_chunks);
    int64_t bytes;
    const scratch s = lay_out(j, j->scratch + worker * j->worker_bytes, &bytes);

    memset(s.s, 0, (size_t)(d * 8));
    for (int64_t first = begin; first < end; first += rows) {
        const int64_t m = end - first < rows ? end - first : rows;
        flr_load_tile(s.x, s.tile, X, &j->tiling, size, first, NULL, m);
        j->kernels->standardise(s.tile, ld, s.s, s.x, j->scale, j->shift,
                                j->p->weight ? j->p->weight + first : NULL, m, d);
        j->kernels->many.gram(s.G, s.tile, ld, s.packed, m, d);
    }
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

    int n_threads = pass->n_threads;
    if (n_threads > j.n_chunks) n_threads = (int)(j.n_chunks > 0 ? j.n_chunks : 1);
    lay_out(&j, NULL, &j.worker_bytes);
    j.scratch = flr_take_scratch(j.worker_bytes * n_threads);
    if (j.scratch == NULL) return FLR_NO_MEMORY;
    for (int worker = 0; worker < n_threads; worker++) { /* flushes leave zeros, too */
        int64_t bytes;
        const scratch s = lay_out(&j, j.scratch + worker * j.worker_bytes, &bytes);
        memset(s.G, 0, (size_t)(j.kernels->many.sums_size(d, d) * size));
        memset(s.tile, 0, (size_t)(j.tiling.rows * j.tiling.ld * size)); /* what lies behind column d is read */
    }
    flr_parallel_for(do_chunk, &j, j.n_chunks, n_threads);
    flr_return_scratch(j.scratch);
    for (int64_t a = 0; a < d; a++)
        for (int64_t b = 0; b < a; b++) G_out[a * d + b] = G_out[b * d + a];
    return FLR_OK;
}
