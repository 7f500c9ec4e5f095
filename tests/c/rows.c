/* rows.c -- softmax, log_softmax and logsumexp of rows, a nan or an infinity here and there. */
#include "harness.h"

#include <math.h>
#include <string.h>

static const char *const names[FLR_N_ROW_MAPS] = {"softmax", "log_softmax", "logsumexp"};

/* the results of a row, k of them or one; 0 where scipy's are read from infinities */
static int expected_row(long double *out, long double *allowed, const void *Z, int64_t i, int64_t k, int64_t size,
                        int map) {
    long double max = -INFINITY, sum = 0, rest = 0;
    int first = 1;
    for (int64_t j = 0; j < k; j++) {
        const long double z = (long double)get(Z, i * k + j, size);
        if (z != z) max = z;
        if (z > max) max = z;
    }
    if (isinf(max)) return 0;
    for (int64_t j = 0; j < k; j++) {
        const long double z = (long double)get(Z, i * k + j, size), term = exp_for(size, z - max);
        sum += term;
        if (z == max && first)
            first = 0;
        else
            rest += term;
    }
    const long double eps = eps_of(size), tiny = tiny_of(size), log_sum = max != max ? max : log1p_for(size, rest);
    if (map == FLR_ROWS_LOGSUMEXP) {
        out[0] = max + log_sum;
        allowed[0] = 8 * eps * (fabsl(max) + log_sum) + tiny;
        return 1;
    }
    for (int64_t j = 0; j < k; j++) {
        const long double z = (long double)get(Z, i * k + j, size);
        out[j] = map == FLR_ROWS_SOFTMAX ? exp_for(size, z - max) / sum : z - max - log_sum;
        allowed[j] = 16 * eps * fabsl(out[j]) + 4 * tiny;
    }
    return 1;
}

static void one(const target *t, int map, int64_t m, int64_t k, int64_t d) {
    const int64_t size = t->size, width = map == FLR_ROWS_LOGSUMEXP ? 1 : k;
    void *Z = plain(m * k * size);
    long double *expected = plain(m * width * (int64_t)sizeof *expected), *allowed = plain(m * width * (int64_t)sizeof *allowed);
    int *known = plain(m * (int64_t)sizeof *known);
    (void)d;
    random_logits(Z, m, k, size, below(2) == 0);
    for (int64_t i = 0; i < m; i++)
        known[i] = expected_row(expected + i * width, allowed + i * width, Z, i, k, size, map);
    for (int how = 0; how < 3; how++)
        BOTH_SIDES {
            if (how == 1 && width < k) continue;
            if (!begin_case(side, "%s%s", how == 1 ? "in place" : "", how == 2 ? "stream" : "")) continue;
            void *out = guarded("out", m * width * size);
            const void *in = how == 1 ? memcpy(out, Z, (size_t)(m * k * size)) : guarded_copy("Z", Z, m * k * size);
            t->kernels->rows[map](out, in, guarded("scratch", flr_row_scratch(k, size)), m, k, how == 2);
            for (int64_t i = 0; i < m * width; i++)
                if (known[i / width]) check(names[map], i, (long double)get(out, i, size), expected[i], allowed[i]);
            end_case();
        }
}

static void run(const target *t, int map) { for_shapes(t, map, one); }

const test row_tests[] = {{"rows.softmax", run, FLR_ROWS_SOFTMAX},
                          {"rows.log_softmax", run, FLR_ROWS_LOG_SOFTMAX},
                          {"rows.logsumexp", run, FLR_ROWS_LOGSUMEXP},
                          {0}};
