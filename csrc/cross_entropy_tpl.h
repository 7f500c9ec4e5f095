/* cross_entropy_tpl.h -- the loss of rows of softmax logits and its residual R = weight * (A - Y), A = softmax(z).
 *
 * Targets Y (probabilities, or a label's 1 and 0s; smoothed towards 1 / k), S = sum Y over a row's classes:
 *     S log(1 + rest / lead) + sum_j Y_j (max - z_j),  in the words of rows_tpl.h: no term is negative, nothing cancels.
 */
/* labels as they are or smoothed; target probabilities */
typedef enum { LABELS, SMOOTHED_LABELS, PROBABILITIES } target_kind;

/* the targets of one unit */
typedef struct {
    const REAL *prob;  /* laid out as z */
    V label;
    REAL keep, spread; /* target = keep * Y + spread: label smoothing, or 1 and 0 */
    V z_label;         /* LABELS: logit of the label's class */
    V factor;          /* grad_scale * weight */
    int weighted;
    VD weight[WIDE];
} unit_targets;

/* the targets of the vector at j, zero past count */
INLINE V target_of(const unit_targets *y, int64_t j, int64_t count, const target_kind kind, const int across) {
    const V lane = iota_real(), class = across ? splat((REAL)(j / VLEN)) : lane + (REAL)j;
    const V one = (V)((VI)splat(1) & (class == y->label));
    const V target = y->keep * (kind == PROBABILITIES ? take(y->prob + j, count - j, 0) : one) + y->spread;
    return across || count - j >= VLEN ? target : (V)((VI)target & (lane < (REAL)(count - j)));
}

/* a sum and its error; an infinite sum has none */
INLINE V settle(V sum, V error) { return sum + (V)((VI)error & (error == error)); }

/* sum Y and sum Y (max - z) over the classes of a unit */
INLINE void softmax_loss_sums(V *mass_out, V *below_out, V max, const REAL *z, const unit_targets *y, int64_t count,
                              const target_kind kind, const int across) {
    *mass_out = splat(1);
    if (kind == LABELS) {
        *below_out = max - y->z_label;
        return;
    }
    V total = {0}, error = {0}, mass = {0};
    for (int64_t j = 0; j < count; j += VLEN) {
        const V target = target_of(y, j, count, kind, across), below = max - take(z + j, count - j, 0);
        add_exactly(&total, &error, (V)((VI)(target * below) & (target != 0))); /* here 0 inf = 0 */
        mass += target;
    }
    total = settle(total, error);
    *below_out = across ? total : lane_sum(total);
    if (kind == PROBABILITIES) *mass_out = across ? mass : lane_sum(mass);
}

/* The loss.  R, if not NULL, holds the terms and becomes the residual; for LABELS it becomes factor * A,
 * across by what it is still to be multiplied with, times, and subtract_labels does the rest: one class of a row. */
INLINE V softmax_residual(REAL *R, V *times, const REAL *z, const row_sums *s, const unit_targets *y, int64_t count,
                          const target_kind kind, const int across) {
    V mass, below;
    softmax_loss_sums(&mass, &below, s->max, z, y, count, kind, across);
    const V share = mass * one_over_sum(s), factor = y->factor;
    *times = kind == LABELS ? factor * share : splat(1);
    for (int64_t j = 0; R && !(across && kind == LABELS) && j < count; j += VLEN) {
        const V e = load(R + j);
        const V r = kind == LABELS ? e * *times : factor * (e * share - target_of(y, j, count, kind, across));
        put(R + j, r, count - j);
    }
    return mass * log_of_sum(s) + below;
}

/* R (rows, k) -= factor at the label of each row */
INLINE void subtract_labels(REAL *R, const unit_targets *y, const int32_t *label, int64_t rows, int64_t k) {
    REAL factor[VLEN];
    store(factor, y->factor);
    if (rows == VLEN)
        for (int l = 0; l < VLEN; l++, R += k) R[label[l]] -= factor[l];
    else
        for (int64_t l = 0; l < rows; l++, R += k) R[label[l]] -= factor[l];
}

/* labels and weights of the unit's rows from i on, count of them; those of missing rows are 0 */
INLINE void load_unit(unit_targets *t, const flr_targets *y, const REAL *Z, int64_t i, int64_t count, int64_t k,
                      const target_kind kind, const int across) {
    const int64_t rows = across ? VLEN : 1;
    t->weighted = y->weight != NULL || count < rows;
    if (t->weighted) {
        double weight[VLEN];
        REAL factor[VLEN];
        for (int64_t l = 0; l < VLEN; l++) weight[l] = l >= count ? 0 : y->weight ? y->weight[i + l] : 1;
        for (int64_t l = 0; l < VLEN; l++) factor[l] = (REAL)(y->grad_scale * weight[l]);
        memcpy(t->weight, weight, sizeof weight);
        t->factor = across ? load(factor) : splat(factor[0]);
    }
    if (kind == LABELS) {
        const REAL *z = Z + i * k;
        const int32_t *label = y->label + i;
#define Z_LABEL(l, k) z[(l) * (k) + label[l]]
        if (across && count == VLEN)
            t->z_label = (V){LANES(Z_LABEL, k)};
        else
            for (int64_t l = 0; l < count; l++) t->z_label[l] = Z_LABEL(l, k);
        if (!across) t->z_label = splat(t->z_label[0]);
#undef Z_LABEL
    } else if (kind == SMOOTHED_LABELS) {
        REAL label[VLEN] = {0};
        for (int64_t l = 0; l < count; l++) label[l] = (REAL)y->label[i + l];
        t->label = across ? load(label) : splat(label[0]);
    }
}

/* sums += weight * loss; a row of weight 0 counts nothing, whatever its loss */
INLINE void add_losses(VD *sums, REAL *loss_out, const unit_targets *t, V loss, int64_t count, const int across) {
    double values[VLEN];
    for (int p = 0; p < WIDE; p++) {
        VD value = widen(loss, p);
        if (t->weighted) value = (VD)((VDI)(value * t->weight[p]) & (t->weight[p] != 0));
        if (across)
            sums[p] += value;
        else if (p == 0)
            sums[0][0] += value[0];
        if (loss_out) memcpy(values + p * (VLEN / WIDE), &value, sizeof value);
    }
    for (int64_t l = 0; loss_out && l < count; l++) loss_out[l] = (REAL)values[l];
}

INLINE double all_residuals(void *R_out, void *loss_out, const void *Z_, const flr_targets *y, void *scratch, int64_t m,
                            int64_t k, int stream, const target_kind kind, const int across) {
    const REAL *Z = Z_, *prob = y->prob;
    sink to = {R_out, scratch, 0, stream};
    const int64_t step = across ? VLEN : 1, stride = k * step, together = units_together(k);
    REAL columns[SMALL_K * VLEN], targets[SMALL_K * VLEN], results[SMALL_K * VLEN];
    unit_targets t[MAX_UNITS];
    VD sums[WIDE] = {{0}};
    row_sums s[MAX_UNITS];
    fetch ahead = fetch_rows(y->next, 0, 1);
    const int64_t lines = lines_each(y->next, m / step);
    for (int q = 0; q < MAX_UNITS; q++) {
        t[q].keep = (REAL)(1 - y->smoothing);
        t[q].spread = (REAL)(y->smoothing / (double)k);
        t[q].factor = splat((REAL)y->grad_scale);
        t[q].z_label = (V){0};
    }
    for (int64_t first = 0; first < m; first += together * step) {
        const int64_t left = (m - first + step - 1) / step, n_units = left < together ? left : together;
        const REAL *z = across ? columns : Z + first * k;
        REAL *r = R_out == NULL ? NULL : across ? results : room(&to, n_units * k);
        for (int64_t q = 0, i = first; q < n_units; q++, i += step) {
            const int64_t count = m - i < step ? m - i : step;
            load_unit(&t[q], y, Z, i, count, k, kind, across);
            t[q].prob = across ? targets + q * stride : prob + i * k;
            if (across) fetch_ahead(Z + i * k + together * stride, stride);
            if (across) to_columns(columns + q * stride, Z + i * k, k, count);
            if (across && kind == PROBABILITIES) to_columns(targets + q * stride, prob + i * k, k, count);
        }
        (across ? sums_apart_across : sums_apart_by_row)(s, across ? results : r, z, n_units, stride);
        for (int64_t q = 0, i = first; q < n_units; q++, i += step) {
            const int64_t count = m - i < step ? m - i : step, at = q * stride;
            fetch_lines(&ahead, lines);
            REAL *R = r ? r + at : NULL;
            V times;
            const V loss = softmax_residual(R, &times, z + at, &s[q], &t[q], stride, kind, across);
            if (across && R) times_to_rows(R = room(&to, count * k), r + at, k, times);
            if (R && kind == LABELS) subtract_labels(R, &t[q], y->label + i, count, k);
            add_losses(sums, loss_out ? (REAL *)loss_out + i : NULL, &t[q], loss, count, across);
        }
    }
    if (R_out) finish(&to);
    return sum_of_wide(sums);
}

#define RESIDUALS(kind)                                                                                               \
    (k > SMALL_K || m == 1 ? all_residuals(R_out, loss_out, Z, y, scratch, m, k, stream, kind, 0)                     \
                           : all_residuals(R_out, loss_out, Z, y, scratch, m, k, stream, kind, 1))
static double residual_softmax(void *R_out, void *loss_out, const void *Z, const flr_targets *y, void *scratch,
                               int64_t m, int64_t k, int stream) {
    if (y->prob) return RESIDUALS(PROBABILITIES);
    return y->smoothing == 0 ? RESIDUALS(LABELS) : RESIDUALS(SMOOTHED_LABELS);
}
