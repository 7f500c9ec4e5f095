/* drive_csr.c -- passes over sparse rows against plain loops over the dense matrix, with a transposed copy and without. */
#include "harness.h"

#include <math.h>
#include <string.h>

enum { MOST_SMALL_K = 130, PROBLEMS = 150, MOST_PRODUCTS = 60000 };

static flr_csr_pass guarded_sparse(const sparse *p, flr_csr_columns *columns, int by_column) {
    flr_csr_pass g = guarded_csr_pass(p);
    const int64_t size = p->size;
    if (!by_column) return g;
    *columns = p->columns;
    columns->data = guarded_copy("copy's data", columns->data, p->nonzeros * size);
    columns->rows = guarded_copy("copy's rows", columns->rows, p->nonzeros * columns->row_size);
    columns->starts = guarded_copy("copy's starts", columns->starts, columns->n_blocks * (p->d + 1) * 8);
    g.columns = columns;
    return g;
}

/* sums over rows of R (n, k)' X and of R */
static void check_sums(const double *G, const double *g, const sparse *p, const long double *R, const long double *R_allowed) {
    for (int64_t c = 0; c < p->k; c++) {
        long double bias = 0, bias_allowed = 4 * tiny_of(8);
        for (int64_t i = 0; i < p->n; i++) {
            bias += R[i * p->k + c];
            bias_allowed += R_allowed[i * p->k + c] + 1e-15L * fabsl(R[i * p->k + c]) * (long double)p->n;
        }
        check("intercept's sums", c, (long double)g[c], bias, bias_allowed);
        for (int64_t j = 0; j < p->d; j++) {
            long double sum = 0, allowed = 4 * tiny_of(p->size);
            for (int64_t i = 0; i < p->n; i++) {
                const long double grow = eps_of(p->size) * 70 + 1e-16L * (long double)p->n;
                sum += R[i * p->k + c] * (long double)p->X[i * p->d + j];
                allowed += (R_allowed[i * p->k + c] + grow * fabsl(R[i * p->k + c])) * (long double)p->A[i * p->d + j];
            }
            check("G_out", c * p->d + j, (long double)G[c * p->d + j], sum, allowed);
        }
    }
}

typedef struct { flr_csr_pass pass; const double *V; const void *c, *R; double *loss, *G, *g; void *Z; } arguments;

/* ---- passes ---------------------------------------------------------------------------------------------------------- */
static int call_loss(void *context, int n_threads) {
    arguments *a = context;
    a->pass.n_threads = n_threads;
    return flr_csr_loss_and_grad(a->loss, a->G, a->g, &a->pass);
}

static void one_loss(const sparse *p) {
    const int64_t n = p->n, k = p->k, size = p->size;
    const void *const logits = below(2) ? keep_logits(p->Z, p->error, p->n, p->k, p->size) : NULL;
    long double *R = plain(n * k * 16), *allowed = plain(n * k * 16), total = 0, total_allowed = 4 * tiny_of(8);
    for (int64_t i = 0; i < n; i++) {
        const long double w = p->pass.weight ? (long double)p->pass.weight[i] : 1;
        long double loss, loss_allowed;
        expected_residual(R + i * k, allowed + i * k, &loss, &loss_allowed, p->Z + i * k, p->Y + i * k, p->pass.loss, k, size, p->error[i]);
        for (int64_t c = 0; c < k; c++) R[i * k + c] *= w, allowed[i * k + c] = w * allowed[i * k + c] + 4 * tiny_of(size);
        total += w * loss, total_allowed += w * (loss_allowed + 1e-15L * (long double)n * loss);
    }
    const int with_R = (int)below(2);
    for (int by_column = 0; by_column < 2; by_column++)
        BOTH_SIDES {
            if (!begin_case(side, "%s%s%s%s", p->text, with_R ? " R_out" : "", logits ? " at logits" : "", by_column ? " by column" : "")) continue;
            flr_csr_columns columns;
            arguments a = {.pass = guarded_sparse(p, &columns, by_column), .loss = guarded("loss_out", 8),
                           .G = guarded("G_out", k * p->d * 8), .g = guarded("g_out", k * 8)};
            if (with_R) a.pass.R_out = guarded("R_out", n * k * size);
            a.pass.logits = guarded_copy("logits", logits, n * k * size);
            if (logits) a.pass.W = NULL, a.pass.b = NULL;
            const output outputs[] = {{a.loss, 8}, {a.G, k * p->d * 8}, {a.g, k * 8}, {a.pass.R_out, with_R ? n * k * size : 0}};
            call_driver(call_loss, NULL, &a, outputs, 4);
            check("loss", 0, (long double)*a.loss, total, total_allowed);
            for (int64_t i = 0; with_R && i < n * k; i++) check("R_out", i, (long double)get(a.pass.R_out, i, size), R[i], allowed[i]);
            check_sums(a.G, a.g, p, R, allowed);
            end_case();
        }
}

static int call_hessp(void *context, int n_threads) {
    arguments *a = context;
    a->pass.n_threads = n_threads;
    return flr_csr_hessp(a->G, a->g, &a->pass, a->V, a->c);
}

static void one_hessp(const sparse *p) {
    const int64_t n = p->n, d = p->d, k = p->k, size = p->size;
    double *V = plain(k * d * 8);
    void *c = plain(k * size), *logits = below(2) ? keep_logits(p->Z, p->error, p->n, p->k, p->size) : NULL;
    long double *H = plain(n * k * 16), *allowed = plain(n * k * 16), *u = plain(k * 16);
    for (int64_t q = 0; q < k; q++) {
        put(c, q, size, normal());
        for (int64_t j = 0; j < d; j++) V[q * d + j] = p->pass.W[(k - 1 - q) * d + j];
    }
    for (int64_t i = 0; i < n; i++) {
        const long double w = p->pass.weight ? (long double)p->pass.weight[i] : 1;
        long double off = 0;
        for (int64_t q = 0; q < k; q++) {
            long double absolute = fabsl(u[q] = (long double)get(c, q, size));
            for (int64_t j = 0; j < d; j++) {
                u[q] += (long double)p->X[i * d + j] * (long double)V[q * d + j];
                absolute += (long double)p->A[i * d + j] * fabsl((long double)V[q * d + j]);
            }
            if (40 * eps_of(size) * absolute > off) off = 40 * eps_of(size) * absolute;
        }
        expected_curvature(H + i * k, allowed + i * k, p->Z + i * k, u, p->pass.loss, k, size, p->error[i]);
        for (int64_t q = 0; q < k; q++)
            H[i * k + q] *= w, allowed[i * k + q] = w * (2 * allowed[i * k + q] + 2 * off) + 4 * tiny_of(size);
    }
    for (int by_column = 0; by_column < 2; by_column++)
        BOTH_SIDES {
            if (!begin_case(side, "%s%s%s", p->text, logits ? " at logits" : "", by_column ? " by column" : "")) continue;
            flr_csr_columns columns;
            arguments a = {.pass = guarded_sparse(p, &columns, by_column), .V = guarded_copy("V", V, k * d * 8),
                           .c = guarded_copy("c", c, k * size), .G = guarded("H_out", k * d * 8), .g = guarded("h_out", k * 8)};
            a.pass.logits = guarded_copy("logits", logits, n * k * size);
            if (logits) a.pass.W = NULL, a.pass.b = NULL;
            const output outputs[] = {{a.G, k * d * 8}, {a.g, k * 8}};
            call_driver(call_hessp, NULL, &a, outputs, 2);
            check_sums(a.G, a.g, p, H, allowed);
            end_case();
        }
}

static int call_outer(void *context, int n_threads) {
    arguments *a = context;
    a->pass.n_threads = n_threads;
    return flr_csr_outer(a->G, a->g, &a->pass, a->R);
}

static void one_outer(const sparse *p) {
    const int64_t n = p->n, k = p->k, size = p->size;
    void *R = plain(n * k * size);
    long double *exact = plain(n * k * 16), *allowed = plain(n * k * 16);
    for (int64_t i = 0; i < n * k; i++) {
        put(R, i, size, p->pass.weight && p->pass.weight[i / k] == 0 ? 0 : normal());
        exact[i] = (long double)get(R, i, size), allowed[i] = 0;
    }
    for (int by_column = 0; by_column < 2; by_column++)
        BOTH_SIDES {
            if (!begin_case(side, "%s%s", p->text, by_column ? " by column" : "")) continue;
            flr_csr_columns columns;
            arguments a = {.pass = guarded_sparse(p, &columns, by_column), .R = guarded_copy("R", R, n * k * size),
                           .G = guarded("G_out", k * p->d * 8), .g = guarded("g_out", k * 8)};
            a.pass.W = NULL, a.pass.b = NULL;
            const output outputs[] = {{a.G, k * p->d * 8}, {a.g, k * 8}};
            call_driver(call_outer, NULL, &a, outputs, 2);
            check_sums(a.G, a.g, p, exact, allowed);
            end_case();
        }
}

static int call_logits(void *context, int n_threads) {
    arguments *a = context;
    a->pass.n_threads = n_threads;
    return flr_csr_logits(a->Z, &a->pass);
}

static void one_logits(const sparse *p) {
    const int64_t values = p->n * p->k;
    BOTH_SIDES {
        if (!begin_case(side, "%s", p->text)) continue;
        flr_csr_columns columns;
        arguments a = {.pass = guarded_sparse(p, &columns, 0), .Z = guarded("Z_out", values * p->size)};
        const output outputs[] = {{a.Z, values * p->size}};
        call_driver(call_logits, NULL, &a, outputs, 1);
        for (int64_t i = 0; i < values; i++) check("Z_out", i, (long double)get(a.Z, i, p->size), p->Z[i], p->error[i / p->k]);
        end_case();
    }
}

static void run_passes(const target *t, int which) {
    static void (*const one[])(const sparse *) = {one_loss, one_hessp, one_outer, one_logits};
    for (int64_t k = 1; k <= MOST_SMALL_K; k++) {
        if (!block(k, k, 0)) continue;
        const int64_t n = below(12), d = below(30);
        shape(n, k, d);
        const sparse p = random_sparse(n, k, d, t->size, 1 + below(8));
        one[which](&p);
    }
    for (int64_t i = 0; more_problems(i, PROBLEMS); i++) {
        if (!block(MOST_SMALL_K + i, 0, 0)) continue;
        const int64_t k = below(3) == 0 ? 1 : below(6) ? 1 + below(70) : 1 + below(1000);
        const int64_t n = below(1 + MOST_PRODUCTS / k), d = 1 + below(1 + MOST_PRODUCTS / (k * (n + 1)));
        shape(n, k, d);
        const sparse p = random_sparse(n, k, d, t->size, below(2) ? 0 : 1 + below(n + 1));
        one[which](&p);
    }
}

const test csr_tests[] = {{"flr_csr_loss_and_grad", run_passes, 0}, {"flr_csr_hessp", run_passes, 1}, {"flr_csr_outer", run_passes, 2},
                          {"flr_csr_logits", run_passes, 3}, {0}};
