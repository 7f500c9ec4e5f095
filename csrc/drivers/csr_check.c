/* csr_check.c -- whether a sparse matrix is what it says: one reading, on many threads. */
#include "drivers/csr.h"

enum { CHUNK_ROWS = 1 << 16, CHUNK_NONZEROS = 1 << 17 };

typedef struct {
    const flr_csr *X;
    int64_t nonzeros;
    int values;
    atomic_llong first; /* the first row whose indptr falls, or place of a fault, so far */
} job;

static void at_most(atomic_llong *first, int64_t place) {
    long long now = atomic_load(first);
    while (place < now && !atomic_compare_exchange_weak(first, &now, place)) continue;
}

static void check_indptr(void *context, int64_t chunk, int worker) {
    job *j = context;
    const int64_t begin = chunk * CHUNK_ROWS, end = begin + CHUNK_ROWS < j->X->n ? begin + CHUNK_ROWS : j->X->n;
    (void)worker;
    int64_t row = begin;
    while (row < end && flr_csr_start(j->X, row) <= flr_csr_start(j->X, row + 1)) row++;
    if (row < end) at_most(&j->first, row);
}

static void check_nonzeros(void *context, int64_t chunk, int worker) {
    job *j = context;
    const flr_csr *X = j->X;
    const int64_t begin = chunk * CHUNK_NONZEROS, d = X->d < INT32_MAX ? X->d : (int64_t)INT32_MAX + 1;
    const int64_t count = j->nonzeros - begin < CHUNK_NONZEROS ? j->nonzeros - begin : CHUNK_NONZEROS;
    const int64_t size = flr_real_size(X->dtype);
    (void)worker;
    if (begin >= atomic_load(&j->first)) return;
    const int64_t outside = X->index_size == 4 ? flr_label_outside((const int32_t *)X->indices + begin, count, d)
                                               : flr_order_outside((const int64_t *)X->indices + begin, count, X->d);
    if (outside >= 0) at_most(&j->first, begin + outside);
    if (!j->values) return;
    const int64_t strange = flr_kernels_of(size)->first_nonfinite((const char *)X->data + begin * size, count);
    if (strange < count) at_most(&j->first, begin + strange);
}

/* the row of the non-zero at this place */
static int64_t row_of(const flr_csr *X, int64_t place) {
    int64_t low = 0, high = X->n; /* the first row that ends behind it */
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (flr_csr_start(X, middle + 1) <= place)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

flr_csr_fault flr_csr_first_fault(const flr_csr *X, int64_t n_indices, int64_t n_data, int values, int n_threads) {
    job j = {.X = X, .values = values, .first = INT64_MAX};
    if (flr_csr_start(X, 0) != 0) return (flr_csr_fault){FLR_CSR_START, 0, 0};
    flr_parallel_for(check_indptr, &j, (X->n + CHUNK_ROWS - 1) / CHUNK_ROWS, n_threads);
    if (j.first < INT64_MAX) return (flr_csr_fault){FLR_CSR_FALLS, j.first, j.first + 1};
    j.nonzeros = flr_csr_nonzeros(X);
    if (j.nonzeros > n_indices || j.nonzeros > n_data) return (flr_csr_fault){FLR_CSR_END, X->n - 1, X->n};
    flr_parallel_for(check_nonzeros, &j, (j.nonzeros + CHUNK_NONZEROS - 1) / CHUNK_NONZEROS, n_threads);
    if (j.first == INT64_MAX) return (flr_csr_fault){FLR_CSR_SOUND, -1, -1};
    const int64_t column = flr_csr_column(X, j.first);
    return (flr_csr_fault){column < 0 || column >= X->d ? FLR_CSR_INDEX : FLR_CSR_VALUE, row_of(X, j.first), j.first};
}
