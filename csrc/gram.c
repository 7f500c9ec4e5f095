/* gram.c -- X' D X in one pass: tiles of standardised rows, syrk on each, sums in a fixed order (as in pass.c). */
#include "fastlr.h"

#include <string.h>

enum { TILE_BYTES = 1 << 20, CHUNK_ROWS = 4096, LEAST_CHUNK_ROWS = 512, CHUNKS = 8 };

flr_syrk *flr_syrk_f32, *flr_syrk_f64;

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

static void do_chunk(void *context, int64_t chunk, int worker) {
    job *j = context;
    const flr_matrix *X = &j->p->X;
    const int64_t n = X->n, d = X->d, size = j->kernels->size, ld = j->tiling.ld;
    const int64_t begin = (int64_t)((__int128)n * chunk / j->n_chunks);
    const int64_t end = (int64_t)((__int128)n * (chunk + 1) / j->n_chunks);
    double *s = (double *)(j->scratch + worker * j->worker_bytes);
    const void **x = (const void **)(s + d);
    char *tile = (char *)(x + j->tiling.rows);
    char *G = tile + j->tiling.rows * ld * size;
    int d_ = (int)d, ld_ = (int)ld;
    float zero_f = 0, one_f = 1;
    double zero_d = 0, one_d = 1;

    memset(s, 0, (size_t)(d * 8));
    for (int64_t first = begin; first < end; first += j->tiling.rows) {
        int m = (int)(end - first < j->tiling.rows ? end - first : j->tiling.rows);
        flr_load_tile(x, tile, X, &j->tiling, size, first, NULL, m);
        j->kernels->standardise(tile, ld, s, x, j->scale, j->shift, j->p->weight ? j->p->weight + first : NULL, m, d);
        if (size == 4)
            flr_syrk_f32("L", "N", &d_, &m, &one_f, tile, &ld_, first == begin ? &zero_f : &one_f, G, &d_);
        else
            flr_syrk_f64("L", "N", &d_, &m, &one_d, tile, &ld_, first == begin ? &zero_d : &one_d, G, &d_);
    }
    flr_await_turn(&j->turn, chunk);
    for (int64_t a = 0; a < d; a++) /* row-major: the upper triangle */
        for (int64_t b = a; b < d; b++)
            j->G[a * d + b] += size == 4 ? (double)((float *)G)[a * d + b] : ((double *)G)[a * d + b];
    for (int64_t a = 0; a < d; a++) j->s[a] += s[a];
    flr_end_turn(&j->turn);
}

int flr_gram(double *G_out, double *s_out, const flr_pass *pass, const void *scale, const void *shift) {
    const int64_t n = pass->X.n, d = pass->X.d;
    const int64_t size = flr_real_size(pass->X.dtype);
    job j = {.p = pass, .kernels = flr_kernels_of(size), .scale = scale, .shift = shift, .G = G_out, .s = s_out};
    j.tiling = flr_tiling_of(&pass->X, size, TILE_BYTES, 0);
    j.n_chunks = ((n + CHUNK_ROWS - 1) / CHUNK_ROWS + CHUNKS - 1) / CHUNKS * CHUNKS;
    if (n < CHUNKS * LEAST_CHUNK_ROWS) j.n_chunks = (n + LEAST_CHUNK_ROWS - 1) / LEAST_CHUNK_ROWS;
    memset(G_out, 0, (size_t)(d * d * 8));
    memset(s_out, 0, (size_t)(d * 8));
    if (d == 0) return FLR_OK; /* BLAS wants rows at least one value apart */

    int n_threads = pass->n_threads;
    if (n_threads > j.n_chunks) n_threads = (int)(j.n_chunks > 0 ? j.n_chunks : 1);
    j.worker_bytes = d * d * size + d * 8 + j.tiling.rows * ((int64_t)sizeof(void *) + j.tiling.ld * size);
    j.worker_bytes = (j.worker_bytes + 127) / 64 * 64;
    j.scratch = flr_take_scratch(j.worker_bytes * n_threads);
    if (j.scratch == NULL) return FLR_NO_MEMORY;
    flr_parallel_for(do_chunk, &j, j.n_chunks, n_threads);
    flr_return_scratch(j.scratch);
    for (int64_t a = 0; a < d; a++)
        for (int64_t b = 0; b < a; b++) G_out[a * d + b] = G_out[b * d + a];
    return FLR_OK;
}
