/* vec_tpl.h -- one vector register of reals: V, its integer twin VI, and what the vector extensions cannot say.
 *
 * GNU vector extensions carry the arithmetic.  Intrinsics remain for a part of a vector, streaming stores, fused
 * multiplication and minima, maxima and selection (which the compiler does not recognise in their portable form).
 */
#if REAL_BITS == 32
#define REAL float
#define INT int32_t
#else
#define REAL double
#define INT int64_t
#endif
#define VLEN ((int)(VBYTES / sizeof(REAL)))
#define INLINE static inline __attribute__((always_inline, unused))

typedef REAL V __attribute__((vector_size(VBYTES)));
typedef REAL VU __attribute__((vector_size(VBYTES), aligned(REAL_BITS / 8), may_alias));
typedef INT VI __attribute__((vector_size(VBYTES)));

/* M(max, a, b) is _mm256_max_ps((__m256)a, (__m256)b) and the like; undefined where no intrinsics serve */
#if VBYTES == 64 && defined __AVX512F__
#include <immintrin.h>
#define X86_VECTOR 1
#if REAL_BITS == 32
#define REGISTER __m512
#define M(op, ...) _mm512_##op##_ps(__VA_ARGS__)
#else
#define REGISTER __m512d
#define M(op, ...) _mm512_##op##_pd(__VA_ARGS__)
#endif
#elif VBYTES == 32 && defined __AVX2__
#include <immintrin.h>
#define X86_VECTOR 1
#if REAL_BITS == 32
#define REGISTER __m256
#define M(op, ...) _mm256_##op##_ps(__VA_ARGS__)
#else
#define REGISTER __m256d
#define M(op, ...) _mm256_##op##_pd(__VA_ARGS__)
#endif
#elif VBYTES == 16 && defined __SSE2__
#include <emmintrin.h>
#define X86_VECTOR 1
#if REAL_BITS == 32
#define REGISTER __m128
#define M(op, ...) _mm_##op##_ps(__VA_ARGS__)
#else
#define REGISTER __m128d
#define M(op, ...) _mm_##op##_pd(__VA_ARGS__)
#endif
#else
#ifdef __ARM_NEON
#include <arm_neon.h>
#endif
#define X86_VECTOR 0
#endif


INLINE V splat(REAL x) { return x - (V){0}; }
INLINE V load(const REAL *p) { return *(const VU *)p; }
INLINE void store(REAL *p, V v) { *(VU *)p = v; }

/* 0, 1, 2, ... */
INLINE VI iota(void) {
    VI lanes = {0};
    for (int i = 0; i < VLEN; i++) lanes[i] = i;
    return lanes;
}

/* the first count < VLEN values, zero behind them; nothing past them is touched */
INLINE V load_part(const REAL *p, int count) {
#if X86_VECTOR && VBYTES == 64
    return (V)M(maskz_loadu, (uint16_t)((1u << count) - 1), p);
#elif X86_VECTOR && VBYTES == 32
    static const INT mask[2 * VBYTES / sizeof(INT)] = {
        -1, -1, -1, -1,
#if REAL_BITS == 32
        -1, -1, -1, -1,
#endif
    };
    return (V)M(maskload, p, _mm256_loadu_si256((const __m256i *)(mask + VLEN - count)));
#else
    V v = {0};
    for (int i = 0; i < VLEN - 1; i++)
        if (i < count) v[i] = p[i];
    return v;
#endif
}

INLINE void store_part(REAL *p, V v, int count) {
#if X86_VECTOR && VBYTES == 64
    M(mask_storeu, p, (uint16_t)((1u << count) - 1), (REGISTER)v);
#else
    REAL all[VBYTES / sizeof(REAL)];
    store(all, v);
    for (int i = 0; i < count; i++) p[i] = all[i];
#endif
}

/* write past the caches; p is aligned to VBYTES */
INLINE void stream_out(REAL *p, V v) {
#if X86_VECTOR
    M(stream, p, (REGISTER)v);
#else
    store(p, v);
#endif
}

/* mask ? a : b, lane by lane; mask lanes are 0 or -1, as comparisons give them */
INLINE V vselect(VI mask, V a, V b) {
#if X86_VECTOR && VBYTES == 32
    return (V)M(blendv, (REGISTER)b, (REGISTER)a, (REGISTER)mask);
#else
    return (V)(((VI)a & mask) | ((VI)b & ~mask));
#endif
}

/* a > b ? a : b and a < b ? a : b: where either is nan, b */
INLINE V vmax(V a, V b) {
#if X86_VECTOR
    return (V)M(max, (REGISTER)a, (REGISTER)b);
#else
    return vselect(a > b, a, b);
#endif
}

INLINE V vmin(V a, V b) {
#if X86_VECTOR
    return (V)M(min, (REGISTER)a, (REGISTER)b);
#else
    return vselect(a < b, a, b);
#endif
}

/* a * b + c, rounded once where the instruction set has it */
INLINE V vfma(V a, V b, V c) {
#if X86_VECTOR && VBYTES >= 32
    return (V)M(fmadd, (REGISTER)a, (REGISTER)b, (REGISTER)c);
#elif defined __ARM_FEATURE_FMA && REAL_BITS == 32
    return (V)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#elif defined __ARM_FEATURE_FMA
    return (V)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
    return a * b + c;
#endif
}
