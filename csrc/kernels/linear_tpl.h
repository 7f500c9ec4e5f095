/* linear_tpl.h -- the two products of a tile for few classes: logits Z = X W' + b and gradient G += R' X.
 *
 * Forward: dot products along d.  The accumulators of some rows by some classes stay in registers, so that x is loaded
 * once for all these classes and w once for all these rows; d goes in blocks, so that W stays in L1.
 * Backward: the accumulators of some classes by some vectors of columns stay in registers over all m rows; r is
 * broadcast.
 * Rows of x are aligned to cache lines from column head < 16 on: the columns before it are loaded as parts
 * of vectors, and the bits do not depend on it.  All sums here are real; the caller adds them up in double.
 *
 * products_tpl.h has them for rows of one type.  Where an instruction or two turn narrow values into reals, the
 * products read them as they are: that costs less than a converted tile, which has to go to L2 and back.
 *
 * Needs what vec_tpl.h needs.  Sizes: m rows, d features, k classes.
 */
#ifndef FLR_LINEAR_TPL_H
#define FLR_LINEAR_TPL_H

#include "prefetch_tpl.h"
#include "vec_tpl.h"

/* f(classes, rows) and f(classes, vectors of columns): blocks of accumulators that registers have room for.  With 32,
 * ten classes by two rows read x once, and leave memory to itself; of more classes five by four multiply faster. */
#if VBYTES == 64
enum { LINEAR_FORWARD_CLASSES = 10, LINEAR_FORWARD_CLASSES_OF_MORE = 5, LINEAR_BACKWARD_CLASSES = 10 };
#define LINEAR_FORWARD_BLOCKS(f) f(1, 8) f(2, 8) f(3, 6) f(4, 4) f(5, 4) f(6, 4) f(7, 3) f(8, 3) f(9, 3) f(10, 2)
#define LINEAR_BACKWARD_BLOCKS(f) f(1, 8) f(2, 8) f(3, 4) f(4, 4) f(5, 4) f(6, 2) f(7, 3) f(8, 3) f(9, 3) f(10, 2)
#else
enum { LINEAR_FORWARD_CLASSES = 4, LINEAR_FORWARD_CLASSES_OF_MORE = 4, LINEAR_BACKWARD_CLASSES = 5 };
#define LINEAR_FORWARD_BLOCKS(f) f(1, 8) f(2, 6) f(3, 4) f(4, 3)
#define LINEAR_BACKWARD_BLOCKS(f) f(1, 8) f(2, 4) f(3, 3) f(4, 2) f(5, 2)
#endif
/* A single row has fewer sums to keep the pipelines busy; more classes make up for that. */
enum { LINEAR_ROW_CLASSES = 10 };
#define LINEAR_ROW_BLOCKS(f) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10)
enum { LINEAR_FEATURES = 3200 / sizeof(REAL), LINEAR_ACCUMULATORS = 32 };

/* Lines prefetched in a step that reads so many vectors of x: each of the two products prefetches half of a tile. */
#define LINEAR_PREFETCHES(vectors) (((vectors) * VBYTES + 127) / 128)

/* The sums of the lanes of a[0] .. a[count - 1], count <= VLEN; a is overwritten.  Pairs of vectors are folded: blocks
 * of lanes of both are added to those half a circle further on, first a circle of all lanes, then of half of them, at
 * last of two.  So the sums are the same bits wherever in the circle the first column's lane is.  A vector without a
 * partner is its own.  Groups of 16 bytes come out side by side that belong one behind another. */
#define LINEAR_FOLD_STAGE(a, count, low, high, h)                                                                      \
    UNROLL for (int i = 0; 2 * i < (count); i++) {                                                                     \
        const V first = a[2 * i], second = a[2 * i + 1 < (count) ? 2 * i + 1 : 2 * i];                                 \
        a[i] = VSHUFFLE(first, second, low, h) + VSHUFFLE(first, second, high, h);                                     \
    }
/* the first half of a and the second of b, and the others: a blend and one shuffle, where VEVEN_BLOCKS takes two */
#define LINEAR_OUTER_HALVES(l, h) ((l) < (h) ? (l) : (l) + VLEN)
#define LINEAR_INNER_HALVES(l, h) ((l) + (h))
#define LINEAR_FROM_QUADS(l, n_groups) ((l) % (n_groups) * (VLEN / (n_groups)) + (l) / (n_groups))

INLINE V linear_lane_sums(V *a, int count) {
    const int all = count;
#if VBYTES >= 32
    LINEAR_FOLD_STAGE(a, count, LINEAR_OUTER_HALVES, LINEAR_INNER_HALVES, VLEN / 2)
    count = (count + 1) / 2;
#endif
#if VBYTES == 64
    LINEAR_FOLD_STAGE(a, count, VEVEN_BLOCKS, VODD_BLOCKS, VLEN / 4)
    count = (count + 1) / 2;
#endif
    LINEAR_FOLD_STAGE(a, count, VTURN_LOW, VTURN_HIGH, 1)
#if REAL_BITS == 32
    count = (count + 1) / 2;
    LINEAR_FOLD_STAGE(a, count, VTURN_LOW, VTURN_HIGH, 2)
#endif
    return all > 1 && VBYTES > 16 ? VSHUFFLE(a[0], a[0], LINEAR_FROM_QUADS, VBYTES / 16) : a[0];
}

/* count values at p in lanes first, first + 1, ..., zeros in the others; nothing else is touched */
INLINE V linear_load_lanes_real(const REAL *p, int first, int count) {
#if VX86 && VBYTES == 64
    const void *lane_0 = (const void *)((uintptr_t)p - (uintptr_t)first * sizeof(REAL));
    return (V)VOP(maskz_loadu, (uint16_t)(((1u << count) - 1) << first), lane_0);
#elif VX86 && VBYTES == 32
    const REAL *lane_0 = (const REAL *)((uintptr_t)p - (uintptr_t)first * sizeof(REAL));
    const VI lane = viota();
    return (V)VOP(maskload, lane_0, (__m256i)((lane >= (INT)first) & (lane < (INT)(first + count))));
#else
    REAL lanes[VLEN] = {0};
    for (int i = 0; i < count; i++) lanes[first + i] = p[i];
    return vload(lanes);
#endif
}

/* the products' functions, and loads, for rows of one type */
#define LINEAR_OF(name) JOIN(linear_##name##_, LINEAR_X_NAME)
#define linear_load_real vload

#define LINEAR_X_NAME real
#define LINEAR_X_TYPE REAL
#include "products_tpl.h"

#define LINEAR_NARROW (VX86 && VBYTES == 64 && REAL_BITS == 32)
#if LINEAR_NARROW
#define LINEAR_DEFINE_LOADS(name, raw, load_all, load_some, widened)                                                   \
    INLINE V linear_load_##name(const void *p) {                                                                       \
        const raw x = load_all(p);                                                                                     \
        return (V)(widened);                                                                                           \
    }                                                                                                                  \
    INLINE V linear_load_lanes_##name(const void *p, int first, int count) {                                           \
        const void *lane_0 = (const void *)((uintptr_t)p - (uintptr_t)first * (sizeof(raw) / VLEN));                   \
        const raw x = load_some(((1u << count) - 1) << first, lane_0);                                                 \
        return (V)(widened);                                                                                           \
    }
#define LINEAR_BYTES __m128i, _mm_loadu_si128, _mm_maskz_loadu_epi8
#define LINEAR_SHORTS __m256i, _mm256_loadu_si256, _mm256_maskz_loadu_epi16
#define LINEAR_DEFINE_LOADS_OF(name, how, widened) LINEAR_DEFINE_LOADS(name, how, widened)
LINEAR_DEFINE_LOADS_OF(u8, LINEAR_BYTES, _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(x)))
LINEAR_DEFINE_LOADS_OF(i8, LINEAR_BYTES, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(x)))
LINEAR_DEFINE_LOADS_OF(f16, LINEAR_SHORTS, _mm512_cvtph_ps(x))
LINEAR_DEFINE_LOADS_OF(bf16, LINEAR_SHORTS, _mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16))

#define LINEAR_X_NAME u8
#define LINEAR_X_TYPE uint8_t
#include "products_tpl.h"

#define LINEAR_X_NAME i8
#define LINEAR_X_TYPE int8_t
#include "products_tpl.h"

#define LINEAR_X_NAME f16
#define LINEAR_X_TYPE uint16_t
#include "products_tpl.h"

#define LINEAR_X_NAME bf16
#define LINEAR_X_TYPE uint16_t
#include "products_tpl.h"
#endif

#endif
