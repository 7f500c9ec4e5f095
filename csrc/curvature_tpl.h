/* curvature_tpl.h -- the Hessian's residuals H = weight * (dA/dZ) U. */
INLINE void curvature_row(REAL *H_out, const REAL *z, const REAL *u, V weight, int64_t count, const flr_loss loss,
                          const int across) {
    if (loss == FLR_SOFTMAX) { /* a * (u - a'u) */
        row_sums s;
        (across ? sums_across : sums_by_row)(&s, H_out, z, 1, count);
        const V factor = one_over_sum(&s);
        V mean = {0};
        for (int64_t j = 0; j < count; j += VLEN) mean += load(H_out + j) * take(u + j, count - j, 0);
        mean *= factor;
        if (!across) mean = lane_sum(mean);
        for (int64_t j = 0; j < count; j += VLEN)
            store(H_out + j, weight * ((load(H_out + j) * factor) * (take(u + j, count - j, 0) - mean)));
        return;
    }
    for (int64_t j = 0; j < count; j += VLEN) {
        const V x = take(z + j, count - j, 0);
        const V slope = loss == FLR_SIGMOID ? map_value(x, FLR_MAP_SIGMOID_DERIVATIVE) : splat(1);
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
            times_to_rows(room(&s, count * k), results, k, splat(1));
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
