/* csr.h -- what the drivers of sparse rows share. */
#ifndef FLR_CSR_H
#define FLR_CSR_H

#include "fastlr.h"
#include "runtime/runtime.h"

static inline int64_t flr_csr_start(const flr_csr *X, int64_t row) {
    return X->indptr_size == 4 ? ((const int32_t *)X->indptr)[row] : ((const int64_t *)X->indptr)[row];
}
static inline int64_t flr_csr_column(const flr_csr *X, int64_t at) {
    return X->index_size == 4 ? ((const int32_t *)X->indices)[at] : ((const int64_t *)X->indices)[at];
}
static inline int64_t flr_csr_nonzeros(const flr_csr *X) { return flr_csr_start(X, X->n); }

/* The first row of a chunk.  Chunks are about as much work each: a row counts as row_cost non-zeros more. */
int64_t flr_csr_chunk_begin(const flr_csr *X, int64_t row_cost, int64_t chunk, int64_t n_chunks);
/* Rows from first on as kernels take them: as many as have about `nonzeros` values, at least one, at most `most`, none
 * from end on.  starts (most + 1,) is scratch.  Returns how many. */
int64_t flr_csr_take_rows(flr_csr_rows *rows_out, int64_t *starts, const flr_csr *X, int64_t first, int64_t end,
                          int64_t most, int64_t nonzeros);
/* As flr_release_rows does (tile.h), with data and indices. */
int64_t flr_csr_release_rows(const flr_csr *X, int64_t first, int64_t end, int last);

#endif
