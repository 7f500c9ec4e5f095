/* convert_tpl.h -- rows of X, whatever their type and layout, as a C-contiguous tile of reals.
 *
 * float16, where there is no F16C: the 15 bits below the sign, moved to the top of a float's exponent and mantissa and
 * multiplied by 2^112, give the value (subnormals too); exponent 31 becomes 255.  bfloat16 is the upper half of a float.
 */
INLINE float half_to_float(uint16_t h) {
    union { uint32_t u; float f; } value = {(uint32_t)(h & 0x7fff) << 13}, scale = {0x77800000u /* 2^112 */};
    value.f *= scale.f;
    value.u |= ((h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0) | (uint32_t)(h & 0x8000) << 16;
    return value.f;
}

INLINE float bfloat_to_float(uint16_t h) {
    union { uint32_t u; float f; } value = {(uint32_t)h << 16};
    return value.f;
}

#define AS_IS(x) (x)

/* a row of values as reals: row_f64 and the like; and VLEN values */
#define DEFINE_ROW(suffix, type, to_real)                                                                             \
    INLINE void row_##suffix(REAL *o, const char *x, int64_t d) {                                                     \
        typedef type unaligned __attribute__((aligned(1), may_alias));                                                \
        for (int64_t j = 0; j < d; j++) o[j] = (REAL)to_real(((const unaligned *)x)[j]);                              \
    }                                                                                                                 \
    INLINE V real_##suffix(const char *x) {                                                                           \
        V values;                                                                                                     \
        row_##suffix((REAL *)&values, x, VLEN);                                                                       \
        return values;                                                                                                \
    }
DEFINE_ROW(f64, double, AS_IS)
DEFINE_ROW(f32, float, AS_IS)
DEFINE_ROW(bf16, uint16_t, bfloat_to_float)
DEFINE_ROW(u8, uint8_t, AS_IS)
DEFINE_ROW(i8, int8_t, AS_IS)
DEFINE_ROW(u16, uint16_t, AS_IS)
DEFINE_ROW(i16, int16_t, AS_IS)
DEFINE_ROW(i32, int32_t, AS_IS)
DEFINE_ROW(u32, uint32_t, AS_IS)
DEFINE_ROW(i64, int64_t, AS_IS)
DEFINE_ROW(u64, uint64_t, AS_IS)

#if REAL_BITS == 32 && VBYTES > 16 && defined __F16C__
INLINE V real_f16(const char *x) {
#if VBYTES == 64
    return (V)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)x));
#else
    return (V)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)x));
#endif
}

INLINE void row_f16(REAL *o, const char *x, int64_t d) {
    typedef uint16_t unaligned __attribute__((aligned(1), may_alias));
    int64_t j = 0;
    for (; j + VLEN <= d; j += VLEN) store(o + j, real_f16(x + 2 * j));
    for (; j < d; j++) o[j] = half_to_float(((const unaligned *)x)[j]);
}
#else
DEFINE_ROW(f16, uint16_t, half_to_float)
#endif

/* Contiguous rows: one loop each.  Contiguous columns: VLEN x VLEN blocks, transposed in registers, while the next are
 * fetched; a block's stores past the last column fall into the padding of the tile's rows.  Else value by value, 16
 * columns at a time over all rows, so that the tile's lines stay in L1 while they fill.  X need not be aligned. */
#define DEFINE_CONVERT(suffix, type)                                                                                  \
    static void convert_##suffix(void *out_, int64_t ld_out, const char *X, int64_t row_stride, int64_t col_stride,   \
                                 const int64_t *rows, int64_t m, int64_t d) {                                         \
        const int64_t size = sizeof(type), whole = row_stride == size && rows == NULL ? m / VLEN * VLEN : 0;          \
        REAL *out = out_;                                                                                             \
        if (col_stride == size) {                                                                                     \
            for (int64_t i = 0; i < m; i++)                                                                           \
                row_##suffix(out + i * ld_out, X + (rows ? rows[i] : i) * row_stride, d);                             \
            return;                                                                                                   \
        }                                                                                                             \
        for (int64_t j0 = 0; j0 < d; j0 += VLEN)                                                                      \
            for (int64_t i0 = 0; i0 < whole; i0 += VLEN) {                                                            \
                const char *x = X + i0 * size + j0 * col_stride;                                                      \
                V a[VLEN];                                                                                            \
                for (int c = 0; c < VLEN; c++) {                                                                      \
                    a[c] = real_##suffix(j0 + c < d ? x + c * col_stride : x);                                        \
                    __builtin_prefetch((const void *)((uintptr_t)x + (uintptr_t)((c + VLEN) * col_stride)), 0, 3);    \
                }                                                                                                     \
                transpose(a);                                                                                         \
                for (int r = 0; r < VLEN; r++) store(out + (i0 + r) * ld_out + j0, a[r]);                             \
            }                                                                                                         \
        for (int64_t j0 = 0; j0 < d; j0 += 16)                                                                        \
            for (int64_t i = whole; i < m; i++) {                                                                     \
                const char *x = X + (rows ? rows[i] : i) * row_stride;                                                \
                for (int64_t j = j0; j < (j0 + 16 < d ? j0 + 16 : d); j++)                                            \
                    row_##suffix(out + i * ld_out + j, x + j * col_stride, 1);                                        \
            }                                                                                                         \
    }

DEFINE_CONVERT(f64, double)
DEFINE_CONVERT(f32, float)
DEFINE_CONVERT(f16, uint16_t)
DEFINE_CONVERT(bf16, uint16_t)
DEFINE_CONVERT(u8, uint8_t)
DEFINE_CONVERT(i8, int8_t)
DEFINE_CONVERT(u16, uint16_t)
DEFINE_CONVERT(i16, int16_t)
DEFINE_CONVERT(i32, int32_t)
DEFINE_CONVERT(u32, uint32_t)
DEFINE_CONVERT(i64, int64_t)
DEFINE_CONVERT(u64, uint64_t)
