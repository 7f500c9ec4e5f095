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

/* A contiguous row is one loop.  Else 16 columns at a time over all rows, so that a column-major X is read in runs of
 * m values and the tile's lines stay in L1 while they fill.  memcpy: X need not be aligned. */
#define DEFINE_CONVERT(suffix, type, to_real)                                                                         \
    static void convert_##suffix(void *out_, int64_t ld_out, const char *X, int64_t row_stride,                 \
                                       int64_t col_stride, const int64_t *rows, int64_t m, int64_t d) {               \
        REAL *out = out_;                                                                                             \
        if (col_stride == (int64_t)sizeof(type)) {                                                                    \
            typedef type unaligned __attribute__((aligned(1), may_alias));                                            \
            for (int64_t i = 0; i < m; i++) {                                                                         \
                const unaligned *x = (const unaligned *)(X + (rows ? rows[i] : i) * row_stride);                      \
                REAL *o = out + i * ld_out;                                                                           \
                for (int64_t j = 0; j < d; j++) o[j] = (REAL)to_real(x[j]);                                           \
            }                                                                                                         \
            return;                                                                                                   \
        }                                                                                                             \
        for (int64_t j0 = 0; j0 < d; j0 += 16) {                                                                      \
            const int64_t j1 = j0 + 16 < d ? j0 + 16 : d;                                                             \
            for (int64_t i = 0; i < m; i++) {                                                                         \
                const char *x = X + (rows ? rows[i] : i) * row_stride;                                                \
                for (int64_t j = j0; j < j1; j++) {                                                                   \
                    type value;                                                                                       \
                    memcpy(&value, x + j * col_stride, sizeof value);                                                 \
                    out[i * ld_out + j] = (REAL)to_real(value);                                                       \
                }                                                                                                     \
            }                                                                                                         \
        }                                                                                                             \
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
