/* rows_tpl.h -- softmax, log_softmax and logsumexp of rows (m, k), by the units of units_tpl.h.
 *
 * One row:  max = max_j z_j,  ties = #{z_j = max},  rest = sum of exp(z_j - max) over z_j < max,
 *     logsumexp   = max + log(1 + (ties - 1 + rest)),  by log1p: the maximum is left out of the sum
 *     log_softmax = (z - max) - log1p(ties - 1 + rest)            softmax = exp(z - max) / (ties + rest)
 * exp takes the rounding error of z - max along (Blanchard, Higham and Higham 2021, "Accurately computing the
 * log-sum-exp and softmax functions", for the theory).  Rows of -inf, +inf and nan come out as in scipy.special.
 */
enum { FOLD_EVERY = 4 };

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

/* rest leaves out the ties with the maximum: their sum is exact, and log1p wants it apart */
typedef struct { V max, ties, rest; } row_sums;

/* exp(z - max) of the vector at j, stored at e_out if that is not NULL; 0 for ties, which are counted */
INLINE V sum_term(VI *ties, REAL *e_out, const REAL *z, int64_t j, int64_t count, V max, const precision how,
                  const int across) {
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
    return (V)((VI)e & ~tie);
}

/* Sums of four vectors each, in pairs, are added up; every FOLD_EVERY of them, what the additions lost is kept.
 * Meanwhile what lies ahead of a row, the next units, is fetched. */
INLINE void sum_row(row_sums *s_out, REAL *e_out, const REAL *z, int64_t count, int64_t ahead, V max,
                    const precision how, const int across) {
#define TERM(at) sum_term(&ties, e_out, z, at, count, max, how, across)
    V rest = {0}, error = {0}, part = {0};
    VI ties = {0};
    int64_t j = 0;
    for (int64_t fours = 0; j + 4 * VLEN <= count; j += 4 * VLEN) {
        if (!across) __builtin_prefetch(z + j + ahead, 0, 2);
        if (!across && VBYTES > 16) __builtin_prefetch(z + j + ahead + 2 * VLEN, 0, 2);
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
    const V n_ties = small_integer(ties);
    *s_out = (row_sums){max, across ? n_ties : all_lanes(n_ties, 0), across ? rest : all_lanes(rest, 0)};
}

/* n_units units of count values each, one after the other in z and in e_out (room for count rounded up to VLEN) */
#define DEFINE_SUMS(name, how, across)                                                                                \
    NOINLINE void name(row_sums *s_out, REAL *e_out, const REAL *z, int64_t n_units, int64_t count) {                 \
        for (int64_t q = 0; q < n_units; q++) {                                                                       \
            V max, min;                                                                                               \
            extremes(&max, &min, z + q * count, count, across);                                                       \
            REAL *e = e_out ? e_out + q * count : NULL;                                                               \
            if (how != LOOSELY && any_lane(min - max < EXP_NORMAL))                                                   \
                sum_row(&s_out[q], e, z + q * count, count, n_units * count, max, CAREFULLY, across);                 \
            else                                                                                                      \
                sum_row(&s_out[q], e, z + q * count, count, n_units * count, max, how, across);                       \
        }                                                                                                             \
    }
DEFINE_SUMS(sums_loosely_by_row, LOOSELY, 0)
DEFINE_SUMS(sums_loosely_across, LOOSELY, 1)
DEFINE_SUMS(sums_exactly_by_row, EXACTLY, 0)
DEFINE_SUMS(sums_exactly_across, EXACTLY, 1)

INLINE V log_of_sum(const row_sums *s) { return vlog1p((s->ties - 1) + s->rest); }
/* 1 / sum; nan where the maximum is infinite */
INLINE V one_over_sum(const row_sums *s) { return (1 + (s->max - s->max)) / (s->ties + s->rest); }

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

/* Where the maximum and the logarithm of the sum cancel, or a small logarithm is most of the result, more digits are
 * needed for 2 ULP; a result near the subnormals lost the terms that are. */
INLINE VI doubtful_logsumexp(V value, V max) {
    const VI cancels = vabs(value) < (REAL)0.5 * vabs(max);
    const VI log_rules = (value > 0) & (16 * max < value) & (value < vmax(splat(1), -4 * max));
    return cancels | log_rules | (vabs(value) < LEAST_NORMAL / EPSILON);
}

/* log(sum exp(z)) in a wider type (for double by the 11 bits more of x86's long double, elsewhere by as many as there
 * are), the maximum left out of the sum */
#if REAL_BITS == 32
typedef double wide;
#define WIDE_EXP exp
#define WIDE_LOG1P log1p
#else
typedef long double wide;
#define WIDE_EXP expl
#define WIDE_LOG1P log1pl
#endif
NOINLINE REAL wide_logsumexp(const REAL *z, int64_t k, REAL max) {
    wide rest = 0;
    int64_t ties = 0;
    for (int64_t j = 0; j < k; j++) {
        ties += z[j] == max;
        if (z[j] != max) rest += WIDE_EXP((wide)z[j] - (wide)max);
    }
    return (REAL)((wide)max + WIDE_LOG1P(rest + (wide)(ties - 1)));
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
        if (reduces)
            (across ? sums_loosely_across : sums_loosely_by_row)(s, NULL, z, n_units, stride);
        else
            (across ? sums_exactly_across : sums_exactly_by_row)(s, map == FLR_ROWS_SOFTMAX ? r : NULL, z, n_units,
                                                                 stride);
        for (int64_t q = 0, i = first; q < n_units; q++, i += step) {
            const int64_t count = m - i < step ? m - i : step;
            const V value = row_result(reduces ? NULL : r + q * stride, z + q * stride, &s[q], stride, map);
            if (reduces) {
                const VI doubtful = doubtful_logsumexp(value, s[q].max);
                count == VLEN ? store(out + i, value) : store_part(out + i, value, (int)count);
                for (int64_t l = 0; any_lane(doubtful) && l < count; l++)
                    if (doubtful[l]) out[i + l] = wide_logsumexp(Z + (i + l) * k, k, s[q].max[l]);
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
