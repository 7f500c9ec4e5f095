/* linear_tpl.h -- the two products of a tile for few classes: logits Z = X W' + b and gradient G += R' X.
 *
 * Forward: dot products along d.  Some rows by some classes of accumulators stay in registers, so that a load of x serves
 * as many multiplications as there are classes, and a load of w as there are rows; d goes in blocks, so that W stays in L1.
 * Backward: some classes by PANEL vectors of columns stay in registers over all m rows; r is broadcast.
 * Sizes: m rows, d features, k classes.  Rows of x are aligned to cache lines from column head < 16 on: the columns
 * before it are taken by parts of vectors, and the bits do not depend on it.  All sums here are real; the caller adds them up in double.
 *
 * products_tpl.h has them for rows of one type.  Where an instruction or two turn narrow values into reals, the products
 * read them as they are: that costs less than a converted tile, which has to go to L2 and back.
 */
/* f(classes, rows) and f(classes, vectors of columns): blocks of accumulators that registers have room for.  With 32,
 * ten classes by two rows read x once, and leave memory to itself; of more classes five by four multiply faster. */
#if VBYTES == 64
enum { FWD_CLASSES = 10, FWD_OF_MANY = 5, BWD_CLASSES = 10 };
#define FORWARD_BLOCKS(f) f(1, 8) f(2, 8) f(3, 6) f(4, 4) f(5, 4) f(6, 4) f(7, 3) f(8, 3) f(9, 3) f(10, 2)
#define BACKWARD_BLOCKS(f) f(1, 8) f(2, 8) f(3, 4) f(4, 4) f(5, 4) f(6, 2) f(7, 3) f(8, 3) f(9, 3) f(10, 2)
#else
enum { FWD_CLASSES = 4, FWD_OF_MANY = 4, BWD_CLASSES = 5 };
#define FORWARD_BLOCKS(f) f(1, 8) f(2, 6) f(3, 4) f(4, 3)
#define BACKWARD_BLOCKS(f) f(1, 8) f(2, 4) f(3, 3) f(4, 2) f(5, 2)
#endif
/* a single row: more classes make up for it, and keep as many sums going */
enum { ROW_CLASSES = 10 };
#define ROW_BLOCKS(f) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10)
enum { D_BLOCK = 3200 / sizeof(REAL), ACCUMULATORS = 32 };

/* Lines fetched in a step that reads this many vectors of x: each product fetches half of a tile. */
#define FETCHES(vectors) (((vectors) * VBYTES + 127) / 128)

/* The sums of the lanes of a[0] .. a[count - 1], count <= VLEN; a is overwritten.  Pairs of vectors are folded: blocks of
 * lanes of both are added to those half a circle further on, first a circle of all lanes, then of half of them, at last of
 * two.  So the sums are the same bits wherever in the circle the first column's lane is.  A vector without a partner is
 * its own.  Groups of 16 bytes come out side by side that belong one behind another. */
#define FOLD_STAGE(a, count, low, high, h)                                                                            \
    UNROLL for (int i = 0; 2 * i < (count); i++) {                                                                    \
        const V first = a[2 * i], second = a[2 * i + 1 < (count) ? 2 * i + 1 : 2 * i];                                \
        a[i] = SHUFFLE(first, second, low, h) + SHUFFLE(first, second, high, h);                                      \
    }
/* the first half of a and the second of b, and the others: a blend and one shuffle, where EVEN_BLOCKS takes two */
#define OUTER_HALVES(l, h) ((l) < (h) ? (l) : (l) + VLEN)
#define INNER_HALVES(l, h) ((l) + (h))
#define FROM_GROUPS(l, n_groups) ((l) % (n_groups) * (VLEN / (n_groups)) + (l) / (n_groups))

INLINE V lane_sums(V *a, int count) {
    const int all = count;
#if VBYTES >= 32
    FOLD_STAGE(a, count, OUTER_HALVES, INNER_HALVES, VLEN / 2)
    count = (count + 1) / 2;
#endif
#if VBYTES == 64
    FOLD_STAGE(a, count, EVEN_BLOCKS, ODD_BLOCKS, VLEN / 4)
    count = (count + 1) / 2;
#endif
    FOLD_STAGE(a, count, TURN_LOW, TURN_HIGH, 1)
#if REAL_BITS == 32
    count = (count + 1) / 2;
    FOLD_STAGE(a, count, TURN_LOW, TURN_HIGH, 2)
#endif
    return all > 1 && VBYTES > 16 ? SHUFFLE(a[0], a[0], FROM_GROUPS, VBYTES / 16) : a[0];
}

/* count values at p in lanes first, first + 1, ..., zeros in the others; nothing else is touched */
INLINE V load_lanes_real(const REAL *p, int first, int count) {
#if X86_VECTOR && VBYTES == 64
    const void *lane_0 = (const void *)((uintptr_t)p - (uintptr_t)first * sizeof(REAL));
    return (V)M(maskz_loadu, (uint16_t)(((1u << count) - 1) << first), lane_0);
#elif X86_VECTOR && VBYTES == 32
    const REAL *lane_0 = (const REAL *)((uintptr_t)p - (uintptr_t)first * sizeof(REAL));
    const VI lane = iota();
    return (V)M(maskload, lane_0, (__m256i)((lane >= (INT)first) & (lane < (INT)(first + count))));
#else
    REAL lanes[VLEN] = {0};
    for (int i = 0; i < count; i++) lanes[first + i] = p[i];
    return load(lanes);
#endif
}

/* the products' functions, and loads, for rows of one type */
#define OF(name) JOIN(name##_, X_NAME)
#define load_real load

#define X_NAME real
#define X_TYPE REAL
#include "products_tpl.h"

#define NARROW_PRODUCTS (X86_VECTOR && VBYTES == 64 && REAL_BITS == 32)
#if NARROW_PRODUCTS
#define DEFINE_NARROW(name, raw, load_all, load_some, widened)                                                        \
    INLINE V load_##name(const void *p) {                                                                             \
        const raw x = load_all(p);                                                                                    \
        return (V)(widened);                                                                                          \
    }                                                                                                                 \
    INLINE V load_lanes_##name(const void *p, int first, int count) {                                                 \
        const void *lane_0 = (const void *)((uintptr_t)p - (uintptr_t)first * (sizeof(raw) / VLEN));                  \
        const raw x = load_some(((1u << count) - 1) << first, lane_0);                                                \
        return (V)(widened);                                                                                          \
    }
#define BYTES __m128i, _mm_loadu_si128, _mm_maskz_loadu_epi8
#define SHORTS __m256i, _mm256_loadu_si256, _mm256_maskz_loadu_epi16
#define NARROW(name, how, widened) DEFINE_NARROW(name, how, widened)
NARROW(u8, BYTES, _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(x)))
NARROW(i8, BYTES, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(x)))
NARROW(f16, SHORTS, _mm512_cvtph_ps(x))
NARROW(bf16, SHORTS, _mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16))

#define X_NAME u8
#define X_TYPE uint8_t
#include "products_tpl.h"

#define X_NAME i8
#define X_TYPE int8_t
#include "products_tpl.h"

#define X_NAME f16
#define X_TYPE uint16_t
#include "products_tpl.h"

#define X_NAME bf16
#define X_TYPE uint16_t
#include "products_tpl.h"
#endif
