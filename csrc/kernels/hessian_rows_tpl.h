/* hessian_rows_tpl.h -- the Hessian's residuals H = weight * (dA/dZ) U.
 *
 * softmax: a (v - a'v), v = u - u of the largest logit, which leaves that one's share out of a'v: nothing cancels where
 * A rounds to 1.
 *
 * Needs what vec_tpl.h needs.
 */
#ifndef FLR_HESSIAN_ROWS_TPL_H
#define FLR_HESSIAN_ROWS_TPL_H

#include "expsum_tpl.h"
#include "map_tpl.h"
#include "row_group_tpl.h"
#include "sink_tpl.h"
#include "transpose_tpl.h"

/* u of each row's largest logit (of equals, of one): transposed in the row's lane, else in every lane */
INLINE V hessian_u_of_largest(V max, const REAL *z, const REAL *u, int64_t count, const int transposed) {
    V largest = {0};
    if (transposed) {
        for (int64_t j = 0; j < count; j += VLEN) largest = vselect(vload(z + j) == max, vload(u + j), largest);
        return largest;
    }
    int64_t j = 0;
    while (j < count - 1 && z[j] != max[0]) j++;
    return vsplat(u[j]);
}

INLINE void hessian_group(REAL *H_out, const REAL *z, const REAL *u, int64_t count, const flr_loss loss,
                          const int transposed) {
    if (loss == FLR_SOFTMAX) {
        expsum s;
        (transposed ? expsum_apart_transposed : expsum_apart_by_row)(&s, H_out, z, 1, count);
        const V share = expsum_reciprocal(&s), largest = hessian_u_of_largest(s.max, z, u, count, transposed);
        V mean = {0};
        for (int64_t j = 0; j < count; j += VLEN) {
            const V a = vload(H_out + j) * share;
            vstore(H_out + j, a);
            mean += a * (vload_filled(u + j, count - j, largest[0]) - largest);
        }
        if (!transposed) mean = expsum_lane_sum(mean);
        for (int64_t j = 0; j < count; j += VLEN)
            vstore(H_out + j, vload(H_out + j) * ((vload_filled(u + j, count - j, 0) - largest) - mean));
        return;
    }
    for (int64_t j = 0; j < count; j += VLEN) {
        const V x = vload_filled(z + j, count - j, 0);
        const V slope = loss == FLR_SIGMOID ? map_value(x, FLR_MAP_SIGMOID_DERIVATIVE) : vsplat(1);
        vstore(H_out + j, slope * vload_filled(u + j, count - j, 0));
    }
}

INLINE void hessian_rows(void *H_out, const void *Z, const void *U, const double *weight, void *scratch, int64_t m,
                         int64_t k, const flr_loss loss, const int transposed) {
    const int64_t step = transposed ? VLEN : 1;
    sink s = {H_out, scratch, 0, 0};
    REAL columns[GROUP_MOST_CLASSES * VLEN], directions[GROUP_MOST_CLASSES * VLEN];
    REAL results[GROUP_MOST_CLASSES * VLEN];
    double w[VLEN] = {0};
    VD wide[VWIDE];
    for (int64_t i = 0; i < m; i += step) {
        const int64_t count = m - i < step ? m - i : step;
        const REAL *z = (const REAL *)Z + i * k, *u = (const REAL *)U + i * k;
        REAL *H = sink_room(&s, count * k, transposed ? k * VLEN : k + VLEN);
        if (transposed) {
            transpose_in(columns, z, k, count);
            transpose_in(directions, u, k, count);
            hessian_group(results, columns, directions, k * VLEN, loss, 1);
            for (int64_t l = 0; weight && l < count; l++) w[l] = weight[i + l];
            memcpy(wide, w, sizeof w);
            if (weight)
                transpose_out_times_wide(H, results, k, vsplat(1), wide);
            else
                transpose_out_times(H, results, k, vsplat(1), (V){0});
        } else {
            hessian_group(H, z, u, k, loss, 0);
            if (weight) sink_multiply_rows(H, weight + i, 1, 1, k);
        }
    }
    sink_finish(&s);
}

#define HESSIAN_DEFINE(name, loss)                                                                                     \
    static void hessian_##name(void *H_out, const void *Z, const void *U, const double *weight, void *scratch,         \
                               int64_t m, int64_t k) {                                                                 \
        if (k > GROUP_MOST_CLASSES)                                                                                    \
            hessian_rows(H_out, Z, U, weight, scratch, m, k, loss, 0);                                                 \
        else                                                                                                           \
            hessian_rows(H_out, Z, U, weight, scratch, m, k, loss, 1);                                                 \
    }
HESSIAN_DEFINE(softmax, FLR_SOFTMAX)
HESSIAN_DEFINE(sigmoid, FLR_SIGMOID)
HESSIAN_DEFINE(squared_error, FLR_SQUARED_ERROR)

#endif
