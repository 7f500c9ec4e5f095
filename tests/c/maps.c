/* maps.c -- functions of one number: every length to some vectors, in place, past the caches. */
#include "harness.h"

#include <math.h>
#include <string.h>

static const char *const names[FLR_N_MAPS] = {"exp", "log", "sigmoid", "sigmoid_derivative", "log_sigmoid", "logit"};

static long double expected_of(int map, long double z) {
    const long double t = expl(-fabsl(z));
    switch (map) {
    case FLR_EXP: return expl(z);
    case FLR_LOG: return logl(z);
    case FLR_MAP_SIGMOID: return (z > 0 ? 1 : t) / (1 + t);
    case FLR_MAP_SIGMOID_DERIVATIVE: return t / ((1 + t) * (1 + t));
    case FLR_MAP_LOG_SIGMOID: return (z < 0 ? z : 0) - log1pl(t);
    default: return fabsl(z - 0.5L) < 0.25L ? log1pl((2 * z - 1) / (1 - z)) : logl(z / (1 - z));
    }
}

static double argument(int map) {
    static const double special[] = {0, INFINITY, -INFINITY, NAN, 1, -1, 1e-30, 5000, -5000};
    if (map == FLR_MAP_LOGIT) return below(20) ? uniform() : (double)below(2);
    if (map == FLR_LOG) return below(20) ? exp(30 * normal()) : fabs(special[below(9)]);
    return below(20) ? normal() * (below(2) ? 1 : 30) : special[below(9)];
}

static void one(const target *t, int map, int64_t n) {
    const int64_t size = t->size;
    void *z = plain(n * size);
    long double *expected = plain(n * (int64_t)sizeof *expected);
    for (int64_t i = 0; i < n; i++) {
        put(z, i, size, argument(map));
        expected[i] = as_real(expected_of(map, (long double)get(z, i, size)), size);
    }
    for (int how = 0; how < 3; how++)
        BOTH_SIDES {
            if (!begin_case(side, "%s%s", how == 1 ? "in place" : "", how == 2 ? "stream" : "")) continue;
            void *out = guarded("out", n * size);
            const void *in = how == 1 ? memcpy(out, z, (size_t)(n * size)) : guarded_copy("z", z, n * size);
            t->kernels->map[map](out, in, n, how == 2);
            for (int64_t i = 0; i < n; i++)
                check(names[map], i, (long double)get(out, i, size), expected[i],
                      4 * eps_of(size) * fabsl(expected[i]) + 2 * tiny_of(size));
            end_case();
        }
}

static void run(const target *t, int map) {
    for (int64_t n = 0; more_problems(n, 9 * t->lanes); n++)
        if (block(n, 1, 1)) one(t, map, n < 9 * t->lanes ? n : below(20000));
    for (int64_t i = 0; more_problems(i, 20); i++)
        if (block(i, 1, 1)) one(t, map, below(20000));
}

const test map_tests[] = {{"map.exp", run, FLR_EXP},
                          {"map.log", run, FLR_LOG},
                          {"map.sigmoid", run, FLR_MAP_SIGMOID},
                          {"map.sigmoid_derivative", run, FLR_MAP_SIGMOID_DERIVATIVE},
                          {"map.log_sigmoid", run, FLR_MAP_LOG_SIGMOID},
                          {"map.logit", run, FLR_MAP_LOGIT},
                          {0}};
