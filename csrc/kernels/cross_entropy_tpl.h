/* cross_entropy_tpl.h -- the loss of rows of softmax logits and its residual R = weight * (A - Y), A = softmax(z).
 *
 * Targets Y (probabilities, or a label's 1 and 0s; smoothed towards 1 / k), S = sum Y over a row's classes:
 *     S log(1 + rest / lead) + sum_j Y_j (max - z_j),  lead and rest as in expsum_tpl.h: no term is negative, nothing
 *     cancels.
 * A - Y of the largest logit is (S - Y) - S rest / total: where A rounds to 1 its digits are those of the rest.
 *
 * Needs what vec_tpl.h needs.  Names begin with xent or XENT.
 */
#ifndef FLR_CROSS_ENTROPY_TPL_H
#define FLR_CROSS_ENTROPY_TPL_H

#include "expsum_tpl.h"
#include "prefetch_tpl.h"
#include "row_group_tpl.h"
#include "sink_tpl.h"
#include "transpose_tpl.h"

/* Labels without smoothing, found by comparing columns (up to XENT_FEW classes) or by their place in a row; smoothed
 * labels; probabilities. */
typedef enum { XENT_FEW_LABELS, XENT_LABELS, XENT_SMOOTHED_LABELS, XENT_PROBABILITIES } xent_target_kind;
enum { XENT_FEW = 4 };

/* the targets of one group */
typedef struct {
    const REAL *prob;  /* laid out as z */
    V label;
    REAL keep, spread; /* target = keep * Y + spread: label smoothing, or 1 and 0 */
    V z_label;         /* XENT_LABELS and few: logit of the label's class */
    int weighted;
    VD weight[VWIDE];
    V factor;          /* grad_scale; or 1, where residuals are multiplied in double: transposed by wide_factor */
    int in_double;     /* there are weights, or grad_scale might take the factor of A out of the range of reals */
    VD wide_factor[VWIDE];
} xent_targets;

/* the targets of the vector at j, zero past count */
INLINE V xent_target(const xent_targets *y, int64_t j, int64_t count, const xent_target_kind kind,
                     const int transposed) {
    const V lane = viota_real(), class = transposed ? vsplat((REAL)(j / VLEN)) : lane + (REAL)j;
    const V one = (V)((VI)vsplat(1) & (class == y->label));
    const V target = y->keep * (kind == XENT_PROBABILITIES ? vload_filled(y->prob + j, count - j, 0) : one) + y->spread;
    return transposed || count - j >= VLEN ? target : (V)((VI)target & (lane < (REAL)(count - j)));
}

/* a sum and its error; an infinite sum has none */
INLINE V xent_settle(V sum, V error) { return sum + (V)((VI)error & (error == error)); }

/* of a group's targets: their sum over the largest logits (one, or ties), over all others (with the rounding errors of
 * both sums), and sum Y (max - z) */
typedef struct { V of_max, of_others, below; } xent_target_sums;

INLINE xent_target_sums xent_sum_targets(V max, const REAL *z, const xent_targets *y, int64_t count,
                                         const xent_target_kind kind, const int transposed) {
    xent_target_sums t = {.below = max - y->z_label};
    if (kind <= XENT_LABELS) return t;
    V below_error = {0}, error = {0};
    t.below = (V){0};
    for (int64_t j = 0; j < count; j += VLEN) {
        const V target = xent_target(y, j, count, kind, transposed), below = max - vload_filled(z + j, count - j, 0);
        const VI largest = below == 0;
        V sum = vselect(largest, t.of_max, t.of_others);
        expsum_add_exactly(&t.below, &below_error, (V)((VI)(target * below) & (target != 0))); /* here 0 inf = 0 */
        expsum_add_exactly(&sum, &error, target);
        t.of_max = vselect(largest, sum, t.of_max);
        t.of_others = vselect(largest, t.of_others, sum);
    }
    t.below = xent_settle(t.below, below_error);
    t.of_others += error;
    if (!transposed)
        t = (xent_target_sums){expsum_lane_sum(t.of_max), expsum_lane_sum(t.of_others), expsum_lane_sum(t.below)};
    return t;
}

/* The loss.  R, if not NULL, holds the terms and becomes A - Y, by row multiplied by factor.  For XENT_LABELS it
 * becomes A, by row multiplied by times, and transposed still to be multiplied; xent_put_labels does the rest, one
 * class of a row. */
INLINE V xent_residual(REAL *R, V share, V times, const REAL *z, const expsum *s, const xent_targets *y, int64_t count,
                       const xent_target_kind kind, const int transposed) {
    const xent_target_sums t = xent_sum_targets(s->max, z, y, count, kind, transposed);
    const V mass = kind == XENT_PROBABILITIES ? t.of_max + t.of_others : vsplat(1);
    for (int64_t j = 0; R && !(transposed && kind == XENT_LABELS) && j < count; j += VLEN) {
        V r = vload(R + j);
        if (kind == XENT_FEW_LABELS) {
            const V a = r * share, of_label = vselect(y->z_label == s->max, -(s->rest * share), a - 1);
            r = vselect(y->label == (REAL)(j / VLEN), of_label, a);
        } else if (kind == XENT_LABELS) {
            r *= times;
        } else {
            const V target = xent_target(y, j, count, kind, transposed);
            const V of_largest = (t.of_others + (t.of_max - target)) - mass * (s->rest * share);
            const VI most = (vload_filled(z + j, count - j, 0) == s->max) & (s->lead > s->rest); /* A > 1/2 */
            r = vselect(most, of_largest, mass * (r * share) - target);
            if (!transposed) r *= y->factor;
        }
        vstore_first(R + j, r, count - j);
    }
    return mass * expsum_log(s) + t.below;
}

/* R (rows, k) = R * keep + add at the label of each row */
INLINE void xent_change_labels(REAL *R, V keep_, V add_, const int32_t *label, int64_t rows, int64_t k) {
    REAL keep[VLEN], add[VLEN];
    vstore(keep, keep_);
    vstore(add, add_);
    if (rows == VLEN)
        for (int l = 0; l < VLEN; l++, R += k) R[label[l]] = R[label[l]] * keep[l] + add[l];
    else
        for (int64_t l = 0; l < rows; l++, R += k) R[label[l]] = R[label[l]] * keep[l] + add[l];
}

/* At the labels A, times factor, becomes A - 1: by itself where it is at most 1/2, else from the other terms. */
NOINLINE void xent_put_labels(REAL *R, V times, const expsum *s, const xent_targets *y, const int32_t *label,
                              int64_t rows, int64_t k) {
    const VI largest = y->z_label == s->max;
    const V minus = vselect(largest, s->rest * times, y->factor);
    xent_change_labels(R, vselect(largest, (V){0}, vsplat(1)), -minus, label, rows, k);
}

/* The same of rows that have been multiplied in double, perhaps beyond the range of reals: A is computed anew. */
NOINLINE void xent_put_weighted_labels(REAL *R, V share, const expsum *s, const xent_targets *y, const int32_t *label,
                                       int64_t rows, int64_t k) {
    const V a = vexp_near(vmax(vsplat(-EXPSUM_NEAR), y->z_label - s->max)) * (s->lead * share);
    const V r = vselect(y->z_label == s->max, -(s->rest * share), a - 1);
    REAL weighted[VLEN];
    vstore(weighted, vtimes_wide(r, y->wide_factor));
    for (int64_t l = 0; l < rows; l++) R[l * k + label[l]] = weighted[l];
}

/* labels and weights of the group's rows, count of them from i on; the weights of missing rows are 0 */
INLINE void xent_load_targets(xent_targets *t, const flr_targets *y, const REAL *Z, int64_t i, int64_t count, int64_t k,
                              const xent_target_kind kind, const int transposed) {
    const int64_t rows = transposed ? VLEN : 1;
    t->weighted = y->weight != NULL || count < rows;
    if (t->weighted) {
        double weight[VLEN];
        for (int64_t l = 0; l < VLEN; l++) weight[l] = l >= count ? 0 : y->weight ? y->weight[i + l] : 1;
        memcpy(t->weight, weight, sizeof weight);
    }
    for (int p = 0; transposed && t->in_double && p < VWIDE; p++) t->wide_factor[p] = y->grad_scale * t->weight[p];
    if (kind == XENT_LABELS) {
        const REAL *z = Z + i * k;
        const int32_t *label = y->label + i;
#define XENT_Z_LABEL(l, k) z[(l) * (k) + label[l]]
        if (transposed && count == VLEN)
            t->z_label = (V){VLANES(XENT_Z_LABEL, k)};
        else
            for (int64_t l = 0; l < count; l++) t->z_label[l] = XENT_Z_LABEL(l, k);
        if (!transposed) t->z_label = vsplat(t->z_label[0]);
#undef XENT_Z_LABEL
    } else if (kind != XENT_PROBABILITIES) {
        REAL label[VLEN] = {0};
        for (int64_t l = 0; l < count; l++) label[l] = (REAL)y->label[i + l];
        t->label = transposed ? vload(label) : vsplat(label[0]);
    }
}

/* sums += weight * loss; a row of weight 0 counts nothing, whatever its loss */
INLINE void xent_add_losses(VD *sums, REAL *loss_out, const xent_targets *t, V loss, int64_t count,
                            const int transposed) {
    double values[VLEN];
    for (int p = 0; p < VWIDE; p++) {
        VD value = vwiden(loss, p);
        if (t->weighted) value = (VD)((VDI)(value * t->weight[p]) & (t->weight[p] != 0));
        if (transposed)
            sums[p] += value;
        else if (p == 0)
            sums[0][0] += value[0];
        if (loss_out) memcpy(values + p * (VLEN / VWIDE), &value, sizeof value);
    }
    for (int64_t l = 0; loss_out && l < count; l++) loss_out[l] = (REAL)values[l];
}

INLINE double xent_residuals(void *R_out, void *loss_out, const void *Z_, const flr_targets *y, void *scratch,
                             int64_t m, int64_t k, int stream, const xent_target_kind kind, const int transposed) {
    const REAL *Z = Z_, *prob = y->prob;
    sink to = {R_out, scratch, 0, stream};
    const int64_t step = transposed ? VLEN : 1, stride = k * step, together = groups_together(k);
    REAL columns[GROUP_MOST_CLASSES * VLEN], targets[GROUP_MOST_CLASSES * VLEN], results[GROUP_MOST_CLASSES * VLEN];
    xent_targets t[GROUPS_TOGETHER];
    VD sums[VWIDE] = {{0}};
    expsum s[GROUPS_TOGETHER];
    prefetch ahead = prefetch_begin(y->next, 0, 1);
    const int64_t lines = prefetch_lines_each(y->next, m / step);
    for (int q = 0; q < GROUPS_TOGETHER; q++) {
        t[q].keep = (REAL)(1 - y->smoothing);
        t[q].spread = (REAL)(y->smoothing / (double)k);
        t[q].z_label = (V){0};
        t[q].in_double = y->weight != NULL || !(fabs(y->grad_scale) > 0x1p-32 && fabs(y->grad_scale) < 0x1p32);
        t[q].factor = vsplat(t[q].in_double ? 1 : (REAL)y->grad_scale);
        for (int p = 0; p < VWIDE; p++) t[q].weight[p] = 1 - (VD){0};
    }
    for (int64_t first = 0; first < m; first += together * step) {
        const int64_t left = (m - first + step - 1) / step, n_groups = left < together ? left : together;
        const REAL *z = transposed ? columns : Z + first * k;
        REAL *r = R_out == NULL ? NULL : transposed ? results : sink_room(&to, n_groups * k, n_groups * k + VLEN);
        for (int64_t q = 0, i = first; q < n_groups; q++, i += step) {
            const int64_t count = m - i < step ? m - i : step;
            xent_load_targets(&t[q], y, Z, i, count, k, kind, transposed);
            if (kind == XENT_PROBABILITIES) t[q].prob = transposed ? targets + q * stride : prob + i * k;
            if (transposed) prefetch_lines_at(Z + i * k, together * stride, stride);
            if (transposed) transpose_in(columns + q * stride, Z + i * k, k, count);
            if (transposed && kind == XENT_PROBABILITIES) transpose_in(targets + q * stride, prob + i * k, k, count);
            for (int64_t j = 0; kind == XENT_FEW_LABELS && j < stride; j += VLEN)
                t[q].z_label = vselect(t[q].label == (REAL)(j / VLEN), vload(columns + q * stride + j), t[q].z_label);
        }
        (transposed ? expsum_apart_transposed : expsum_apart_by_row)(s, transposed ? results : r, z, n_groups, stride);
        for (int64_t q = 0, i = first; q < n_groups; q++, i += step) {
            const int64_t count = m - i < step ? m - i : step, at = q * stride;
            prefetch_lines(&ahead, lines);
            REAL *R = r ? r + at : NULL;
            const V share = expsum_reciprocal(&s[q]), times = share * t[q].factor;
            const V loss = xent_residual(R, share, times, z + at, &s[q], &t[q], stride, kind, transposed);
            if (transposed && R) {
                R = sink_room(&to, count * k, stride);
                if (t[q].in_double)
                    transpose_out_times_wide(R, r + at, k, kind == XENT_LABELS ? share : vsplat(1), t[q].wide_factor);
                else
                    transpose_out_times(R, r + at, k, kind == XENT_LABELS ? times : t[q].factor, (V){0});
            }
            if (R && kind == XENT_LABELS && transposed && t[q].in_double)
                xent_put_weighted_labels(R, share, &s[q], &t[q], y->label + i, count, k);
            else if (R && kind == XENT_LABELS)
                xent_put_labels(R, times, &s[q], &t[q], y->label + i, count, k);
            if (R && !transposed && t[q].in_double)
                sink_multiply_rows(R, y->weight ? y->weight + i : NULL, y->grad_scale, 1, k);
            xent_add_losses(sums, loss_out ? (REAL *)loss_out + i : NULL, &t[q], loss, count, transposed);
        }
    }
    if (R_out) sink_finish(&to);
    return vsum_wide(sums);
}

#define XENT_RESIDUALS(kind)                                                                                           \
    (k > GROUP_MOST_CLASSES || m == 1 ? xent_residuals(R_out, loss_out, Z, y, scratch, m, k, stream, kind, 0)          \
                                      : xent_residuals(R_out, loss_out, Z, y, scratch, m, k, stream, kind, 1))
static double xent_residual_softmax(void *R_out, void *loss_out, const void *Z, const flr_targets *y, void *scratch,
                                    int64_t m, int64_t k, int stream) {
    if (y->prob) return XENT_RESIDUALS(XENT_PROBABILITIES);
    if (y->smoothing != 0) return XENT_RESIDUALS(XENT_SMOOTHED_LABELS);
    if (k <= XENT_FEW && m > 1) return xent_residuals(R_out, loss_out, Z, y, scratch, m, k, stream, XENT_FEW_LABELS, 1);
    return XENT_RESIDUALS(XENT_LABELS);
}

#endif
