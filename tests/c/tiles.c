/* tiles.c -- what is done to tiles and their sums besides products. */
#include "harness.h"

#include <math.h>
#include <string.h>

static void fill(void *p, int64_t n, int64_t size) {
    for (int64_t i = 0; i < n; i++) put(p, i, size, normal());
}

static void one_flush(const target *t, int which, int64_t m, int64_t k, int64_t d) {
    const int64_t n = m + k - 1, size = t->size;
    void *G_real = plain(n * size);
    (void)which, (void)d;
    fill(G_real, n, size);
    BOTH_SIDES {
        if (!begin_case(side, "n %lld", (long long)n)) continue;
        double *G = guarded("G", n * 8);
        void *real = memcpy(guarded("G_real", n * size), G_real, (size_t)(n * size));
        for (int64_t i = 0; i < n; i++) G[i] = (double)i;
        t->kernels->flush(G, real, n);
        for (int64_t i = 0; i < n; i++) {
            check("G", i, (long double)G[i], (long double)((double)i + get(G_real, i, size)), 0);
            check("G_real", i, (long double)get(real, i, size), 0, 0);
        }
        end_case();
    }
}

static void one_add(const target *t, int which, int64_t m, int64_t k, int64_t d) {
    const int64_t n = m + k - 1, size = t->size;
    void *a = plain(n * size), *b = plain(n * size);
    (void)which, (void)d;
    fill(a, n, size), fill(b, n, size);
    BOTH_SIDES {
        if (!begin_case(side, "n %lld", (long long)n)) continue;
        void *out = memcpy(guarded("out", n * size), a, (size_t)(n * size));
        t->kernels->add(out, guarded_copy("other", b, n * size), n);
        for (int64_t i = 0; i < n; i++)
            check("out", i, (long double)get(out, i, size), as_real((long double)get(a, i, size) + (long double)get(b, i, size), size), 0);
        end_case();
    }
}

static void one_exchange(const target *t, int which, int64_t m, int64_t k, int64_t d) {
    const int64_t size = t->size, a = below(k), b = below(k);
    void *Z = plain(m * k * size);
    (void)which, (void)d;
    fill(Z, m * k, size);
    BOTH_SIDES {
        if (!begin_case(side, "columns %lld and %lld", (long long)a, (long long)b)) continue;
        void *out = memcpy(guarded("Z", m * k * size), Z, (size_t)(m * k * size));
        t->kernels->exchange_columns(out, m, k, a, b);
        for (int64_t i = 0; i < m * k; i++) {
            const int64_t c = i % k, from = c == a ? b : c == b ? a : c;
            check("Z", i, (long double)get(out, i, size), (long double)get(Z, i - c + from, size), 0);
        }
        end_case();
    }
}

static void one_column_sums(const target *t, int which, int64_t m, int64_t k, int64_t d) {
    const int64_t size = t->size;
    void *R = plain(m * k * size);
    (void)which, (void)d;
    fill(R, m * k, size);
    BOTH_SIDES {
        if (!begin_case(side, "added to 1")) continue;
        double *g = guarded("g", k * 8);
        for (int64_t c = 0; c < k; c++) g[c] = 1;
        t->kernels->column_sums(g, guarded_copy("R", R, m * k * size), m, k);
        for (int64_t c = 0; c < k; c++) {
            long double sum = 1, absolute = 1;
            for (int64_t i = 0; i < m; i++) {
                sum += (long double)get(R, i * k + c, size);
                absolute += fabsl((long double)get(R, i * k + c, size));
            }
            check("g", c, (long double)g[c], sum, eps_of(8) * (long double)(m + 1) * absolute);
        }
        end_case();
    }
}

/* logits of few different values, so that there are ties */
static void one_correct(const target *t, int which, int64_t m, int64_t k, int64_t d) {
    const int64_t size = t->size;
    const double threshold = below(2) ? 0.5 : 0;
    void *Z = plain(m * k * size);
    int32_t *label = plain(m * 4);
    int64_t expected = 0;
    (void)which, (void)d;
    for (int64_t i = 0; i < m; i++) {
        int64_t best = 0;
        for (int64_t c = 0; c < k; c++) {
            put(Z, i * k + c, size, below(40) ? (double)(below(7) - 3) / 2 : -INFINITY);
            if (get(Z, i * k + c, size) > get(Z, i * k + best, size)) best = c;
        }
        const double z = get(Z, i, size);
        if (k == 1) best = z > threshold || (threshold > 0 && z == threshold);
        label[i] = (int32_t)(below(2) ? best : below(k > 1 ? k : 2));
        expected += label[i] == best;
    }
    BOTH_SIDES {
        if (!begin_case(side, "threshold %g", threshold)) continue;
        const void *z = guarded_copy("Z", Z, m * k * size);
        const int64_t got = t->kernels->correct(z, guarded_copy("label", label, m * 4), threshold, m, k);
        check("correct", 0, (long double)got, (long double)expected, 0);
        end_case();
    }
}

static void one_nonfinite(const target *t, int which, int64_t m, int64_t k, int64_t d) {
    const int64_t n = m + k - 1, size = t->size, many = below(3);
    void *x = plain(n * size);
    int64_t expected = n;
    (void)which, (void)d;
    for (int64_t i = 0; i < n; i++) put(x, i, size, below(10) ? normal() : size == 4 ? 3e38 : 1.7e308);
    for (int64_t i = 0; i < many; i++) {
        const int64_t at = below(n);
        put(x, at, size, below(3) == 0 ? NAN : below(2) ? INFINITY : -INFINITY);
        if (at < expected) expected = at;
    }
    BOTH_SIDES {
        if (!begin_case(side, "d %lld", (long long)n)) continue;
        const int64_t got = t->kernels->first_nonfinite(guarded_copy("x", x, n * size), n);
        check("first_nonfinite", 0, (long double)got, (long double)expected, 0);
        end_case();
    }
}

static void one_standardise(const target *t, int which, int64_t m, int64_t k, int64_t d) {
    const int64_t size = t->size, columns = k <= 130 ? k : d, ld = columns + below(20);
    void *x = plain(m * columns * size), *scale = plain(columns * size), *shift = plain(columns * size);
    double *weight = plain(m * 8);
    (void)which;
    fill(x, m * columns, size), fill(scale, columns, size), fill(shift, columns, size);
    for (int64_t i = 0; i < m; i++) weight[i] = below(4) ? uniform() : 0;
    const int with = (int)below(8);
    BOTH_SIDES {
        if (!begin_case(side, "d %lld%s%s%s", (long long)columns, with & 1 ? " scale" : "", with & 2 ? " shift" : "",
                        with & 4 ? " weighted" : ""))
            continue;
        const char *own = guarded_copy("x", x, m * columns * size);
        const void **rows = guarded("rows of x", m * (int64_t)sizeof *rows);
        for (int64_t i = 0; i < m; i++) rows[i] = own + i * columns * size;
        void *out = guarded("out", ((m - 1) * ld + columns) * size);
        double *s = guarded("s", columns * 8);
        memset(s, 0, (size_t)(columns * 8));
        const void *by = with & 1 ? guarded_copy("scale", scale, columns * size) : NULL;
        const void *less = with & 2 ? guarded_copy("shift", shift, columns * size) : NULL;
        const double *w = with & 4 ? guarded_copy("weight", weight, m * 8) : NULL;
        t->kernels->standardise(out, ld, s, rows, by, less, w, m, columns);
        for (int64_t j = 0; j < columns; j++) {
            long double sum = 0, absolute = 0;
            for (int64_t i = 0; i < m; i++) {
                const long double v = (long double)get(x, i * columns + j, size), c = less ? (long double)get(shift, j, size) : 0;
                const long double f = by ? (long double)get(scale, j, size) : 1, h = w ? (long double)weight[i] : 1;
                const long double size_of = (fabsl(v) + fabsl(c)) * fabsl(f);
                check("out", i * ld + j, (long double)get(out, i * ld + j, size), sqrtl(h) * (v - c) * f, 8 * eps_of(size) * size_of);
                sum += h * (v - c) * f, absolute += h * size_of;
            }
            check("s", j, (long double)s[j], sum, (8 * eps_of(size) + (long double)m * eps_of(8)) * absolute);
        }
        end_case();
    }
}

#define RUN(name) static void run_##name(const target *t, int which) { for_shapes(t, which, one_##name); }
RUN(flush) RUN(add) RUN(exchange) RUN(column_sums) RUN(correct) RUN(nonfinite) RUN(standardise)

const test tile_tests[] = {{"flush", run_flush, 0},
                           {"add", run_add, 0},
                           {"exchange_columns", run_exchange, 0},
                           {"column_sums", run_column_sums, 0},
                           {"correct", run_correct, 0},
                           {"first_nonfinite", run_nonfinite, 0},
                           {"standardise", run_standardise, 0},
                           {0}};
