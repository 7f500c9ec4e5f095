/* csr_tpl.h -- products of compressed sparse rows: logits Z = X W' + b and gradients G' += X' R.
 *
 * Both add up rows of a table, ld values apart, that the indices of the non-zeros name: a row of X takes those of W' by
 * its columns, a column of X, of which there is a copy, those of R by its rows.  With one class lanes are non-zeros, else
 * classes.  Where there is no copy csr_scatter adds to the rows of G' instead.
 *
 * Sums of a row of X are real; those of a column are real over CSR_BLOCK non-zeros, and double beyond.  Behind a table lie
 * FLR_CSR_SLACK values that are read and come to nothing.  Rows of weight 0 are not read.
 * Needs what vec_tpl.h needs.
 */
#ifndef FLR_CSR_TPL_H
#define FLR_CSR_TPL_H

#include "expsum_tpl.h"
#include "prefetch_tpl.h"

/* CSR_AHEAD: non-zeros from one whose row of the table is added to that whose row is prefetched */
enum { CSR_BLOCK = 256, CSR_VECTORS = 4, CSR_AHEAD = 12, CSR_DOUBLES = VBYTES / 8 };
typedef double csr_doubles __attribute__((vector_size(VBYTES), aligned(8), may_alias));

/* ---- one class ------------------------------------------------------------------------------------------------------- */
#if VX86 && VBYTES == 64 && REAL_BITS == 32
INLINE V csr_gather_i32(const REAL *table, const int32_t *index) {
    return (V)_mm512_i32gather_ps(_mm512_loadu_si512(index), table, 4);
}
INLINE V csr_gather_i64(const REAL *table, const int64_t *index) {
    const __m256 low = _mm512_i64gather_ps(_mm512_loadu_si512(index), table, 4);
    const __m256 high = _mm512_i64gather_ps(_mm512_loadu_si512(index + 8), table, 4);
    return (V)_mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
}
#elif VX86 && VBYTES == 64
INLINE V csr_gather_i32(const REAL *table, const int32_t *index) {
    return (V)_mm512_i32gather_pd(_mm256_loadu_si256((const __m256i *)index), table, 8);
}
INLINE V csr_gather_i64(const REAL *table, const int64_t *index) {
    return (V)_mm512_i64gather_pd(_mm512_loadu_si512(index), table, 8);
}
#else
#define CSR_LANE(l, index) table[(index)[l]]
INLINE V csr_gather_i32(const REAL *table, const int32_t *index) { return (V){VLANES(CSR_LANE, index)}; }
INLINE V csr_gather_i64(const REAL *table, const int64_t *index) { return (V){VLANES(CSR_LANE, index)}; }
#endif

/* ---- rows by one type of index ----------------------------------------------------------------------------------------- */
#define CSR_INDEX_NAME i32
#define CSR_INDEX int32_t
#include "csr_rows_tpl.h"

#define CSR_INDEX_NAME i64
#define CSR_INDEX int64_t
#include "csr_rows_tpl.h"

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

/* ---- tables ------------------------------------------------------------------------------------------------------------ */
/* out (columns, ld) = W (k, ldw)', rounded to real, zero from class k on */
static void csr_pack(void *out_, int64_t ld, const double *W, int64_t ldw, int64_t columns, int64_t k) {
    REAL *out = out_;
    for (int64_t j = 0; j < columns; j++, out += ld) {
        for (int64_t c = 0; c < k; c++) out[c] = (REAL)W[c * ldw + j];
        for (int64_t c = k; c < ld; c++) out[c] = 0;
    }
}

#endif
