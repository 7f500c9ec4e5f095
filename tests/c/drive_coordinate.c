/* drive_coordinate.c -- sweeps of coordinate descent over the columns of a quadratic model, and a move. */
#include "harness.h"

#include <math.h>
#include <string.h>

enum { PROBLEMS = 400, SWEEPS = 2 };

typedef struct { flr_coordinate m; double *violation; const double *to, *to0; int all; } arguments;

static int call(void *context, int n_threads) {
    const arguments *a = context;
    const flr_coordinate *m = &a->m;
    double *const zeros[] = {m->t, m->t0, m->q, m->moved};
    const int64_t counts[] = {m->k * m->m, m->k, m->softmax ? m->n : 0, m->k};
    for (int64_t i = 0; i < m->k * m->n; i++) m->P[m->rows ? 2 * i : i] = 0;
    for (int i = 0; i < 4; i++)
        for (int64_t j = 0; j < counts[i]; j++) zeros[i][j] = 0;
    for (int64_t c = 0; c < m->k; c++) m->weight[c] = 0;
    for (int64_t j = 0; j < m->k * m->m; j++) m->mean[j] = 0;
    flr_coordinate_measure(m, n_threads);
    for (int s = 0; s < SWEEPS; s++) flr_coordinate_sweep(m, a->violation, a->all || s == 0, n_threads);
    flr_coordinate_move(m, a->to, a->to0, n_threads);
    flr_coordinate_sweep(m, a->violation, 1, n_threads);
    return FLR_OK;
}

typedef struct { const flr_coordinate *m; const long double *X; long double *t, *t0, *P, *q, *moved; } plain_model;

static long double curvature(const flr_coordinate *m, int64_t c, int64_t i) {
    const long double h = m->h[c * m->n + i];
    return m->softmax ? h * (1 - h) : h;
}

static void add_step(const plain_model *p, int64_t c, const long double *x, const double *root, long double step) {
    const flr_coordinate *m = p->m;
    for (int64_t i = 0; i < m->n; i++) {
        const long double change = step * (x ? x[i] : root[i]);
        p->P[c * m->n + i] += change, p->q[i] += m->h[c * m->n + i] * change;
    }
}

static long double mean_of(const plain_model *p, int64_t c, const long double *x) {
    long double mean = 0;
    for (int64_t i = 0; p->m->root && i < p->m->n; i++) mean += x[i] * curvature(p->m, c, i) * p->m->root[i];
    return mean;
}

static void expect_sweep(const plain_model *p, int64_t c, int all) {
    const flr_coordinate *m = p->m;
    const int64_t n = m->n;
    const double *h = m->h + c * n;
    const int moves = m->softmax && m->root;
    long double total = m->floor, pull = m->root ? m->g0[c] + (moves ? 0 : p->moved[c]) : 0;
    for (int64_t i = 0; m->root && i < n; i++) {
        total += curvature(m, c, i) * m->root[i] * m->root[i];
        if (moves) pull += m->root[i] * h[i] * (p->P[c * n + i] - p->q[i]);
    }
    for (int64_t j = 0; j < m->m; j++) {
        const long double *x = p->X + j * n, w = m->w[c * m->m + j] + p->t[c * m->m + j], mean = mean_of(p, c, x);
        long double own = 0, grad = m->g[c * m->m + j] + m->l2[j] * p->t[c * m->m + j] - mean / total * pull;
        if (!all && w == 0) continue;
        for (int64_t i = 0; i < n; i++) {
            own += x[i] * x[i] * curvature(m, c, i);
            grad += x[i] * h[i] * (m->softmax ? p->P[c * n + i] - p->q[i] : p->P[c * n + i]);
        }
        const long double H = fmaxl(own + m->l2[j] - mean / total * mean, own * 1e-8L) + m->floor;
        const long double to = H * w - grad, size = fabsl(to) - m->l1[j];
        const long double step = (size > 0 ? copysignl(size, to) / H : 0) - w;
        p->t[c * m->m + j] += step;
        p->moved[c] += mean * step, pull += mean * step;
        add_step(p, c, x, NULL, step);
    }
    if (!moves) return;
    p->t0[c] -= pull / total;
    add_step(p, c, NULL, m->root, -pull / total);
}

/* the same in long double with whole columns X (m, n): t (k, m) and t0 (k,) of softmax */
static void expect(long double *t, long double *t0, const flr_coordinate *m, const long double *X, const arguments *a) {
    const plain_model p = {m, X, t, t0, plain(m->k * m->n * 16), plain(m->n * 16), plain(m->k * 16)};
    for (int s = 0; s < SWEEPS; s++)
        for (int64_t c = 0; c < m->k; c++) expect_sweep(&p, c, a->all || s == 0);
    for (int64_t c = 0; c < m->k; c++) {
        for (int64_t j = 0; j < m->m; j++) {
            const long double step = a->to[c * m->m + j] - t[c * m->m + j];
            t[c * m->m + j] += step;
            p.moved[c] += mean_of(&p, c, X + j * m->n) * step;
            add_step(&p, c, X + j * m->n, NULL, step);
        }
        if (m->softmax && m->root) {
            add_step(&p, c, NULL, m->root, a->to0[c] - t0[c]);
            t0[c] = a->to0[c];
        }
    }
    for (int64_t c = 0; c < m->k; c++) expect_sweep(&p, c, 1);
}

static void one(const target *t) {
    const int64_t n = 1 + below(70), m = below(90), k = 1 + below(5), any = m + below(4);
    const int is_sparse = (int)below(2), softmax = (int)below(2), has_root = (int)below(2), all = (int)below(2);
    float *values = plain((any * n + 1) * 4);
    int32_t *rows = plain((any * n + 1) * 4);
    int64_t *starts = plain((any + 1) * 8), *order = plain((m + 1) * 8), nnz = 0;
    double *h = plain(k * n * 8), *root = plain(n * 8), *g = plain((k * m + 1) * 8), *g0 = plain(k * 8), *w = plain((k * m + 1) * 8);
    double *l1 = plain((m + 1) * 8), *l2 = plain((m + 1) * 8), *to = plain((k * m + 1) * 8), *to0 = plain(k * 8);
    long double *X = plain((any * n + 1) * 16), *whole = plain((m * n + 1) * 16);
    (void)t;
    for (int64_t j = 0; j < any; starts[++j] = nnz)
        for (int64_t i = 0; i < n; i++) {
            if (is_sparse && below(3)) continue;
            values[nnz] = (float)normal(), rows[nnz] = (int32_t)i;
            X[j * n + i] = values[nnz++];
        }
    for (int64_t j = 0; j < m; j++) { /* any - m columns are no part of the model */
        order[j] = j + (any - m);
        memcpy(whole + j * n, X + order[j] * n, (size_t)n * sizeof *X);
        l1[j] = uniform() * 3, l2[j] = below(2) ? uniform() : 0;
    }
    for (int64_t i = 0; i < n; i++) root[i] = 0.5 + uniform();
    for (int64_t i = 0; i < k * n; i++) h[i] = 0.1 + 0.8 * uniform() / (double)k;
    for (int64_t i = 0; i < k * m; i++) g[i] = 3 * normal(), w[i] = below(2) ? normal() : 0, to[i] = normal() - w[i];
    for (int64_t c = 0; c < k; c++) g0[c] = normal(), to0[c] = normal();
    flr_coordinate model = {.n = n, .m = m, .k = k, .h = h, .root = has_root ? root : NULL, .g = g, .g0 = g0, .w = w,
                            .l1 = l1, .l2 = l2, .floor = 1e-3, .softmax = softmax};
    long double *expected = plain((k * m + 1) * 16), *expected0 = plain(k * 16);
    expect(expected, expected0, &model, whole, &(arguments){.all = all, .to = to, .to0 = to0});
    BOTH_SIDES {
        if (!begin_case(side, "n %lld, %lld of %lld columns, k %lld%s%s%s%s", (long long)n, (long long)m, (long long)any,
                        (long long)k, is_sparse ? " sparse" : "", softmax ? " softmax" : "", has_root ? " root" : "",
                        all ? " all" : ""))
            continue;
        arguments a = {.m = model, .all = all, .violation = guarded("violation_out", k * 8)};
        a.to = guarded_copy("t to move to", to, k * m * 8), a.to0 = guarded_copy("t0 to move to", to0, k * 8);
        a.m.values = guarded_copy("values", values, nnz * 4);
        if (is_sparse) a.m.rows = guarded_copy("rows", rows, nnz * 4), a.m.starts = guarded_copy("starts", starts, (any + 1) * 8);
        a.m.order = guarded_copy("order", order, m * 8);
        double *pairs = is_sparse ? guarded("h and P", 2 * k * n * 8) : NULL;
        for (int64_t i = 0; is_sparse && i < k * n; i++) pairs[2 * i] = h[i];
        a.m.h = is_sparse ? pairs : guarded_copy("h", h, k * n * 8);
        if (has_root) a.m.root = guarded_copy("root", root, n * 8);
        a.m.g = guarded_copy("g", g, k * m * 8), a.m.g0 = guarded_copy("g0", g0, k * 8), a.m.w = guarded_copy("w", w, k * m * 8);
        a.m.l1 = guarded_copy("l1", l1, m * 8), a.m.l2 = guarded_copy("l2", l2, m * 8);
        a.m.curvature = guarded("curvature", k * m * 8), a.m.mean = guarded("mean", k * m * 8), a.m.weight = guarded("weight", k * 8);
        a.m.t = guarded("t", k * m * 8), a.m.t0 = guarded("t0", k * 8), a.m.P = is_sparse ? pairs + 1 : guarded("P", k * n * 8);
        a.m.q = guarded("q", softmax ? n * 8 : 0), a.m.moved = guarded("moved", k * 8);
        const output outputs[] = {{a.m.t, k * m * 8}, {a.m.t0, k * 8}, {a.violation, k * 8}};
        call_driver(call, NULL, &a, outputs, 3);
        for (int64_t i = 0; i < k * m; i++) check("t", i, (long double)a.m.t[i], expected[i], 1e-9L * (1 + fabsl(expected[i])));
        for (int64_t c = 0; c < k; c++) check("t0", c, (long double)a.m.t0[c], expected0[c], 1e-9L * (1 + fabsl(expected0[c])));
        end_case();
    }
}

static void run(const target *t, int which) {
    (void)which;
    if (t->size != 4) return; /* the columns are float whatever the reals */
    for (int64_t i = 0; more_problems(i, PROBLEMS); i++)
        if (block(i, 0, 0)) one(t);
}

const test coordinate_tests[] = {{"flr_coordinate", run, 0}, {0}};
