/* losses.c -- what the residuals, losses and curvatures of fastlr.h are, one row at a time in long double.
 *
 * Allowances are in units of the real type's epsilon times the terms' absolute values: 16 for elementwise results, more
 * where k terms are added up in real.
 */
#include "harness.h"

#include <math.h>
#include <string.h>

const char *const loss_name[FLR_N_LOSSES] = {"softmax", "sigmoid", "squared_error"};

/* peculiar: some rows with nan, infinities and logits so far apart that terms under- or overflow */
void random_logits(void *Z, int64_t m, int64_t k, int64_t size, int peculiar) {
    static const double scales[] = {1, 1, 8, 60, 300};
    const double spread = scales[below(5)];
    for (int64_t i = 0; i < m * k; i++) put(Z, i, size, spread * normal());
    for (int64_t i = 0; peculiar && i < m; i++) {
        const int64_t what = below(12), j = below(k);
        if (what < 4) put(Z, i * k + j, size, what == 0 ? NAN : what == 1 ? INFINITY : what == 2 ? -INFINITY : 3000);
        for (int64_t c = 0; what == 4 && c < k; c++) put(Z, i * k + c, size, -1500 - (double)c);
        for (int64_t c = 0; what == 5 && c < k; c++) put(Z, i * k + c, size, 2.5);
    }
}

targets random_targets(flr_loss loss, int kind, int64_t m, int64_t k, int64_t size) {
    targets t = {.y = {.grad_scale = kind & RESCALED ? 0.37 : 1, .smoothing = kind & SMOOTHED ? 0.125 : 0}};
    t.Y = plain(m * k * 8);
    if (kind & PROBABILITIES_ONLY) {
        void *prob = plain(m * k * size);
        for (int64_t i = 0; i < m; i++) {
            double mass = 0;
            for (int64_t j = 0; j < k; j++) {
                t.Y[i * k + j] = below(3) ? uniform() : 0;
                mass += t.Y[i * k + j];
            }
            for (int64_t j = 0; j < k; j++) {
                if (loss == FLR_SOFTMAX && mass > 0) t.Y[i * k + j] /= mass;
                put(prob, i * k + j, size, t.Y[i * k + j]);
                t.Y[i * k + j] = get(prob, i * k + j, size);
            }
        }
        t.y.prob = prob;
    } else {
        int32_t *label = plain(m * 4);
        for (int64_t i = 0; i < m; i++) {
            label[i] = (int32_t)below(k > 1 ? k : loss == FLR_SOFTMAX ? 1 : 2);
            for (int64_t j = 0; j < k; j++)
                t.Y[i * k + j] = k == 1 && loss != FLR_SOFTMAX ? label[i] : label[i] == j;
        }
        t.y.label = label;
    }
    const double outcomes = k == 1 && loss != FLR_SOFTMAX ? 2 : (double)k;
    for (int64_t i = 0; kind & SMOOTHED && i < m * k; i++)
        t.Y[i] = (1 - t.y.smoothing) * t.Y[i] + t.y.smoothing / outcomes;
    if (kind & WEIGHTED) {
        double *weight = plain(m * 8);
        for (int64_t i = 0; i < m; i++) weight[i] = below(5) ? 2 * uniform() : 0;
        t.y.weight = weight;
    }
    return t;
}

/* max of a row, its terms exp(z - max), and the sum of the other classes'; 0 if softmax has no value there */
static int row_sum(long double *terms, long double *max, long double *rest, const long double *z, int64_t k,
                   int64_t size) {
    int64_t best = 0;
    for (int64_t j = 1; j < k; j++)
        if (z[j] > z[best]) best = j;
    *max = z[best], *rest = 0;
    if (isinf(*max)) return 0;
    for (int64_t j = 0; j < k; j++) {
        terms[j] = j == best ? 1 : exp_for(size, z[j] - *max);
        if (j != best) *rest += terms[j];
    }
    return 1;
}

static int has_nan(const long double *z, int64_t k) {
    for (int64_t j = 0; j < k; j++)
        if (z[j] != z[j]) return 1;
    return 0;
}

int expected_residual(long double *R, long double *R_allowed, long double *loss, long double *loss_allowed,
                      const long double *z, const double *Y, flr_loss loss_kind, int64_t k, int64_t size,
                      long double z_error) {
    const long double eps = eps_of(size), tiny = tiny_of(size);
    long double max = 0, rest = 0, mass = 0;
    *loss = *loss_allowed = 0;
    if (loss_kind == FLR_SOFTMAX && has_nan(z, k)) {
        for (int64_t j = 0; j < k; j++) R[j] = NAN, R_allowed[j] = 0;
        *loss = NAN;
        return 1;
    }
    if (loss_kind == FLR_SOFTMAX && !row_sum(R, &max, &rest, z, k, size)) return 0;
    for (int64_t j = 0; j < k; j++) mass += (long double)Y[j];
    const long double share = mass / (1 + rest);
    if (loss_kind == FLR_SOFTMAX) {
        *loss = mass * log1p_for(size, rest);
        *loss_allowed = (16 + (long double)k / 16) * eps * *loss + 2 * mass * z_error;
    }
    for (int64_t j = 0; j < k; j++) {
        const long double y = (long double)Y[j];
        long double A = 0, term = 0;
        if (loss_kind == FLR_SOFTMAX) {
            A = R[j] * share;
            term = y == 0 ? 0 : y * (max - z[j]);
        } else if (loss_kind == FLR_SIGMOID) {
            const long double t = exp_for(size, -fabsl(z[j]));
            A = (z[j] > 0 ? 1 : t) / (1 + t);
            const long double against = fabsl((z[j] > 0) - y);
            term = (against == 0 ? 0 : fabsl(z[j]) * against) + log1p_for(size, t);
        } else {
            A = z[j];
            term = (z[j] - y) * (z[j] - y) / 2;
        }
        R[j] = A - y;
        R_allowed[j] = (16 + (long double)k / 64) * eps * (fabsl(A) + y) + 4 * tiny;
        R_allowed[j] += loss_kind == FLR_SOFTMAX ? 2 * z_error * A : z_error;
        *loss += term;
        const long double size_of_term = loss_kind == FLR_SQUARED_ERROR ? (fabsl(z[j]) + y) * (fabsl(z[j]) + y) : term;
        *loss_allowed += (16 + (long double)k / 16) * eps * size_of_term + 4 * tiny;
        if (loss_kind != FLR_SOFTMAX) *loss_allowed += z_error * (loss_kind == FLR_SIGMOID ? 1 : fabsl(R[j]) + z_error);
        if (isinf(*loss)) *loss_allowed = 0;
    }
    return 1;
}

int expected_curvature(long double *H, long double *H_allowed, const long double *z, const long double *u,
                       flr_loss loss_kind, int64_t k, int64_t size, long double z_error) {
    const long double eps = eps_of(size), tiny = tiny_of(size);
    long double max = 0, rest = 0, mean = 0, absolute = 0;
    if (loss_kind == FLR_SOFTMAX && has_nan(z, k)) {
        for (int64_t j = 0; j < k; j++) H[j] = NAN, H_allowed[j] = 0;
        return 1;
    }
    if (loss_kind == FLR_SOFTMAX && !row_sum(H, &max, &rest, z, k, size)) return 0;
    for (int64_t j = 0; loss_kind == FLR_SOFTMAX && j < k; j++) {
        H[j] /= 1 + rest;
        mean += H[j] * u[j];
        absolute += H[j] * fabsl(u[j]);
    }
    for (int64_t j = 0; j < k; j++) {
        const long double t = loss_kind == FLR_SIGMOID ? exp_for(size, -fabsl(z[j])) : 0;
        const long double slope = loss_kind == FLR_SOFTMAX   ? H[j]
                                  : loss_kind == FLR_SIGMOID ? t / ((1 + t) * (1 + t))
                                                             : 1;
        H[j] = slope * (u[j] - mean);
        H_allowed[j] = (eps * (16 + (long double)k / 4) + 4 * z_error) * slope * (fabsl(u[j]) + absolute) +
                       8 * tiny * (1 + fabsl(u[j]) + absolute);
    }
    return 1;
}

void *keep_logits(long double *Z, long double *error, int64_t n, int64_t k, int64_t size) {
    void *logits = plain(n * k * size);
    for (int64_t i = 0; i < n * k; i++) {
        put(logits, i, size, (double)Z[i]);
        Z[i] = (long double)get(logits, i, size);
    }
    memset(error, 0, (size_t)n * sizeof *error);
    return logits;
}
