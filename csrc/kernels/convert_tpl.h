/* convert_tpl.h -- rows of X, whatever their type and layout, as a C-contiguous tile of reals.
 *
 * float16, where there is no F16C: the 15 bits below the sign, moved to the top of a float's exponent and mantissa and
 * multiplied by 2^112, give the value (subnormals too); exponent 31 becomes 255.  A bfloat16 is the upper half
 * of a float.
 *
 * Needs what vec_tpl.h needs.
 */
#ifndef FLR_CONVERT_TPL_H
#define FLR_CONVERT_TPL_H

#include "transpose_tpl.h"

INLINE float convert_half(uint16_t h) {
    union { uint32_t u; float f; } value = {(uint32_t)(h & 0x7fff) << 13}, scale = {0x77800000u /* 2^112 */};
    value.f *= scale.f;
    value.u |= ((h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0) | (uint32_t)(h & 0x8000) << 16;
    return value.f;
}

INLINE float convert_bfloat(uint16_t h) {
    union { uint32_t u; float f; } value = {(uint32_t)h << 16};
    return value.f;
}

#define CONVERT_AS_IS(x) (x)

/* a row of values as reals: convert_row_f64 and the like; and VLEN values */
#define CONVERT_DEFINE_ROW(suffix, type, to_real)                                                                      \
    INLINE void convert_row_##suffix(REAL *o, const char *x, int64_t d) {                                              \
        typedef type unaligned __attribute__((aligned(1), may_alias));                                                 \
        for (int64_t j = 0; j < d; j++) o[j] = (REAL)to_real(((const unaligned *)x)[j]);                               \
    }                                                                                                                  \
    INLINE V convert_vector_##suffix(const char *x) {                                                                  \
        V values;                                                                                                      \
        convert_row_##suffix((REAL *)&values, x, VLEN);                                                                \
        return values;                                                                                                 \
    }
CONVERT_DEFINE_ROW(f64, double, CONVERT_AS_IS)
CONVERT_DEFINE_ROW(f32, float, CONVERT_AS_IS)
CONVERT_DEFINE_ROW(bf16, uint16_t, convert_bfloat)
CONVERT_DEFINE_ROW(u8, uint8_t, CONVERT_AS_IS)
CONVERT_DEFINE_ROW(i8, int8_t, CONVERT_AS_IS)
CONVERT_DEFINE_ROW(u16, uint16_t, CONVERT_AS_IS)
CONVERT_DEFINE_ROW(i16, int16_t, CONVERT_AS_IS)
CONVERT_DEFINE_ROW(i32, int32_t, CONVERT_AS_IS)
CONVERT_DEFINE_ROW(u32, uint32_t, CONVERT_AS_IS)
CONVERT_DEFINE_ROW(i64, int64_t, CONVERT_AS_IS)
CONVERT_DEFINE_ROW(u64, uint64_t, CONVERT_AS_IS)

#if REAL_BITS == 32 && VBYTES > 16 && defined __F16C__
INLINE V convert_vector_f16(const char *x) {
#if VBYTES == 64
    return (V)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)x));
#else
    return (V)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)x));
#endif
}

INLINE void convert_row_f16(REAL *o, const char *x, int64_t d) {
    typedef uint16_t unaligned __attribute__((aligned(1), may_alias));
    int64_t j = 0;
    for (; j + VLEN <= d; j += VLEN) vstore(o + j, convert_vector_f16(x + 2 * j));
    for (; j < d; j++) o[j] = convert_half(((const unaligned *)x)[j]);
}
#else
CONVERT_DEFINE_ROW(f16, uint16_t, convert_half)
#endif

/* Contiguous rows: one loop each.  Contiguous columns: VLEN x VLEN blocks, transposed in registers while the next are
 * prefetched; what a block stores past the last column falls into the padding of the tile's rows.  Else value by value,
 * 16 columns at a time over all rows, so that the tile's lines stay in L1 while they fill.  X need not be aligned. */
#define CONVERT_DEFINE(suffix, type)                                                                                   \
    static void convert_##suffix(void *out_, int64_t ld_out, const char *X, int64_t row_stride, int64_t col_stride,    \
                                 const int64_t *rows, int64_t m, int64_t d) {                                          \
        const int64_t size = sizeof(type), whole = row_stride == size && rows == NULL ? m / VLEN * VLEN : 0;           \
        REAL *out = out_;                                                                                              \
        if (col_stride == size) {                                                                                      \
            for (int64_t i = 0; i < m; i++)                                                                            \
                convert_row_##suffix(out + i * ld_out, X + (rows ? rows[i] : i) * row_stride, d);                      \
            return;                                                                                                    \
        }                                                                                                              \
        for (int64_t j0 = 0; j0 < d; j0 += VLEN)                                                                       \
            for (int64_t i0 = 0; i0 < whole; i0 += VLEN) {                                                             \
                const char *x = X + i0 * size + j0 * col_stride;                                                       \
                V a[VLEN];                                                                                             \
                for (int c = 0; c < VLEN; c++) {                                                                       \
                    a[c] = convert_vector_##suffix(j0 + c < d ? x + c * col_stride : x);                               \
                    __builtin_prefetch((const void *)((uintptr_t)x + (uintptr_t)((c + VLEN) * col_stride)), 0, 3);     \
                }                                                                                                      \
                transpose_square(a);                                                                                   \
                for (int r = 0; r < VLEN; r++) vstore(out + (i0 + r) * ld_out + j0, a[r]);                             \
            }                                                                                                          \
        for (int64_t j0 = 0; j0 < d; j0 += 16)                                                                         \
            for (int64_t i = whole; i < m; i++) {                                                                      \
                const char *x = X + (rows ? rows[i] : i) * row_stride;                                                 \
                for (int64_t j = j0; j < (j0 + 16 < d ? j0 + 16 : d); j++)                                             \
                    convert_row_##suffix(out + i * ld_out + j, x + j * col_stride, 1);                                 \
            }                                                                                                          \
    }

CONVERT_DEFINE(f64, double)
CONVERT_DEFINE(f32, float)
CONVERT_DEFINE(f16, uint16_t)
CONVERT_DEFINE(bf16, uint16_t)
CONVERT_DEFINE(u8, uint8_t)
CONVERT_DEFINE(i8, int8_t)
CONVERT_DEFINE(u16, uint16_t)
CONVERT_DEFINE(i16, int16_t)
CONVERT_DEFINE(i32, int32_t)
CONVERT_DEFINE(u32, uint32_t)
CONVERT_DEFINE(i64, int64_t)
CONVERT_DEFINE(u64, uint64_t)

#endif
