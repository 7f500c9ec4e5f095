/* expsum_tpl.h -- the sum of the exponentials of a row, in two parts that keep its digits.
 *
 * One row:  max = max_j z_j,  terms t_j = exp(z_j) or exp(z_j - max),  lead = the largest,  rest = the others' sum,
 *     logsumexp   = max + log(1 + rest / lead):  the largest term is left out of the sum, whose digits it would cost
 *     log_softmax = (z - max) - log(1 + rest / lead)              softmax = t / (lead + rest)
 * Terms are exp(z_j) where all |z_j| <= EXPSUM_NEAR: no sum of them overflows, none is subnormal, z_j has not been
 * rounded, and the reciprocal of their sum is far enough from both ends of the range for another factor.
 * Elsewhere exp takes the rounding error of z - max along (Blanchard, Higham and Higham 2021, "Accurately computing the
 * log-sum-exp and softmax functions", for the theory).  Rows of -inf, +inf and nan come out as in scipy.special.
 * Needs what vec_tpl.h needs.
 */
#ifndef FLR_EXPSUM_TPL_H
#define FLR_EXPSUM_TPL_H

#include "explog_tpl.h"
#include "prefetch_tpl.h"
#include "row_group_tpl.h"

enum { EXPSUM_FOLD = 4, EXPSUM_FOLD_APART = 16 };
#if REAL_BITS == 32
#define EXPSUM_NEAR ((REAL)50)
#else
#define EXPSUM_NEAR ((REAL)650)
#endif

#define EXPSUM_LANE(l, h) ((l) ^ (h))
#define EXPSUM_MAX_STAGE(a, h) a = vmax(a, VSHUFFLE(a, a, EXPSUM_LANE, h));
#define EXPSUM_SUM_STAGE(a, h) a += VSHUFFLE(a, a, EXPSUM_LANE, h);
#define EXPSUM_TERMS_STAGE(t, h)                                                                                       \
    {                                                                                                                  \
        const V other = VSHUFFLE(t.lead, t.lead, EXPSUM_LANE, h);                                                      \
        EXPSUM_SUM_STAGE(t.rest, h)                                                                                    \
        t.rest += vmin(t.lead, other);                                                                                 \
        t.lead = vmax(t.lead, other);                                                                                  \
    }
#if VLEN >= 16
#define EXPSUM_STAGES(stage, a) stage(a, 8) stage(a, 4) stage(a, 2) stage(a, 1)
#elif VLEN >= 8
#define EXPSUM_STAGES(stage, a) stage(a, 4) stage(a, 2) stage(a, 1)
#elif VLEN >= 4
#define EXPSUM_STAGES(stage, a) stage(a, 2) stage(a, 1)
#else
#define EXPSUM_STAGES(stage, a) stage(a, 1)
#endif

/* the maximum and the sum over lanes, in every lane */
INLINE V expsum_lane_max(V a) {
    EXPSUM_STAGES(EXPSUM_MAX_STAGE, a)
    return a;
}
INLINE V expsum_lane_sum(V a) {
    EXPSUM_STAGES(EXPSUM_SUM_STAGE, a)
    return a;
}

INLINE void expsum_add_exactly(V *sum, V *error, V x) { /* Knuth's TwoSum */
    const V s = *sum + x, part = s - *sum;
    *error += (*sum - (s - part)) + (x - part);
    *sum = s;
}

/* exp(z - max), the rounding error of z - max taken along */
INLINE V expsum_term_below(V z, V max) {
    const V x = z - max, part = x + max;
    const V error = (z - part) - (max - (part - x)); /* Knuth's TwoSum */
    const vexp_parts_of e = vexp_parts(vmax(vsplat(EXP_LOW), x), (V)((VI)error & (x > EXP_LOW)));
    return vselect(z == max, vsplat(1), vexp_scale(e.value, e.shifted)); /* inf - inf is nan */
}

/* Of a group: its largest logit, the term of that, and the sum of the other terms; or lead 0 and the sum of all. */
typedef struct { V max, lead, rest; } expsum;

/* what is known of a group so far: its sum, what rounding lost in it, and terms not yet added to it */
typedef struct { V max, lead, sum, error, part; int parts; } running;

/* Terms are added up in part; after EXPSUM_FOLD of them part is added to sum, and what that rounds away to error.  Less
 * often where the lead, by far the largest as a rule, is left out. */
INLINE void expsum_fold(running *s) {
    expsum_add_exactly(&s->sum, &s->error, s->part);
    s->part = (V){0};
    s->parts = 0;
}

/* the part of a term that is not the lead's; nan, if e is */
INLINE V expsum_part_of(running *s, V e, const int apart) {
    if (!apart) return e;
    const V part = vmin(s->lead, e);
    s->lead = vmax(e, s->lead);
    return part;
}

INLINE void expsum_add_part(running *s, V part, int terms, const int apart) {
    s->part += part;
    s->parts += terms;
    if (s->parts >= (apart ? EXPSUM_FOLD_APART : EXPSUM_FOLD)) expsum_fold(s);
}

/* n vectors of terms, by fours and in pairs, which rounds less often */
INLINE void expsum_add_terms(running *s, const REAL *e, int64_t n, const int apart) {
    for (; n >= 4; n -= 4, e += 4 * VLEN) {
        const V a = expsum_part_of(s, vload(e), apart), b = expsum_part_of(s, vload(e + VLEN), apart);
        const V c = expsum_part_of(s, vload(e + 2 * VLEN), apart), d = expsum_part_of(s, vload(e + 3 * VLEN), apart);
        expsum_add_part(s, (a + b) + (c + d), 4, apart);
    }
    for (; n > 0; n--, e += VLEN) expsum_add_part(s, expsum_part_of(s, vload(e), apart), 1, apart);
}

INLINE expsum expsum_close(running *s, const int apart, const int transposed) {
    expsum_fold(s);
    expsum t = {s->max, s->lead, s->sum + s->error};
    if (!transposed && apart) {
        EXPSUM_STAGES(EXPSUM_TERMS_STAGE, t)
    }
    if (!transposed && !apart) t.rest = expsum_lane_sum(t.rest);
    return t;
}

/* e_out = exp(z) of n values, whole vectors.  Returns whether all |z| <= EXPSUM_NEAR but for nan, which vmax and vmin
 * pass over unless they begin with one. */
INLINE int expsum_terms(REAL *e_out, const REAL *z, int64_t n) {
    V max = {0}, min = {0};
    for (int64_t j = 0; j < n; j += VLEN) {
        const V x = vload(z + j);
        max = vmax(x, max);
        min = vmin(x, min);
        vstore(e_out + j, vexp_near(x));
    }
    return !vany((max > EXPSUM_NEAR) | (min < -EXPSUM_NEAR));
}

/* A group's terms below its maximum.  Transposed, only rows that are not near get them: a row must not change the
 * bits of its neighbours. */
INLINE void expsum_careful(expsum *s_out, REAL *e_out, const REAL *z, int64_t count, const int apart,
                           const int transposed) {
    running s = {.max = vload_filled(z, count, z[0])};
    VI far = {0};
    for (int64_t j = 0; j < count; j += VLEN) {
        const V x = vload_filled(z + j, count - j, z[0]);
        s.max = vmax(x, s.max);
        far |= vabs(x) > EXPSUM_NEAR;
    }
    if (transposed && !vany(far)) return;
    if (!transposed) s.max = expsum_lane_max(s.max);
    for (int64_t j = 0; j < count; j += VLEN) {
        V e = expsum_term_below(vload_filled(z + j, count - j, z[0]), s.max);
        if (e_out) vstore(e_out + j, transposed ? vselect(far, e, vload(e_out + j)) : e);
        if (!transposed && count - j < VLEN) e = (V)((VI)e & (viota() < (INT)(count - j)));
        expsum_add_part(&s, expsum_part_of(&s, e, apart), 1, apart);
    }
    const expsum t = expsum_close(&s, apart, transposed), near = *s_out;
    *s_out = transposed ? (expsum){vselect(far, t.max, near.max), vselect(far, t.lead, near.lead),
                                 vselect(far, t.rest, near.rest)} : t;
}

/* n_groups groups of count values each, one after the other in z, and in e, which receives the terms */
#define EXPSUM_DEFINE_TRANSPOSED(name, apart)                                                                          \
    NOINLINE void name##_careful(expsum *s_out, REAL *e, const REAL *z, int64_t n_groups, int64_t count) {             \
        for (int64_t q = 0; q < n_groups; q++)                                                                         \
            expsum_careful(s_out + q, e + q * count, z + q * count, count, apart, 1);                                  \
    }                                                                                                                  \
    NOINLINE void name(expsum *s_out, REAL *e, const REAL *z, int64_t n_groups, int64_t count) {                       \
        const int near = expsum_terms(e, z, n_groups * count);                                                         \
        for (int64_t q = 0; q < n_groups; q++) {                                                                       \
            running s = {.max = vload(z + q * count)};                                                                 \
            for (int64_t j = VLEN; apart && j < count; j += VLEN) s.max = vmax(vload(z + q * count + j), s.max);       \
            expsum_add_terms(&s, e + q * count, count / VLEN, apart);                                                  \
            s_out[q] = expsum_close(&s, apart, 1);                                                                     \
        }                                                                                                              \
        if (!near) name##_careful(s_out, e, z, n_groups, count);                                                       \
    }
EXPSUM_DEFINE_TRANSPOSED(expsum_transposed, 0)
EXPSUM_DEFINE_TRANSPOSED(expsum_apart_transposed, 1)

/* The same of rows: e has room for count rounded up to VLEN, or is NULL, and terms are added as they are made.  What
 * lies ahead of a row, the next groups, is prefetched. */
INLINE V expsum_term_of_row(running *s, V *min, REAL *e_row, const REAL *z, int64_t j, int64_t count, const int apart) {
    const V x = vload_filled(z + j, count - j, z[0]);
    V e = vexp_near(x);
    if (e_row) vstore(e_row + j, e);
    if (count - j < VLEN) e = (V)((VI)e & (viota() < (INT)(count - j)));
    s->max = vmax(x, s->max);
    *min = vmin(x, *min);
    return expsum_part_of(s, e, apart);
}

#define EXPSUM_DEFINE_BY_ROW(name, apart)                                                                              \
    NOINLINE void name(expsum *s_out, REAL *e_out, const REAL *z, int64_t n_groups, int64_t count) {                   \
        const int64_t ahead = n_groups * count;                                                                        \
        for (int64_t q = 0; q < n_groups; q++, z += count) {                                                           \
            running s = {.max = vsplat(z[0])};                                                                         \
            V min = s.max;                                                                                             \
            REAL *e_row = e_out ? e_out + q * count : NULL;                                                            \
            int64_t j = 0;                                                                                             \
            for (; j + 4 * VLEN <= count; j += 4 * VLEN) {                                                             \
                V part[4];                                                                                             \
                for (int i = 0; i < 4; i += 64 / VBYTES) prefetch_line(z + j, i * VLEN + ahead);                       \
                for (int i = 0; i < 4; i++)                                                                            \
                    part[i] = expsum_term_of_row(&s, &min, e_row, z, j + i * VLEN, count, apart);                      \
                expsum_add_part(&s, (part[0] + part[1]) + (part[2] + part[3]), 4, apart);                              \
            }                                                                                                          \
            for (; j < count; j += VLEN)                                                                               \
                expsum_add_part(&s, expsum_term_of_row(&s, &min, e_row, z, j, count, apart), 1, apart);                \
            const int far = vany((s.max > EXPSUM_NEAR) | (min < -EXPSUM_NEAR));                                        \
            s.max = expsum_lane_max(s.max);                                                                            \
            if (far)                                                                                                   \
                expsum_careful(&s_out[q], e_row, z, count, apart, 0);                                                  \
            else                                                                                                       \
                s_out[q] = expsum_close(&s, apart, 0);                                                                 \
        }                                                                                                              \
    }
EXPSUM_DEFINE_BY_ROW(expsum_by_row, 0)
EXPSUM_DEFINE_BY_ROW(expsum_apart_by_row, 1)

/* log(sum exp(z - max)) */
INLINE V expsum_log(const expsum *s) { return vlog1p_ratio(s->rest, s->lead); }
/* 1 / the sum of the terms; nan where the maximum is infinite */
INLINE V expsum_reciprocal(const expsum *s) { return (1 + (s->max - s->max)) / (s->lead + s->rest); }

#endif
