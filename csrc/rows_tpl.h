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
 * (k <= SMALL_K): VLEN rows at once, transposed so that vector j is column j and a lane is a row ("across").  What is
 * computed together, a row or VLEN rows, is a unit here.  Several units go through each step in turn, so that the
 * long chain from sum to quotient or logarithm of one overlaps with the next.
 * Results are staged in scratch and flushed to their destination, past the caches if asked.
 */
enum { SMALL_K = 64, FOLD_EVERY = 4, MAX_UNITS = 16 };

/* ---- transposition ------------------------------------------------------------------------------------------------ */
#define SWAP_LOW(l, h) ((l) & (h) ? VLEN + (l) - (h) : (l))
#define SWAP_HIGH(l, h) ((l) & (h) ? VLEN + (l) : (l) + (h))
#define SWAP_STAGE(a, h, count)                                                                                       \
    for (int i = 0; i < (count); i++)                                                                                 \
        if (!(i & (h))) {                                                                                             \
            const V low = SHUFFLE(a[i], a[i + (h)], SWAP_LOW, h);                                                     \
            a[i + (h)] = SHUFFLE(a[i], a[i + (h)], SWAP_HIGH, h);                                                     \
            a[i] = low;                                                                                               \
        }
#define ZIP_LOW(l, h) ((l) / 2 + (l) % 2 * VLEN)
#define ZIP_HIGH(l, h) (VLEN / 2 + ZIP_LOW(l, h))
#define UPPER_HALF(l, h) ((l) % (VLEN / 2) + VLEN / 2)

/* a, VLEN vectors: off-diagonal blocks of h lanes change places, h halved each time.  Where the upper half of the
 * vectors that result is not wanted (few columns), it is not made. */
INLINE void transpose_blocks(V *a, const int first_half_only) {
    const int count = first_half_only ? VLEN / 2 : VLEN;
    (void)a, (void)count;
#if VLEN >= 16
    SWAP_STAGE(a, 4, count)
#endif
#if VLEN >= 8
    SWAP_STAGE(a, 2, count)
#endif
#if VLEN >= 4
    SWAP_STAGE(a, 1, count)
#endif
}

INLINE void transpose(V *a) {
    SWAP_STAGE(a, VLEN / 2, VLEN)
    transpose_blocks(a, 0);
}

/* columns (k, VLEN) = the transpose of rows (count, k); the last row stands in for those that are missing */
NOINLINE void to_columns(REAL *columns, const REAL *rows, int64_t k, int64_t count) {
    if (count == VLEN && k == 1) {
        store(columns, load(rows));
        return;
    }
    if (count == VLEN && k == 2) {
        const V a = load(rows), b = load(rows + VLEN);
        store(columns, SHUFFLE(a, b, EVEN_BLOCKS, 1));
        store(columns + VLEN, SHUFFLE(a, b, ODD_BLOCKS, 1));
        return;
    }
    for (int64_t c = 0; c < k; c += VLEN) {
        V a[VLEN];
        const int width = k - c < VLEN ? (int)(k - c) : VLEN;
        if (width == VLEN)
            for (int i = 0; i < VLEN; i++) a[i] = load(rows + (i < count ? i : count - 1) * k + c);
        else
            for (int i = 0; i < VLEN; i++) a[i] = load_part(rows + (i < count ? i : count - 1) * k + c, width);
        if (width <= VLEN / 2) {
            for (int i = 0; i < VLEN / 2; i++) a[i] = SHUFFLE(a[i], a[i + VLEN / 2], SWAP_LOW, VLEN / 2);
            transpose_blocks(a, 1);
        } else {
            transpose(a);
        }
        for (int i = 0; i < width; i++) store(columns + (c + i) * VLEN, a[i]);
    }
}

/* rows (VLEN, k) = the transpose of columns (k, VLEN).  Whole vectors are stored: a row's last one runs into the next
 * row's first, which is stored later, and the last row's into VLEN values of padding. */
NOINLINE void to_rows(REAL *rows, const REAL *columns, int64_t k) {
    if (k == 1) {
        store(rows, load(columns));
        return;
    }
    if (k == 2) {
        const V a = load(columns), b = load(columns + VLEN);
        store(rows, SHUFFLE(a, b, ZIP_LOW, 0));
        store(rows + VLEN, SHUFFLE(a, b, ZIP_HIGH, 0));
        return;
    }
    for (int64_t group = (k + VLEN - 1) / VLEN, q = 0; q < group; q++) {
        const int64_t c = (q == 0 ? group - 1 : q - 1) * VLEN; /* the part of a vector first */
        V a[VLEN];
        if (k - c <= VLEN / 2) {
            for (int i = 0; i < VLEN / 2; i++) a[i] = c + i < k ? load(columns + (c + i) * VLEN) : (V){0};
            transpose_blocks(a, 1);
            for (int i = 0; i < VLEN / 2; i++) a[i + VLEN / 2] = SHUFFLE(a[i], a[i], UPPER_HALF, 0);
        } else {
            for (int i = 0; i < VLEN; i++) a[i] = c + i < k ? load(columns + (c + i) * VLEN) : (V){0};
            transpose(a);
        }
        for (int i = 0; i < VLEN; i++) store(rows + i * k + c, a[i]);
    }
}

/* ---- destination -------------------------------------------------------------------------------------------------- */
typedef struct {
    REAL *out, *stage;
    int64_t filled;
    int stream;
} sink;

NOINLINE void flush(sink *s) {
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

/* the left first values of v, or all: what lies behind them in out is another row */
INLINE void put(REAL *p, V v, int64_t left) { left >= VLEN ? store(p, v) : store_part(p, v, (int)left); }

#define ACROSS(l, h) ((l) ^ (h))
#define REDUCE_STAGE(a, h)                                                                                            \
    {                                                                                                                 \
        const V other = SHUFFLE(a, a, ACROSS, h);                                                                     \
        a = maximum ? vmax(a, other) : a + other;                                                                     \
    }

/* the sum or the maximum over lanes, in every lane */
INLINE V all_lanes(V a, const int maximum) {
#if VLEN >= 16
    REDUCE_STAGE(a, 8)
#endif
#if VLEN >= 8
    REDUCE_STAGE(a, 4)
#endif
#if VLEN >= 4
    REDUCE_STAGE(a, 2)
#endif
    REDUCE_STAGE(a, 1)
    return a;
}

/* integers from 0 to 2^22 as reals */
INLINE V small_integer(VI n) {
#if REAL_BITS == 32
    return __builtin_convertvector(n, V);
#else
    return (V)((VUI)n | 0x4330000000000000u) - 0x1p52;
#endif
}

INLINE void add_exactly(V *sum, V *error, V x) { /* Knuth's TwoSum */
    const V s = *sum + x, part = s - *sum;
    *error += (*sum - (s - part)) + (x - part);
    *sum = s;
}

/* How exp(z - max) is taken.  LOOSELY: for logsumexp, where the rounding error of z - max is negligible, since what it
 * adds is not small.  EXACTLY: with that error, where no result is subnormal; CAREFULLY: whatever the result. */
typedef enum { LOOSELY, EXACTLY, CAREFULLY } precision;

INLINE V exp_below(V z, V max, const precision how) {
    const V x = z - max, part = x + max;
    if (how == LOOSELY) return vexp_term(x);
    const V error = (z - part) - (max - (part - x)); /* Knuth's TwoSum */
    if (how == EXACTLY) {
        const exp_parts e = vexp_parts(x, error);
        return scale_normal(e.value, e.shifted);
    }
    const exp_parts e = vexp_parts(vmax(splat(EXP_LOW), x), (V)((VI)error & (x > EXP_LOW)));
    return scale(e.value, e.shifted);
}

/* the largest and the smallest of count values, lane by lane across */
INLINE void extremes(V *max_out, V *min_out, const REAL *z, int64_t count, const int across) {
    V max = take(z, count, z[0]), min = max, max2 = max, min2 = max;
    int64_t j = VLEN;
    for (; j + 2 * VLEN <= count; j += 2 * VLEN) {
        const V a = load(z + j), b = load(z + j + VLEN);
        max = vmax(a, max), max2 = vmax(b, max2);
        min = vmin(a, min), min2 = vmin(b, min2);
    }
    for (; j < count; j += VLEN) {
        const V a = take(z + j, count - j, z[0]);
        max = vmax(a, max);
        min = vmin(a, min);
    }
    max = vmax(max2, max);
    *max_out = across ? max : all_lanes(max, 1);
    *min_out = vmin(min2, min);
}

/* rest leaves out the ties with the maximum, if they are counted, and holds the whole sum otherwise */
typedef struct { V max, ties, rest; } row_sums;

/* exp(z - max) of the vector at j, stored at e_out if that is not NULL; 0 for ties, if they are counted */
INLINE V sum_term(VI *ties, REAL *e_out, const REAL *z, int64_t j, int64_t count, V max, const precision how,
                  const int count_ties, const int across) {
    const V x = across ? load(z + j) : take(z + j, count - j, max[0]);
    V e = exp_below(x, max, how);
    VI tie = x == max;
    if (e_out) store(e_out + j, e);
    if (!across && count - j < VLEN) {
        const VI inside = iota() < (INT)(count - j);
        e = (V)((VI)e & inside);
        tie &= inside;
    }
    *ties -= tie;
    return count_ties ? (V)((VI)e & ~tie) : e;
}

/* Sums of four vectors each, in pairs, are added up; every FOLD_EVERY of them, what the additions lost is kept. */
INLINE void sum_row(row_sums *s_out, REAL *e_out, const REAL *z, int64_t count, V max, const precision how,
                    const int count_ties, const int across) {
#define TERM(at) sum_term(&ties, e_out, z, at, count, max, how, count_ties, across)
    V rest = {0}, error = {0}, part = {0};
    VI ties = {0};
    int64_t j = 0;
    for (int64_t fours = 0; j + 4 * VLEN <= count; j += 4 * VLEN) {
        const V a = TERM(j), b = TERM(j + VLEN), c = TERM(j + 2 * VLEN), d = TERM(j + 3 * VLEN);
        part += (a + b) + (c + d);
        if (++fours % FOLD_EVERY == 0) {
            add_exactly(&rest, &error, part);
            part = (V){0};
        }
    }
    for (; j < count; j += VLEN) part += TERM(j);
#undef TERM
    add_exactly(&rest, &error, part);
    rest += error;
    const V n_ties = count_ties ? small_integer(ties) : (V){0};
    *s_out = (row_sums){max, across ? n_ties : all_lanes(n_ties, 0), across ? rest : all_lanes(rest, 0)};
}

/* n_units units of count values each, one after the other in z and in e_out (room for count rounded up to VLEN) */
#define DEFINE_SUMS(name, how, count_ties, across)                                                                    \
    NOINLINE void name(row_sums *s_out, REAL *e_out, const REAL *z, int64_t n_units, int64_t count) {                 \
        for (int64_t q = 0; q < n_units; q++) {                                                                       \
            V max, min;                                                                                               \
            extremes(&max, &min, z + q * count, count, across);                                                       \
            REAL *e = e_out ? e_out + q * count : NULL;                                                               \
            if (how != LOOSELY && any_lane(min - max < EXP_NORMAL))                                                   \
                sum_row(&s_out[q], e, z + q * count, count, max, CAREFULLY, count_ties, across);                      \
            else                                                                                                      \
                sum_row(&s_out[q], e, z + q * count, count, max, how, count_ties, across);                            \
        }                                                                                                             \
    }
DEFINE_SUMS(sums_loosely_by_row, LOOSELY, 1, 0)
DEFINE_SUMS(sums_loosely_across, LOOSELY, 1, 1)
DEFINE_SUMS(sums_with_ties_by_row, EXACTLY, 1, 0)
DEFINE_SUMS(sums_with_ties_across, EXACTLY, 1, 1)
DEFINE_SUMS(plain_sums_by_row, EXACTLY, 0, 0)
DEFINE_SUMS(plain_sums_across, EXACTLY, 0, 1)

INLINE V log_of_sum(const row_sums *s) { return vlog1p((s->ties - 1) + s->rest); }
/* 1 / sum; nan where the maximum is infinite */
INLINE V one_over_sum(const row_sums *s) { return (1 + (s->max - s->max)) / (s->ties + s->rest); }

/* ---- units: where they come from and go to ------------------------------------------------------------------------ */
/* units that go through each step together; their values fit the columns, or the stage */
INLINE int64_t units_together(int64_t k) {
    const int64_t fit = k > SMALL_K ? FLR_STAGE / k : SMALL_K / k;
    return fit < 1 ? 1 : fit < MAX_UNITS ? fit : MAX_UNITS;
}

/* ---- softmax, log_softmax, logsumexp ------------------------------------------------------------------------------ */
/* out: room for count rounded up to VLEN; holds exp(z - max) for softmax */
INLINE V row_result(REAL *out, const REAL *z, const row_sums *s, int64_t count, const flr_row_map map) {
    if (map == FLR_ROWS_SOFTMAX) {
        const V factor = one_over_sum(s);
        for (int64_t j = 0; j < count; j += VLEN) put(out + j, load(out + j) * factor, count - j);
        return factor;
    }
    const V log_sum = log_of_sum(s);
    if (map == FLR_ROWS_LOG_SOFTMAX)
        for (int64_t j = 0; j < count; j += VLEN)
            store(out + j, (take(z + j, count - j, 0) - s->max) - log_sum);
    return s->max + log_sum;
}

/* log(sum exp(z)) where the maximum and the logarithm of the rest cancel or are tiny: in a wider type, so that the ULPs of a small
 * result are right too (for double by the 11 bits more of x86's long double, elsewhere by as many as there are) */
NOINLINE REAL cancelled_logsumexp(const REAL *z, int64_t k, REAL max) {
#if REAL_BITS == 32
    typedef double wide;
#define WIDE_EXP exp
#define WIDE_LOG1P log1p
#else
    typedef long double wide;
#define WIDE_EXP expl
#define WIDE_LOG1P log1pl
#endif
    int64_t ties = 0;
    for (int64_t j = 0; j < k; j++) ties += z[j] == max;
    wide rest = (wide)(ties - 1);
    for (int64_t j = 0; j < k; j++)
        if (z[j] != max) rest += WIDE_EXP((wide)z[j] - (wide)max);
    return (REAL)((wide)max + WIDE_LOG1P(rest));
}

INLINE void map_all_rows(void *out_, const void *Z_, void *scratch, int64_t m, int64_t k, int stream,
                         const flr_row_map map, const int across) {
    const REAL *Z = Z_;
    REAL *out = out_;
    sink to = {out, scratch, 0, stream};
    const int64_t step = across ? VLEN : 1, stride = k * step, together = units_together(k);
    const int reduces = map == FLR_ROWS_LOGSUMEXP;
    REAL columns[SMALL_K * VLEN], results[SMALL_K * VLEN];
    row_sums s[MAX_UNITS];
    for (int64_t first = 0; first < m; first += together * step) {
        const int64_t left = (m - first + step - 1) / step, n_units = left < together ? left : together;
        const REAL *z = across ? columns : Z + first * k;
        REAL *r = across ? results : reduces ? NULL : room(&to, n_units * k);
        for (int64_t q = 0, i = first; across && q < n_units; q++, i += VLEN)
            to_columns(columns + q * stride, Z + i * k, k, m - i < VLEN ? m - i : VLEN);
        if (map == FLR_ROWS_SOFTMAX)
            (across ? plain_sums_across : plain_sums_by_row)(s, r, z, n_units, stride);
        else if (map == FLR_ROWS_LOG_SOFTMAX)
            (across ? sums_with_ties_across : sums_with_ties_by_row)(s, NULL, z, n_units, stride);
        else
            (across ? sums_loosely_across : sums_loosely_by_row)(s, NULL, z, n_units, stride);
        for (int64_t q = 0, i = first; q < n_units; q++, i += step) {
            const int64_t count = m - i < step ? m - i : step;
            const V value = row_result(reduces ? NULL : r + q * stride, z + q * stride, &s[q], stride, map);
            if (reduces) {
                const VI doubtful = vabs(value) < (REAL)0.5 * vabs(s[q].max) + LEAST_NORMAL / EPSILON;
                count == VLEN ? store(out + i, value) : store_part(out + i, value, (int)count);
                for (int64_t l = 0; any_lane(doubtful) && l < count; l++)
                    if (doubtful[l]) out[i + l] = cancelled_logsumexp(Z + (i + l) * k, k, s[q].max[l]);
            } else if (across) {
                to_rows(room(&to, count * k), r + q * stride, k);
            }
        }
    }
    finish(&to);
}

#define DEFINE_ROW_MAP(name, map)                                                                                     \
    static void name(void *out, const void *Z, void *scratch, int64_t m, int64_t k, int stream) {               \
        if (k > SMALL_K)                                                                                              \
            map_all_rows(out, Z, scratch, m, k, stream, map, 0);                                                      \
        else                                                                                                          \
            map_all_rows(out, Z, scratch, m, k, stream, map, 1);                                                      \
    }
DEFINE_ROW_MAP(softmax, FLR_ROWS_SOFTMAX)
DEFINE_ROW_MAP(log_softmax, FLR_ROWS_LOG_SOFTMAX)
DEFINE_ROW_MAP(logsumexp, FLR_ROWS_LOGSUMEXP)

/* ---- loss and residual -------------------------------------------------------------------------------------------- */
/* LABELS as they are, labels or probabilities SMOOTHED, or k = 1 and the label is the target */
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
        if (loss == FLR_SOFTMAX) (across ? sums_with_ties_across : sums_with_ties_by_row)(s, r, z, n_units, stride);
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
        (across ? plain_sums_across : plain_sums_by_row)(&s, H_out, z, 1, count);
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
