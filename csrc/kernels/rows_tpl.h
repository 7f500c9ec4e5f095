/* rows_tpl.h -- softmax, log_softmax and logsumexp of rows (m, k), by the units of units_tpl.h.
 *
 * One row:  max = max_j z_j,  terms t_j = exp(z_j) or exp(z_j - max),  lead = the largest,  rest = the sum of the others,
 *     logsumexp   = max + log(1 + rest / lead):  the largest term is left out of the sum, whose digits it would cost
 *     log_softmax = (z - max) - log(1 + rest / lead)              softmax = t / (lead + rest)
 * Terms are exp(z_j) where all |z_j| <= NEAR: no sum of them overflows, none is subnormal, nothing was rounded before, and
 * one over their sum is far enough from both ends of the range for another factor.
 * Elsewhere exp takes the rounding error of z - max along (Blanchard, Higham and Higham 2021, "Accurately computing the
 * log-sum-exp and softmax functions", for the theory).  Rows of -inf, +inf and nan come out as in scipy.special.
 */
enum { FOLD = 4, FOLD_APART = 16 };
#if REAL_BITS == 32
#define NEAR ((REAL)50)
#else
#define NEAR ((REAL)650)
#endif

#define ACROSS(l, h) ((l) ^ (h))
#define MAX_STAGE(a, h) a = vmax(a, SHUFFLE(a, a, ACROSS, h));
#define SUM_STAGE(a, h) a += SHUFFLE(a, a, ACROSS, h);
#define TERMS_STAGE(t, h)                                                                                             \
    {                                                                                                                 \
        const V other = SHUFFLE(t.lead, t.lead, ACROSS, h);                                                           \
        SUM_STAGE(t.rest, h)                                                                                          \
        t.rest += vmin(t.lead, other);                                                                                \
        t.lead = vmax(t.lead, other);                                                                                 \
    }
#if VLEN >= 16
#define STAGES(stage, a) stage(a, 8) stage(a, 4) stage(a, 2) stage(a, 1)
#elif VLEN >= 8
#define STAGES(stage, a) stage(a, 4) stage(a, 2) stage(a, 1)
#elif VLEN >= 4
#define STAGES(stage, a) stage(a, 2) stage(a, 1)
#else
#define STAGES(stage, a) stage(a, 1)
#endif

/* the maximum and the sum over lanes, in every lane */
INLINE V lane_max(V a) {
    STAGES(MAX_STAGE, a)
    return a;
}
INLINE V lane_sum(V a) {
    STAGES(SUM_STAGE, a)
    return a;
}

INLINE void add_exactly(V *sum, V *error, V x) { /* Knuth's TwoSum */
    const V s = *sum + x, part = s - *sum;
    *error += (*sum - (s - part)) + (x - part);
    *sum = s;
}

/* exp(z - max), the rounding error of z - max taken along */
INLINE V exp_below(V z, V max) {
    const V x = z - max, part = x + max;
    const V error = (z - part) - (max - (part - x)); /* Knuth's TwoSum */
    const exp_parts e = vexp_parts(vmax(splat(EXP_LOW), x), (V)((VI)error & (x > EXP_LOW)));
    return vselect(z == max, splat(1), scale(e.value, e.shifted)); /* inf - inf is nan */
}

/* Of the terms of a unit: the largest logit, its term lead, and the rest of the terms; or lead 0 and all terms. */
typedef struct { V max, lead, rest; } row_sums;

/* what is known of a unit so far; of a sum, also what was lost in it, and what was not yet added */
typedef struct { V max, lead, sum, error, part; int parts; } running;

/* The terms are added to parts, and every FOLD of them what their sum loses is kept; seldomer where the lead, by far the
 * largest as a rule, is not among them. */
INLINE void fold(running *s) {
    add_exactly(&s->sum, &s->error, s->part);
    s->part = (V){0};
    s->parts = 0;
}

/* the part of a term that is not the lead's; nan, if e is */
INLINE V part_of(running *s, V e, const int apart) {
    if (!apart) return e;
    const V part = vmin(s->lead, e);
    s->lead = vmax(e, s->lead);
    return part;
}

INLINE void add_part(running *s, V part, int terms, const int apart) {
    s->part += part;
    s->parts += terms;
    if (s->parts >= (apart ? FOLD_APART : FOLD)) fold(s);
}

/* n vectors of terms, by fours and in pairs, which rounds less often */
INLINE void add_terms(running *s, const REAL *e, int64_t n, const int apart) {
    for (; n >= 4; n -= 4, e += 4 * VLEN) {
        const V a = part_of(s, load(e), apart), b = part_of(s, load(e + VLEN), apart);
        const V c = part_of(s, load(e + 2 * VLEN), apart), d = part_of(s, load(e + 3 * VLEN), apart);
        add_part(s, (a + b) + (c + d), 4, apart);
    }
    for (; n > 0; n--, e += VLEN) add_part(s, part_of(s, load(e), apart), 1, apart);
}

INLINE row_sums sums_of(running *s, const int apart, const int across) {
    fold(s);
    row_sums t = {s->max, s->lead, s->sum + s->error};
    if (!across && apart) {
        STAGES(TERMS_STAGE, t)
    }
    if (!across && !apart) t.rest = lane_sum(t.rest);
    return t;
}

/* e_out = exp(z) of n values, whole vectors; whether all |z| <= NEAR that are numbers: vmax and vmin pass over a nan, but
 * begin with none */
INLINE int terms_of(REAL *e_out, const REAL *z, int64_t n) {
    V max = {0}, min = {0};
    for (int64_t j = 0; j < n; j += VLEN) {
        const V x = load(z + j);
        max = vmax(x, max);
        min = vmin(x, min);
        store(e_out + j, vexp_near(x));
    }
    return !any_lane((max > NEAR) | (min < -NEAR));
}

/* A unit's terms below its maximum.  Across, only rows that are not near get them: what a row holds must not change the
 * bits of its neighbours. */
INLINE void careful_sums(row_sums *s_out, REAL *e_out, const REAL *z, int64_t count, const int apart, const int across) {
    running s = {.max = take(z, count, z[0])};
    VI far = {0};
    for (int64_t j = 0; j < count; j += VLEN) {
        const V x = take(z + j, count - j, z[0]);
        s.max = vmax(x, s.max);
        far |= vabs(x) > NEAR;
    }
    if (across && !any_lane(far)) return;
    if (!across) s.max = lane_max(s.max);
    for (int64_t j = 0; j < count; j += VLEN) {
        V e = exp_below(take(z + j, count - j, z[0]), s.max);
        if (e_out) store(e_out + j, across ? vselect(far, e, load(e_out + j)) : e);
        if (!across && count - j < VLEN) e = (V)((VI)e & (iota() < (INT)(count - j)));
        add_part(&s, part_of(&s, e, apart), 1, apart);
    }
    const row_sums t = sums_of(&s, apart, across), near = *s_out;
    *s_out = across ? (row_sums){vselect(far, t.max, near.max), vselect(far, t.lead, near.lead),
                                 vselect(far, t.rest, near.rest)} : t;
}

/* n_units units of count values each, one after the other in z and in e, where the terms are left */
#define DEFINE_SUMS_ACROSS(name, apart)                                                                               \
    NOINLINE void careful_##name(row_sums *s_out, REAL *e, const REAL *z, int64_t n_units, int64_t count) {           \
        for (int64_t q = 0; q < n_units; q++) careful_sums(s_out + q, e + q * count, z + q * count, count, apart, 1); \
    }                                                                                                                 \
    NOINLINE void name(row_sums *s_out, REAL *e, const REAL *z, int64_t n_units, int64_t count) {                     \
        const int near = terms_of(e, z, n_units * count);                                                             \
        for (int64_t q = 0; q < n_units; q++) {                                                                       \
            running s = {.max = load(z + q * count)};                                                                 \
            for (int64_t j = VLEN; apart && j < count; j += VLEN) s.max = vmax(load(z + q * count + j), s.max);       \
            add_terms(&s, e + q * count, count / VLEN, apart);                                                        \
            s_out[q] = sums_of(&s, apart, 1);                                                                         \
        }                                                                                                             \
        if (!near) careful_##name(s_out, e, z, n_units, count);                                                       \
    }
DEFINE_SUMS_ACROSS(sums_across, 0)
DEFINE_SUMS_ACROSS(sums_apart_across, 1)

/* The same of rows: e has room for count rounded up to VLEN, or is NULL, and terms are added as they are made.  What
 * lies ahead of a row, the next units, is fetched. */
INLINE V term_of_row(running *s, V *min, REAL *e_row, const REAL *z, int64_t j, int64_t count, const int apart) {
    const V x = take(z + j, count - j, z[0]);
    V e = vexp_near(x);
    if (e_row) store(e_row + j, e);
    if (count - j < VLEN) e = (V)((VI)e & (iota() < (INT)(count - j)));
    s->max = vmax(x, s->max);
    *min = vmin(x, *min);
    return part_of(s, e, apart);
}

#define DEFINE_SUMS_BY_ROW(name, apart)                                                                               \
    NOINLINE void name(row_sums *s_out, REAL *e_out, const REAL *z, int64_t n_units, int64_t count) {                 \
        const int64_t ahead = n_units * count;                                                                        \
        for (int64_t q = 0; q < n_units; q++, z += count) {                                                           \
            running s = {.max = splat(z[0])};                                                                         \
            V min = s.max;                                                                                            \
            REAL *e_row = e_out ? e_out + q * count : NULL;                                                           \
            int64_t j = 0;                                                                                            \
            for (; j + 4 * VLEN <= count; j += 4 * VLEN) {                                                            \
                V part[4];                                                                                            \
                for (int i = 0; i < 4; i += 64 / VBYTES) fetch_line(z + j, i * VLEN + ahead);                         \
                for (int i = 0; i < 4; i++) part[i] = term_of_row(&s, &min, e_row, z, j + i * VLEN, count, apart);    \
                add_part(&s, (part[0] + part[1]) + (part[2] + part[3]), 4, apart);                                    \
            }                                                                                                         \
            for (; j < count; j += VLEN) add_part(&s, term_of_row(&s, &min, e_row, z, j, count, apart), 1, apart);    \
            const int far = any_lane((s.max > NEAR) | (min < -NEAR));                                                 \
            s.max = lane_max(s.max);                                                                                  \
            if (far)                                                                                                  \
                careful_sums(&s_out[q], e_row, z, count, apart, 0);                                                   \
            else                                                                                                      \
                s_out[q] = sums_of(&s, apart, 0);                                                                     \
        }                                                                                                             \
    }
DEFINE_SUMS_BY_ROW(sums_by_row, 0)
DEFINE_SUMS_BY_ROW(sums_apart_by_row, 1)

/* log(sum exp(z - max)) */
INLINE V log_of_sum(const row_sums *s) { return vlog1p_ratio(s->rest, s->lead); }
/* 1 / the sum of the terms; nan where the maximum is infinite */
INLINE V one_over_sum(const row_sums *s) { return (1 + (s->max - s->max)) / (s->lead + s->rest); }

/* ---- softmax, log_softmax, logsumexp ------------------------------------------------------------------------------ */
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

/* logsumexp of the units rows from i on, count of them; doubtful ones are done again */
INLINE void put_logsumexp(REAL *out, const REAL *Z, const row_sums *s, int64_t count, int64_t k) {
    const V value = s->max + log_of_sum(s);
    const VI doubtful = doubtful_logsumexp(value, s->max);
    count == VLEN ? store(out, value) : store_part(out, value, (int)count);
    for (int64_t l = 0; any_lane(doubtful) && l < count; l++)
        if (doubtful[l]) out[l] = wide_logsumexp(Z + l * k, k, s->max[l]);
}

/* out (count,), with room for more up to VLEN, from the row z and its terms, which softmax has there */
INLINE void finish_row(REAL *out, const REAL *z, const row_sums *s, int64_t count, const flr_row_map map) {
    const V times = one_over_sum(s), log_sum = map == FLR_ROWS_SOFTMAX ? times : log_of_sum(s);
    for (int64_t j = 0; j < count; j += VLEN)
        if (map == FLR_ROWS_SOFTMAX)
            put(out + j, load(out + j) * times, count - j);
        else
            store(out + j, take(z + j, count - j, 0) - s->max - log_sum);
}

INLINE void map_all_rows(void *out_, const void *Z_, void *scratch, int64_t m, int64_t k, int stream,
                         const flr_row_map map, const int across) {
    const REAL *Z = Z_;
    REAL *out = out_;
    sink to = {out, scratch, 0, stream};
    const int64_t step = across ? VLEN : 1, stride = k * step, together = units_together(k);
    const int reduces = map == FLR_ROWS_LOGSUMEXP;
    REAL columns[SMALL_K * VLEN], terms[SMALL_K * VLEN];
    row_sums s[MAX_UNITS];
    for (int64_t first = 0; first < m; first += together * step) {
        const int64_t left = (m - first + step - 1) / step, n_units = left < together ? left : together;
        const REAL *z = across ? columns : Z + first * k;
        REAL *r = across ? terms : reduces ? NULL : room(&to, n_units * k, n_units * k + VLEN);
        for (int64_t q = 0, i = first; across && q < n_units; q++, i += VLEN) {
            fetch_ahead(Z + i * k, together * stride, stride);
            to_columns(columns + q * stride, Z + i * k, k, m - i < VLEN ? m - i : VLEN);
        }
        if (map == FLR_ROWS_SOFTMAX)
            (across ? sums_across : sums_by_row)(s, r, z, n_units, stride);
        else
            (across ? sums_apart_across : sums_apart_by_row)(s, across ? r : NULL, z, n_units, stride);
        for (int64_t q = 0, i = first; q < n_units; q++, i += step) {
            const int64_t count = m - i < step ? m - i : step;
            if (reduces)
                put_logsumexp(out + i, Z + i * k, &s[q], count, k);
            else if (!across)
                finish_row(r + q * k, z + q * k, &s[q], k, map);
            else if (map == FLR_ROWS_SOFTMAX)
                times_to_rows(room(&to, count * k, stride), r + q * stride, k, one_over_sum(&s[q]), (V){0});
            else
                minus_to_rows(room(&to, count * k, stride), z + q * stride, k, s[q].max, log_of_sum(&s[q]));
        }
    }
    finish(&to);
}

#define DEFINE_ROW_MAP(name, map)                                                                                     \
    static void name(void *out, const void *Z, void *scratch, int64_t m, int64_t k, int stream) {                     \
        if (k > SMALL_K)                                                                                              \
            map_all_rows(out, Z, scratch, m, k, stream, map, 0);                                                      \
        else                                                                                                          \
            map_all_rows(out, Z, scratch, m, k, stream, map, 1);                                                      \
    }
DEFINE_ROW_MAP(softmax, FLR_ROWS_SOFTMAX)
DEFINE_ROW_MAP(log_softmax, FLR_ROWS_LOG_SOFTMAX)
DEFINE_ROW_MAP(logsumexp, FLR_ROWS_LOGSUMEXP)
