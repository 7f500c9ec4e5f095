/* cross_entropy_tpl.h -- the loss of rows of softmax logits and its residual R = weight * (A - Y), A = softmax(z).
 *
 * Targets Y (probabilities, or a label's 1 and 0s; smoothed towards 1 / k), S = sum Y over a row's classes:
 *     S log(1 + rest / lead) + sum_j Y_j (max - z_j),  in the words of rows_tpl.h: no term is negative, nothing cancels.
 * A - Y of the largest logit is (S - Y) - S rest / total: where A rounds to 1 its digits are those of the rest.
 */
/* labels as they are, of FEW classes found by comparing columns, else by their place in a row; smoothed; probabilities */
typedef enum { FEW_LABELS, LABELS, SMOOTHED_LABELS, PROBABILITIES } target_kind;
enum { FEW = 4 };

/* the targets of one unit */
typedef struct {
    const REAL *prob;  /* laid out as z */
    V label;
    REAL keep, spread; /* target = keep * Y + spread: label smoothing, or 1 and 0 */
    V z_label;         /* LABELS and few: logit of the label's class */
    int weighted;
    VD weight[WIDE];
    V factor;          /* grad_scale; or 1, where residuals are weighed in double: across by wide_factor */
    int weigh;         /* where there are weights, or grad_scale might take the factor of A out of the range of reals */
    VD wide_factor[WIDE];
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

/* of a unit's targets: their sum over the largest logits (one, or ties), over all others (with the rounding errors of both
 * sums), and sum Y (max - z) */
typedef struct { V of_max, of_others, below; } target_sums;

INLINE target_sums sum_targets(V max, const REAL *z, const unit_targets *y, int64_t count, const target_kind kind,
                               const int across) {
    target_sums t = {.below = max - y->z_label};
    if (kind <= LABELS) return t;
    V below_error = {0}, error = {0};
    t.below = (V){0};
    for (int64_t j = 0; j < count; j += VLEN) {
        const V target = target_of(y, j, count, kind, across), below = max - take(z + j, count - j, 0);
        const VI largest = below == 0;
        V sum = vselect(largest, t.of_max, t.of_others);
        add_exactly(&t.below, &below_error, (V)((VI)(target * below) & (target != 0))); /* here 0 inf = 0 */
        add_exactly(&sum, &error, target);
        t.of_max = vselect(largest, sum, t.of_max);
        t.of_others = vselect(largest, t.of_others, sum);
    }
    t.below = settle(t.below, below_error);
    t.of_others += error;
    if (!across) t = (target_sums){lane_sum(t.of_max), lane_sum(t.of_others), lane_sum(t.below)};
    return t;
}

/* The loss.  R, if not NULL, holds the terms and becomes A - Y, by row times factor; for LABELS A, by row times times and
 * across still to be multiplied, and put_labels does the rest: one class of a row. */
INLINE V softmax_residual(REAL *R, V share, V times, const REAL *z, const row_sums *s, const unit_targets *y,
                          int64_t count, const target_kind kind, const int across) {
    const target_sums t = sum_targets(s->max, z, y, count, kind, across);
    const V mass = kind == PROBABILITIES ? t.of_max + t.of_others : splat(1);
    for (int64_t j = 0; R && !(across && kind == LABELS) && j < count; j += VLEN) {
        V r = load(R + j);
        if (kind == FEW_LABELS) {
            const V a = r * share, of_label = vselect(y->z_label == s->max, -(s->rest * share), a - 1);
            r = vselect(y->label == (REAL)(j / VLEN), of_label, a);
        } else if (kind == LABELS) {
            r *= times;
        } else {
            const V target = target_of(y, j, count, kind, across);
            const V of_largest = (t.of_others + (t.of_max - target)) - mass * (s->rest * share);
            const VI most = (take(z + j, count - j, 0) == s->max) & (s->lead > s->rest); /* A > 1/2 */
            r = vselect(most, of_largest, mass * (r * share) - target);
            if (!across) r *= y->factor;
        }
        put(R + j, r, count - j);
    }
    return mass * log_of_sum(s) + t.below;
}

/* R (rows, k) = R * keep + add at the label of each row */
INLINE void change_labels(REAL *R, V keep_, V add_, const int32_t *label, int64_t rows, int64_t k) {
    REAL keep[VLEN], add[VLEN];
    store(keep, keep_);
    store(add, add_);
    if (rows == VLEN)
        for (int l = 0; l < VLEN; l++, R += k) R[label[l]] = R[label[l]] * keep[l] + add[l];
    else
        for (int64_t l = 0; l < rows; l++, R += k) R[label[l]] = R[label[l]] * keep[l] + add[l];
}

/* At the labels A, times factor, becomes A - 1: by itself where it is at most 1/2, else it is made of the other terms. */
NOINLINE void put_labels(REAL *R, V times, const row_sums *s, const unit_targets *y, const int32_t *label, int64_t rows,
                         int64_t k) {
    const VI largest = y->z_label == s->max;
    const V minus = vselect(largest, s->rest * times, y->factor);
    change_labels(R, vselect(largest, (V){0}, splat(1)), -minus, label, rows, k);
}

/* The same of rows that have been weighed, perhaps beyond the reals: A is made once more. */
NOINLINE void put_weighed_labels(REAL *R, V share, const row_sums *s, const unit_targets *y, const int32_t *label,
                                 int64_t rows, int64_t k) {
    const V a = vexp_near(vmax(splat(-NEAR), y->z_label - s->max)) * (s->lead * share);
    const V r = vselect(y->z_label == s->max, -(s->rest * share), a - 1);
    REAL weighed[VLEN];
    store(weighed, times_wide(r, y->wide_factor));
    for (int64_t l = 0; l < rows; l++) R[l * k + label[l]] = weighed[l];
}

/* labels and weights of the unit's rows from i on, count of them; the weights of missing rows are 0 */
INLINE void load_unit(unit_targets *t, const flr_targets *y, const REAL *Z, int64_t i, int64_t count, int64_t k,
                      const target_kind kind, const int across) {
    const int64_t rows = across ? VLEN : 1;
    t->weighted = y->weight != NULL || count < rows;
    if (t->weighted) {
        double weight[VLEN];
        for (int64_t l = 0; l < VLEN; l++) weight[l] = l >= count ? 0 : y->weight ? y->weight[i + l] : 1;
        memcpy(t->weight, weight, sizeof weight);
    }
    for (int p = 0; across && t->weigh && p < WIDE; p++) t->wide_factor[p] = y->grad_scale * t->weight[p];
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
    } else if (kind != PROBABILITIES) {
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
        t[q].z_label = (V){0};
        t[q].weigh = y->weight != NULL || !(fabs(y->grad_scale) > 0x1p-32 && fabs(y->grad_scale) < 0x1p32);
        t[q].factor = splat(t[q].weigh ? 1 : (REAL)y->grad_scale);
        for (int p = 0; p < WIDE; p++) t[q].weight[p] = 1 - (VD){0};
    }
    for (int64_t first = 0; first < m; first += together * step) {
        const int64_t left = (m - first + step - 1) / step, n_units = left < together ? left : together;
        const REAL *z = across ? columns : Z + first * k;
        REAL *r = R_out == NULL ? NULL : across ? results : room(&to, n_units * k, n_units * k + VLEN);
        for (int64_t q = 0, i = first; q < n_units; q++, i += step) {
            const int64_t count = m - i < step ? m - i : step;
            load_unit(&t[q], y, Z, i, count, k, kind, across);
            if (kind == PROBABILITIES) t[q].prob = across ? targets + q * stride : prob + i * k;
            if (across) fetch_ahead(Z + i * k, together * stride, stride);
            if (across) to_columns(columns + q * stride, Z + i * k, k, count);
            if (across && kind == PROBABILITIES) to_columns(targets + q * stride, prob + i * k, k, count);
            for (int64_t j = 0; kind == FEW_LABELS && j < stride; j += VLEN)
                t[q].z_label = vselect(t[q].label == (REAL)(j / VLEN), load(columns + q * stride + j), t[q].z_label);
        }
        (across ? sums_apart_across : sums_apart_by_row)(s, across ? results : r, z, n_units, stride);
        for (int64_t q = 0, i = first; q < n_units; q++, i += step) {
            const int64_t count = m - i < step ? m - i : step, at = q * stride;
            fetch_lines(&ahead, lines);
            REAL *R = r ? r + at : NULL;
            const V share = one_over_sum(&s[q]), times = share * t[q].factor;
            const V loss = softmax_residual(R, share, times, z + at, &s[q], &t[q], stride, kind, across);
            if (across && R) {
                R = room(&to, count * k, stride);
                if (t[q].weigh)
                    times_wide_to_rows(R, r + at, k, kind == LABELS ? share : splat(1), t[q].wide_factor);
                else
                    times_to_rows(R, r + at, k, kind == LABELS ? times : t[q].factor, (V){0});
            }
            if (R && kind == LABELS && across && t[q].weigh)
                put_weighed_labels(R, share, &s[q], &t[q], y->label + i, count, k);
            else if (R && kind == LABELS)
                put_labels(R, times, &s[q], &t[q], y->label + i, count, k);
            if (R && !across && t[q].weigh) weigh_rows(R, y->weight ? y->weight + i : NULL, y->grad_scale, 1, k);
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
    if (y->smoothing != 0) return RESIDUALS(SMOOTHED_LABELS);
    if (k <= FEW && m > 1) return all_residuals(R_out, loss_out, Z, y, scratch, m, k, stream, FEW_LABELS, 1);
    return RESIDUALS(LABELS);
}
