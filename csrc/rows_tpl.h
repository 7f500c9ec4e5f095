/* rows_tpl.h -- the softmax family over rows, the losses with their residuals, and the Hessian's residuals.
 *
 * One row:  max = max_j z_j,  ties = #{z_j = max},  rest = sum of exp(z_j - max) over z_j < max,
 *     logsumexp   = max + log(1 + (ties - 1 + rest)),  by log1p: the maximum is left out of the sum
 *     log_softmax = (z - max) - log1p(ties - 1 + rest)            softmax = exp(z - max) / (ties + rest)
 *     cross-entropy with targets Y, S = sum Y:  S log1p(ties - 1 + rest) + sum_j Y_j (max - z_j): no term is negative.
 * exp takes the rounding error of z - max along (Blanchard, Higham and Higham 2021, "Accurately computing the
 * log-sum-exp and softmax functions", for the theory).  Rows of -inf, +inf and nan come out as in scipy.special.
 *
 * Two layouts share each formula.  Many classes: the vectors of one row, lanes of which are summed at the end.  Few
 * (k <= SMALL_K): VLEN rows at once, transposed so that vector j is column j and a lane is a row ("across").
 * Results are staged in scratch and flushed to their destination, past the caches if asked.
 */
enum { SMALL_K = 32, FOLD_EVERY = 8 };

/* ---- transposition ------------------------------------------------------------------------------------------------ */
/* result lane l = (l & h) ? b[l - h] : a[l], and (l & h) ? b[l] : a[l + h] */
INLINE V swap_low(V a, V b, const int h) {
    VI order = iota();
    for (int l = 0; l < VLEN; l++) order[l] = l & h ? VLEN + l - h : l;
    return __builtin_shuffle(a, b, order);
}
INLINE V swap_high(V a, V b, const int h) {
    VI order = iota();
    for (int l = 0; l < VLEN; l++) order[l] = l & h ? VLEN + l : l + h;
    return __builtin_shuffle(a, b, order);
}

INLINE void transpose(V *a) {
#pragma GCC unroll 4
    for (int h = VLEN / 2; h > 0; h /= 2)
#pragma GCC unroll 16
        for (int i = 0; i < VLEN; i++)
            if (!(i & h)) {
                const V low = swap_low(a[i], a[i + h], h);
                a[i + h] = swap_high(a[i], a[i + h], h);
                a[i] = low;
            }
}

/* columns (k, VLEN) = the transpose of rows (count, k); the last row stands in for those that are missing */
static inline void to_columns(REAL *columns, const REAL *rows, int64_t k, int64_t count) {
    if (k == 1 && count == VLEN) {
        store(columns, load(rows));
        return;
    }
    for (int64_t c = 0; c < k; c += VLEN) {
        V a[VBYTES / sizeof(REAL)];
        const int width = k - c < VLEN ? (int)(k - c) : VLEN;
        if (width == VLEN)
            for (int i = 0; i < VLEN; i++) a[i] = load(rows + (i < count ? i : count - 1) * k + c);
        else
            for (int i = 0; i < VLEN; i++) a[i] = load_part(rows + (i < count ? i : count - 1) * k + c, width);
        transpose(a);
        for (int i = 0; i < width; i++) store(columns + (c + i) * VLEN, a[i]);
    }
}

/* rows (VLEN, k) = the transpose of columns (k, VLEN).  Whole vectors are stored: a row's last one runs into the next
 * row's first, which is stored later, and the last row's into VLEN values of padding. */
static inline void to_rows(REAL *rows, const REAL *columns, int64_t k) {
    if (k == 1) {
        store(rows, load(columns));
        return;
    }
    for (int64_t group = (k + VLEN - 1) / VLEN, q = 0; q < group; q++) {
        const int64_t c = (q == 0 ? group - 1 : q - 1) * VLEN; /* the part of a vector first */
        V a[VBYTES / sizeof(REAL)];
        for (int i = 0; i < VLEN; i++) a[i] = c + i < k ? load(columns + (c + i) * VLEN) : (V){0};
        transpose(a);
        for (int i = 0; i < VLEN; i++) store(rows + i * k + c, a[i]);
    }
}

/* ---- destination -------------------------------------------------------------------------------------------------- */
typedef struct {
    REAL *out, *stage;
    int64_t filled;
    int stream;
} sink;

static inline void flush(sink *s) {
    const REAL *from = s->stage;
    REAL *to = s->out, *const end = to + s->filled;
    if (s->stream) {
        while (to < end && (uintptr_t)to % VBYTES) *to++ = *from++;
        for (; to + VLEN <= end; to += VLEN, from += VLEN) stream_out(to, load(from));
    }
    memcpy(to, from, (size_t)(end - to) * sizeof(REAL));
    s->out = end;
    s->filled = 0;
}

/* room for count <= k VLEN values of a small k, or one row of k, and VLEN of padding */
INLINE REAL *room(sink *s, int64_t count) {
    if (s->filled > 0 && s->filled + count > FLR_STAGE) flush(s);
    REAL *place = s->stage + s->filled;
    s->filled += count;
    return place;
}

INLINE void finish(sink *s) {
    flush(s);
#if X86_VECTOR
    if (s->stream) _mm_sfence();
#endif
}

/* ---- one row, or VLEN rows across --------------------------------------------------------------------------------- */
/* vector at p, filled up behind left values */
INLINE V take(const REAL *p, int64_t left, REAL fill) {
    if (left >= VLEN) return load(p);
    return vselect(iota() < (INT)left, load_part(p, (int)left), splat(fill));
}

/* the sum or the maximum over lanes, in every lane */
INLINE V all_lanes(V a, const int maximum) {
#pragma GCC unroll 4
    for (int h = VLEN / 2; h > 0; h /= 2) {
        VI order = iota();
        for (int l = 0; l < VLEN; l++) order[l] = l ^ h;
        const V b = __builtin_shuffle(a, order);
        a = maximum ? vmax(a, b) : a + b;
    }
    return a;
}

INLINE void add_exactly(V *sum, V *error, V x) { /* Knuth's TwoSum */
    const V s = *sum + x, part = s - *sum;
    *error += (*sum - (s - part)) + (x - part);
    *sum = s;
}

/* exp(z - max) with the rounding error of the difference */
INLINE V exp_below(V z, V max) {
    const V x = z - max, part = x + max;
    const V error = (z - part) - (max - (part - x));
    return vexp_sum(x, (V)((VI)error & (x > EXP_LOW)));
}

typedef struct { V max, ties, rest; } row_sums;

/* count values, a multiple of VLEN across; e_out (count rounded up to VLEN) = exp(z - max), or NULL */
INLINE row_sums sum_row(REAL *e_out, const REAL *z, int64_t count, const int across) {
    row_sums s = {.max = take(z, count, -(REAL)INFINITY)};
    V max2 = s.max;
    int64_t j = VLEN;
    for (; j + 2 * VLEN <= count; j += 2 * VLEN) {
        s.max = vmax(load(z + j), s.max);
        max2 = vmax(load(z + j + VLEN), max2);
    }
    for (; j < count; j += VLEN) s.max = vmax(take(z + j, count - j, -(REAL)INFINITY), s.max);
    s.max = vmax(max2, s.max);
    if (!across) s.max = all_lanes(s.max, 1);

    V error = {0};
    for (j = 0; j < count;) {
        const int64_t end = j + FOLD_EVERY * VLEN < count ? j + FOLD_EVERY * VLEN : count;
        V part = {0};
        for (; j < end; j += VLEN) {
            const V x = take(z + j, count - j, -(REAL)INFINITY), e = exp_below(x, s.max);
            const VI tie = x == s.max;
            if (e_out) store(e_out + j, e);
            part += (V)((VI)e & ~tie);
            s.ties += (V)((VI)splat(1) & tie);
        }
        add_exactly(&s.rest, &error, part);
    }
    s.rest += error;
    if (!across) {
        s.rest = all_lanes(s.rest, 0);
        s.ties = all_lanes(s.ties, 0);
    }
    return s;
}

INLINE V log_of_sum(const row_sums *s) { return vlog1p((s->ties - 1) + s->rest); }
/* 1 / sum; nan where the maximum is infinite */
INLINE V one_over_sum(const row_sums *s) { return (1 + (s->max - s->max)) / (s->ties + s->rest); }

/* ---- softmax, log_softmax, logsumexp ------------------------------------------------------------------------------ */
INLINE V row_map(REAL *out, const REAL *z, int64_t count, const flr_row_map map, const int across) {
    const row_sums s = sum_row(map == FLR_ROWS_SOFTMAX ? out : NULL, z, count, across);
    if (map == FLR_ROWS_SOFTMAX) {
        const V factor = one_over_sum(&s);
        for (int64_t j = 0; j < count; j += VLEN) store(out + j, load(out + j) * factor);
        return factor;
    }
    const V log_sum = log_of_sum(&s);
    if (map == FLR_ROWS_LOG_SOFTMAX)
        for (int64_t j = 0; j < count; j += VLEN)
            store(out + j, (take(z + j, count - j, 0) - s.max) - log_sum);
    return s.max + log_sum;
}

INLINE void map_all_rows(void *out_, const void *Z_, void *scratch, int64_t m, int64_t k, int stream,
                         const flr_row_map map) {
    const REAL *Z = Z_;
    REAL *out = out_;
    sink s = {out, scratch, 0, stream};
    if (k > SMALL_K) {
        for (int64_t i = 0; i < m; i++) {
            const V value = row_map(map == FLR_ROWS_LOGSUMEXP ? NULL : room(&s, k), Z + i * k, k, map, 0);
            if (map == FLR_ROWS_LOGSUMEXP) out[i] = value[0];
        }
    } else {
        REAL columns[SMALL_K * VBYTES / sizeof(REAL)], results[SMALL_K * VBYTES / sizeof(REAL)];
        for (int64_t i = 0; i < m; i += VLEN) {
            const int64_t count = m - i < VLEN ? m - i : VLEN;
            to_columns(columns, Z + i * k, k, count);
            const V value = row_map(results, columns, k * VLEN, map, 1);
            if (map == FLR_ROWS_LOGSUMEXP)
                count == VLEN ? store(out + i, value) : store_part(out + i, value, (int)count);
            else
                to_rows(room(&s, count * k), results, k);
        }
    }
    finish(&s);
}

#define DEFINE_ROW_MAP(name, map)                                                                                     \
    static void name(void *out, const void *Z, void *scratch, int64_t m, int64_t k, int stream) {               \
        map_all_rows(out, Z, scratch, m, k, stream, map);                                                             \
    }
DEFINE_ROW_MAP(softmax, FLR_ROWS_SOFTMAX)
DEFINE_ROW_MAP(log_softmax, FLR_ROWS_LOG_SOFTMAX)
DEFINE_ROW_MAP(logsumexp, FLR_ROWS_LOGSUMEXP)

/* ---- loss and residual -------------------------------------------------------------------------------------------- */
/* Where the targets of one row (or of VLEN rows across) come from. */
typedef struct {
    const REAL *prob;  /* laid out as z, or NULL for labels */
    V label;           /* class, or the target itself where binary (k = 1) */
    REAL keep, spread; /* target = keep * Y + spread: label smoothing, or 1 and 0 */
    V factor;          /* grad_scale * weight */
    int binary;
} row_targets;

/* the targets of the vector at j, zero past count */
INLINE V target_of(const row_targets *y, int64_t j, int64_t count, const int soft, const int across) {
    const V lane = __builtin_convertvector(iota(), V), class = across ? splat((REAL)(j / VLEN)) : lane + (REAL)j;
    const V Y = soft ? take(y->prob + j, count - j, 0)
                     : y->binary ? y->label : (V)((VI)splat(1) & (class == y->label));
    const V target = y->keep * Y + y->spread;
    return across || count - j >= VLEN ? target : (V)((VI)target & (lane < (REAL)(count - j)));
}

/* a sum and its error; an infinite sum has none */
INLINE V settle(V sum, V error) { return sum + (V)((VI)error & (error == error)); }

/* The losses below return the loss of the row; R_out, if not NULL, has room for count rounded up to VLEN. */
INLINE V softmax_residual(REAL *R_out, const REAL *z, const row_targets *y, int64_t count, const int soft,
                          const int across) {
    const row_sums s = sum_row(R_out, z, count, across);
    V below = {0}, error = {0}, mass = {0};
    for (int64_t j = 0; j < count; j += VLEN) {
        const V target = target_of(y, j, count, soft, across);
        const V term = (V)((VI)(target * (s.max - take(z + j, count - j, 0))) & (target != 0)); /* here 0 inf = 0 */
        add_exactly(&below, &error, term);
        mass += target;
    }
    below = settle(below, error);
    if (!across) {
        below = all_lanes(below, 0);
        mass = all_lanes(mass, 0);
    }
    if (!soft) mass = splat(1);
    if (R_out) {
        const V share = mass * one_over_sum(&s);
        for (int64_t j = 0; j < count; j += VLEN) {
            const V a = load(R_out + j) * share;
            store(R_out + j, y->factor * (a - target_of(y, j, count, soft, across)));
        }
    }
    return mass * log_of_sum(&s) + below;
}

INLINE V independent_residual(REAL *R_out, const REAL *z, const row_targets *y, int64_t count, const flr_loss loss,
                              const int soft, const int across) {
    V total = {0}, error = {0};
    for (int64_t j = 0; j < count; j += VLEN) {
        const V x = take(z + j, count - j, 0), target = target_of(y, j, count, soft, across);
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
        if (!across && count - j < VLEN) term = vselect(iota() < (INT)(count - j), term, (V){0});
        add_exactly(&total, &error, term);
        if (R_out) store(R_out + j, y->factor * gradient);
    }
    total = settle(total, error);
    return across ? total : all_lanes(total, 0);
}

INLINE double all_residuals(void *R_out, void *loss_out, const void *Z_, const flr_targets *y, void *scratch, int64_t m,
                            int64_t k, int stream, const flr_loss loss, const int soft, const int across) {
    const REAL *Z = Z_, *prob = y->prob;
    const int64_t step = across ? VLEN : 1;
    const double smoothing_classes = k > 1 ? (double)k : 2;
    sink s = {R_out, scratch, 0, stream};
    REAL columns[SMALL_K * VBYTES / sizeof(REAL)], targets[SMALL_K * VBYTES / sizeof(REAL)];
    REAL results[SMALL_K * VBYTES / sizeof(REAL)];
    double sums[VBYTES / sizeof(REAL)] = {0};
    row_targets t = {.keep = (REAL)(1 - y->smoothing), .spread = (REAL)(y->smoothing / smoothing_classes),
                     .binary = k == 1};

    for (int64_t i = 0; i < m; i += step) {
        const int64_t count = m - i < step ? m - i : step;
        double weight[VBYTES / sizeof(REAL)];
        for (int64_t l = 0; l < step; l++) weight[l] = l >= count ? 0 : y->weight ? y->weight[i + l] : 1;
        if (across) {
            for (int64_t l = 0; l < VLEN; l++) t.factor[l] = (REAL)(y->grad_scale * weight[l]);
            if (!soft)
                for (int64_t l = 0; l < VLEN; l++) t.label[l] = (REAL)y->label[l < count ? i + l : i];
        } else {
            t.factor = splat((REAL)(y->grad_scale * weight[0]));
            if (!soft) t.label = splat((REAL)y->label[i]);
        }
        const REAL *z = Z + i * k;
        REAL *R = NULL;
        if (across) {
            to_columns(columns, z, k, count);
            if (soft) to_columns(targets, prob + i * k, k, count);
            z = columns;
            t.prob = targets;
            if (R_out) R = results;
        } else {
            if (soft) t.prob = prob + i * k;
            if (R_out) R = room(&s, k);
        }
        const V value = loss == FLR_SOFTMAX ? softmax_residual(R, z, &t, k * step, soft, across)
                                            : independent_residual(R, z, &t, k * step, loss, soft, across);
        if (across && R_out) to_rows(room(&s, count * k), results, k);
        for (int64_t l = 0; l < step; l++) sums[l] += weight[l] == 0 ? 0 : weight[l] * (double)value[l];
        if (loss_out)
            for (int64_t l = 0; l < count; l++)
                ((REAL *)loss_out)[i + l] = weight[l] == 1 ? value[l] : (REAL)(weight[l] * (double)value[l]);
    }
    if (R_out) finish(&s);
    double sum = 0;
    for (int64_t l = 0; l < step; l++) sum += sums[l];
    return sum;
}

#define DEFINE_RESIDUAL(name, loss)                                                                                   \
    static double residual_##name(void *R_out, void *loss_out, const void *Z, const flr_targets *y,             \
                                        void *scratch, int64_t m, int64_t k, int stream) {                            \
        if (k > SMALL_K)                                                                                              \
            return y->prob ? all_residuals(R_out, loss_out, Z, y, scratch, m, k, stream, loss, 1, 0)                  \
                           : all_residuals(R_out, loss_out, Z, y, scratch, m, k, stream, loss, 0, 0);                 \
        return y->prob ? all_residuals(R_out, loss_out, Z, y, scratch, m, k, stream, loss, 1, 1)                      \
                       : all_residuals(R_out, loss_out, Z, y, scratch, m, k, stream, loss, 0, 1);                     \
    }
DEFINE_RESIDUAL(softmax, FLR_SOFTMAX)
DEFINE_RESIDUAL(sigmoid, FLR_SIGMOID)
DEFINE_RESIDUAL(squared_error, FLR_SQUARED_ERROR)

/* ---- curvature: H = weight * (dA/dZ) U ---------------------------------------------------------------------------- */
INLINE void curvature_row(REAL *H_out, const REAL *z, const REAL *u, V weight, int64_t count, const flr_loss loss,
                          const int across) {
    if (loss == FLR_SOFTMAX) { /* a * (u - a'u) */
        const row_sums s = sum_row(H_out, z, count, across);
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
    REAL columns[SMALL_K * VBYTES / sizeof(REAL)], directions[SMALL_K * VBYTES / sizeof(REAL)];
    REAL results[SMALL_K * VBYTES / sizeof(REAL)];
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
