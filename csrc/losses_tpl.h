/* losses_tpl.h -- the losses of rows of logits, their residuals R = weight * (A - Y), and the Hessian's residuals.
 *
 * Targets Y (probabilities, or a label's 1 and 0s; smoothed towards 1 / k), S = sum Y over a row's classes:
 *     softmax        S log1p(ties - 1 + rest) + sum_j Y_j (max - z_j), in the words of rows_tpl.h      A = softmax(z)
 *     sigmoid        sum_j  max(z_j, 0) - Y_j z_j + log1p(exp(-|z_j|))                                 A = sigmoid(z)
 *     squared_error  sum_j  (z_j - Y_j)^2 / 2                                                          A = z
 * arranged so that no term is negative: nothing cancels.
 */
/* labels as they are or smoothed; with k = 1, labels that are the target itself; target probabilities */
typedef enum { LABELS, SMOOTHED_LABELS, BINARY_LABELS, PROBABILITIES } target_kind;

/* the targets of one unit */
typedef struct {
    const REAL *prob;  /* laid out as z */
    V label;
    REAL keep, spread; /* target = keep * Y + spread: label smoothing, or 1 and 0 */
    REAL z_label[VLEN]; /* LABELS: logit of the label's class */
    V factor;          /* grad_scale * weight */
    int weighted;
    double weight[VLEN];
} unit_targets;

/* the targets of the vector at j, zero past count */
INLINE V target_of(const unit_targets *y, int64_t j, int64_t count, const target_kind kind, const int across) {
    const V lane = iota_real(), class = across ? splat((REAL)(j / VLEN)) : lane + (REAL)j;
    const V one = (V)((VI)splat(1) & (class == y->label));
    const V Y = kind == PROBABILITIES ? take(y->prob + j, count - j, 0) : kind == BINARY_LABELS ? y->label : one;
    const V target = kind == LABELS ? one : y->keep * Y + y->spread;
    return across || count - j >= VLEN ? target : (V)((VI)target & (lane < (REAL)(count - j)));
}

/* a sum and its error; an infinite sum has none */
INLINE V settle(V sum, V error) { return sum + (V)((VI)error & (error == error)); }

/* sum Y and sum Y (max - z) over the classes of a unit */
INLINE void softmax_loss_sums(V *mass_out, V *below_out, V max, const REAL *z, const unit_targets *y, int64_t count,
                              const target_kind kind, const int across) {
    *mass_out = splat(1);
    if (kind == LABELS) {
        *below_out = max - load(y->z_label);
        return;
    }
    V total = {0}, error = {0}, mass = {0};
    for (int64_t j = 0; j < count; j += VLEN) {
        const V target = target_of(y, j, count, kind, across), below = max - take(z + j, count - j, 0);
        add_exactly(&total, &error, (V)((VI)(target * below) & (target != 0))); /* here 0 inf = 0 */
        mass += target;
    }
    total = settle(total, error);
    *below_out = across ? total : all_lanes(total, 0);
    if (kind == PROBABILITIES) *mass_out = across ? mass : all_lanes(mass, 0);
}

/* the loss; R, if not NULL, holds exp(z - max) and becomes the residual, or for LABELS factor * A: subtract_labels
 * does the rest, one class of a row */
INLINE V softmax_residual(REAL *R, const REAL *z, const row_sums *s, const unit_targets *y, int64_t count,
                          const target_kind kind, const int across) {
    V mass, below;
    softmax_loss_sums(&mass, &below, s->max, z, y, count, kind, across);
    if (R) {
        const V share = mass * one_over_sum(s);
        for (int64_t j = 0; j < count; j += VLEN) {
            const V a = load(R + j) * share;
            put(R + j, y->factor * (kind == LABELS ? a : a - target_of(y, j, count, kind, across)), count - j);
        }
    }
    return mass * log_of_sum(s) + below;
}

/* R (rows, k) -= factor at the label of each row */
INLINE void subtract_labels(REAL *R, const unit_targets *y, const int32_t *label, int64_t rows, int64_t k) {
    REAL factor[VLEN];
    store(factor, y->factor);
    for (int64_t l = 0; l < rows; l++) R[l * k + label[l]] -= factor[l];
}

/* sigmoid and squared error: each class for itself; R_out, if not NULL, has room for count rounded up to VLEN */
INLINE V independent_residual(REAL *R_out, const REAL *z, const unit_targets *y, int64_t count, const flr_loss loss,
                              const target_kind kind, const int across) {
    V total = {0}, error = {0};
    for (int64_t j = 0; j < count; j += VLEN) {
        const V x = take(z + j, count - j, 0), target = target_of(y, j, count, kind, across);
        V term, gradient;
        if (loss == FLR_SIGMOID) { /* max(z, 0) - y z + log(1 + exp(-|z|)), its first two terms without cancellation */
            const V t = vexp(-vabs(x)), positive = (V)((VI)splat(1) & (x > 0));
            const V wrong = vabs(positive - target);
            term = (V)((VI)(vabs(x) * wrong) & (wrong != 0)) + vlog1p(t);
            gradient = vselect(x > 0, splat(1), t) / (1 + t) - target;
        } else {
            gradient = x - target;
            term = (REAL)0.5 * gradient * gradient;
        }
        if (!across && count - j < VLEN) term = (V)((VI)term & (iota() < (INT)(count - j)));
        add_exactly(&total, &error, term);
        if (R_out) store(R_out + j, y->factor * gradient);
    }
    total = settle(total, error);
    return across ? total : all_lanes(total, 0);
}

/* labels and weights of the unit's rows from i on, count of them; those of missing rows are 0 */
INLINE void load_unit(unit_targets *t, const flr_targets *y, const REAL *Z, int64_t i, int64_t count, int64_t k,
                      int64_t outcomes, const target_kind kind, const int across) {
    const int64_t rows = across ? VLEN : 1;
    VL label = {0};
    t->keep = (REAL)(1 - y->smoothing);
    t->spread = (REAL)(y->smoothing / (double)outcomes);
    t->weighted = y->weight != NULL || count < rows;
    t->factor = splat((REAL)y->grad_scale);
    if (t->weighted) {
        REAL factor[VLEN];
        for (int64_t l = 0; l < rows; l++) t->weight[l] = l >= count ? 0 : y->weight ? y->weight[i + l] : 1;
        for (int64_t l = 0; l < rows; l++) factor[l] = (REAL)(y->grad_scale * t->weight[l]);
        t->factor = across ? load(factor) : splat(factor[0]);
    }
    if (kind == PROBABILITIES) return;
    for (int64_t l = 0; kind == LABELS && l < rows; l++)
        t->z_label[l] = l < count ? Z[(i + l) * k + y->label[i + l]] : 0;
    if (!across) {
        t->label = splat((REAL)y->label[i]);
        return;
    }
    if (count == VLEN)
        memcpy(&label, y->label + i, sizeof label); /* a constant size: a load */
    else
        memcpy(&label, y->label + i, (size_t)count * sizeof(int32_t));
    t->label = __builtin_convertvector(label, V);
}

/* sums (rows,) += weight * loss; a row of weight 0 counts nothing, whatever its loss */
INLINE void add_losses(double *sums, REAL *loss_out, const unit_targets *t, V loss, int64_t count, const int across) {
    const int64_t rows = across ? VLEN : 1;
    REAL value[VLEN];
    store(value, loss);
    if (t->weighted)
        for (int64_t l = 0; l < rows; l++) value[l] = t->weight[l] == 0 ? 0 : value[l];
    for (int64_t l = 0; l < rows; l++) sums[l] += (t->weighted ? t->weight[l] : 1) * (double)value[l];
    if (loss_out == NULL) return;
    for (int64_t l = 0; l < count; l++)
        loss_out[l] = t->weighted ? (REAL)(t->weight[l] * (double)value[l]) : value[l];
}

INLINE double all_residuals(void *R_out, void *loss_out, const void *Z_, const flr_targets *y, void *scratch, int64_t m,
                            int64_t k, int stream, const flr_loss loss, const target_kind kind, const int across) {
    const REAL *Z = Z_, *prob = y->prob;
    sink to = {R_out, scratch, 0, stream};
    const int64_t step = across ? VLEN : 1, stride = k * step, together = units_together(k);
    REAL columns[SMALL_K * VLEN], targets[SMALL_K * VLEN], results[SMALL_K * VLEN];
    unit_targets t[MAX_UNITS];
    const int64_t outcomes = k == 1 && loss != FLR_SOFTMAX ? 2 : k; /* that smoothing spreads a target over */
    double sums[VLEN] = {0}, sum = 0;
    row_sums s[MAX_UNITS];
    for (int64_t first = 0; first < m; first += together * step) {
        const int64_t left = (m - first + step - 1) / step, n_units = left < together ? left : together;
        const REAL *z = across ? columns : Z + first * k;
        REAL *r = R_out == NULL ? NULL : across ? results : room(&to, n_units * k);
        for (int64_t q = 0, i = first; q < n_units; q++, i += step) {
            const int64_t count = m - i < step ? m - i : step;
            load_unit(&t[q], y, Z, i, count, k, outcomes, kind, across);
            t[q].prob = across ? targets + q * stride : prob + i * k;
            if (across) to_columns(columns + q * stride, Z + i * k, k, count);
            if (across && kind == PROBABILITIES) to_columns(targets + q * stride, prob + i * k, k, count);
        }
        if (loss == FLR_SOFTMAX) (across ? sums_exactly_across : sums_exactly_by_row)(s, r, z, n_units, stride);
        for (int64_t q = 0, i = first; q < n_units; q++, i += step) {
            const int64_t count = m - i < step ? m - i : step, at = q * stride;
            REAL *R = r ? r + at : NULL;
            const V value = loss == FLR_SOFTMAX ? softmax_residual(R, z + at, &s[q], &t[q], stride, kind, across)
                                                : independent_residual(R, z + at, &t[q], stride, loss, kind, across);
            if (across && R) to_rows(R = room(&to, count * k), r + at, k);
            if (R && loss == FLR_SOFTMAX && kind == LABELS) subtract_labels(R, &t[q], y->label + i, count, k);
            add_losses(sums, loss_out ? (REAL *)loss_out + i : NULL, &t[q], value, count, across);
        }
    }
    if (R_out) finish(&to);
    for (int64_t l = 0; l < step; l++) sum += sums[l];
    return sum;
}

#define RESIDUALS(loss, kind)                                                                                         \
    (k > SMALL_K || (m == 1 && k > 1) ? all_residuals(R_out, loss_out, Z, y, scratch, m, k, stream, loss, kind, 0)    \
                                      : all_residuals(R_out, loss_out, Z, y, scratch, m, k, stream, loss, kind, 1))
#define DEFINE_RESIDUAL(name, loss)                                                                                   \
    static double residual_##name(void *R_out, void *loss_out, const void *Z, const flr_targets *y, void *scratch,    \
                                  int64_t m, int64_t k, int stream) {                                                 \
        if (y->prob) return RESIDUALS(loss, PROBABILITIES);                                                           \
        if (loss != FLR_SOFTMAX && k == 1) return RESIDUALS(loss, BINARY_LABELS);                                     \
        return y->smoothing == 0 ? RESIDUALS(loss, LABELS) : RESIDUALS(loss, SMOOTHED_LABELS);                        \
    }
DEFINE_RESIDUAL(softmax, FLR_SOFTMAX)
DEFINE_RESIDUAL(sigmoid, FLR_SIGMOID)
DEFINE_RESIDUAL(squared_error, FLR_SQUARED_ERROR)

/* ---- curvature: H = weight * (dA/dZ) U ---------------------------------------------------------------------------- */
INLINE void curvature_row(REAL *H_out, const REAL *z, const REAL *u, V weight, int64_t count, const flr_loss loss,
                          const int across) {
    if (loss == FLR_SOFTMAX) { /* a * (u - a'u) */
        row_sums s;
        (across ? sums_exactly_across : sums_exactly_by_row)(&s, H_out, z, 1, count);
        const V factor = one_over_sum(&s);
        V mean = {0};
        for (int64_t j = 0; j < count; j += VLEN) mean += load(H_out + j) * take(u + j, count - j, 0);
        mean *= factor;
        if (!across) mean = all_lanes(mean, 0);
        for (int64_t j = 0; j < count; j += VLEN)
            store(H_out + j, weight * ((load(H_out + j) * factor) * (take(u + j, count - j, 0) - mean)));
        return;
    }
    for (int64_t j = 0; j < count; j += VLEN) {
        V slope = splat(1);
        if (loss == FLR_SIGMOID) {
            const V t = vexp(-vabs(take(z + j, count - j, 0)));
            slope = t / ((1 + t) * (1 + t));
        }
        store(H_out + j, weight * (slope * take(u + j, count - j, 0)));
    }
}

INLINE void all_curvatures(void *H_out, const void *Z, const void *U, const double *weight, void *scratch, int64_t m,
                           int64_t k, const flr_loss loss, const int across) {
    const int64_t step = across ? VLEN : 1;
    sink s = {H_out, scratch, 0, 0};
    REAL columns[SMALL_K * VLEN], directions[SMALL_K * VLEN];
    REAL results[SMALL_K * VLEN];
    for (int64_t i = 0; i < m; i += step) {
        const int64_t count = m - i < step ? m - i : step;
        const REAL *z = (const REAL *)Z + i * k, *u = (const REAL *)U + i * k;
        V w = splat(weight ? (REAL)weight[i] : 1);
        if (across) {
            for (int64_t l = 0; weight && l < count; l++) w[l] = (REAL)weight[i + l];
            to_columns(columns, z, k, count);
            to_columns(directions, u, k, count);
            curvature_row(results, columns, directions, w, k * VLEN, loss, 1);
            to_rows(room(&s, count * k), results, k);
        } else {
            curvature_row(room(&s, k), z, u, w, k, loss, 0);
        }
    }
    finish(&s);
}

#define DEFINE_CURVATURE(name, loss)                                                                                  \
    static void curvature_##name(void *H_out, const void *Z, const void *U, const double *weight,               \
                                       void *scratch, int64_t m, int64_t k) {                                         \
        if (k > SMALL_K)                                                                                              \
            all_curvatures(H_out, Z, U, weight, scratch, m, k, loss, 0);                                              \
        else                                                                                                          \
            all_curvatures(H_out, Z, U, weight, scratch, m, k, loss, 1);                                              \
    }
DEFINE_CURVATURE(softmax, FLR_SOFTMAX)
DEFINE_CURVATURE(sigmoid, FLR_SIGMOID)
DEFINE_CURVATURE(squared_error, FLR_SQUARED_ERROR)
