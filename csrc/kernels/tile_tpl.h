/* tile_tpl.h -- what is done to the rows of a tile, or to its sums, besides the products of linear_tpl.h.
 *
 * Needs what vec_tpl.h needs.
 */
#ifndef FLR_TILE_TPL_H
#define FLR_TILE_TPL_H

#include "vec_tpl.h"

static void tile_flush(double *G, void *G_real_, int64_t n) {
    REAL *G_real = G_real_;
    for (int64_t i = 0; i < n; i++) {
        G[i] += (double)G_real[i];
        G_real[i] = 0;
    }
}

static void tile_add(void *out_, const void *other_, int64_t n) {
    REAL *restrict out = out_;
    const REAL *restrict other = other_;
    for (int64_t i = 0; i < n; i++) out[i] += other[i];
}

static void tile_exchange_columns(void *Z_, int64_t m, int64_t k, int64_t a, int64_t b) {
    for (REAL *z = Z_, *const end = z + m * k; z < end; z += k) {
        const REAL value = z[a];
        z[a] = z[b];
        z[b] = value;
    }
}

static void tile_column_sums(double *g, const void *R_, int64_t m, int64_t k) {
    const REAL *R = R_;
    if (k > 1) {
        for (int64_t i = 0; i < m; i++)
            for (int64_t c = 0; c < k; c++) g[c] += (double)R[i * k + c];
        return;
    }
    double sums[16] = {0}; /* one sum would be a chain of m additions */
    int64_t i = 0;
    for (; i + 16 <= m; i += 16)
        for (int l = 0; l < 16; l++) sums[l] += (double)R[i + l];
    for (; i < m; i++) sums[0] += (double)R[i];
    for (int l = 0; l < 16; l++) g[0] += sums[l];
}

static int64_t tile_correct(const void *Z_, const int32_t *label, double threshold, int64_t m, int64_t k) {
    const REAL *Z = Z_;
    int64_t count = 0;
    for (int64_t i = 0; i < m; i++) {
        if (k == 1) {
            count += label[i] == (Z[i] > threshold || (threshold > 0 && Z[i] == threshold));
            continue;
        }
        /* none before it as large, none behind it larger: where lanes are the classes */
        const REAL *z = Z + i * k;
        const V own = vsplat(z[label[i]]);
        const VI at = (VI){0} + (INT)label[i], end = (VI){0} + (INT)k;
        VI lane = viota(), rivals = {0};
        for (int64_t c = 0; c < k; c += VLEN, lane += VLEN) {
            const V v = k - c < VLEN ? vload_part(z + c, (int)(k - c)) : vload(z + c);
            rivals |= (~(v < own) & (lane < at)) | (~(v <= own) & (lane > at) & (lane < end));
        }
        count += !vany(rivals);
    }
    return count;
}

static int64_t tile_first_nonfinite(const void *x_, int64_t d) {
    const REAL *x = x_;
    V zeros = {0}; /* x - x is 0 or nan */
    int64_t j = 0;
    for (; j + VLEN <= d; j += VLEN) zeros += vload(x + j) - vload(x + j);
    if (j < d) zeros += vload_part(x + j, (int)(d - j)) - vload_part(x + j, (int)(d - j));
    int clean = 1;
    for (int l = 0; l < VLEN; l++) clean &= zeros[l] == 0;
    for (j = clean ? d : 0; j < d && isfinite(x[j]);) j++;
    return j;
}

static void tile_standardise(void *out_, int64_t ld_out, double *s, const void *const *x, const void *scale_,
                             const void *shift_, const double *weight, int64_t m, int64_t d) {
    const REAL *scale = scale_, *shift = shift_;
    for (int64_t i = 0; i < m; i++) {
        const REAL *xi = x[i], root = weight ? (REAL)sqrt(weight[i]) : 1;
        REAL *o = (REAL *)out_ + i * ld_out;
        for (int64_t j = 0; j < d; j++) {
            const REAL value = (xi[j] - (shift ? shift[j] : 0)) * (scale ? scale[j] : 1);
            s[j] += (weight ? weight[i] : 1) * (double)value;
            o[j] = root * value;
        }
    }
}

#endif
