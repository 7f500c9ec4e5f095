/* drive_gram.c -- Gram matrices of standardised rows. */
#include "harness.h"

#include <math.h>
#include <string.h>

enum { PROBLEMS = 100 };

typedef struct { flr_pass pass; double *G, *s; const void *scale, *shift; } arguments;

static int call(void *context, int n_threads) {
    arguments *a = context;
    a->pass.n_threads = n_threads;
    return flr_gram(a->G, a->s, &a->pass, a->scale, a->shift);
}

static void one(const target *t) {
    const problem p = random_problem(t, FEW_COLUMNS);
    const int64_t n = p.n, d = p.d, size = p.size;
    const int with = (int)below(4), integers = p.pass.X.dtype > FLR_BF16;
    void *scale = plain(d * size), *shift = plain(d * size);
    long double *G = plain(d * d * 16), *allowed = plain(d * d * 16), *s = plain(d * 16), *s_allowed = plain(d * 16);
    long double *x = plain(d * 16), *whole = plain(d * 16);
    for (int64_t j = 0; j < d; j++) put(scale, j, size, (0.5 + uniform()) / (integers ? 100 : 1)), put(shift, j, size, normal());
    const long double grow = eps_of(size) * (8 + (long double)(n < 4096 ? n : 4096) / 4);
    for (int64_t i = 0; i < n; i++) {
        const long double w = p.pass.weight ? (long double)p.pass.weight[i] : 1;
        for (int64_t j = 0; j < d; j++) {
            const long double c = with & 2 ? (long double)get(shift, j, size) : 0, f = with & 1 ? (long double)get(scale, j, size) : 1;
            x[j] = ((long double)p.X[i * d + j] - c) * f;
            whole[j] = (fabsl((long double)p.X[i * d + j]) + fabsl(c)) * f;
            s[j] += w * x[j], s_allowed[j] += w * whole[j] * (8 * eps_of(size) + (long double)n * eps_of(8));
        }
        for (int64_t a = 0; a < d; a++)
            for (int64_t b = 0; b < d; b++) G[a * d + b] += w * x[a] * x[b], allowed[a * d + b] += w * whole[a] * whole[b] * grow;
    }
    BOTH_SIDES {
        if (!begin_case(side, "%s%s%s", p.text, with & 1 ? " scale" : "", with & 2 ? " shift" : "")) continue;
        arguments a = {.pass = guarded_pass(&p), .G = guarded("G_out", d * d * 8), .s = guarded("s_out", d * 8)};
        if (with & 1) a.scale = guarded_copy("scale", scale, d * size);
        if (with & 2) a.shift = guarded_copy("shift", shift, d * size);
        const output outputs[] = {{a.G, d * d * 8}, {a.s, d * 8}};
        call_driver(call, NULL, &a, outputs, 2);
        for (int64_t i = 0; i < d * d; i++) check("G_out", i, (long double)a.G[i], G[i], allowed[i]);
        for (int64_t i = 0; i < d; i++) check("s_out", i, (long double)a.s[i], s[i], s_allowed[i]);
        end_case();
    }
}

static void run(const target *t, int which) {
    (void)which;
    for (int64_t i = 0; more_problems(i, PROBLEMS); i++)
        if (block(i, 0, 0)) one(t);
}

const test gram_tests[] = {{"flr_gram", run, 0}, {0}};
