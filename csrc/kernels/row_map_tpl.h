/* row_map_tpl.h -- softmax, log_softmax and logsumexp of rows (m, k), from the sums of expsum_tpl.h.
 *
 * Needs what vec_tpl.h needs.  Names begin with rowmap or ROWMAP.
 */
#ifndef FLR_ROW_MAP_TPL_H
#define FLR_ROW_MAP_TPL_H

#include "expsum_tpl.h"
#include "prefetch_tpl.h"
#include "row_group_tpl.h"
#include "sink_tpl.h"
#include "transpose_tpl.h"

/* Where the maximum and the logarithm of the sum cancel, or a small logarithm is most of the result, more digits are
 * needed for 2 ULP; a result near the subnormals lost the terms that are. */
INLINE VI rowmap_doubtful(V value, V max) {
    const VI cancels = vabs(value) < (REAL)0.5 * vabs(max);
    const VI log_rules = (value > 0) & (16 * max < value) & (value < vmax(vsplat(1), -4 * max));
    return cancels | log_rules | (vabs(value) < REAL_LEAST_NORMAL / REAL_EPSILON);
}

/* log(sum exp(z)) in a wider type (for double by the 11 bits more of x86's long double, elsewhere by as many as there
 * are), the maximum left out of the sum */
#if REAL_BITS == 32
typedef double rowmap_wide;
#define ROWMAP_WIDE_EXP exp
#define ROWMAP_WIDE_LOG1P log1p
#else
typedef long double rowmap_wide;
#define ROWMAP_WIDE_EXP expl
#define ROWMAP_WIDE_LOG1P log1pl
#endif
NOINLINE REAL rowmap_wide_logsumexp(const REAL *z, int64_t k, REAL max) {
    rowmap_wide rest = 0;
    int64_t ties = 0;
    for (int64_t j = 0; j < k; j++) {
        ties += z[j] == max;
        if (z[j] != max) rest += ROWMAP_WIDE_EXP((rowmap_wide)z[j] - (rowmap_wide)max);
    }
    return (REAL)((rowmap_wide)max + ROWMAP_WIDE_LOG1P(rest + (rowmap_wide)(ties - 1)));
}

/* logsumexp of a group's rows, count of them; doubtful ones are computed anew in a wider type */
INLINE void rowmap_put_logsumexp(REAL *out, const REAL *Z, const expsum *s, int64_t count, int64_t k) {
    const V value = s->max + expsum_log(s);
    const VI doubtful = rowmap_doubtful(value, s->max);
    count == VLEN ? vstore(out, value) : vstore_part(out, value, (int)count);
    for (int64_t l = 0; vany(doubtful) && l < count; l++)
        if (doubtful[l]) out[l] = rowmap_wide_logsumexp(Z + l * k, k, s->max[l]);
}

/* out (count,), with room for more up to VLEN, from the row z and its terms, which softmax has there */
INLINE void rowmap_finish_row(REAL *out, const REAL *z, const expsum *s, int64_t count, const flr_row_map map) {
    const V times = expsum_reciprocal(s), log_sum = map == FLR_ROWS_SOFTMAX ? times : expsum_log(s);
    for (int64_t j = 0; j < count; j += VLEN)
        if (map == FLR_ROWS_SOFTMAX)
            vstore_first(out + j, vload(out + j) * times, count - j);
        else
            vstore(out + j, vload_filled(z + j, count - j, 0) - s->max - log_sum);
}

INLINE void rowmap_rows(void *out_, const void *Z_, void *scratch, int64_t m, int64_t k, int stream,
                        const flr_row_map map, const int transposed) {
    const REAL *Z = Z_;
    REAL *out = out_;
    sink to = {out, scratch, 0, stream};
    const int64_t step = transposed ? VLEN : 1, stride = k * step, together = groups_together(k);
    const int reduces = map == FLR_ROWS_LOGSUMEXP;
    REAL columns[GROUP_MOST_CLASSES * VLEN], terms[GROUP_MOST_CLASSES * VLEN];
    expsum s[GROUPS_TOGETHER];
    for (int64_t first = 0; first < m; first += together * step) {
        const int64_t left = (m - first + step - 1) / step, n_groups = left < together ? left : together;
        const REAL *z = transposed ? columns : Z + first * k;
        REAL *r = transposed ? terms : reduces ? NULL : sink_room(&to, n_groups * k, n_groups * k + VLEN);
        for (int64_t q = 0, i = first; transposed && q < n_groups; q++, i += VLEN) {
            prefetch_lines_at(Z + i * k, together * stride, stride);
            transpose_in(columns + q * stride, Z + i * k, k, m - i < VLEN ? m - i : VLEN);
        }
        if (map == FLR_ROWS_SOFTMAX)
            (transposed ? expsum_transposed : expsum_by_row)(s, r, z, n_groups, stride);
        else
            (transposed ? expsum_apart_transposed : expsum_apart_by_row)(s, transposed ? r : NULL, z, n_groups, stride);
        for (int64_t q = 0, i = first; q < n_groups; q++, i += step) {
            const int64_t count = m - i < step ? m - i : step;
            if (reduces)
                rowmap_put_logsumexp(out + i, Z + i * k, &s[q], count, k);
            else if (!transposed)
                rowmap_finish_row(r + q * k, z + q * k, &s[q], k, map);
            else if (map == FLR_ROWS_SOFTMAX)
                transpose_out_times(sink_room(&to, count * k, stride), r + q * stride, k, expsum_reciprocal(&s[q]),
                                    (V){0});
            else
                transpose_out_minus(sink_room(&to, count * k, stride), z + q * stride, k, s[q].max, expsum_log(&s[q]));
        }
    }
    sink_finish(&to);
}

#define ROWMAP_DEFINE(name, map)                                                                                       \
    static void rowmap_##name(void *out, const void *Z, void *scratch, int64_t m, int64_t k, int stream) {             \
        if (k > GROUP_MOST_CLASSES)                                                                                    \
            rowmap_rows(out, Z, scratch, m, k, stream, map, 0);                                                        \
        else                                                                                                           \
            rowmap_rows(out, Z, scratch, m, k, stream, map, 1);                                                        \
    }
ROWMAP_DEFINE(softmax, FLR_ROWS_SOFTMAX)
ROWMAP_DEFINE(log_softmax, FLR_ROWS_LOG_SOFTMAX)
ROWMAP_DEFINE(logsumexp, FLR_ROWS_LOGSUMEXP)

#endif
