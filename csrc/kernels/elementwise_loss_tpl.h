/* elementwise_loss_tpl.h -- losses whose classes do not see each other, and their residuals R = weight * (A - Y).
 *
 * Targets Y (probabilities, a label's 1 and 0s, or for k = 1 the label itself; smoothed towards 1 / outcomes):
 *     sigmoid        sum_j  max(z_j, 0) - Y_j z_j + log(1 + exp(-|z_j|))     A = sigmoid(z)
 *     squared_error  sum_j  (z_j - Y_j)^2 / 2                                A = z
 * arranged so that no term is negative: nothing cancels, and A - Y keeps its digits where A rounds to 1.  Rows matter
 * for weights and for losses by row alone, so values are taken as they lie in memory, up to ELEMENTWISE_BLOCK at
 * once.
 *
 * Needs what vec_tpl.h needs.
 */
#ifndef FLR_ELEMENTWISE_LOSS_TPL_H
#define FLR_ELEMENTWISE_LOSS_TPL_H

#include "explog_tpl.h"
#include "prefetch_tpl.h"
#include "sink_tpl.h"

enum { ELEMENTWISE_BLOCK = 512 };

/* The loss of one logit, for squared_error its root, and A - Y; Y as it is and 1 - Y. */
INLINE V elementwise_loss(V *gradient_out, V z, V target, V one_less, const flr_loss loss) {
    if (loss == FLR_SQUARED_ERROR) return *gradient_out = z - target;
    /* max(z, 0) - y z is |z| times what the sign of z leaves of the target; 0 inf = 0 here */
    const V t = vexp_negative(-vabs(z), NULL), wrong = vselect(z > 0, one_less, target), q = t / (1 + t);
    *gradient_out = vselect(z > 0, one_less - q, q - target);
    return (V)((VI)(vabs(z) * wrong) & (wrong != 0)) + vlog1p_ratio(t, vsplat(1));
}

/* lanes of losses in double, where no square of a number in range leaves it */
INLINE VD elementwise_wide_loss(V term, const int part, const flr_loss loss) {
    const VD wide = vwiden(term, part);
    return loss == FLR_SQUARED_ERROR ? 0.5 * wide * wide : wide;
}

/* Y_out (rows, k): a 1 at each label, or for k = 1 the label */
INLINE void elementwise_one_hot(REAL *Y_out, const int32_t *label, int64_t rows, int64_t k) {
    if (k > 1) memset(Y_out, 0, (size_t)(rows * k) * sizeof(REAL));
    for (int64_t i = 0; i < rows; i++) Y_out[k > 1 ? i * k + label[i] : i] = k > 1 ? 1 : (REAL)label[i];
}

/* Losses of n values: added to the lanes of sums, and each by itself.  r = factor * (A - Y).  r and terms_out: room for
 * n rounded up to VLEN, or NULL. */
INLINE void elementwise_block(REAL *r, double *terms_out, VD *sums, const REAL *z, const REAL *Y, int64_t n,
                              const flr_targets *y, V factor, prefetch *ahead, int64_t lines, int64_t outcomes,
                              const flr_loss loss) {
    const double smoothed = y->smoothing / (double)outcomes;
    const V keep = vsplat((REAL)(1 - y->smoothing)), spread = vsplat((REAL)smoothed);
    const V others = vsplat((REAL)(y->smoothing - smoothed)); /* of 1 - Y, whose digits Y has not */
    for (int64_t j = 0; j < n; j += VLEN) {
        prefetch_lines(ahead, lines);
        const V target = vload_filled(Y + j, n - j, 0);
        V gradient, term = elementwise_loss(&gradient, vload_filled(z + j, n - j, 0), keep * target + spread,
                                            keep * (1 - target) + others, loss);
        if (r) vstore(r + j, factor * gradient);
        if (n - j < VLEN) term = (V)((VI)term & (viota() < (INT)(n - j)));
        for (int p = 0; p < VWIDE; p++) {
            const VD value = elementwise_wide_loss(term, p, loss);
            if (terms_out) memcpy(terms_out + j + p * (VLEN / VWIDE), &value, sizeof value);
            sums[p] += value;
        }
    }
}

/* the weighted loss of a row; one of weight 0 counts nothing, whatever its loss */
INLINE double elementwise_row_loss(const double *terms, int64_t n, double weight) {
    double sum = 0;
    for (int64_t j = 0; j < n; j++) sum += terms[j];
    return weight == 0 ? 0 : weight * sum;
}

INLINE double elementwise_residuals(void *R_out, void *loss_out, const void *Z_, const flr_targets *y, void *scratch,
                                    int64_t m, int64_t k, int stream, const flr_loss loss) {
    const REAL *Z = Z_, *prob = y->prob;
    sink to = {R_out, scratch, 0, stream};
    REAL spelled[ELEMENTWISE_BLOCK];
    double terms[ELEMENTWISE_BLOCK];
    VD sums[VWIDE] = {{0}};
    double total = 0;
    prefetch ahead = prefetch_begin(y->next, 0, 1);
    const int64_t lines = prefetch_lines_each(y->next, m * k / VLEN);
    const int by_row = y->weight || loss_out;
    const int in_double = y->weight != NULL || !isnormal((REAL)y->grad_scale); /* row by row */
    const V factor = vsplat(in_double ? 1 : (REAL)y->grad_scale);
    const int64_t step = k < ELEMENTWISE_BLOCK ? ELEMENTWISE_BLOCK / k : 1,
                  width = k < ELEMENTWISE_BLOCK ? k : ELEMENTWISE_BLOCK, outcomes = k == 1 ? 2 : k;
    for (int64_t first = 0; first < m; first += step) {
        const int64_t rows = m - first < step ? m - first : step;
        double row_loss = 0;
        for (int64_t c = 0; c < k; c += width) { /* a long row by parts */
            const int64_t part = k - c < width ? k - c : width, n = rows * part, at = first * k + c;
            REAL *r = R_out ? sink_room(&to, n, n + VLEN) : NULL;
            if (prob == NULL && part == k)
                elementwise_one_hot(spelled, y->label + first, rows, k);
            else if (prob == NULL)
                for (int64_t j = 0; j < n; j++) spelled[j] = y->label[first] == c + j;
            elementwise_block(r, by_row ? terms : NULL, sums, Z + at, prob ? prob + at : spelled, n, y, factor, &ahead,
                              lines, outcomes, loss);
            if (r && in_double) sink_multiply_rows(r, y->weight ? y->weight + first : NULL, y->grad_scale, rows, part);
            for (int64_t i = 0; by_row && i < rows; i++) {
                const double weight = y->weight ? y->weight[first + i] : 1;
                row_loss = (c ? row_loss : 0) + elementwise_row_loss(terms + i * part, part, weight);
                if (c + part < k) continue;
                total += row_loss;
                if (loss_out) ((REAL *)loss_out)[first + i] = (REAL)row_loss;
            }
        }
    }
    if (R_out) sink_finish(&to);
    return y->weight ? total : vsum_wide(sums);
}

/* R_out (k,) of one row, where its loss can wait */
INLINE void elementwise_error(void *R_out, const void *Z_, const flr_targets *y, int64_t k, const flr_loss loss) {
    const REAL *const Z = Z_, *const prob = y->prob, weight = (REAL)(y->weight ? *y->weight : 1);
    REAL *const R = R_out;
    if (k == 1) { /* without loads and stores of parts, which take their time */
        const REAL target = prob ? *prob : (REAL)*y->label;
        V gradient;
        elementwise_loss(&gradient, vsplat(*Z), vsplat(target), vsplat(1 - target), loss);
        *R = weight == 0 ? 0 : weight * gradient[0];
        return;
    }
    for (int64_t j = 0; j < k; j += VLEN) {
        V gradient, target;
        if (prob)
            target = vload_filled(prob + j, k - j, 0);
        else
            target = vselect(viota() == (INT)(*y->label - j), vsplat(1), vsplat(0));
        elementwise_loss(&gradient, vload_filled(Z + j, k - j, 0), target, 1 - target, loss);
        vstore_first(R + j, weight == 0 ? vsplat(0) : weight * gradient, k - j);
    }
}

#define ELEMENTWISE_DEFINE(name, loss)                                                                                 \
    static double elementwise_##name(void *R_out, void *loss_out, const void *Z, const flr_targets *y, void *scratch,  \
                                     int64_t m, int64_t k, int stream) {                                               \
        return elementwise_residuals(R_out, loss_out, Z, y, scratch, m, k, stream, loss);                              \
    }                                                                                                                  \
    static void elementwise_error_##name(void *R_out, const void *Z, const flr_targets *y, int64_t k) {                \
        elementwise_error(R_out, Z, y, k, loss);                                                                       \
    }
ELEMENTWISE_DEFINE(sigmoid, FLR_SIGMOID)
ELEMENTWISE_DEFINE(squared_error, FLR_SQUARED_ERROR)

#endif
