/* vec_tpl.h -- one vector register of reals: V, its integer twin VI, and what the vector extensions cannot say.
 *
 * GNU vector extensions carry the arithmetic.  Intrinsics remain for a part of a vector, streaming stores, fused
 * multiplication and minima, maxima and selection (which the compiler does not recognise in their portable form).
 *
 * Needs REAL_BITS (32 or 64) and VBYTES (bytes of a register), which the command line defines: each object has the
 * templates *_tpl.h for one such pair.  Names begin with v or V, but for REAL, INT, INLINE, NOINLINE, UNROLL, JOIN.
 */
#ifndef FLR_VEC_TPL_H
#define FLR_VEC_TPL_H

#include "table.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

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
#define VWIDE (8 / (int)sizeof(REAL)) /* VD it takes for the lanes of a V */

/* VLANES(f, h) is f(0, h), f(1, h), ... f(VLEN - 1, h): the lanes of a constant, or of a shuffle */
#define VLANES_2(f, h) f(0, h), f(1, h)
#define VLANES_4(f, h) VLANES_2(f, h), f(2, h), f(3, h)
#define VLANES_8(f, h) VLANES_4(f, h), f(4, h), f(5, h), f(6, h), f(7, h)
#define VLANES_16(f, h) VLANES_8(f, h), f(8, h), f(9, h), f(10, h), f(11, h), f(12, h), f(13, h), f(14, h), f(15, h)
#if VLEN == 2
#define VLANES VLANES_2
#define VHALF_LANES(f, h) f(0, h)
#elif VLEN == 4
#define VLANES VLANES_4
#define VHALF_LANES VLANES_2
#elif VLEN == 8
#define VLANES VLANES_8
#define VHALF_LANES VLANES_4
#else
#define VLANES VLANES_16
#define VHALF_LANES VLANES_8
#endif
#define VSHUFFLE(a, b, f, h) __builtin_shufflevector(a, b, VLANES(f, h))
#define VLANE(l, h) l
#define VUPPER_LANE(l, h) ((l) + VLEN / 2)
/* of a followed by b: every other block of h lanes */
#define VEVEN_BLOCKS(l, h) ((l) / (h) * 2 * (h) + (l) % (h))
#define VODD_BLOCKS(l, h) (VEVEN_BLOCKS(l, h) + (h))
/* blocks of h lanes of a and b in turn, from the lower or upper halves of their GROUPs of 16 bytes: one instruction */
#define VQUAD (16 / (int)sizeof(REAL))
#define VTURN_LOW(l, h) ((l) / VQUAD * VQUAD + (l) % VQUAD / (h) / 2 * (h) + (l) % (h) + (l) / (h) % 2 * VLEN)
#define VTURN_HIGH(l, h) (VQUAD / 2 + VTURN_LOW(l, h))

/* VOP(max, a, b) is _mm256_max_ps((__m256)a, (__m256)b) and the like; undefined where there are no intrinsics */
#if VBYTES == 64 && defined __AVX512F__
#include <immintrin.h>
#define VX86 1
#if REAL_BITS == 32
#define VREGISTER __m512
#define VOP(op, ...) _mm512_##op##_ps(__VA_ARGS__)
#else
#define VREGISTER __m512d
#define VOP(op, ...) _mm512_##op##_pd(__VA_ARGS__)
#endif
#elif VBYTES == 32 && defined __AVX2__
#include <immintrin.h>
#define VX86 1
#if REAL_BITS == 32
#define VREGISTER __m256
#define VOP(op, ...) _mm256_##op##_ps(__VA_ARGS__)
#else
#define VREGISTER __m256d
#define VOP(op, ...) _mm256_##op##_pd(__VA_ARGS__)
#endif
#elif VBYTES == 16 && defined __SSE2__
#include <emmintrin.h>
#define VX86 1
#if REAL_BITS == 32
#define VREGISTER __m128
#define VOP(op, ...) _mm_##op##_ps(__VA_ARGS__)
#else
#define VREGISTER __m128d
#define VOP(op, ...) _mm_##op##_pd(__VA_ARGS__)
#endif
#else
#ifdef __ARM_NEON
#include <arm_neon.h>
#endif
#define VX86 0
#endif


INLINE V vsplat(REAL x) { return x - (V){0}; }
INLINE V vload(const REAL *p) { return *(const VU *)p; }
/* v, loaded once although it is an operand of several instructions */
INLINE V vin_register(V v) {
#if VX86 && VBYTES == 64
    __asm__("" : "+v"(v));
#elif VX86
    __asm__("" : "+x"(v));
#endif
    return v;
}
INLINE void vstore(REAL *p, V v) { *(VU *)p = v; }

/* half a vector each, from two places and to them */
typedef REAL VHALF __attribute__((vector_size(VBYTES / 2), aligned(REAL_BITS / 8), may_alias));
INLINE V vload_halves(const REAL *low, const REAL *high) {
    return __builtin_shufflevector(*(const VHALF *)low, *(const VHALF *)high, VLANES(VLANE, 0));
}
INLINE void vstore_halves(REAL *low, REAL *high, V v) {
    *(VHALF *)low = __builtin_shufflevector(v, v, VHALF_LANES(VLANE, 0));
    *(VHALF *)high = __builtin_shufflevector(v, v, VHALF_LANES(VUPPER_LANE, 0));
}

/* the lanes of v as doubles: those of the lower or the upper half, or all */
INLINE VD vwiden(V v, const int part) {
#if REAL_BITS == 32
    const VHALF half = part ? __builtin_shufflevector(v, v, VHALF_LANES(VUPPER_LANE, 0))
                                  : __builtin_shufflevector(v, v, VHALF_LANES(VLANE, 0));
#if VX86 && VBYTES == 64
    return (VD)_mm512_cvtps_pd((__m256)half);
#elif VX86 && VBYTES == 32
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
INLINE V vnarrow(VD low, VD high) {
#if REAL_BITS == 32 && VX86 && VBYTES == 64
    return (V)_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps((__m512d)low)), _mm512_cvtpd_ps((__m512d)high),
                                 1);
#elif REAL_BITS == 32 && VX86 && VBYTES == 32
    return (V)_mm256_set_m128(_mm256_cvtpd_ps((__m256d)high), _mm256_cvtpd_ps((__m256d)low));
#elif REAL_BITS == 32
    return __builtin_shufflevector(__builtin_convertvector(low, VHALF), __builtin_convertvector(high, VHALF),
                                   VLANES(VLANE, 0));
#else
    (void)high;
    return low;
#endif
}

/* v * factor of each lane, in double and rounded once; where factor is 0 that is 0, whatever v holds */
INLINE V vtimes_wide(V v, const VD *factor) {
    VD product[2] = {{0}};
    for (int p = 0; p < VWIDE; p++) product[p] = (VD)((VDI)(vwiden(v, p) * factor[p]) & (factor[p] != 0));
    return vnarrow(product[0], product[VWIDE - 1]);
}

/* 0, 1, 2, ... */
INLINE VI viota(void) { return (VI){VLANES(VLANE, 0)}; }
INLINE V viota_real(void) { return (V){VLANES(VLANE, 0)}; }

/* the first count <= VLEN values, zero behind them; nothing past them is touched */
INLINE V vload_part(const REAL *p, int count) {
#if VX86 && VBYTES == 64
    return (V)VOP(maskz_loadu, (uint16_t)((1u << count) - 1), p);
#elif VX86 && VBYTES == 32
    static const INT mask[2 * VBYTES / sizeof(INT)] = {
        -1, -1, -1, -1,
#if REAL_BITS == 32
        -1, -1, -1, -1,
#endif
    };
    return (V)VOP(maskload, p, _mm256_loadu_si256((const __m256i *)(mask + VLEN - count)));
#else
    REAL all[VLEN] = {0};
    for (int i = 0; i < VLEN; i++) all[i] = i < count ? p[i] : 0;
    return vload(all);
#endif
}

INLINE void vstore_part(REAL *p, V v, int count) {
#if VX86 && VBYTES == 64
    VOP(mask_storeu, p, (uint16_t)((1u << count) - 1), (VREGISTER)v);
#else
    REAL all[VLEN];
    vstore(all, v);
    for (int i = 0; i < count; i++) p[i] = all[i];
#endif
}

/* write past the caches; p is aligned to VBYTES */
INLINE void vstream(REAL *p, V v) {
#if VX86
    VOP(stream, p, (VREGISTER)v);
#else
    vstore(p, v);
#endif
}

/* mask ? a : b, lane by lane; mask lanes are 0 or -1, as comparisons give them */
INLINE V vselect(VI mask, V a, V b) {
#if VX86 && VBYTES == 32
    return (V)VOP(blendv, (VREGISTER)b, (VREGISTER)a, (VREGISTER)mask);
#else
    return (V)(((VI)a & mask) | ((VI)b & ~mask));
#endif
}

/* is a lane of the mask set? */
INLINE int vany(VI mask) {
#if VX86 && VBYTES == 64
    return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif VX86
    return VOP(movemask, (VREGISTER)mask) != 0;
#else
    INT any = 0;
    for (int l = 0; l < VLEN; l++) any |= mask[l];
    return any != 0;
#endif
}

/* a > b ? a : b and a < b ? a : b: where either is nan, b */
INLINE V vmax(V a, V b) {
#if VX86
    return (V)VOP(max, (VREGISTER)a, (VREGISTER)b);
#else
    return vselect(a > b, a, b);
#endif
}

INLINE V vmin(V a, V b) {
#if VX86
    return (V)VOP(min, (VREGISTER)a, (VREGISTER)b);
#else
    return vselect(a < b, a, b);
#endif
}

/* a * b + c, rounded once where the instruction set has it */
INLINE V vfma(V a, V b, V c) {
#if VX86 && VBYTES >= 32
    return (V)VOP(fmadd, (VREGISTER)a, (VREGISTER)b, (VREGISTER)c);
#elif defined __ARM_FEATURE_FMA && REAL_BITS == 32
    return (V)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#elif defined __ARM_FEATURE_FMA
    return (V)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
    return a * b + c;
#endif
}

/* vector at p, filled up behind left values */
INLINE V vload_filled(const REAL *p, int64_t left, REAL fill) {
    if (left >= VLEN) return vload(p);
    return vselect(viota() < (INT)left, vload_part(p, (int)left), vsplat(fill));
}

/* the left first values of v, or all: what lies behind them in out is another row */
INLINE void vstore_first(REAL *p, V v, int64_t left) { left >= VLEN ? vstore(p, v) : vstore_part(p, v, (int)left); }

INLINE double vsum_wide(const VD *sums) {
    double sum = 0;
    for (int l = 0; l < VLEN; l++) sum += sums[l / (VLEN / VWIDE)][l % (VLEN / VWIDE)];
    return sum;
}

#endif
