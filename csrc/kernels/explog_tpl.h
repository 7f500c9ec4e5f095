/* explog_tpl.h -- vector exp and log.
 *
 * exp(x) = 2^n exp(r),  n = round(x / ln 2),  r = x - n ln 2 in two parts,  exp(r) = 1 + r + r^2 p(r) on |r| <= ln 2 / 2.
 * log(x) = n ln 2 + log(1 + f),  x = 2^n (1 + f),  sqrt(1/2) <= 1 + f < sqrt(2),  s = f / (2 + f),
 *          log(1 + f) = 2 s + s R(s^2) = f - (f^2/2 - s (f^2/2 + R(s^2)))     (FDLIBM, e_log.c, Sun Microsystems 1993)
 * Bounds, over all arguments: exp 1 ULP, log 1 ULP in either type (docs/numerics.md has the measured ones).
 * The coefficients interpolate in Chebyshev points: p (exp(r) - 1 - r) / r^2, with a relative error of exp of 1.0e-8
 * (float) and 1.7e-17 (double); R / s^2 on |s| <= 0.2005, with one of log of 5.0e-10 and 7.5e-19.
 */
#if REAL_BITS == 32
typedef uint32_t UINT;
#define MANTISSA 23
#define BIAS 127
#define EXP_LOW ((REAL)-104)
#define EXP_NORMAL ((REAL)-87) /* exp is normal from here on */
#define EXP_HIGH ((REAL)89)
#define LN2_HIGH ((REAL)0x1.63p-1)
#define LN2_LOW ((REAL)-0x1.bd0105p-13)
#define LEAST_NORMAL 0x1p-126f
#define EPSILON 0x1p-23f
#else
typedef uint64_t UINT;
#define MANTISSA 52
#define BIAS 1023
#define EXP_LOW ((REAL)-746)
#define EXP_NORMAL ((REAL)-708)
#define EXP_HIGH ((REAL)710)
#define LN2_HIGH ((REAL)0x1.62e4p-1)
#define LN2_LOW ((REAL)0x1.7f7d1cf79abcap-20)
#define LEAST_NORMAL 0x1p-1022
#define EPSILON 0x1p-52
#endif
typedef UINT VUI __attribute__((vector_size(VBYTES)));
#define ROUNDER ((REAL)(3 * ((UINT)1 << (MANTISSA - 1)))) /* adding it leaves the integer in the low bits */
#define EXPONENT_OF_1 ((UINT)BIAS << MANTISSA)


INLINE V vabs(V a) { return (V)((VI)a & (VI)~(VUI)splat(-(REAL)0)); }

/* (exp(r) - 1 - r) / r^2 */
INLINE V exp_polynomial(V r) {
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
    for (int i = 0; i < COUNT / 2; i++) pair[i] = vfma(splat(c[2 * i + 1]), r, splat(c[2 * i]));
#if REAL_BITS == 32
    return vfma(vfma(splat(c[4]), r2, pair[1]), r2, pair[0]);
#else
    const V r4 = r2 * r2;
    return vfma(vfma(pair[4], r4, vfma(pair[3], r2, pair[2])), r4, vfma(pair[1], r2, pair[0]));
#endif
}

/* exp(x + tail) = 2^n (value + low), |tail| at most half an ULP of x: what x lost in an earlier rounding.  shifted has the
 * integer n in its low bits, as ROUNDER puts it there.  |x| < 2^(MANTISSA - 1), or nan. */
typedef struct { V value, low, shifted; } exp_parts;

INLINE exp_parts vexp_parts(V x, V tail) {
    const V shifted = vfma(x, splat((REAL)1.44269504088896340736), splat(ROUNDER)), n = shifted - ROUNDER;
    const V high = vfma(n, splat(-LN2_HIGH), x) + tail; /* exact but for the tail: LN2_HIGH has few bits */
    const V r = vfma(n, splat(-LN2_LOW), high), r_low = vfma(n, splat(-LN2_LOW), high - r);
    const V above = r + vfma(r * r, exp_polynomial(r), r_low), value = 1 + above;
    return (exp_parts){value, above - (value - 1), shifted};
}

/* 2^n v where the result is normal; nan stays nan */
INLINE V scale_normal(V v, V shifted) { return v * (V)(((VUI)shifted << MANTISSA) + EXPONENT_OF_1); }

/* 2^n v, in two steps, so that a subnormal result is rounded once and 2^128 needs no exponent */
INLINE V scale(V v, V shifted) {
    const VUI bits = (VUI)shifted, half = bits >> 1; /* n and n / 2 in the low bits, and ROUNDER's above them */
    return v * (V)((half << MANTISSA) + EXPONENT_OF_1) * (V)(((bits - half) << MANTISSA) + EXPONENT_OF_1);
}

INLINE V exp_range(V x) { return vmin(splat(EXP_HIGH), vmax(splat(EXP_LOW), x)); }

INLINE V vexp(V x) {
    const exp_parts e = vexp_parts(exp_range(x), (V){0});
    return scale(e.value, e.shifted);
}

/* exp(x), x <= 0, and what it lost; low_out may be NULL */
INLINE V vexp_negative(V x, V *low_out) {
    const exp_parts e = vexp_parts(vmax(splat(EXP_LOW), x), (V){0});
    const int subnormal = any_lane(x < EXP_NORMAL);
    if (low_out) *low_out = subnormal ? scale(e.low, e.shifted) : scale_normal(e.low, e.shifted);
    return subnormal ? scale(e.value, e.shifted) : scale_normal(e.value, e.shifted);
}

/* exp(x) where it is normal, far from both ends of its range: 1.2 ULP */
INLINE V vexp_near(V x) {
    const V shifted = vfma(x, splat((REAL)1.44269504088896340736), splat(ROUNDER)), n = shifted - ROUNDER;
    const V r = vfma(n, splat(-LN2_LOW), vfma(n, splat(-LN2_HIGH), x));
    return scale_normal(1 + vfma(r * r, exp_polynomial(r), r), shifted);
}

/* R(z) of log(1 + f) = 2 s + s R(s^2) */
INLINE V log_polynomial(V z) {
    static const REAL c[] = {
#if REAL_BITS == 32
        0x1.555556p-1f, 0x1.999a6ep-2f, 0x1.242bd4p-2f, 0x1.e68266p-3f,
#else
        0x1.5555555555555p-1, 0x1.9999999999f4ap-2, 0x1.24924923d8d53p-2, 0x1.c71c72e6a0bf3p-3,
        0x1.745caa083f891p-3, 0x1.3b2a29705fb2cp-3, 0x1.0e857c4765545p-3, 0x1.16d0d0a09926bp-3,
#endif
    };
    V R = splat(c[sizeof c / sizeof c[0] - 1]);
    for (int i = (int)(sizeof c / sizeof c[0]) - 2; i >= 0; i--) R = vfma(R, z, splat(c[i]));
    return R * z;
}

/* sqrt(1/2) and 1 as integers: with their difference added, the exponent's bits are n of 2^n (1 + f), and BIAS */
#if REAL_BITS == 32
#define HALF_ROOT 0x3f3504f3u
#define ONE 0x3f800000u
#else
#define HALF_ROOT 0x3fe6a09e667f3bcdu
#define ONE 0x3ff0000000000000u
#endif

/* exponent bits as a real, less by BIAS */
INLINE V unbiased(VUI exponent) {
#if REAL_BITS == 32
    return __builtin_convertvector((VI)exponent, V) - BIAS;
#else
    return (V)(exponent | 0x4330000000000000u) - (0x1p52 + BIAS); /* where no instruction converts 64-bit integers */
#endif
}

/* log(u) + correction for normal finite u > 0 */
INLINE V vlog_core(V u, V correction) {
    const VUI bits = (VUI)u + (ONE - HALF_ROOT);
    const V n = unbiased(bits >> MANTISSA);
    const V f = (V)((bits & (((UINT)1 << MANTISSA) - 1)) + HALF_ROOT) - 1;
    const V s = f / (f + 2), half_square = (REAL)0.5 * f * f, R = log_polynomial(s * s);
    const V low = vfma(n, splat(LN2_LOW), correction);
    return vfma(n, splat(LN2_HIGH), f - (half_square - vfma(s, half_square + R, low)));
}

/* log(1 + rest / lead), 0 <= rest, 0 < lead: 2^n lead is next to lead + rest, and s a quotient of theirs.  The integers
 * that reals are as bits differ by the logarithm of their ratio, roughly: what 1 + f may be is 2/3 to 3/2. */
INLINE V vlog1p_ratio(V rest, V lead) {
    const VUI bits = (VUI)(lead + rest) - (VUI)lead + ONE + ((UINT)1 << (MANTISSA - 1));
    const V n = unbiased(bits >> MANTISSA), power = (V)(bits & ~(((UINT)1 << MANTISSA) - 1));
    const V s = vfma(-lead, power - 1, rest) / vfma(lead, power + 1, rest);
    return vfma(n, splat(LN2_HIGH), 2 * s + vfma(s, log_polynomial(s * s), n * LN2_LOW));
}

/* log(1 + y), y > -1 and finite */
INLINE V vlog1p(V y) {
    const V u = 1 + y, tail = vselect(y < 1, y - (u - 1), 1 - (u - y));
    return vlog_core(u, tail / u);
}

/* log of anything: 0 gives -inf, negative nan, inf inf, nan nan */
INLINE V vlog(V x) {
    const VI tiny = x < LEAST_NORMAL;
    const REAL factor = (REAL)((UINT)1 << MANTISSA), shift = MANTISSA;
    V y = vlog_core(vselect(tiny, x * factor, x), (V){0});
    /* log(2^-m u) by the exponent: n is lower by m; the two parts of ln 2 keep the sum exact enough */
    y = vselect(tiny, (y - shift * LN2_HIGH) - shift * LN2_LOW, y);
    y = vselect(x == 0, splat(-(REAL)INFINITY), y);
    y = vselect(x < 0, splat((REAL)NAN), y);
    return vselect((x == (REAL)INFINITY) | (x != x), x, y);
}
