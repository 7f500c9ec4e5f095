/* csr_sums.c -- sums over the rows of sparse X by column, and Gram matrices of a few columns.
 *
 * Chunks of rows in a fixed grid, whose sums are added up in order; where they would be longer than X is full, there is
 * one chunk.  Equal columns of a row are added up first.
 */
#include "drivers/csr.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { CHUNKS = 24, CHUNK_NONZEROS = 16 << 10, CHUNK_FILL = 16, RELEASE_ROWS = 64 };

typedef struct { int64_t column; double value; } entry;

typedef struct {
    const flr_csr *X;
    const double *weight;
    flr_csr_sums total;
    int64_t n_chunks, longest; /* longest: non-zeros of a row */
    flr_scratch scratch;
    atomic_llong turn;
} job;

static int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

static double value_at(const flr_csr *X, int64_t at) {
    return X->dtype == FLR_F32 ? (double)((const float *)X->data)[at] : ((const double *)X->data)[at];
}

/* heap sort by column; equal ones by nothing: their sum is of doubles, in the order that the row and this give */
static void sink(entry *e, int64_t at, int64_t n) {
    const entry own = e[at];
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && e[child + 1].column > e[child].column) child++;
        if (e[child].column <= own.column) break;
        e[at] = e[child];
    }
    e[at] = own;
}

/* the row, sorted and with equal columns added up; how many are left */
static int64_t merge(entry *e, const flr_csr *X, int64_t begin, int64_t end) {
    const int64_t n = end - begin;
    for (int64_t i = 0; i < n; i++) e[i] = (entry){flr_csr_column(X, begin + i), value_at(X, begin + i)};
    for (int64_t i = n / 2; i-- > 0;) sink(e, i, n);
    for (int64_t left = n; left-- > 1;) {
        const entry last = e[left];
        e[left] = e[0];
        e[0] = last;
        sink(e, 0, left);
    }
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) {
        if (kept > 0 && e[kept - 1].column == e[i].column)
            e[kept - 1].value += e[i].value;
        else
            e[kept++] = e[i];
    }
    return kept;
}

static void add(const flr_csr_sums *to, int64_t column, double x, double weight) {
    if (to->sums) to->sums[column] += weight * x;
    if (to->squares) to->squares[column] += weight * (x * x);
    if (x == 0) return;
    if (to->count) to->count[column]++;
    if (to->largest && !(fabs(x) <= to->largest[column])) to->largest[column] = fabs(x);
    if (to->smallest && fabs(x) < to->smallest[column]) to->smallest[column] = fabs(x);
}

/* for each pair of types: n values of a row are added, unless columns do not rise; 0 then */
#define DEFINE_ADD_ROW(name, real, index)                                                                             \
    static int name(const flr_csr_sums *to, const real *x, const index *column, int64_t n, double weight) {           \
        int rises = 1;                                                                                                \
        for (int64_t at = 1; at < n; at++) rises &= column[at - 1] < column[at];                                      \
        if (!rises) return 0;                                                                                         \
        if (to->squares && !to->sums && !to->count && !to->largest && !to->smallest)                                  \
            for (int64_t at = 0; at < n; at++) to->squares[column[at]] += weight * ((double)x[at] * (double)x[at]);   \
        else                                                                                                          \
            for (int64_t at = 0; at < n; at++) add(to, column[at], (double)x[at], weight);                            \
        return 1;                                                                                                     \
    }
DEFINE_ADD_ROW(add_row_f32_i32, float, int32_t)
DEFINE_ADD_ROW(add_row_f32_i64, float, int64_t)
DEFINE_ADD_ROW(add_row_f64_i32, double, int32_t)
DEFINE_ADD_ROW(add_row_f64_i64, double, int64_t)

static int add_row(const flr_csr_sums *to, const flr_csr *X, int64_t from, int64_t n, double weight) {
    const float *x = X->dtype == FLR_F32 ? (const float *)X->data + from : NULL;
    const double *wide = X->dtype == FLR_F32 ? NULL : (const double *)X->data + from;
    if (X->index_size == 4) {
        const int32_t *column = (const int32_t *)X->indices + from;
        return x ? add_row_f32_i32(to, x, column, n, weight) : add_row_f64_i32(to, wide, column, n, weight);
    }
    const int64_t *column = (const int64_t *)X->indices + from;
    return x ? add_row_f32_i64(to, x, column, n, weight) : add_row_f64_i64(to, wide, column, n, weight);
}

static flr_csr_sums lay_out(const job *j, flr_arena *arena, entry **entries_out) {
    const int64_t d = j->n_chunks > 1 ? j->X->d : 0;
    const flr_csr_sums *t = &j->total;
    flr_csr_sums s = {0};
    double *sums = flr_take(arena, t->sums ? d : 0, 8), *squares = flr_take(arena, t->squares ? d : 0, 8);
    double *largest = flr_take(arena, t->largest ? d : 0, 8), *smallest = flr_take(arena, t->smallest ? d : 0, 8);
    int64_t *count = flr_take(arena, t->count ? d : 0, 8);
    if (t->sums) s.sums = sums;
    if (t->squares) s.squares = squares;
    if (t->largest) s.largest = largest;
    if (t->smallest) s.smallest = smallest;
    if (t->count) s.count = count;
    *entries_out = flr_take(arena, j->longest, sizeof(entry));
    return s;
}

static void clear(const flr_csr_sums *s, int64_t d) {
    if (s->sums) memset(s->sums, 0, (size_t)(d * 8));
    if (s->squares) memset(s->squares, 0, (size_t)(d * 8));
    if (s->largest) memset(s->largest, 0, (size_t)(d * 8));
    if (s->count) memset(s->count, 0, (size_t)(d * 8));
    for (int64_t a = 0; s->smallest && a < d; a++) s->smallest[a] = INFINITY;
}

static void add_all(const flr_csr_sums *to, const flr_csr_sums *s, int64_t d) {
    for (int64_t a = 0; a < d; a++) {
        if (s->sums) to->sums[a] += s->sums[a];
        if (s->squares) to->squares[a] += s->squares[a];
        if (s->count) to->count[a] += s->count[a];
        if (s->largest && !(s->largest[a] <= to->largest[a])) to->largest[a] = s->largest[a];
        if (s->smallest && s->smallest[a] < to->smallest[a]) to->smallest[a] = s->smallest[a];
    }
}

static void sum_chunk(void *context, int64_t chunk, int worker) {
    job *j = context;
    const flr_csr *X = j->X;
    const int64_t begin = flr_csr_chunk_begin(X, 1, chunk, j->n_chunks);
    const int64_t end = flr_csr_chunk_begin(X, 1, chunk + 1, j->n_chunks);
    flr_arena arena = flr_worker_arena(&j->scratch, worker);
    entry *e;
    const flr_csr_sums own = lay_out(j, &arena, &e), *s = j->n_chunks > 1 ? &own : &j->total;
    if (j->n_chunks > 1) clear(s, X->d);
    int64_t held = begin;
    for (int64_t i = begin; i < end; i++) {
        if (i % RELEASE_ROWS == 0) held = flr_csr_release_rows(X, held, i, 0);
        const int64_t from = flr_csr_start(X, i), to = flr_csr_start(X, i + 1);
        const double weight = j->weight ? j->weight[i] : 1;
        if (weight == 0 || add_row(s, X, from, to - from, weight)) continue;
        const int64_t left = merge(e, X, from, to);
        for (int64_t at = 0; at < left; at++) add(s, e[at].column, e[at].value, weight);
    }
    (void)flr_csr_release_rows(X, held, end, 1);
    if (j->n_chunks == 1) return;
    flr_await_turn(&j->turn, chunk);
    add_all(&j->total, s, X->d);
    flr_end_turn(&j->turn);
}

int flr_csr_column_sums(const flr_csr_sums *out, const flr_csr *X, const double *weight, int n_threads) {
    const int64_t work = flr_csr_nonzeros(X) - flr_csr_start(X, 0) + X->n;
    job j = {.X = X, .weight = weight, .total = *out};
    for (int64_t i = 0; i < X->n; i++) j.longest = at_least(j.longest, flr_csr_start(X, i + 1) - flr_csr_start(X, i));
    const int64_t full = work / (CHUNK_FILL * at_least(X->d, 1));
    j.n_chunks = at_least(at_most(at_most(work / CHUNK_NONZEROS, CHUNKS), full), 1);
    n_threads = flr_workers_for(n_threads, j.n_chunks);
    flr_arena each = {0};
    entry *e;
    lay_out(&j, &each, &e);
    if (flr_open_scratch(&j.scratch, 0, each.bytes, n_threads) != FLR_OK) return FLR_NO_MEMORY;
    clear(out, X->d);
    flr_parallel_for(sum_chunk, &j, j.n_chunks, n_threads);
    flr_close_scratch(&j.scratch);
    return FLR_OK;
}
