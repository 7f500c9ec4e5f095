/* drive_csr_sums.c -- sums of columns of sparse rows, Gram matrices and faults against plain loops. */
#include "harness.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { PROBLEMS = 150 };

typedef struct { flr_csr X; const double *weight; flr_csr_sums sums; const int64_t *columns; int64_t m; double *G, *s; } sums_arguments;

static int call_sums(void *context, int n_threads) {
    const sums_arguments *a = context;
    return flr_csr_column_sums(&a->sums, &a->X, a->weight, n_threads);
}

static int call_gram(void *context, int n_threads) {
    const sums_arguments *a = context;
    return flr_csr_gram(a->G, a->s, &a->X, a->columns, a->m, a->weight, n_threads);
}

static void one_sums(const sparse *p) {
    const int64_t n = p->n, d = p->d;
    BOTH_SIDES {
        if (!begin_case(side, "%s", p->text)) continue;
        sums_arguments a = {.X = guarded_csr(p), .weight = guarded_copy("weight", p->pass.weight, n * 8),
                            .sums = {guarded("sums", d * 8), guarded("squares", d * 8), guarded("largest", d * 8),
                                     guarded("smallest", d * 8), guarded("count", d * 8)}};
        const output outputs[] = {{a.sums.sums, d * 8}, {a.sums.squares, d * 8}, {a.sums.largest, d * 8},
                                  {a.sums.smallest, d * 8}, {a.sums.count, d * 8}};
        call_driver(call_sums, NULL, &a, outputs, 5);
        for (int64_t j = 0; j < d; j++) {
            long double sum = 0, square = 0, whole = 0, whole_square = 0, least = 0;
            int64_t count = 0;
            for (int64_t i = 0; i < n; i++) {
                const long double w = a.weight ? (long double)a.weight[i] : 1, x = (long double)p->X[i * d + j], A = (long double)p->A[i * d + j];
                if (w == 0) continue;
                sum += w * x, square += w * x * x, whole += w * A, whole_square += w * A * A;
                count += x != 0;
                if (fabsl(x) > least) least = fabsl(x);
            }
            const long double grow = 1e-15L * (long double)(n + 10);
            check("sums", j, (long double)a.sums.sums[j], sum, grow * whole);
            check("squares", j, (long double)a.sums.squares[j], square, grow * whole_square);
            check("largest", j, (long double)a.sums.largest[j], least, 1e-14L * whole);
            check("count", j, (long double)a.sums.count[j], (long double)count, 0.5L);
            if (count == 0) check("smallest", j, (long double)a.sums.smallest[j], INFINITY, 0);
            else if (!(a.sums.smallest[j] <= a.sums.largest[j] && a.sums.smallest[j] > 0)) wrong_because("smallest is not");
        }
        end_case();
    }
}

static void one_gram(const sparse *p) {
    const int64_t n = p->n, d = p->d, m = d > 0 ? below(d < 60 ? d + 1 : 60) : 0;
    int64_t *columns = plain(m * 8);
    for (int64_t a = 0; a < m; a++) columns[a] = (a * 7 + 3) % d;
    for (int64_t a = 0; a < m; a++) /* 7 may divide d */
        for (int64_t b = 0; b < a; b++)
            if (columns[a] == columns[b]) return;
    BOTH_SIDES {
        if (!begin_case(side, "%s", p->text)) continue;
        sums_arguments a = {.X = guarded_csr(p), .weight = guarded_copy("weight", p->pass.weight, n * 8),
                            .columns = guarded_copy("columns", columns, m * 8), .m = m, .G = guarded("G_out", m * m * 8), .s = guarded("s_out", m * 8)};
        const output outputs[] = {{a.G, m * m * 8}, {a.s, m * 8}};
        call_driver(call_gram, NULL, &a, outputs, 2);
        for (int64_t q = 0; q < m; q++)
            for (int64_t r = -1; r < m; r++) { /* -1: s_out */
                long double sum = 0, whole = 0;
                for (int64_t i = 0; i < n; i++) {
                    const long double w = a.weight ? (long double)a.weight[i] : 1;
                    sum += w * (long double)p->X[i * d + columns[q]] * (r < 0 ? 1 : (long double)p->X[i * d + columns[r]]);
                    whole += w * (long double)p->A[i * d + columns[q]] * (r < 0 ? 1 : (long double)p->A[i * d + columns[r]]);
                }
                check("G_out", q * m + r, (long double)(r < 0 ? a.s[q] : a.G[q * m + r]), sum, 1e-15L * (long double)(n + 10) * whole);
            }
        end_case();
    }
}

/* ---- faults ------------------------------------------------------------------------------------------------------------ */
static void put_place(void *p, int64_t i, int64_t size, int64_t value) {
    if (size == 4)
        ((int32_t *)p)[i] = (int32_t)value;
    else
        ((int64_t *)p)[i] = value;
}

/* one fault, or none, and behind it others */
static void one_fault(const sparse *p) {
    const int64_t n = p->n, d = p->d, nonzeros = p->nonzeros, most = nonzeros > 0 ? nonzeros : 1;
    const int64_t kind = nonzeros == 0 ? 0 : below(6), at = below(most);
    const double strange[] = {NAN, INFINITY, -INFINITY};
    BOTH_SIDES {
        if (!begin_case(side, "%s, fault %d", p->text, (int)kind)) continue;
        flr_csr X = p->pass.X;
        const int64_t index_size = X.index_size, indptr_size = X.indptr_size;
        const int64_t outside[] = {-1, d, INT32_MAX, INT32_MIN, index_size == 4 ? -2 : INT64_MIN, index_size == 4 ? d : INT64_MAX};
        void *data = guarded("data", nonzeros * p->size), *indices = guarded("indices", nonzeros * index_size);
        void *indptr = guarded("indptr", (n + 1) * indptr_size);
        memcpy(data, X.data, (size_t)(nonzeros * p->size));
        memcpy(indices, X.indices, (size_t)(nonzeros * index_size));
        memcpy(indptr, X.indptr, (size_t)((n + 1) * indptr_size));
        X.data = data, X.indices = indices, X.indptr = indptr;
        int64_t n_indices = nonzeros, n_data = nonzeros, place = at;
        if (kind == FLR_CSR_START) put_place(indptr, place = 0, indptr_size, below(2) ? 1 : -1);
        if (kind == FLR_CSR_FALLS) place = n, put_place(indptr, n, indptr_size, below(2) ? -1 : INT32_MIN);
        if (kind == FLR_CSR_END) place = n, *(below(2) ? &n_indices : &n_data) = nonzeros - 1;
        for (int64_t later = at; kind >= FLR_CSR_INDEX && later < nonzeros; later += 1 + below(50)) {
            if (kind == FLR_CSR_INDEX || (later > at && below(2)))
                put_place(indices, later, index_size, outside[below(6)]);
            else
                put(data, later, p->size, strange[below(3)]);
        }
        for (int n_threads = 1; n_threads <= 3; n_threads++) {
            const flr_csr_fault f = flr_csr_first_fault(&X, n_indices, n_data, 1, n_threads);
            check("kind", n_threads, (long double)f.kind, (long double)kind, 0);
            check("position", n_threads, (long double)f.position, (long double)(kind ? place : -1), 0);
            if (kind >= FLR_CSR_INDEX && (f.row < 0 || f.row >= n)) wrong_because("row %lld", (long long)f.row);
        }
        end_case();
    }
}

static void run_sums(const target *t, int which) {
    static void (*const one[])(const sparse *) = {one_sums, one_gram, one_fault};
    for (int64_t i = 0; more_problems(i, PROBLEMS); i++) {
        if (!block(i, 0, 0)) continue;
        const int64_t n = below(below(4) ? 60 : 6000), d = below(1 + 120000 / (n + 1) < 300 ? 1 + 120000 / (n + 1) : 300);
        shape(n, 1, d);
        const sparse p = random_sparse(n, 1, d, t->size, 0);
        one[which](&p);
    }
}

const test csr_sums_tests[] = {{"flr_csr_column_sums", run_sums, 0}, {"flr_csr_gram", run_sums, 1},
                               {"flr_csr_first_fault", run_sums, 2}, {0}};
