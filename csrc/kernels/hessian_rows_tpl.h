/* hessian_rows_tpl.h -- the Hessian's residuals H = weight * (dA/dZ) U.
 *
 * softmax: a (v - a'v), v = u - u of the largest logit, which leaves that one's share out of a'v: nothing cancels where A
 * rounds to 1.
 */
/* u of the largest logit of each row: across a lane each, else in every lane; of equals, one */
INLINE V largest_of(V max, const REAL *z, const REAL *u, int64_t count, const int across) {
    V largest = {0};
    if (across) {
        for (int64_t j = 0; j < count; j += VLEN) largest = vselect(load(z + j) == max, load(u + j), largest);
        return largest;
    }
    int64_t j = 0;
    while (j < count - 1 && z[j] != max[0]) j++;
    return splat(u[j]);
}

INLINE void curvature_row(REAL *H_out, const REAL *z, const REAL *u, int64_t count, const flr_loss loss,
                          const int across) {
    if (loss == FLR_SOFTMAX) {
        row_sums s;
        (across ? sums_apart_across : sums_apart_by_row)(&s, H_out, z, 1, count);
        const V share = one_over_sum(&s), largest = largest_of(s.max, z, u, count, across);
        V mean = {0};
        for (int64_t j = 0; j < count; j += VLEN) {
            const V a = load(H_out + j) * share;
            store(H_out + j, a);
            mean += a * (take(u + j, count - j, largest[0]) - largest);
        }
        if (!across) mean = lane_sum(mean);
        for (int64_t j = 0; j < count; j += VLEN)
            store(H_out + j, load(H_out + j) * ((take(u + j, count - j, 0) - largest) - mean));
        return;
    }
    for (int64_t j = 0; j < count; j += VLEN) {
        const V x = take(z + j, count - j, 0);
        const V slope = loss == FLR_SIGMOID ? map_value(x, FLR_MAP_SIGMOID_DERIVATIVE) : splat(1);
        store(H_out + j, slope * take(u + j, count - j, 0));
    }
}

INLINE void all_curvatures(void *H_out, const void *Z, const void *U, const double *weight, void *scratch, int64_t m,
                           int64_t k, const flr_loss loss, const int across) {
    const int64_t step = across ? VLEN : 1;
    sink s = {H_out, scratch, 0, 0};
    REAL columns[SMALL_K * VLEN], directions[SMALL_K * VLEN];
    REAL results[SMALL_K * VLEN];
    double w[VLEN] = {0};
    VD wide[WIDE];
    for (int64_t i = 0; i < m; i += step) {
        const int64_t count = m - i < step ? m - i : step;
        const REAL *z = (const REAL *)Z + i * k, *u = (const REAL *)U + i * k;
        REAL *H = room(&s, count * k, across ? k * VLEN : k + VLEN);
        if (across) {
            to_columns(columns, z, k, count);
            to_columns(directions, u, k, count);
            curvature_row(results, columns, directions, k * VLEN, loss, 1);
            for (int64_t l = 0; weight && l < count; l++) w[l] = weight[i + l];
            memcpy(wide, w, sizeof w);
            if (weight)
                times_wide_to_rows(H, results, k, splat(1), wide);
            else
                times_to_rows(H, results, k, splat(1), (V){0});
        } else {
            curvature_row(H, z, u, k, loss, 0);
            if (weight) weigh_rows(H, weight + i, 1, 1, k);
        }
    }
    finish(&s);
}

#define DEFINE_CURVATURE(name, loss)                                                                                  \
    static void curvature_##name(void *H_out, const void *Z, const void *U, const double *weight, void *scratch,      \
                                 int64_t m, int64_t k) {                                                              \
        if (k > SMALL_K)                                                                                              \
            all_curvatures(H_out, Z, U, weight, scratch, m, k, loss, 0);                                              \
        else                                                                                                          \
            all_curvatures(H_out, Z, U, weight, scratch, m, k, loss, 1);                                              \
    }
DEFINE_CURVATURE(softmax, FLR_SOFTMAX)
DEFINE_CURVATURE(sigmoid, FLR_SIGMOID)
DEFINE_CURVATURE(squared_error, FLR_SQUARED_ERROR)
