/* independent_tpl.h -- losses whose classes do not see each other, and their residuals R = weight * (A - Y).
 *
 * Targets Y (probabilities, a label's 1 and 0s, or for k = 1 the label itself; smoothed towards 1 / outcomes):
 *     sigmoid        sum_j  max(z_j, 0) - Y_j z_j + log(1 + exp(-|z_j|))     A = sigmoid(z)
 *     squared_error  sum_j  (z_j - Y_j)^2 / 2                                A = z
 * arranged so that no term is negative: nothing cancels.  Rows do not matter but for their weights and losses, so
 * values are taken as they lie in memory, up to BLOCK at a time.
 */
enum { BLOCK = 512 };

/* the loss of one logit, and A - Y */
INLINE V independent_loss(V *gradient_out, V z, V target, const flr_loss loss) {
    if (loss == FLR_SQUARED_ERROR) {
        *gradient_out = z - target;
        return (REAL)0.5 * *gradient_out * *gradient_out;
    }
    /* max(z, 0) - y z is |z| times what the sign of z leaves of the target; 0 inf = 0 here */
    const V t = vexp_negative(-vabs(z), NULL), wrong = vabs((V)((VI)splat(1) & (z > 0)) - target);
    *gradient_out = vselect(z > 0, splat(1), t) / (1 + t) - target;
    return (V)((VI)(vabs(z) * wrong) & (wrong != 0)) + vlog1p_ratio(t, splat(1));
}

/* Y_out (rows, k): a 1 at each label, or for k = 1 the label */
INLINE void spell_out(REAL *Y_out, const int32_t *label, int64_t rows, int64_t k) {
    if (k > 1) memset(Y_out, 0, (size_t)(rows * k) * sizeof(REAL));
    for (int64_t i = 0; i < rows; i++) Y_out[k > 1 ? i * k + label[i] : i] = k > 1 ? 1 : (REAL)label[i];
}

/* Losses of n values: added to the lanes of sums, and each by itself.  r and terms_out: room for n rounded up to VLEN,
 * or NULL. */
INLINE void independent_block(REAL *r, REAL *terms_out, VD *sums, const REAL *z, const REAL *Y, int64_t n,
                              const flr_targets *y, fetch *ahead, int64_t lines, int64_t outcomes,
                              const flr_loss loss) {
    const V keep = splat((REAL)(1 - y->smoothing)), spread = splat((REAL)(y->smoothing / (double)outcomes));
    const V grad_scale = splat((REAL)y->grad_scale);
    for (int64_t j = 0; j < n; j += VLEN) {
        fetch_lines(ahead, lines);
        V gradient;
        V term = independent_loss(&gradient, take(z + j, n - j, 0), keep * take(Y + j, n - j, 0) + spread, loss);
        if (r) store(r + j, grad_scale * gradient);
        if (n - j < VLEN) term = (V)((VI)term & (iota() < (INT)(n - j)));
        if (terms_out) store(terms_out + j, term);
        for (int p = 0; p < WIDE; p++) sums[p] += widen(term, p);
    }
}

/* the weighted loss of a row, r (n,) times its weight; a row of weight 0 counts nothing, whatever its loss */
INLINE double weigh_row(REAL *r, const REAL *terms, int64_t n, const double *weight) {
    double sum = 0;
    for (int64_t j = 0; j < n; j++) sum += (double)terms[j];
    for (int64_t j = 0; r && weight && j < n; j++) r[j] *= (REAL)*weight;
    return weight == NULL ? sum : *weight == 0 ? 0 : *weight * sum;
}

INLINE double independent_residuals(void *R_out, void *loss_out, const void *Z_, const flr_targets *y, void *scratch,
                                    int64_t m, int64_t k, int stream, const flr_loss loss) {
    const REAL *Z = Z_, *prob = y->prob;
    sink to = {R_out, scratch, 0, stream};
    REAL spelled[BLOCK], terms[BLOCK];
    VD sums[WIDE] = {{0}};
    double total = 0;
    fetch ahead = fetch_rows(y->next, 0, 1);
    const int64_t lines = lines_each(y->next, m * k / VLEN);
    const int by_row = y->weight || loss_out;
    const int64_t step = k < BLOCK ? BLOCK / k : 1, width = k < BLOCK ? k : BLOCK, outcomes = k == 1 ? 2 : k;
    for (int64_t first = 0; first < m; first += step) {
        const int64_t rows = m - first < step ? m - first : step;
        double row_loss = 0;
        for (int64_t c = 0; c < k; c += width) { /* a long row by parts */
            const int64_t part = k - c < width ? k - c : width, n = rows * part, at = first * k + c;
            REAL *r = R_out ? room(&to, n) : NULL;
            if (prob == NULL && part == k)
                spell_out(spelled, y->label + first, rows, k);
            else if (prob == NULL)
                for (int64_t j = 0; j < n; j++) spelled[j] = y->label[first] == c + j;
            independent_block(r, by_row ? terms : NULL, sums, Z + at, prob ? prob + at : spelled, n, y, &ahead, lines,
                              outcomes, loss);
            for (int64_t i = 0; by_row && i < rows; i++) {
                const double *weight = y->weight ? y->weight + first + i : NULL;
                row_loss = (c ? row_loss : 0) + weigh_row(r ? r + i * part : NULL, terms + i * part, part, weight);
                if (c + part < k) continue;
                total += row_loss;
                if (loss_out) ((REAL *)loss_out)[first + i] = (REAL)row_loss;
            }
        }
    }
    if (R_out) finish(&to);
    return y->weight ? total : sum_of_wide(sums);
}

#define DEFINE_RESIDUAL(name, loss)                                                                                   \
    static double residual_##name(void *R_out, void *loss_out, const void *Z, const flr_targets *y, void *scratch,    \
                                  int64_t m, int64_t k, int stream) {                                                 \
        return independent_residuals(R_out, loss_out, Z, y, scratch, m, k, stream, loss);                             \
    }
DEFINE_RESIDUAL(sigmoid, FLR_SIGMOID)
DEFINE_RESIDUAL(squared_error, FLR_SQUARED_ERROR)
