/* csr_gram.c -- weighted Gram matrix of a few columns of sparse X: in each row the values they have, by each other. */
#include "drivers/csr.h"

#include <string.h>

enum { CHUNKS = 24, CHUNK_NONZEROS = 16 << 10, CHUNK_FILL = 16, RELEASE_ROWS = 64 };

typedef struct {
    const flr_csr *X;
    const double *weight;
    int64_t m, n_chunks;
    double *G, *s;
    int32_t *slot;     /* (d,): which of the columns, or -1 */
    flr_scratch scratch;
    atomic_llong turn;
} job;

typedef struct {
    double *G, *s;     /* (m, m), (m,): of the chunk */
    double *value;     /* (m,): of the row, those that it has */
    int32_t *chosen;   /* (m,): and their slots */
    int64_t *place;    /* (m,): of a slot among them, if it is */
} scratch;

static int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

static scratch lay_out(const job *j, flr_arena *arena) {
    const int64_t m = j->m;
    scratch s;
    s.G = flr_take(arena, m * m, sizeof(double));
    s.s = flr_take(arena, m, sizeof(double));
    s.value = flr_take(arena, m, sizeof(double));
    s.chosen = flr_take(arena, m, sizeof(int32_t));
    s.place = flr_take(arena, m, sizeof(int64_t));
    return s;
}

/* the values of row i in the columns, equal ones added up; how many */
static int64_t choose(const job *j, const scratch *s, int64_t i) {
    const flr_csr *X = j->X;
    int64_t count = 0;
    for (int64_t at = flr_csr_start(X, i), end = flr_csr_start(X, i + 1); at < end; at++) {
        const int32_t slot = j->slot[flr_csr_column(X, at)];
        if (slot < 0) continue;
        const double x = X->dtype == FLR_F32 ? (double)((const float *)X->data)[at] : ((const double *)X->data)[at];
        const int64_t place = s->place[slot];
        if (place < count && s->chosen[place] == slot) {
            s->value[place] += x;
            continue;
        }
        s->chosen[count] = slot;
        s->value[count] = x;
        s->place[slot] = count++;
    }
    return count;
}

static void do_chunk(void *context, int64_t chunk, int worker) {
    job *j = context;
    const int64_t begin = flr_csr_chunk_begin(j->X, 1, chunk, j->n_chunks), m = j->m;
    const int64_t end = flr_csr_chunk_begin(j->X, 1, chunk + 1, j->n_chunks);
    flr_arena arena = flr_worker_arena(&j->scratch, worker);
    const scratch s = lay_out(j, &arena);
    memset(s.G, 0, (size_t)(m * m * 8));
    memset(s.s, 0, (size_t)(m * 8));
    memset(s.place, 0, (size_t)(m * 8));
    int64_t held = begin;
    for (int64_t i = begin; i < end; i++) {
        if (i % RELEASE_ROWS == 0) held = flr_csr_release_rows(j->X, held, i, 0);
        const double weight = j->weight ? j->weight[i] : 1;
        const int64_t count = weight == 0 ? 0 : choose(j, &s, i);
        for (int64_t a = 0; a < count; a++) {
            const double x = weight * s.value[a];
            double *row = s.G + s.chosen[a] * m;
            s.s[s.chosen[a]] += x;
            for (int64_t b = 0; b <= a; b++) row[s.chosen[b]] += x * s.value[b]; /* on either side of the diagonal */
        }
    }
    (void)flr_csr_release_rows(j->X, held, end, 1);
    flr_await_turn(&j->turn, chunk);
    for (int64_t a = 0; a < m * m; a++) j->G[a] += s.G[a];
    for (int64_t a = 0; a < m; a++) j->s[a] += s.s[a];
    flr_end_turn(&j->turn);
}

int flr_csr_gram(double *G_out, double *s_out, const flr_csr *X, const int64_t *columns, int64_t m,
                 const double *weight, int n_threads) {
    if (m < 1) return FLR_OK;
    job j = {.X = X, .weight = weight, .m = m, .G = G_out, .s = s_out};
    const int64_t work = flr_csr_nonzeros(X) - flr_csr_start(X, 0) + X->n;
    j.n_chunks = at_most(at_most(work / CHUNK_NONZEROS, CHUNKS), work / at_least(m, 1) * CHUNK_FILL / at_least(m, 1));
    j.n_chunks = at_least(j.n_chunks, 1);
    n_threads = flr_workers_for(n_threads, j.n_chunks);
    flr_arena shared = {0}, each = {0};
    lay_out(&j, &each);
    flr_take(&shared, X->d, sizeof(int32_t));
    if (flr_open_scratch(&j.scratch, shared.bytes, each.bytes, n_threads) != FLR_OK) return FLR_NO_MEMORY;
    shared = flr_shared_arena(&j.scratch);
    j.slot = flr_take(&shared, X->d, sizeof(int32_t));
    memset(j.slot, 0xff, (size_t)X->d * sizeof(int32_t));
    for (int64_t a = 0; a < m; a++) j.slot[columns[a]] = (int32_t)a;
    memset(G_out, 0, (size_t)(m * m * 8));
    memset(s_out, 0, (size_t)(m * 8));
    flr_parallel_for(do_chunk, &j, j.n_chunks, n_threads);
    flr_close_scratch(&j.scratch);
    for (int64_t a = 0; a < m; a++)
        for (int64_t b = 0; b < a; b++) G_out[a * m + b] = G_out[b * m + a] = G_out[a * m + b] + G_out[b * m + a];
    return FLR_OK;
}
