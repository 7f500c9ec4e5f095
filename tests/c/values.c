/* values.c -- random numbers, memory of a block, and the types of X. */
#include "harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators") ---------------------- */
static uint64_t state;

void seed_rnd(uint64_t seed) { state = seed; }

uint64_t rnd(void) {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int64_t below(int64_t n) { return (int64_t)(rnd() % (uint64_t)n); }
double uniform(void) { return (double)(rnd() >> 11) * 0x1p-53; }
double normal(void) { /* nearly: a sum of four uniform numbers, of variance 1 */
    const uint64_t bits = rnd();
    double sum = -131070;
    for (int i = 0; i < 64; i += 16) sum += (double)(bits >> i & 65535);
    return sum * (1.7320508 / 65536) + 1e-9 * (double)(bits & 1023); /* some digits more than the sum has */
}

/* ---- memory of a block ---------------------------------------------------------------------------------------------- */
enum { MOST_PLAIN = 64 };
static void *pieces[MOST_PLAIN];
static int n_pieces;

void *plain(int64_t bytes) {
    void *p = calloc(1, (size_t)bytes + 1);
    if (p == NULL || n_pieces == MOST_PLAIN) {
        fprintf(stderr, "harness: no memory for a block's data\n");
        exit(2);
    }
    return pieces[n_pieces++] = p;
}

void free_plain(void) {
    while (n_pieces > 0) free(pieces[--n_pieces]);
}

/* ---- types ---------------------------------------------------------------------------------------------------------- */
const int64_t dtype_size[FLR_N_DTYPES] = {8, 4, 2, 2, 1, 1, 2, 2, 4, 4, 8, 8};
const char *const dtype_name[FLR_N_DTYPES] = {"f64", "f32", "f16", "bf16", "u8", "i8", "u16", "i16", "i32", "u32", "i64", "u64"};

static double half_value(uint16_t h) {
    const int exponent = h >> 10 & 31, mantissa = h & 1023;
    const double magnitude = exponent == 31 ? (mantissa ? NAN : INFINITY)
                             : exponent == 0 ? ldexp(mantissa, -24)
                                             : ldexp(1024 + mantissa, exponent - 25);
    return h & 0x8000 ? -magnitude : magnitude;
}

/* the nearest toward zero: any half will do */
static uint16_t half_of(double value) {
    const double magnitude = fabs(value);
    uint16_t h = 0;
    if (value != value) return 0x7e00;
    if (magnitude >= 65520) {
        h = 0x7c00;
    } else if (magnitude >= 0x1p-14) {
        int exponent;
        const double fraction = frexp(magnitude, &exponent);
        h = (uint16_t)((exponent + 14) << 10 | ((int)(fraction * 2048) & 1023));
    } else {
        h = (uint16_t)(magnitude * 0x1p24);
    }
    return (uint16_t)(h | (signbit(value) ? 0x8000 : 0));
}

static uint16_t bfloat_of(double value) {
    const float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, 4);
    return value != value ? 0x7fc0 : (uint16_t)(bits >> 16);
}

static double bfloat_value(uint16_t h) {
    const uint32_t bits = (uint32_t)h << 16;
    float single;
    memcpy(&single, &bits, 4);
    return (double)single;
}

#define PUT(code, type, convert)                                                                                      \
    case code: {                                                                                                      \
        const type x = (type)convert(value);                                                                          \
        memcpy(p, &x, sizeof x);                                                                                      \
        break;                                                                                                        \
    }
#define GET(code, type, convert)                                                                                      \
    case code: {                                                                                                      \
        type x;                                                                                                       \
        memcpy(&x, p, sizeof x);                                                                                      \
        return (double)convert(x);                                                                                    \
    }
#define SAME(x) (x)
#define EACH_TYPE(f)                                                                                                  \
    f(FLR_F64, double, SAME) f(FLR_F32, float, SAME) f(FLR_U8, uint8_t, SAME) f(FLR_I8, int8_t, SAME)                 \
    f(FLR_U16, uint16_t, SAME) f(FLR_I16, int16_t, SAME) f(FLR_I32, int32_t, SAME) f(FLR_U32, uint32_t, SAME)         \
    f(FLR_I64, int64_t, SAME) f(FLR_U64, uint64_t, SAME)

void put_dtype(void *p, flr_dtype dtype, double value) {
    switch (dtype) {
        EACH_TYPE(PUT)
        PUT(FLR_F16, uint16_t, half_of)
        PUT(FLR_BF16, uint16_t, bfloat_of)
    default: break;
    }
}

double get_dtype(const void *p, flr_dtype dtype) {
    switch (dtype) {
        EACH_TYPE(GET)
        GET(FLR_F16, uint16_t, half_value)
        GET(FLR_BF16, uint16_t, bfloat_value)
    default: return NAN;
    }
}

double random_of(flr_dtype dtype) {
    switch (dtype) {
    case FLR_F64: case FLR_F32: case FLR_F16: case FLR_BF16: return normal();
    case FLR_U8: case FLR_U16: case FLR_U32: case FLR_U64: return (double)below(200);
    default: return (double)(below(200) - 100);
    }
}

/* ---- layouts of X --------------------------------------------------------------------------------------------------- */
layout layout_of(int which, int64_t n, int64_t d, int64_t size) {
    layout l = {0};
    switch (which) {
    case 0: l = (layout){"rows", d * size, size, 0, 0}; break;
    case 1: l = (layout){"padded rows", (d + 3) * size, size, 0, 0}; break;
    case 2: l = (layout){"columns", size, n * size, 0, 0}; break;
    case 3: l = (layout){"padded columns", size, (n + 5) * size, 0, 0}; break;
    case 4: l = (layout){"rows backwards", -d * size, size, 0, 0}; break;
    case 5: l = (layout){"columns of rows backwards", d * size, -size, 0, 0}; break;
    case 6: l = (layout){"every second", 4 * d * size, 2 * size, 0, 0}; break;
    case 7: l = (layout){"one row n times", 0, size, 0, 0}; break;
    case 8: l = (layout){"columns backwards", -size, -n * size, 0, 0}; break;
    case 9: l = (layout){"unaligned records", d * size + 1, size, 0, 0}; break;
    case 10: l = (layout){"one value d times", size, 0, 0, 0}; break;
    default: l = (layout){"rows of whole lines", (d * size + 63) / 64 * 64, size, 0, 0}; break;
    }
    if (n == 0 || d == 0) return l;
    const int64_t rows = l.row_stride * (n - 1), columns = l.col_stride * (d - 1);
    l.lowest = (rows < 0 ? rows : 0) + (columns < 0 ? columns : 0);
    l.bytes = (rows > 0 ? rows : 0) + (columns > 0 ? columns : 0) - l.lowest + size;
    return l;
}
