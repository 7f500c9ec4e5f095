/* explog_tpl.h -- vector exp and log.
 *
 * exp(x) = 2^n exp(r),  n = round(x / ln 2),  r = x - n ln 2 in two parts,  exp(r) = 1 + r + r^2 p(r) on |r| <= ln 2 / 2.
 * log(x) = n ln 2 + log(1 + f),  x = 2^n (1 + f),  sqrt(1/2) <= 1 + f < sqrt(2),  s = f / (2 + f),
 *          log(1 + f) = f - (f^2/2 - s (f^2/2 + R(s^2)))     (R: FDLIBM, e_log.c and e_logf.c, Sun Microsystems 1993)
 * Bounds, over all arguments: exp 1 ULP, log 1 ULP in either type (docs/numerics.md has the measured ones).
 * The coefficients of p interpolate (exp(r) - 1 - r) / r^2 in Chebyshev points; relative error 1.0e-8 (float),
 * 1.7e-17 (double).
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

/* exp(x + tail) = 2^n (value + low), |tail| at most half an ULP of x: what x lost in an earlier rounding.  shifted has
 * the integer n in its low bits, as ROUNDER puts it there.  |x| < 2^(MANTISSA - 1), or nan. */
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

/* exp(x) for a sum of numbers up to 1, x <= 0: 2 ULP, and 0 where the result would be subnormal */
INLINE V vexp_term(V x) {
    const V shifted = vfma(x, splat((REAL)1.44269504088896340736), splat(ROUNDER)), n = shifted - ROUNDER;
    const V r = vfma(n, splat(-LN2_LOW), vfma(n, splat(-LN2_HIGH), x));
    const V value = 1 + vfma(r * r, exp_polynomial(r), r);
    return (V)((VI)scale_normal(value, shifted) & ~(x < EXP_NORMAL));
}

/* log(u) + correction for normal finite u > 0 */
INLINE V vlog_core(V u, V correction) {
    static const REAL c[] = {
#if REAL_BITS == 32
        0xaaaaaa.0p-24f, 0xccce13.0p-25f, 0x91e9ee.0p-25f, 0xf89e26.0p-26f,
#else
        6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01,
        1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01,
#endif
    };
#if REAL_BITS == 32
    const VUI half_root = (VUI){0} + 0x3f3504f3u, one = (VUI){0} + 0x3f800000u;
    const VUI bits = (VUI)u + (one - half_root);
    const V n = __builtin_convertvector((VI)(bits >> MANTISSA), V) - BIAS;
#else
    const VUI half_root = (VUI){0} + 0x3fe6a09e667f3bcdu, one = (VUI){0} + 0x3ff0000000000000u;
    const VUI bits = (VUI)u + (one - half_root);
    /* 64-bit integer to double, for small ones, where no instruction does it */
    const V n = (V)((bits >> MANTISSA) | 0x4330000000000000u) - (0x1p52 + BIAS);
#endif
    const V f = (V)((bits & (((UINT)1 << MANTISSA) - 1)) + half_root) - 1;
    const V s = f / (f + 2), z = s * s, half_square = (REAL)0.5 * f * f;
    V R = splat(c[sizeof c / sizeof c[0] - 1]);
    for (int i = (int)(sizeof c / sizeof c[0]) - 2; i >= 0; i--) R = vfma(R, z, splat(c[i]));
    R *= z;
    const V low = vfma(n, splat(LN2_LOW), correction);
    return vfma(n, splat(LN2_HIGH), f - (half_square - vfma(s, half_square + R, low)));
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
