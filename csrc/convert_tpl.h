/* convert_tpl.h -- rows of X, whatever their type and layout, as a C-contiguous tile of reals.
 *
 * float16 without F16C: the 15 bits below the sign, moved to the top of a float's exponent and mantissa and multiplied
 * by 2^112, give the value (subnormals too); exponent 31 becomes 255.  bfloat16 is the upper half of a float.
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

/* Contiguous rows: one loop each.  Contiguous columns: VLEN x VLEN blocks, transposed in registers; a block's stores past
 * the last column fall into the padding of the tile's rows.  Else value by value, 16 columns at a time over all rows, so
 * that the tile's lines stay in L1 while they fill.  X need not be aligned. */
#define DEFINE_CONVERT(suffix, type, to_real)                                                                         \
    static void convert_##suffix(void *out_, int64_t ld_out, const char *X, int64_t row_stride, int64_t col_stride,   \
                                 const int64_t *rows, int64_t m, int64_t d) {                                         \
        typedef type unaligned __attribute__((aligned(1), may_alias));                                                \
        const int64_t size = sizeof(type), whole = row_stride == size && rows == NULL ? m / VLEN * VLEN : 0;          \
        REAL *out = out_;                                                                                             \
        if (col_stride == size) {                                                                                     \
            for (int64_t i = 0; i < m; i++) {                                                                         \
                const unaligned *x = (const unaligned *)(X + (rows ? rows[i] : i) * row_stride);                      \
                REAL *o = out + i * ld_out;                                                                           \
                for (int64_t j = 0; j < d; j++) o[j] = (REAL)to_real(x[j]);                                           \
            }                                                                                                         \
            return;                                                                                                   \
        }                                                                                                             \
        for (int64_t j0 = 0; j0 < d; j0 += VLEN)                                                                      \
            for (int64_t i0 = 0; i0 < whole; i0 += VLEN) {                                                            \
                V a[VLEN];                                                                                            \
                for (int64_t c = 0; c < VLEN; c++) {                                                                  \
                    const unaligned *x = (const unaligned *)(X + i0 * size + (j0 + c) * col_stride);                  \
                    REAL values[VLEN] = {0};                                                                          \
                    for (int l = 0; j0 + c < d && l < VLEN; l++) values[l] = (REAL)to_real(x[l]);                     \
                    a[c] = load(values);                                                                              \
                }                                                                                                     \
                transpose(a);                                                                                         \
                for (int64_t r = 0; r < VLEN; r++) store(out + (i0 + r) * ld_out + j0, a[r]);                         \
            }                                                                                                         \
        for (int64_t j0 = 0; j0 < d; j0 += 16)                                                                        \
            for (int64_t i = whole; i < m; i++) {                                                                     \
                const char *x = X + (rows ? rows[i] : i) * row_stride;                                                \
                for (int64_t j = j0; j < (j0 + 16 < d ? j0 + 16 : d); j++)                                            \
                    out[i * ld_out + j] = (REAL)to_real(*(const unaligned *)(x + j * col_stride));                    \
            }                                                                                                         \
    }

DEFINE_CONVERT(f64, double, AS_IS)
DEFINE_CONVERT(f32, float, AS_IS)
DEFINE_CONVERT(f16, uint16_t, half_to_float)
DEFINE_CONVERT(bf16, uint16_t, bfloat_to_float)
DEFINE_CONVERT(u8, uint8_t, AS_IS)
DEFINE_CONVERT(i8, int8_t, AS_IS)
DEFINE_CONVERT(u16, uint16_t, AS_IS)
DEFINE_CONVERT(i16, int16_t, AS_IS)
DEFINE_CONVERT(i32, int32_t, AS_IS)
DEFINE_CONVERT(u32, uint32_t, AS_IS)
DEFINE_CONVERT(i64, int64_t, AS_IS)
DEFINE_CONVERT(u64, uint64_t, AS_IS)
