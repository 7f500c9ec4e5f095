/* explog_tpl.h -- vector exp and log.
 *
 * exp(x) = 2^n exp(r),  n = round(x / ln 2),  r = x - n ln 2 in two parts,  exp(r) = 1 + r + r^2 p(r) on |r| <= ln 2 / 2.
 * log(x) = n ln 2 + log(1 + f),  x = 2^n (1 + f),  sqrt(1/2) <= 1 + f < sqrt(2),  s = f / (2 + f),
 *          log(1 + f) = 2 s + s R(s^2) = f - (f^2/2 - s (f^2/2 + R(s^2)))     (FDLIBM, e_log.c, Sun Microsystems 1993)
 * Bounds, over all arguments: exp 1 ULP, log 1 ULP in either type (docs/numerics.md has the measured ones).
 * The coefficients interpolate in Chebyshev points: p (exp(r) - 1 - r) / r^2, with a relative error of exp of 1.0e-8
 * (float) and 1.7e-17 (double); R / s^2 on |s| <= 0.2005, with one of log of 5.0e-10 and 7.5e-19.
 *
 * Needs what vec_tpl.h needs.  Names begin with vexp or vlog, constants with EXP, LOG or REAL.
 */
#ifndef FLR_EXPLOG_TPL_H
#define FLR_EXPLOG_TPL_H

#include "vec_tpl.h"

#if REAL_BITS == 32
typedef uint32_t UINT;
#define REAL_MANTISSA 23
#define REAL_BIAS 127
#define EXP_LOW ((REAL)-104)
#define EXP_NORMAL ((REAL)-87) /* exp is normal from here on */
#define EXP_HIGH ((REAL)89)
#define LOG_2_HIGH ((REAL)0x1.63p-1)
#define LOG_2_LOW ((REAL)-0x1.bd0105p-13)
#define REAL_LEAST_NORMAL 0x1p-126f
#define REAL_EPSILON 0x1p-23f
#else
typedef uint64_t UINT;
#define REAL_MANTISSA 52
#define REAL_BIAS 1023
#define EXP_LOW ((REAL)-746)
#define EXP_NORMAL ((REAL)-708)
#define EXP_HIGH ((REAL)710)
#define LOG_2_HIGH ((REAL)0x1.62e4p-1)
#define LOG_2_LOW ((REAL)0x1.7f7d1cf79abcap-20)
#define REAL_LEAST_NORMAL 0x1p-1022
#define REAL_EPSILON 0x1p-52
#endif
typedef UINT VUI __attribute__((vector_size(VBYTES)));
#define EXP_ROUNDER ((REAL)(3 * ((UINT)1 << (REAL_MANTISSA - 1)))) /* adding it leaves the integer in the low bits */
#define EXP_EXPONENT_OF_1 ((UINT)REAL_BIAS << REAL_MANTISSA)


INLINE V vabs(V a) { return (V)((VI)a & (VI)~(VUI)vsplat(-(REAL)0)); }

/* (exp(r) - 1 - r) / r^2 */
INLINE V vexp_polynomial(V r) {
    static const REAL c[] = {
#if REAL_BITS == 32
        0x1.000000p-1f, 0x1.5554dcp-3f, 0x1.555520p-5f, 0x1.120ba2p-7f, 0x1.6d113cp-10f,
#else
        0x1.0000000000001p-1, 0x1.5555555555556p-3, 0x1.5555555553d4fp-5, 0x1.11111111109adp-7,
        0x1.6c16c17893833p-10, 0x1.a01a01a7c8d47p-13, 0x1.a019b8ef67c6cp-16, 0x1.71de0d9c145d0p-19,
        0x1.2891a8c1d838dp-22, 0x1.af38d53857513p-26,
#endif
    };
    enum { COUNT = sizeof c / sizeof c[0] };
    /* by pairs (Estrin): a shorter chain than Horner's, as many operations */
    const V r2 = r * r;
    V pair[(COUNT + 1) / 2];
    for (int i = 0; i < COUNT / 2; i++) pair[i] = vfma(vsplat(c[2 * i + 1]), r, vsplat(c[2 * i]));
#if REAL_BITS == 32
    return vfma(vfma(vsplat(c[4]), r2, pair[1]), r2, pair[0]);
#else
    const V r4 = r2 * r2;
    return vfma(vfma(pair[4], r4, vfma(pair[3], r2, pair[2])), r4, vfma(pair[1], r2, pair[0]));
#endif
}

/* exp(x + tail) = 2^n (value + low), |tail| at most half an ULP of x: what x lost in an earlier rounding.  shifted has the
 * integer n in its low bits, as EXP_ROUNDER puts it there.  |x| < 2^(REAL_MANTISSA - 1), or nan. */
typedef struct { V value, low, shifted; } vexp_parts_of;

INLINE vexp_parts_of vexp_parts(V x, V tail) {
    const V shifted = vfma(x, vsplat((REAL)1.44269504088896340736), vsplat(EXP_ROUNDER)), n = shifted - EXP_ROUNDER;
    const V high = vfma(n, vsplat(-LOG_2_HIGH), x) + tail; /* exact but for the tail: LOG_2_HIGH has few bits */
    const V r = vfma(n, vsplat(-LOG_2_LOW), high), r_low = vfma(n, vsplat(-LOG_2_LOW), high - r);
    const V above = r + vfma(r * r, vexp_polynomial(r), r_low), value = 1 + above;
    return (vexp_parts_of){value, above - (value - 1), shifted};
}

/* 2^n v where the result is normal; nan stays nan */
INLINE V vexp_scale_normal(V v, V shifted) { return v * (V)(((VUI)shifted << REAL_MANTISSA) + EXP_EXPONENT_OF_1); }

/* 2^n v, in two steps, so that a subnormal result is rounded once and 2^128 needs no exponent */
INLINE V vexp_scale(V v, V shifted) {
    const VUI bits = (VUI)shifted, half = bits >> 1; /* n and n / 2 in the low bits, and EXP_ROUNDER's above them */
    return v * (V)((half << REAL_MANTISSA) + EXP_EXPONENT_OF_1) *
           (V)(((bits - half) << REAL_MANTISSA) + EXP_EXPONENT_OF_1);
}

INLINE V vexp_range(V x) { return vmin(vsplat(EXP_HIGH), vmax(vsplat(EXP_LOW), x)); }

INLINE V vexp(V x) {
    const vexp_parts_of e = vexp_parts(vexp_range(x), (V){0});
    return vexp_scale(e.value, e.shifted);
}

/* exp(x), x <= 0, and what it lost; low_out may be NULL */
INLINE V vexp_negative(V x, V *low_out) {
    const vexp_parts_of e = vexp_parts(vmax(vsplat(EXP_LOW), x), (V){0});
    const int subnormal = vany(x < EXP_NORMAL);
    if (low_out) *low_out = subnormal ? vexp_scale(e.low, e.shifted) : vexp_scale_normal(e.low, e.shifted);
    return subnormal ? vexp_scale(e.value, e.shifted) : vexp_scale_normal(e.value, e.shifted);
}

/* exp(x) where it is normal, far from both ends of its range: 1.2 ULP */
INLINE V vexp_near(V x) {
    const V shifted = vfma(x, vsplat((REAL)1.44269504088896340736), vsplat(EXP_ROUNDER)), n = shifted - EXP_ROUNDER;
    const V r = vfma(n, vsplat(-LOG_2_LOW), vfma(n, vsplat(-LOG_2_HIGH), x));
    return vexp_scale_normal(1 + vfma(r * r, vexp_polynomial(r), r), shifted);
}

/* R(z) of log(1 + f) = 2 s + s R(s^2) */
INLINE V vlog_polynomial(V z) {
    static const REAL c[] = {
#if REAL_BITS == 32
        0x1.555556p-1f, 0x1.999a6ep-2f, 0x1.242bd4p-2f, 0x1.e68266p-3f,
#else
        0x1.5555555555555p-1, 0x1.9999999999f4ap-2, 0x1.24924923d8d53p-2, 0x1.c71c72e6a0bf3p-3,
        0x1.745caa083f891p-3, 0x1.3b2a29705fb2cp-3, 0x1.0e857c4765545p-3, 0x1.16d0d0a09926bp-3,
#endif
    };
    V R = vsplat(c[sizeof c / sizeof c[0] - 1]);
    for (int i = (int)(sizeof c / sizeof c[0]) - 2; i >= 0; i--) R = vfma(R, z, vsplat(c[i]));
    return R * z;
}

/* sqrt(1/2) and 1 as integers: with their difference added, the exponent's bits are n of 2^n (1 + f), and REAL_BIAS */
#if REAL_BITS == 32
#define LOG_HALF_ROOT 0x3f3504f3u
#define LOG_ONE 0x3f800000u
#else
#define LOG_HALF_ROOT 0x3fe6a09e667f3bcdu
#define LOG_ONE 0x3ff0000000000000u
#endif

/* exponent bits as a real, less by REAL_BIAS */
INLINE V vlog_unbiased(VUI exponent) {
#if REAL_BITS == 32
    return __builtin_convertvector((VI)exponent, V) - REAL_BIAS;
#else
    return (V)(exponent | 0x4330000000000000u) -
           (0x1p52 + REAL_BIAS); /* where no instruction converts 64-bit integers */
#endif
}

/* log(u) + correction for normal finite u > 0 */
INLINE V vlog_core(V u, V correction) {
    const VUI bits = (VUI)u + (LOG_ONE - LOG_HALF_ROOT);
    const V n = vlog_unbiased(bits >> REAL_MANTISSA);
    const V f = (V)((bits & (((UINT)1 << REAL_MANTISSA) - 1)) + LOG_HALF_ROOT) - 1;
    const V s = f / (f + 2), half_square = (REAL)0.5 * f * f, R = vlog_polynomial(s * s);
    const V low = vfma(n, vsplat(LOG_2_LOW), correction);
    return vfma(n, vsplat(LOG_2_HIGH), f - (half_square - vfma(s, half_square + R, low)));
}

/* log(1 + rest / lead), 0 <= rest, 0 < lead: 2^n lead is next to lead + rest, and s a quotient of theirs.  The integers
 * that reals are as bits differ by the logarithm of their ratio, roughly: what 1 + f may be is 2/3 to 3/2. */
INLINE V vlog1p_ratio(V rest, V lead) {
    const VUI bits = (VUI)(lead + rest) - (VUI)lead + LOG_ONE + ((UINT)1 << (REAL_MANTISSA - 1));
    const V n = vlog_unbiased(bits >> REAL_MANTISSA), power = (V)(bits & ~(((UINT)1 << REAL_MANTISSA) - 1));
    const V s = vfma(-lead, power - 1, rest) / vfma(lead, power + 1, rest);
    return vfma(n, vsplat(LOG_2_HIGH), 2 * s + vfma(s, vlog_polynomial(s * s), n * LOG_2_LOW));
}

/* log(1 + y), y > -1 and finite */
INLINE V vlog1p(V y) {
    const V u = 1 + y, tail = vselect(y < 1, y - (u - 1), 1 - (u - y));
    return vlog_core(u, tail / u);
}

/* log of anything: 0 gives -inf, negative nan, inf inf, nan nan */
INLINE V vlog(V x) {
    const VI tiny = x < REAL_LEAST_NORMAL;
    const REAL factor = (REAL)((UINT)1 << REAL_MANTISSA), shift = REAL_MANTISSA;
    V y = vlog_core(vselect(tiny, x * factor, x), (V){0});
    /* log(2^-m u) by the exponent: n is lower by m; the two parts of ln 2 keep the sum exact enough */
    y = vselect(tiny, (y - shift * LOG_2_HIGH) - shift * LOG_2_LOW, y);
    y = vselect(x == 0, vsplat(-(REAL)INFINITY), y);
    y = vselect(x < 0, vsplat((REAL)NAN), y);
    return vselect((x == (REAL)INFINITY) | (x != x), x, y);
}

#endif
