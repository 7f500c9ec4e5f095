/* residuals.c -- loss and residual of each loss: labels, smoothed labels, probabilities; with weights, without outputs. */
#include "harness.h"

#include <math.h>
#include <string.h>

typedef struct { int targets, in_place, R, losses, stream; } variant;
static const variant variants[] = {
    {LABELS_ONLY, 0, 1, 1, 0},
    {LABELS_ONLY | WEIGHTED, 1, 1, 0, 0},
    {LABELS_ONLY | RESCALED, 0, 1, 0, 1},
    {LABELS_ONLY, 0, 0, 0, 0},
    {SMOOTHED | WEIGHTED, 0, 0, 1, 0},
    {SMOOTHED, 1, 1, 1, 0},
    {SMOOTHED | WEIGHTED | RESCALED, 0, 1, 1, 0},
    {PROBABILITIES_ONLY, 0, 1, 0, 0},
    {PROBABILITIES_ONLY | WEIGHTED | RESCALED, 1, 1, 1, 0},
    {PROBABILITIES_ONLY | SMOOTHED, 0, 1, 1, 1},
    {PROBABILITIES_ONLY | WEIGHTED, 0, 0, 0, 0},
};
enum { N_VARIANTS = sizeof variants / sizeof variants[0] };

static void one_variant(const target *t, int loss, int64_t m, int64_t k, const void *Z, const long double *z,
                        const variant *v) {
    const int64_t size = t->size;
    const targets y = random_targets(loss, v->targets, m, k, size);
    long double *R = plain(m * k * 16), *R_allowed = plain(m * k * 16), *losses = plain(m * 16), *allowed = plain(m * 16);
    int *known = plain(m * 4);
    int all_known = 1;
    long double total = 0, total_allowed = 0;
    for (int64_t i = 0; i < m; i++) {
        const double weight = y.y.weight ? y.y.weight[i] : 1;
        known[i] = expected_residual(R + i * k, R_allowed + i * k, &losses[i], &allowed[i], z + i * k, y.Y + i * k, loss,
                                     k, size, 0);
        for (int64_t j = 0; j < k; j++) {
            R[i * k + j] = weight == 0 ? 0 : R[i * k + j] * (long double)(weight * y.y.grad_scale);
            R_allowed[i * k + j] = weight == 0 ? 0 : R_allowed[i * k + j] * (long double)(weight * y.y.grad_scale) + 4 * tiny_of(size);
        }
        if (weight == 0) losses[i] = allowed[i] = 0, known[i] = 1; /* whatever the row holds */
        losses[i] *= (long double)weight, allowed[i] *= (long double)weight;
        total += losses[i];
        total_allowed += allowed[i] + 1.2e-16L * (long double)(m * k) * losses[i]; /* terms are added one by one */
        if (!known[i]) all_known = 0;
    }
    BOTH_SIDES {
        if (!begin_case(side, "%s%s%s%s%s%s", y.y.prob ? "probabilities" : "labels", y.y.smoothing > 0 ? " smoothed" : "",
                        y.y.weight ? " weighted" : "", v->in_place ? " in place" : v->R ? "" : " no R",
                        v->losses ? " losses" : "", v->stream ? " stream" : ""))
            continue;
        void *R_out = v->R ? guarded("R_out", m * k * size) : NULL;
        void *loss_out = v->losses ? guarded("loss_out", m * size) : NULL;
        const void *in = v->in_place ? memcpy(R_out, Z, (size_t)(m * k * size)) : guarded_copy("Z", Z, m * k * size);
        flr_targets own = y.y;
        own.label = guarded_copy("label", own.label, m * 4);
        own.prob = guarded_copy("prob", own.prob, m * k * size);
        own.weight = guarded_copy("weight", own.weight, m * 8);
        void *scratch = guarded("scratch", flr_row_scratch(k, size));
        const double got = t->kernels->residual[loss](R_out, loss_out, in, &own, scratch, m, k, v->stream);
        if (all_known) check("total", 0, (long double)got, total, total_allowed + 1e-15L * fabsl(total));
        for (int64_t i = 0; i < m; i++) {
            if (!known[i]) continue;
            if (v->losses) check("loss_out", i, (long double)get(loss_out, i, size), losses[i], allowed[i]);
            for (int64_t j = i * k; v->R && j < i * k + k; j++)
                check("R_out", j, (long double)get(R_out, j, size), R[j], R_allowed[j]);
        }
        end_case();
    }
}

static void one(const target *t, int loss, int64_t m, int64_t k, int64_t d) {
    void *Z = plain(m * k * t->size);
    long double *z = plain(m * k * 16);
    (void)d;
    random_logits(Z, m, k, t->size, below(2) == 0);
    for (int64_t i = 0; i < m * k; i++) z[i] = (long double)get(Z, i, t->size);
    /* two variants of each shape, all of them every few */
    const int64_t first = below(N_VARIANTS);
    one_variant(t, loss, m, k, Z, z, &variants[first]);
    one_variant(t, loss, m, k, Z, z, &variants[(first + 5) % N_VARIANTS]);
}

static void run(const target *t, int loss) { for_shapes(t, loss, one); }

const test residual_tests[] = {{"residual.softmax", run, FLR_SOFTMAX},
                               {"residual.sigmoid", run, FLR_SIGMOID},
                               {"residual.squared_error", run, FLR_SQUARED_ERROR},
                               {0}};

/* ---- the Hessian's ---------------------------------------------------------------------------------------------------- */
static void one_curvature(const target *t, int loss, int64_t m, int64_t k, int64_t d) {
    const int64_t size = t->size;
    void *Z = plain(m * k * size), *U = plain(m * k * size);
    long double *z = plain(m * k * 16), *u = plain(m * k * 16), *H = plain(m * k * 16), *allowed = plain(m * k * 16);
    double *weight = plain(m * 8);
    int *known = plain(m * 4);
    (void)d;
    random_logits(Z, m, k, size, below(2) == 0);
    for (int64_t i = 0; i < m * k; i++) {
        put(U, i, size, normal());
        z[i] = (long double)get(Z, i, size), u[i] = (long double)get(U, i, size);
    }
    for (int64_t i = 0; i < m; i++) {
        weight[i] = 2 * uniform();
        known[i] = expected_curvature(H + i * k, allowed + i * k, z + i * k, u + i * k, loss, k, size, 0);
    }
    const int weighted_in_place = (int)below(2);
    for (int in_place = 0; in_place < 2; in_place++)
        BOTH_SIDES {
            const int weighted = in_place == weighted_in_place;
            if (!begin_case(side, "%s%s", weighted ? "weighted" : "", in_place ? " in place" : "")) continue;
            void *H_out = guarded("H_out", m * k * size);
            const void *u_in = in_place ? memcpy(H_out, U, (size_t)(m * k * size)) : guarded_copy("U", U, m * k * size);
            const void *z_in = guarded_copy("Z", Z, m * k * size);
            const double *w = weighted ? guarded_copy("weight", weight, m * 8) : NULL;
            t->kernels->curvature[loss](H_out, z_in, u_in, w, guarded("scratch", flr_row_scratch(k, size)), m, k);
            for (int64_t i = 0; i < m * k; i++) {
                const long double by = weighted ? (long double)weight[i / k] : 1;
                if (known[i / k]) check("H_out", i, (long double)get(H_out, i, size), by * H[i], 2 * allowed[i]);
            }
            end_case();
        }
}

static void run_curvature(const target *t, int loss) { for_shapes(t, loss, one_curvature); }

const test curvature_tests[] = {{"curvature.softmax", run_curvature, FLR_SOFTMAX},
                                {"curvature.sigmoid", run_curvature, FLR_SIGMOID},
                                {"curvature.squared_error", run_curvature, FLR_SQUARED_ERROR},
                                {0}};
