/* pass_plan.c -- how a pass is divided into chunks and tiles, and the memory that its workers hold.
 *
 * The division depends on the problem alone, so that the order of every sum, and with it the bits, does too.
 */
#include "drivers/pass.h"

#include <string.h>

enum {
    TILE_BYTES = 160 << 10,  /* a third of the smallest L2 in use today: this tile and the next, which is prefetched */
    BINARY_TILE_BYTES = 48 << 10, /* where little is computed, phases that prefetch more or less must be short */
    FLUSH_ROWS = 256,        /* at most, whose gradient is summed in float before it is added up in double */
    CHUNK_BYTES = 8 << 20,
    CHUNKS = 24,             /* aimed at when X is small; divides evenly among 1, 2, 3, 4, 6, 8 threads */
    PACKED_TILE_BYTES = 256 << 10,
    PACKED_LONG_TILE_BYTES = 1 << 20, /* where W and its gradient leave L2 while a tile is multiplied */
    PACKED_TILE_LOGITS = 2 << 20,
    PACKED_CHUNKS = 12,      /* adding up (k, d) sums costs as much as some hundred rows */
    PACKED_CHUNK_ROWS = 2048,
    PACKED_LEAST_ROWS = 32,  /* of X, to be worth packing W */
};

static int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

static int is_packed(const flr_pass *p) {
    return p->k >= flr_kernels_of(flr_real_size(p->X.dtype))->many_classes && p->X.n >= PACKED_LEAST_ROWS;
}

int flr_wants_reference(const flr_pass *p) { return p->loss == FLR_SOFTMAX && p->k > 1 && !is_packed(p); }

int64_t flr_most_real_rows(const pass_job *j) { return j->kernels->size == 4 ? FLUSH_ROWS : INT64_MAX; }

/* about those of a tile as reals */
static int64_t tile_bytes(const pass_job *j) {
    const int64_t size = j->kernels->size, d = j->p->X.d, k = j->p->k, row = (d + 15) / 16 * 16 * size;
    if (j->packed) {
        const int64_t bytes = k * d * size > PACKED_LONG_TILE_BYTES ? PACKED_LONG_TILE_BYTES : PACKED_TILE_BYTES;
        return at_most(bytes, PACKED_TILE_LOGITS / at_least(k, 1) * row);
    }
    const int64_t bytes = k == 1 ? BINARY_TILE_BYTES : TILE_BYTES;
    return pass_has_gradient(j) && size == 4 ? at_most(bytes, FLUSH_ROWS * row) : bytes;
}

void flr_plan_pass(pass_job *j) {
    const flr_pass *p = j->p;
    const int64_t n = p->X.n, size = j->kernels->size;
    j->packed = is_packed(p);
    j->k = p->k - p->has_reference;
    j->tiling = flr_tiling_of(&p->X, size, tile_bytes(j), !j->packed);
    j->products = &j->kernels->products[j->tiling.type];
    j->ldg = j->tiling.ld;

    int64_t chunk_rows = j->packed ? PACKED_CHUNK_ROWS : CHUNK_BYTES / at_least(p->X.d * size, 1);
    const int64_t chunks = j->packed ? PACKED_CHUNKS : CHUNKS;
    if (chunk_rows > n / chunks) chunk_rows = n / chunks;
    chunk_rows = at_least(chunk_rows, at_least(j->tiling.rows / 8, 64));
    j->n_chunks = (n + chunk_rows - 1) / chunk_rows;
    if (j->n_chunks > chunks / 2) j->n_chunks = (j->n_chunks + chunks - 1) / chunks * chunks;
}

/* Long chunks are made of whole tiles, so that none is short. */
int64_t flr_chunk_begin(const pass_job *j, int64_t chunk) {
    const int64_t n = j->p->X.n, rows = j->tiling.rows, grain = n / j->n_chunks >= 8 * rows ? rows : 1;
    const int64_t begin = flr_part_begin((n + grain - 1) / grain, chunk, j->n_chunks) * grain;
    return begin < n ? begin : n;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */
/* values of a worker's sums in real */
static int64_t sums_size(const pass_job *j) {
    return j->packed ? j->kernels->many.sums_size(j->k, j->p->X.d) : j->k * j->ldg;
}

static pass_buffers lay_out(const pass_job *j, flr_arena *arena) {
    const int64_t size = j->kernels->size, m = j->tiling.rows, k = j->p->k, d = j->p->X.d;
    const int gradient = pass_has_gradient(j);
    pass_buffers s;
    s.x = flr_take(arena, j->tiling.slab, sizeof(void *));
    s.ahead = flr_take(arena, at_least(m, d), sizeof(void *));
    s.tile = flr_take(arena, j->tiling.in_place ? 0 : j->tiling.slab * j->tiling.ld, size);
    s.Z = flr_take(arena, j->op == PASS_LOGITS || j->op == PASS_OUTER ? 0 : m * k, size);
    s.U = flr_take(arena, j->op == PASS_HESSP ? m * k : 0, size);
    /* its columns lie in lines of the cache as X's do */
    const int64_t shift = j->packed ? 0 : (64 / size - j->tiling.head) % (64 / size);
    s.G_real = flr_take(arena, gradient ? sums_size(j) + shift : 0, size);
    if (gradient && s.G_real) s.G_real += shift * size;
    s.panels = flr_take(arena, gradient && j->packed ? j->kernels->many.backward_size(m, k) : 0, size);
    s.G = flr_take(arena, gradient && !j->packed ? j->k * j->ldg : 0, sizeof(double));
    s.g = flr_take(arena, k, sizeof(double));
    s.row_scratch = flr_take(arena, 1, flr_row_scratch(k, size));
    s.zeros = flr_take(arena, gradient ? j->tiling.ld : 0, size);
    return s;
}

static void lay_out_shared(pass_job *j, flr_arena *arena) {
    const int64_t values = j->packed ? j->kernels->many.packed_size(j->p->k, j->p->X.d) : 0, size = j->kernels->size;
    j->packed_W = flr_take(arena, j->p->W ? values : 0, size);
    j->packed_V = flr_take(arena, j->V ? values : 0, size);
}

pass_buffers flr_buffers_of(const pass_job *j, int worker) {
    flr_arena arena = flr_worker_arena(&j->memory, worker);
    return lay_out(j, &arena);
}

int flr_open_pass(pass_job *j, int n_workers) {
    flr_arena shared = {0}, each = {0};
    lay_out_shared(j, &shared);
    lay_out(j, &each);
    if (flr_open_scratch(&j->memory, shared.bytes, each.bytes, n_workers) != FLR_OK) return FLR_NO_MEMORY;
    shared = flr_shared_arena(&j->memory);
    lay_out_shared(j, &shared);
    for (int worker = 0; pass_has_gradient(j) && worker < n_workers; worker++) { /* flushes leave zeros, too */
        const pass_buffers s = flr_buffers_of(j, worker);
        memset(s.G_real, 0, (size_t)(sums_size(j) * j->kernels->size));
        if (!j->packed) memset(s.G, 0, (size_t)(j->k * j->ldg * 8));
        memset(s.zeros, 0, (size_t)(j->tiling.ld * j->kernels->size));
    }
    return FLR_OK;
}
