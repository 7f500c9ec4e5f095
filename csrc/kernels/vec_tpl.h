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
#define VLEN (VBYTES * 8 / REAL_BITS)
#define INLINE static inline __attribute__((always_inline, unused))
/* all turns of a loop, early enough for arrays of vectors to become registers */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif
#define NOINLINE static __attribute__((noinline, unused)) /* compiled once, whatever uses it */

typedef REAL V __attribute__((vector_size(VBYTES)));
typedef REAL VU __attribute__((vector_size(VBYTES), aligned(REAL_BITS / 8), may_alias));
typedef INT VI __attribute__((vector_size(VBYTES)));
typedef double VD __attribute__((vector_size(VBYTES)));
typedef int64_t VDI __attribute__((vector_size(VBYTES)));
#define WIDE (8 / (int)sizeof(REAL)) /* VD it takes for the lanes of a V */

/* LANES(f, h) is f(0, h), f(1, h), ... f(VLEN - 1, h): the lanes of a constant, or of a shuffle */
#define LANES_2(f, h) f(0, h), f(1, h)
#define LANES_4(f, h) LANES_2(f, h), f(2, h), f(3, h)
#define LANES_8(f, h) LANES_4(f, h), f(4, h), f(5, h), f(6, h), f(7, h)
#define LANES_16(f, h) LANES_8(f, h), f(8, h), f(9, h), f(10, h), f(11, h), f(12, h), f(13, h), f(14, h), f(15, h)
#if VLEN == 2
#define LANES LANES_2
#define HALF_LANES(f, h) f(0, h)
#elif VLEN == 4
#define LANES LANES_4
#define HALF_LANES LANES_2
#elif VLEN == 8
#define LANES LANES_8
#define HALF_LANES LANES_4
#else
#define LANES LANES_16
#define HALF_LANES LANES_8
#endif
#define SHUFFLE(a, b, f, h) __builtin_shufflevector(a, b, LANES(f, h))
#define LANE_NUMBER(l, h) l
#define UPPER_LANE(l, h) ((l) + VLEN / 2)
/* of a followed by b: every other block of h lanes */
#define EVEN_BLOCKS(l, h) ((l) / (h) * 2 * (h) + (l) % (h))
#define ODD_BLOCKS(l, h) (EVEN_BLOCKS(l, h) + (h))

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


/* the line of p + ahead, fetched; it may lie beyond what p points into, where no pointer may */
INLINE void fetch_line(const void *p, int64_t ahead) {
    __builtin_prefetch((const void *)((uintptr_t)p + (uintptr_t)(ahead * (int64_t)sizeof(REAL))), 0, 2);
}

INLINE V splat(REAL x) { return x - (V){0}; }
INLINE V load(const REAL *p) { return *(const VU *)p; }
/* v, loaded once although it is an operand of several instructions */
INLINE V in_register(V v) {
#if X86_VECTOR && VBYTES == 64
    __asm__("" : "+v"(v));
#elif X86_VECTOR
    __asm__("" : "+x"(v));
#endif
    return v;
}
INLINE void store(REAL *p, V v) { *(VU *)p = v; }

/* half a vector each, from two places and to them */
typedef REAL half_vector __attribute__((vector_size(VBYTES / 2), aligned(REAL_BITS / 8), may_alias));
INLINE V load_halves(const REAL *low, const REAL *high) {
    return __builtin_shufflevector(*(const half_vector *)low, *(const half_vector *)high, LANES(LANE_NUMBER, 0));
}
INLINE void store_halves(REAL *low, REAL *high, V v) {
    *(half_vector *)low = __builtin_shufflevector(v, v, HALF_LANES(LANE_NUMBER, 0));
    *(half_vector *)high = __builtin_shufflevector(v, v, HALF_LANES(UPPER_LANE, 0));
}

/* the lanes of v as doubles: those of the lower or the upper half, or all */
INLINE VD widen(V v, const int part) {
#if REAL_BITS == 32
    const half_vector half = part ? __builtin_shufflevector(v, v, HALF_LANES(UPPER_LANE, 0))
                                  : __builtin_shufflevector(v, v, HALF_LANES(LANE_NUMBER, 0));
#if X86_VECTOR && VBYTES == 64
    return (VD)_mm512_cvtps_pd((__m256)half);
#elif X86_VECTOR && VBYTES == 32
    return (VD)_mm256_cvtps_pd((__m128)half);
#else
    return __builtin_convertvector(half, VD);
#endif
#else
    (void)part;
    return v;
#endif
}

/* its inverse, rounded; high is not read where there is one part */
INLINE V narrow(VD low, VD high) {
#if REAL_BITS == 32 && X86_VECTOR && VBYTES == 64
    return (V)_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps((__m512d)low)), _mm512_cvtpd_ps((__m512d)high), 1);
#elif REAL_BITS == 32 && X86_VECTOR && VBYTES == 32
    return (V)_mm256_set_m128(_mm256_cvtpd_ps((__m256d)high), _mm256_cvtpd_ps((__m256d)low));
#elif REAL_BITS == 32
    return __builtin_shufflevector(__builtin_convertvector(low, half_vector), __builtin_convertvector(high, half_vector),
                                   LANES(LANE_NUMBER, 0));
#else
    (void)high;
    return low;
#endif
}

/* v * factor of each lane, in double and rounded once; where factor is 0 that is 0, whatever v holds */
INLINE V times_wide(V v, const VD *factor) {
    VD product[2] = {{0}};
    for (int p = 0; p < WIDE; p++) product[p] = (VD)((VDI)(widen(v, p) * factor[p]) & (factor[p] != 0));
    return narrow(product[0], product[WIDE - 1]);
}

/* 0, 1, 2, ... */
INLINE VI iota(void) { return (VI){LANES(LANE_NUMBER, 0)}; }
INLINE V iota_real(void) { return (V){LANES(LANE_NUMBER, 0)}; }

/* the first count <= VLEN values, zero behind them; nothing past them is touched */
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
    REAL all[VLEN] = {0};
    for (int i = 0; i < VLEN; i++) all[i] = i < count ? p[i] : 0;
    return load(all);
#endif
}

INLINE void store_part(REAL *p, V v, int count) {
#if X86_VECTOR && VBYTES == 64
    M(mask_storeu, p, (uint16_t)((1u << count) - 1), (REGISTER)v);
#else
    REAL all[VLEN];
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

/* is a lane of the mask set? */
INLINE int any_lane(VI mask) {
#if X86_VECTOR && VBYTES == 64
    return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif X86_VECTOR
    return M(movemask, (REGISTER)mask) != 0;
#else
    INT any = 0;
    for (int l = 0; l < VLEN; l++) any |= mask[l];
    return any != 0;
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

INLINE double sum_of_wide(const VD *sums) {
    double sum = 0;
    for (int l = 0; l < VLEN; l++) sum += sums[l / (VLEN / WIDE)][l % (VLEN / WIDE)];
    return sum;
}
