/* convert.c -- rows of X of every type and layout as reals; X may end, and begin, anywhere. */
#include "harness.h"

#include <math.h>
#include <string.h>

static void one_layout(const target *t, int dtype, int64_t m, int64_t d, int which, int indexed) {
    const int64_t size = t->size, own = dtype_size[dtype], n = indexed ? 2 * m + 1 : m, ld = (d + 15) / 16 * 16;
    const layout l = layout_of(which, n, d, own);
    unsigned char *X = plain(l.bytes);
    for (int64_t i = 0; i < l.bytes; i++) X[i] = (unsigned char)rnd();
    int64_t *rows = indexed ? plain(m * 8) : NULL;
    for (int64_t i = 0; indexed && i < m; i++) rows[i] = below(n);
    BOTH_SIDES {
        if (!begin_case(side, "%s%s", l.name, indexed ? " indexed" : "")) continue;
        const char *data = (const char *)guarded_copy("X", X, l.bytes) - l.lowest;
        const int64_t *index = guarded_copy("rows", rows, m * 8);
        void *out = guarded("out", m * ld * size);
        t->kernels->convert[dtype](out, ld, data, l.row_stride, l.col_stride, index, m, d);
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < d; j++) {
                const int64_t row = rows ? rows[i] : i;
                const double value = get_dtype(data + row * l.row_stride + j * l.col_stride, dtype);
                const long double expected = as_real((long double)value, size);
                check("out", i * ld + j, (long double)get(out, i * ld + j, size), expected,
                      isinf(expected) ? 0 : eps_of(size) * fabsl(expected)); /* 64-bit integers are rounded twice here */
            }
        end_case();
    }
}

static void one(const target *t, int dtype, int64_t m, int64_t k, int64_t d) {
    const int64_t columns = k <= 130 ? k : d;
    one_layout(t, dtype, m, columns, (int)below(N_LAYOUTS), below(3) == 0);
    one_layout(t, dtype, m, columns, 2, 0); /* blocks, transposed */
}

static void run(const target *t, int dtype) { for_shapes(t, dtype, one); }

const test convert_tests[] = {{"convert.f64", run, FLR_F64}, {"convert.f32", run, FLR_F32}, {"convert.f16", run, FLR_F16},
                              {"convert.bf16", run, FLR_BF16}, {"convert.u8", run, FLR_U8}, {"convert.i8", run, FLR_I8},
                              {"convert.u16", run, FLR_U16}, {"convert.i16", run, FLR_I16}, {"convert.i32", run, FLR_I32},
                              {"convert.u32", run, FLR_U32}, {"convert.i64", run, FLR_I64}, {"convert.u64", run, FLR_U64},
                              {0}};
