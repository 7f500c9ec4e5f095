/* drive_pass.c -- loss and gradient, Hessian product, sums of residuals, logits and evaluation of random problems. */
#include "harness.h"

#include <math.h>
#include <string.h>

enum { PROBLEMS = 150 };

/* sum over rows of R (n, k)' X and of R: what they are and what they may be off by */
static void check_sums(const char *what, const double *G, const double *g, const problem *p, const long double *R,
                       const long double *R_allowed) {
    const long double grow = eps_of(p->size) * (4 + (long double)p->n / 8);
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
                const long double x = (long double)p->X[i * p->d + j];
                sum += R[i * p->k + c] * x;
                allowed += (R_allowed[i * p->k + c] + grow * fabsl(R[i * p->k + c])) * fabsl(x);
            }
            /* the reference's is minus the sum of the others */
            if (p->pass.has_reference) allowed *= 4 + (c == p->pass.reference ? (long double)p->k : 0);
            check(what, c * p->d + j, (long double)G[c * p->d + j], sum, allowed);
        }
    }
}

typedef struct {
    flr_pass pass;
    const void *V, *c, *R;
    double *loss, *G, *g;
    int64_t *correct;
    void *Z;
} arguments;

/* ---- loss and gradient ------------------------------------------------------------------------------------------------ */
static int call_loss(void *context, int n_threads) {
    arguments *a = context;
    a->pass.n_threads = n_threads;
    return flr_loss_and_grad(a->loss, a->G, a->g, &a->pass);
}

static void one_loss(const target *t) {
    const problem p = random_problem(t, MAY_REFER | MAY_OFFSET);
    const int64_t n = p.n, k = p.k, size = p.size;
    const void *const logits = below(2) ? keep_logits(p.Z, p.error, p.n, p.k, p.size) : NULL;
    long double *R = plain(n * k * 16), *allowed = plain(n * k * 16), total = 0, total_allowed = 4 * tiny_of(8);
    for (int64_t i = 0; i < n; i++) {
        const long double w = p.pass.weight ? (long double)p.pass.weight[i] : 1;
        long double loss, loss_allowed;
        expected_residual(R + i * k, allowed + i * k, &loss, &loss_allowed, p.Z + i * k, p.Y + i * k, p.pass.loss, k, size, p.error[i]);
        for (int64_t c = 0; c < k; c++) R[i * k + c] *= w, allowed[i * k + c] = w * allowed[i * k + c] + 4 * tiny_of(size);
        total += w * loss, total_allowed += w * (loss_allowed + 1e-15L * (long double)n * loss);
    }
    const int with_R = (int)below(2);
    BOTH_SIDES {
        if (!begin_case(side, "%s%s%s", p.text, with_R ? " R_out" : "", logits ? " at logits" : "")) continue;
        arguments a = {.pass = guarded_pass(&p), .loss = guarded("loss_out", 8), .G = guarded("G_out", k * p.d * 8),
                       .g = guarded("g_out", k * 8)};
        if (with_R) a.pass.R_out = guarded("R_out", n * k * size);
        a.pass.logits = guarded_copy("logits", logits, n * k * size);
        if (logits) a.pass.W = a.pass.b = NULL;
        const output outputs[] = {{a.loss, 8}, {a.G, k * p.d * 8}, {a.g, k * 8}, {a.pass.R_out, with_R ? n * k * size : 0}};
        call_driver(call_loss, NULL, &a, outputs, 4);
        check("loss", 0, (long double)*a.loss, total, total_allowed);
        for (int64_t i = 0; with_R && i < n * k; i++) check("R_out", i, (long double)get(a.pass.R_out, i, size), R[i], allowed[i]);
        check_sums("G_out", a.G, a.g, &p, R, allowed);
        end_case();
    }
}

/* ---- Hessian product --------------------------------------------------------------------------------------------------- */
static int call_hessp(void *context, int n_threads) {
    arguments *a = context;
    a->pass.n_threads = n_threads;
    return flr_hessp(a->G, a->g, &a->pass, a->V, a->c);
}

static void one_hessp(const target *t) {
    const problem p = random_problem(t, MAY_OFFSET);
    const int64_t n = p.n, d = p.d, k = p.k, size = p.size, ldw = p.pass.ldw;
    void *V = plain(k * ldw * size), *c = plain(k * size), *logits = below(2) ? keep_logits(p.Z, p.error, p.n, p.k, p.size) : NULL;
    long double *H = plain(n * k * 16), *allowed = plain(n * k * 16), *u = plain(k * 16);
    for (int64_t q = 0; q < k; q++) {
        put(c, q, size, normal());
        for (int64_t j = 0; j < d; j++) put(V, q * ldw + j, size, get(p.pass.W, (k - 1 - q) * ldw + j, size));
    }
    for (int64_t i = 0; i < n; i++) {
        const long double w = p.pass.weight ? (long double)p.pass.weight[i] : 1;
        long double off = 0;
        for (int64_t q = 0; q < k; q++) {
            long double absolute = fabsl(u[q] = (long double)get(c, q, size));
            for (int64_t j = 0; j < d; j++) {
                const long double term = (long double)p.X[i * d + j] * (long double)get(V, q * ldw + j, size);
                u[q] += term, absolute += fabsl(term);
            }
            if ((6 + (long double)d / 8) * eps_of(size) * absolute > off) off = (6 + (long double)d / 8) * eps_of(size) * absolute;
        }
        expected_curvature(H + i * k, allowed + i * k, p.Z + i * k, u, p.pass.loss, k, size, p.error[i]);
        for (int64_t q = 0; q < k; q++) {
            H[i * k + q] *= w, allowed[i * k + q] = w * (2 * allowed[i * k + q] + 2 * off) + 4 * tiny_of(size);
        }
    }
    BOTH_SIDES {
        if (!begin_case(side, "%s%s", p.text, logits ? " at logits" : "")) continue;
        arguments a = {.pass = guarded_pass(&p), .V = guarded_copy("V", V, k * ldw * size), .c = guarded_copy("c", c, k * size),
                       .G = guarded("H_out", k * d * 8), .g = guarded("h_out", k * 8)};
        a.pass.logits = guarded_copy("logits", logits, n * k * size);
        if (logits) a.pass.W = a.pass.b = NULL;
        const output outputs[] = {{a.G, k * d * 8}, {a.g, k * 8}};
        call_driver(call_hessp, NULL, &a, outputs, 2);
        check_sums("H_out", a.G, a.g, &p, H, allowed);
        end_case();
    }
}

/* ---- sums of residuals ------------------------------------------------------------------------------------------------- */
static int call_outer(void *context, int n_threads) {
    arguments *a = context;
    a->pass.n_threads = n_threads;
    return flr_outer(a->G, a->g, &a->pass, a->R);
}

static void one_outer(const target *t) {
    const problem p = random_problem(t, MAY_OFFSET);
    const int64_t n = p.n, k = p.k, size = p.size;
    void *R = plain(n * k * size);
    long double *exact = plain(n * k * 16), *allowed = plain(n * k * 16);
    for (int64_t i = 0; i < n * k; i++) {
        if (p.pass.weight && p.pass.weight[i / k] == 0)
            put(R, i, size, 0);
        else
            put(R, i, size, normal());
        exact[i] = (long double)get(R, i, size), allowed[i] = 0;
    }
    BOTH_SIDES {
        if (!begin_case(side, "%s", p.text)) continue;
        arguments a = {.pass = guarded_pass(&p), .R = guarded_copy("R", R, n * k * size), .G = guarded("G_out", k * p.d * 8),
                       .g = guarded("g_out", k * 8)};
        a.pass.W = a.pass.b = NULL;
        const output outputs[] = {{a.G, k * p.d * 8}, {a.g, k * 8}};
        call_driver(call_outer, NULL, &a, outputs, 2);
        check_sums("G_out", a.G, a.g, &p, exact, allowed);
        end_case();
    }
}

/* ---- logits, evaluation -------------------------------------------------------------------------------------------------- */
static int call_logits(void *context, int n_threads) {
    arguments *a = context;
    a->pass.n_threads = n_threads;
    return flr_logits(a->Z, &a->pass);
}

static void one_logits(const target *t) {
    const problem p = random_problem(t, MAY_OFFSET);
    const int64_t values = p.n * p.k;
    BOTH_SIDES {
        if (!begin_case(side, "%s", p.text)) continue;
        arguments a = {.pass = guarded_pass(&p), .Z = guarded("Z_out", values * p.size)};
        const output outputs[] = {{a.Z, values * p.size}};
        call_driver(call_logits, NULL, &a, outputs, 1);
        for (int64_t i = 0; i < values; i++) check("Z_out", i, (long double)get(a.Z, i, p.size), p.Z[i], p.error[i / p.k]);
        end_case();
    }
}

static int call_evaluate(void *context, int n_threads) {
    arguments *a = context;
    a->pass.n_threads = n_threads;
    return flr_evaluate(a->loss, a->correct, &a->pass);
}

void count_correct(int64_t *sure, int64_t *open, const examples *p) {
    const long double threshold = p->loss == FLR_SQUARED_ERROR ? 0.5L : 0;
    *sure = *open = 0;
    for (int64_t i = 0; p->label && i < p->n; i++) {
        const long double *z = p->Z + i * p->k, own = z[p->k > 1 ? p->label[i] : 0];
        long double margin = p->k > 1 ? INFINITY : p->label[i] ? own - threshold : threshold - own;
        for (int64_t c = 0; p->k > 1 && c < p->k; c++)
            if (c != p->label[i] && own - z[c] < margin) margin = own - z[c];
        *sure += margin > 2 * p->error[i];
        *open += fabsl(margin) <= 2 * p->error[i];
    }
}

void check_evaluation(const examples *p, double loss, int64_t correct) {
    long double *R = plain(p->k * 16), *allowed = plain(p->k * 16), total = 0, total_allowed = 4 * tiny_of(8);
    for (int64_t i = 0; i < p->n; i++) {
        const long double w = p->weight ? (long double)p->weight[i] : 1;
        long double one, one_allowed;
        expected_residual(R, allowed, &one, &one_allowed, p->Z + i * p->k, p->Y + i * p->k, p->loss, p->k, p->size, p->error[i]);
        total += w * one, total_allowed += w * (one_allowed + 1e-15L * (long double)p->n * one);
    }
    int64_t sure, open;
    count_correct(&sure, &open, p);
    check("loss", 0, (long double)loss, total, total_allowed);
    check("correct", 0, (long double)correct, (long double)sure + (long double)open / 2, (long double)open / 2);
}

static void one_evaluate(const target *t) {
    const problem p = random_problem(t, MAY_OFFSET);
    BOTH_SIDES {
        if (!begin_case(side, "%s", p.text)) continue;
        arguments a = {.pass = guarded_pass(&p), .loss = guarded("loss_out", 8), .correct = guarded("correct_out", 8)};
        const output outputs[] = {{a.loss, 8}, {a.correct, 8}};
        call_driver(call_evaluate, NULL, &a, outputs, 2);
        check_evaluation(&EXAMPLES_OF(&p), *a.loss, *a.correct);
        end_case();
    }
}

static void run(const target *t, int which) {
    static void (*const one[])(const target *) = {one_loss, one_hessp, one_outer, one_logits, one_evaluate};
    for (int64_t i = 0; more_problems(i, PROBLEMS); i++)
        if (block(i, 0, 0)) one[which](t);
}

const test pass_tests[] = {{"flr_loss_and_grad", run, 0}, {"flr_hessp", run, 1}, {"flr_outer", run, 2}, {"flr_logits", run, 3},
                           {"flr_evaluate", run, 4}, {0}};
