/* vec_tpl.h -- one vector register of reals: V, its integer twin VI, loads, stores, tails and selection.
 *
 * GNU vector extensions carry the arithmetic; the few lines below with intrinsics are loads and stores of a part of a
 * vector and streaming stores, which the extensions cannot say.
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

#define V NAME(vec)
#define VU NAME(vec_unaligned)
#define VI NAME(vec_int)
typedef REAL V __attribute__((vector_size(VBYTES)));
typedef REAL VU __attribute__((vector_size(VBYTES), aligned(REAL_BITS / 8), may_alias));
typedef INT VI __attribute__((vector_size(VBYTES)));

#if VBYTES == 64 || VBYTES == 32
#include <immintrin.h>
#endif

#define splat NAME(splat)
#define load NAME(load)
#define store NAME(store)
#define load_part NAME(load_part)
#define store_part NAME(store_part)
#define stream_out NAME(stream_out)
#define select NAME(select)
#define vfma NAME(vfma)
#define vmax NAME(vmax)
#define vabs NAME(vabs)

INLINE V splat(REAL x) { return x - (V){0}; }
INLINE V load(const REAL *p) { return *(const VU *)p; }
INLINE void store(REAL *p, V v) { *(VU *)p = v; }

/* the first count < VLEN values, zero behind them; nothing past them is touched */
INLINE V load_part(const REAL *p, int count) {
#if VBYTES == 64 && REAL_BITS == 32
    return (V)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p);
#elif VBYTES == 64
    return (V)_mm512_maskz_loadu_pd((__mmask8)((1u << count) - 1), p);
#else
    V v = {0};
    for (int i = 0; i < VLEN - 1; i++)
        if (i < count) v[i] = p[i];
    return v;
#endif
}

INLINE void store_part(REAL *p, V v, int count) {
#if VBYTES == 64 && REAL_BITS == 32
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), (__m512)v);
#elif VBYTES == 64
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << count) - 1), (__m512d)v);
#else
    for (int i = 0; i < VLEN - 1; i++)
        if (i < count) p[i] = v[i];
#endif
}

/* write past the caches; p is aligned to VBYTES */
INLINE void stream_out(REAL *p, V v) {
#if VBYTES == 64 && REAL_BITS == 32
    _mm512_stream_ps(p, (__m512)v);
#elif VBYTES == 64
    _mm512_stream_pd(p, (__m512d)v);
#elif VBYTES == 32 && REAL_BITS == 32
    _mm256_stream_ps(p, (__m256)v);
#elif VBYTES == 32
    _mm256_stream_pd(p, (__m256d)v);
#else
    store(p, v);
#endif
}

/* mask ? a : b, lane by lane; mask lanes are 0 or -1, as comparisons give them */
INLINE V select(VI mask, V a, V b) { return (V)(((VI)a & mask) | ((VI)b & ~mask)); }

/* a * b + c, rounded once where the instruction set has it */
INLINE V vfma(V a, V b, V c) {
#if VBYTES == 64 && REAL_BITS == 32
    return (V)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif VBYTES == 64
    return (V)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif VBYTES == 32 && REAL_BITS == 32
    return (V)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif VBYTES == 32
    return (V)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
    return a * b + c;
#endif
}
