/* map_tpl.h -- functions of one number, elementwise; all odd or complementary pairs go through t = exp(-|z|) <= 1.
 *
 * sigmoid(z) = (z > 0 ? 1 : t) / (1 + t)              sigmoid'(z) = s (1 - s) = t / (1 + t)^2
 * log_sigmoid(z) = min(z, 0) - log1p(t)               logit(p) = log(p / (1 - p)), near 1/2 log1p((2p - 1) / (1 - p))
 *
 * Needs what vec_tpl.h needs.
 */
#ifndef FLR_MAP_TPL_H
#define FLR_MAP_TPL_H

#include "explog_tpl.h"
#include "prefetch_tpl.h"

/* 1 / (1 + t) or t / (1 + t): a quotient by way of 1 / (1 + t), corrected by what it, exp and the sum lost */
INLINE V map_sigmoid_of(V z) {
    V low;
    const V t = vexp_negative(-vabs(z), &low), sum = 1 + t, sum_low = (t - (sum - 1)) + low;
    const V over = vselect(z > 0, vsplat(1), t), over_low = (V)((VI)low & ~(z > 0));
    const V inverse = 1 / sum, quotient = over * inverse;
    return vfma(vfma(-quotient, sum, over) + vfma(-quotient, sum_low, over_low), inverse, quotient);
}

INLINE V map_value(V z, const flr_map map) {
    if (map == FLR_EXP) return vexp(z);
    if (map == FLR_LOG) return vlog(z);
    if (map == FLR_MAP_LOGIT) {
        const V odds = z / (1 - z), excess = (2 * z - 1) / (1 - z);
        return vselect(vabs(z - (REAL)0.5) < (REAL)0.25, vlog1p(excess), vlog(odds));
    }
    if (map == FLR_MAP_SIGMOID) return map_sigmoid_of(z);
    const V t = vexp_negative(-vabs(z), NULL);
    if (map == FLR_MAP_SIGMOID_DERIVATIVE) return t / ((1 + t) * (1 + t));
    return vmin(vsplat(0), z) - vlog1p(t);
}

enum { MAP_AHEAD = 4096 / sizeof(REAL) }; /* the hardware's prefetcher does not cross pages */

INLINE void map_values(void *out_, const void *z_, int64_t n, int stream, const flr_map map) {
    REAL *out = out_;
    const REAL *z = z_;
    int64_t i = 0;
    if (stream) {
        const int64_t head = (int64_t)(-(uintptr_t)out % VBYTES / sizeof(REAL));
        i = head < n ? head : n;
        if (i > 0) vstore_part(out, map_value(vload_part(z, (int)i), map), (int)i);
        for (; i + VLEN <= n; i += VLEN) {
            prefetch_line(z + i, MAP_AHEAD);
            vstream(out + i, map_value(vload(z + i), map));
        }
#if VX86
        _mm_sfence();
#endif
    }
    for (; i + VLEN <= n; i += VLEN) vstore(out + i, map_value(vload(z + i), map));
    if (i < n) vstore_part(out + i, map_value(vload_part(z + i, (int)(n - i)), map), (int)(n - i));
}

#define MAP_DEFINE(name, map)                                                                                         \
    static void map_##name(void *out, const void *z, int64_t n, int stream) { map_values(out, z, n, stream, map); }
MAP_DEFINE(exp, FLR_EXP)
MAP_DEFINE(log, FLR_LOG)
MAP_DEFINE(sigmoid, FLR_MAP_SIGMOID)
MAP_DEFINE(sigmoid_derivative, FLR_MAP_SIGMOID_DERIVATIVE)
MAP_DEFINE(log_sigmoid, FLR_MAP_LOG_SIGMOID)
MAP_DEFINE(logit, FLR_MAP_LOGIT)

#endif
