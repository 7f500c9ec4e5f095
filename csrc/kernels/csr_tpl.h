/* csr_tpl.h -- products of compressed sparse rows: logits Z = X W' + b and gradients G' += X' R.
 *
 * Both add up rows of a table, ld values apart, that the indices of the non-zeros name: a row of X takes those of W' by
 * its columns, a column of X, of which there is a copy, those of R by its rows.  Of more classes than one, lanes
 * are classes.  Where there is no copy csr_scatter adds to the rows of G' instead.
 *
 * Sums of a row of X are real; those of a column are real over CSR_BLOCK non-zeros, double beyond.  Behind a table lie
 * FLR_CSR_SLACK values that are read and come to nothing.  Rows of weight 0 are not read.
 * Needs what vec_tpl.h needs.
 */
#ifndef FLR_CSR_TPL_H
#define FLR_CSR_TPL_H

#include "prefetch_tpl.h"

/* from one non-zero to another, CSR_AHEAD: whose row of the table is prefetched, CSR_STREAM: which is prefetched itself */
enum { CSR_BLOCK = 256, CSR_VECTORS = 4, CSR_AHEAD = 12, CSR_STREAM = 512 };
enum { CSR_LITTLE = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, CSR_DOUBLES = VBYTES / 8, CSR_LINE = 8 / CSR_DOUBLES };
typedef double csr_doubles __attribute__((vector_size(VBYTES), aligned(8), may_alias));

typedef double csr_half __attribute__((vector_size(VBYTES / 2 / sizeof(REAL) * 8), aligned(8), may_alias));
/* sum + x * y, rounded once where the instruction set has it */
#if VBYTES > 16 || defined __ARM_FEATURE_FMA
#if REAL_BITS == 32
#define CSR_CHAIN(sum, x, y) (sum) = __builtin_fmaf(x, y, sum)
#else
#define CSR_CHAIN(sum, x, y) (sum) = __builtin_fma(x, y, sum)
#endif
#else
#define CSR_CHAIN(sum, x, y) (sum) += (x) * (y)
#endif
#define CSR_CASES                                                                                                      \
    CSR_CASE(0, 1) CSR_CASE(1, 0) CSR_CASE(1, 1) CSR_CASE(2, 0) CSR_CASE(2, 1) CSR_CASE(3, 0) CSR_CASE(3, 1)           \
    CSR_CASE(4, 0)

/* four indices in as few loads as there can be, as products of sparse rows wait for loads */
typedef struct { uint64_t a, b, c, d; } csr_places;
INLINE csr_places csr_places_i32(const int32_t *index) {
    uint64_t two[2];
    memcpy(two, index, sizeof two);
    return CSR_LITTLE ? (csr_places){(uint32_t)two[0], two[0] >> 32, (uint32_t)two[1], two[1] >> 32}
                      : (csr_places){two[0] >> 32, (uint32_t)two[0], two[1] >> 32, (uint32_t)two[1]};
}
INLINE csr_places csr_places_u16(const uint16_t *index) {
    uint64_t four;
    memcpy(&four, index, sizeof four);
    const uint64_t a = (uint16_t)four, b = (uint16_t)(four >> 16), c = (uint16_t)(four >> 32), d = four >> 48;
    return CSR_LITTLE ? (csr_places){a, b, c, d} : (csr_places){d, c, b, a};
}
INLINE csr_places csr_places_i64(const int64_t *index) {
    return (csr_places){(uint64_t)index[0], (uint64_t)index[1], (uint64_t)index[2], (uint64_t)index[3]};
}

/* prefetch what comes CSR_STREAM places behind these, also where nothing is */
#define CSR_FETCH(x, index)                                                                                            \
    __builtin_prefetch((const void *)((uintptr_t)(x) + CSR_STREAM * sizeof *(x)));                                     \
    __builtin_prefetch((const void *)((uintptr_t)(index) + CSR_STREAM * sizeof *(index)))

/* sum += x[j] table[index[j]] for begin <= j < end, in four chains of scalars: gather instructions are slower where
 * processors are kept from leaking what they load.  CSR_APART keeps the compiler from making vectors of the chains. */
#if VX86
#define CSR_APART(a, b, c, d) __asm__("" : "+x"(a), "+x"(b), "+x"(c), "+x"(d))
#else
#define CSR_APART(a, b, c, d)
#endif
#define CSR_FOUR(x, index, table, at)                                                                                  \
    {                                                                                                                  \
        const csr_places j = JOIN(csr_places_, CSR_INDEX_NAME)((index) + (at));                                        \
        CSR_CHAIN(sum_0, (x)[at], (table)[j.a]);                                                                       \
        CSR_CHAIN(sum_1, (x)[(at) + 1], (table)[j.b]);                                                                 \
        CSR_CHAIN(sum_2, (x)[(at) + 2], (table)[j.c]);                                                                 \
        CSR_CHAIN(sum_3, (x)[(at) + 3], (table)[j.d]);                                                                 \
    }                                                                                                                  \
    CSR_APART(sum_0, sum_1, sum_2, sum_3);
#define CSR_SUM(sum, x, index, table, begin, end)                                                                      \
    {                                                                                                                  \
        REAL sum_0 = 0, sum_1 = 0, sum_2 = 0, sum_3 = 0;                                                               \
        int64_t at = begin;                                                                                            \
        for (; at + 8 <= (end); at += 8) {                                                                             \
            CSR_FETCH(x + at, index + at);                                                                             \
            CSR_FOUR(x, index, table, at)                                                                              \
            CSR_FOUR(x, index, table, at + 4)                                                                          \
        }                                                                                                              \
        for (; at < (end); at++) CSR_CHAIN(sum_0, x[at], table[index[at]]);                                            \
        sum = (sum_0 + sum_1) + (sum_2 + sum_3);                                                                       \
    }

/* ---- FTRL-proximal: the step of n coefficients that table.h describes, where g is not 0 -------------------------- */
enum { CSR_FTRL_BLOCK = 64 };
NOINLINE void csr_ftrl_steps(double *restrict w, const double *restrict g, double *restrict z, double *restrict root,
                             int64_t n, const flr_ftrl *rule) {
    const double per_rate = 1 / rule->learning_rate, beta = rule->beta, l1 = rule->l1, l2 = rule->l2;
    for (int64_t i = 0; i < n; i++) {
        const double square = g[i] * g[i], after = __builtin_sqrt(root[i] * root[i] + square), both = after + root[i];
        /* after - root would cancel; of a g whose square is 0 nothing is left */
        const double change = both > 0 ? square / both * per_rate : 0, sum = z[i] + g[i] - change * w[i];
        const double excess = __builtin_fabs(sum) - l1, curvature = (beta + after) * per_rate + l2;
        const double value = excess > 0 && curvature > 0 ? -__builtin_copysign(excess, sum) / curvature : 0;
        w[i] = g[i] == 0 ? w[i] : value;
        z[i] = sum, root[i] = after;
    }
}

/* ---- by one type of index ---------------------------------------------------------------------------------------- */
#define CSR_INDEX_NAME i32
#define CSR_INDEX int32_t
#include "csr_descent_tpl.h"

#define CSR_INDEX_NAME i64
#define CSR_INDEX int64_t
#include "csr_descent_tpl.h"

#define CSR_INDEX_NAME i32
#define CSR_INDEX int32_t
#include "csr_rows_tpl.h"

#define CSR_INDEX_NAME i64
#define CSR_INDEX int64_t
#include "csr_rows_tpl.h"

#define CSR_INDEX_NAME u16
#define CSR_INDEX uint16_t
#include "csr_columns_tpl.h"

#define CSR_INDEX_NAME i32
#define CSR_INDEX int32_t
#include "csr_columns_tpl.h"

#define CSR_CALL(rows, name, ...)                                                                                      \
    ((rows)->index_size == 4 ? csr_##name##_i32(__VA_ARGS__) : csr_##name##_i64(__VA_ARGS__))

static void csr_forward(void *Z_out, const flr_csr_rows *rows, const void *W, int64_t ld, const void *b,
                        const double *weight, int64_t m, int64_t k) {
    CSR_CALL(rows, forward, Z_out, rows, W, ld, b, weight, m, k);
}

static void csr_scatter(double *G, int64_t ldg, const flr_csr_rows *rows, const void *R, const double *weight,
                        double *wide, int64_t m, int64_t k) {
    CSR_CALL(rows, scatter, G, ldg, rows, R, weight, wide, m, k);
}

static void csr_gather(double *G, int64_t ldg, const flr_csr_rows *columns, const void *R, const double *weight,
                       int64_t m, int64_t k) {
    (columns->index_size == 2 ? csr_gather_u16 : csr_gather_i32)(G, ldg, columns, R, weight, m, k);
}

static void csr_dot(double *z_out, const flr_csr_row *row, const double *table, int64_t stride, int64_t width) {
    CSR_CALL(row, dot, z_out, row, table, stride, width);
}

static void csr_add(double *table, int64_t stride, const flr_csr_row *row, const double *r, int64_t width) {
    CSR_CALL(row, add, table, stride, row, r, width);
}

static void csr_fetch(const double *table, int64_t stride, const flr_csr_row *row) {
    CSR_CALL(row, fetch, table, stride, row);
}

static void csr_ftrl(double *table, int64_t width, const flr_csr_row *row, const flr_ftrl *rule) {
    CSR_CALL(row, ftrl, table, width, row, rule);
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */
/* out (columns, ld) = W (k, ldw)', rounded to real, zero from class k on */
static void csr_pack(void *out_, int64_t ld, const double *W, int64_t ldw, int64_t columns, int64_t k) {
    REAL *out = out_;
    for (int64_t j = 0; j < columns; j++, out += ld) {
        for (int64_t c = 0; c < k; c++) out[c] = (REAL)W[c * ldw + j];
        for (int64_t c = k; c < ld; c++) out[c] = 0;
    }
}

#endif
