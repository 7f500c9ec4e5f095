/* drive_rows.c -- maps, row maps and residuals on many threads; where X is not finite. */
#include "harness.h"

#include <math.h>
#include <string.h>

enum { PROBLEMS = 100 };

typedef struct {
    void *out, *losses;
    const void *in;
    double *total;
    const flr_targets *y;
    int64_t n, k, size, *row, *col;
    int op;
    const flr_matrix *X;
} arguments;

/* ---- maps: the drivers' results are the kernels' of parts, so that the same bits on all threads and one value do -------- */
static int call_map(void *context, int n_threads) {
    const arguments *a = context;
    flr_map_values(a->out, a->in, a->n, a->size, (flr_map)a->op, n_threads);
    return FLR_OK;
}

static void one_map(const target *t) {
    const int64_t n = below(4) ? below(3000) : below(150000), size = t->size;
    const int op = (int)below(FLR_N_MAPS);
    void *z = plain(n * size), *expected = plain(n * size);
    shape(n, 1, 1);
    for (int64_t i = 0; i < n; i++) put(z, i, size, op == FLR_LOG || op == FLR_MAP_LOGIT ? uniform() : 5 * normal());
    t->kernels->map[op](expected, z, n, 0);
    BOTH_SIDES {
        if (!begin_case(side, "map %d", op)) continue;
        arguments a = {.out = guarded("out", n * size), .in = guarded_copy("z", z, n * size), .n = n, .size = size, .op = op};
        const output outputs[] = {{a.out, n * size}};
        call_driver(call_map, NULL, &a, outputs, 1);
        check_bits("out", a.out, expected, n * size);
        end_case();
    }
}

static int call_rows(void *context, int n_threads) {
    const arguments *a = context;
    return flr_map_rows(a->out, a->in, a->n, a->k, a->size, (flr_row_map)a->op, n_threads);
}

static void random_shape(int64_t *n, int64_t *k) {
    *k = below(3) ? 1 + below(70) : 1 + below(3000);
    *n = below(below(3) ? 60 : 100000 / *k + 2);
    shape(*n, *k, 1);
}

static void one_rows(const target *t) {
    int64_t n, k;
    random_shape(&n, &k);
    const int op = (int)below(FLR_N_ROW_MAPS);
    const int64_t size = t->size, width = op == FLR_ROWS_LOGSUMEXP ? 1 : k;
    void *Z = plain(n * k * size);
    random_logits(Z, n, k, size, 0);
    BOTH_SIDES {
        if (!begin_case(side, "row map %d", op)) continue;
        arguments a = {.out = guarded("out", n * width * size), .in = guarded_copy("Z", Z, n * k * size), .n = n, .k = k,
                       .size = size, .op = op};
        const output outputs[] = {{a.out, n * width * size}};
        call_driver(call_rows, NULL, &a, outputs, 1);
        for (int64_t i = 0; i < n; i++) {
            long double max = -INFINITY, sum = 0;
            for (int64_t j = 0; j < k; j++) max = fmaxl(max, (long double)get(Z, i * k + j, size));
            for (int64_t j = 0; j < k; j++) sum += expl((long double)get(Z, i * k + j, size) - max);
            for (int64_t j = 0; j < width; j++) {
                const long double below_max = (long double)get(Z, i * k + j, size) - max, log_sum = logl(sum);
                const long double e = op == FLR_ROWS_SOFTMAX ? expl(below_max) / sum : op == FLR_ROWS_LOG_SOFTMAX ? below_max - log_sum : max + log_sum;
                check("out", i * width + j, (long double)get(a.out, i * width + j, size), e,
                      16 * eps_of(size) * (fabsl(e) + (op ? fabsl(max) + log_sum : 0)) + 4 * tiny_of(size));
            }
        }
        end_case();
    }
}

static int call_residuals(void *context, int n_threads) {
    const arguments *a = context;
    return flr_residuals(a->total, a->out, a->losses, a->in, a->y, (flr_loss)a->op, a->n, a->k, a->size, n_threads);
}

static void one_residuals(const target *t) {
    int64_t n, k;
    random_shape(&n, &k);
    const flr_loss loss = (flr_loss)below(FLR_N_LOSSES);
    const int64_t size = t->size;
    const int with = (int)below(4);
    const targets y = random_targets(loss, (int)(below(2) ? LABELS_ONLY : PROBABILITIES_ONLY) | (below(2) ? WEIGHTED : 0) | (below(2) ? SMOOTHED : 0), n, k, size);
    void *Z = plain(n * k * size);
    long double *z = plain(k * 16), *R = plain(n * k * 16), *allowed = plain(n * k * 16), total = 0, total_allowed = 4 * tiny_of(8);
    random_logits(Z, n, k, size, 0);
    for (int64_t i = 0; i < n; i++) {
        const long double w = y.y.weight ? (long double)y.y.weight[i] : 1;
        long double value, value_allowed;
        for (int64_t j = 0; j < k; j++) z[j] = (long double)get(Z, i * k + j, size);
        expected_residual(R + i * k, allowed + i * k, &value, &value_allowed, z, y.Y + i * k, loss, k, size, 0);
        for (int64_t j = i * k; j < i * k + k; j++) R[j] *= w, allowed[j] = w * allowed[j] + 4 * tiny_of(size);
        total += w * value, total_allowed += w * (value_allowed + 1e-15L * (long double)n * value);
    }
    BOTH_SIDES {
        if (!begin_case(side, "%s%s%s%s", loss_name[loss], y.y.weight ? " weighted" : "", with & 1 ? " R" : "", with & 2 ? " losses" : "")) continue;
        flr_targets own = y.y;
        own.label = guarded_copy("label", own.label, n * 4);
        own.prob = guarded_copy("prob", own.prob, n * k * size);
        own.weight = guarded_copy("weight", own.weight, n * 8);
        arguments a = {.in = guarded_copy("Z", Z, n * k * size), .total = guarded("loss_out", 8), .y = &own, .n = n, .k = k,
                       .size = size, .op = loss};
        if (with & 1) a.out = guarded("R_out", n * k * size);
        if (with & 2) a.losses = guarded("losses_out", n * size);
        const output outputs[] = {{a.total, 8}, {a.out, with & 1 ? n * k * size : 0}, {a.losses, with & 2 ? n * size : 0}};
        call_driver(call_residuals, NULL, &a, outputs, 3);
        check("loss", 0, (long double)*a.total, total, total_allowed);
        for (int64_t i = 0; with & 1 && i < n * k; i++) check("R_out", i, (long double)get(a.out, i, size), R[i], allowed[i]);
        end_case();
    }
}

/* ---- where X is not finite ---------------------------------------------------------------------------------------------- */
static int call_nonfinite(void *context, int n_threads) {
    const arguments *a = context;
    return flr_find_nonfinite(a->row, a->col, a->X, n_threads);
}

static void one_nonfinite(const target *t) {
    const problem p = random_problem(t, 0);
    flr_matrix X = p.pass.X;
    int64_t row = -1, col = -1;
    for (int64_t q = below(4); q > 0 && X.dtype <= FLR_BF16 && p.n * p.d > 0; q--) {
        char *value = (char *)X.data + below(p.n) * X.row_stride + below(p.d) * X.col_stride;
        put_dtype(value, X.dtype, below(2) ? NAN : -INFINITY);
    }
    for (int64_t i = p.n * p.d - 1; i >= 0; i--)
        if (!isfinite(get_dtype(X.data + i / p.d * X.row_stride + i % p.d * X.col_stride, X.dtype))) row = i / p.d, col = i % p.d;
    BOTH_SIDES {
        if (!begin_case(side, "%s", p.text)) continue;
        X.data = (const char *)guarded_copy("X", p.pass.X.data + p.X_lowest, p.X_bytes) - p.X_lowest;
        arguments a = {.row = guarded("row_out", 8), .col = guarded("col_out", 8), .X = &X};
        const output outputs[] = {{a.row, 8}, {a.col, 8}};
        call_driver(call_nonfinite, NULL, &a, outputs, 2);
        check("row", 0, (long double)*a.row, (long double)row, 0);
        check("column", 0, (long double)*a.col, (long double)col, 0);
        end_case();
    }
}

static void run(const target *t, int which) {
    static void (*const one[])(const target *) = {one_map, one_rows, one_residuals, one_nonfinite};
    for (int64_t i = 0; more_problems(i, PROBLEMS); i++)
        if (block(i, 0, 0)) one[which](t);
}

const test rows_driver_tests[] = {{"flr_map_values", run, 0}, {"flr_map_rows", run, 1}, {"flr_residuals", run, 2}, {"flr_find_nonfinite", run, 3}, {0}};
