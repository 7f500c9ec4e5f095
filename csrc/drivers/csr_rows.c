/* csr_rows.c -- rows of a sparse matrix in chunks and tiles, and given back. */
#include "drivers/csr.h"

int64_t flr_csr_chunk_begin(const flr_csr *X, int64_t row_cost, int64_t chunk, int64_t n_chunks) {
    const int64_t first = flr_csr_start(X, 0);
    const int64_t before = flr_part_begin(flr_csr_nonzeros(X) - first + X->n * row_cost, chunk, n_chunks);
    int64_t low = 0, high = X->n; /* the first row with at least so much before it */
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (flr_csr_start(X, middle) - first + middle * row_cost < before)
            low = middle + 1;
        else
            high = middle;
    }
    return chunk >= n_chunks ? X->n : low;
}

int64_t flr_csr_take_rows(flr_csr_rows *rows_out, int64_t *starts, const flr_csr *X, int64_t first, int64_t end,
                          int64_t most, int64_t nonzeros) {
    int64_t m = 0;
    starts[0] = flr_csr_start(X, first);
    while (m < most && first + m < end && (m == 0 || starts[m] - starts[0] < nonzeros)) {
        m++;
        starts[m] = flr_csr_start(X, first + m);
    }
    *rows_out = (flr_csr_rows){X->data, X->indices, starts, X->index_size};
    return m;
}

int64_t flr_csr_release_rows(const flr_csr *X, int64_t first, int64_t end, int last) {
    if (X->release != FLR_RELEASE || end <= first) return first;
    const int64_t begin = flr_csr_start(X, first), count = flr_csr_start(X, end) - begin;
    const int64_t size = flr_real_size(X->dtype);
    if (count * (size + X->index_size) < FLR_RELEASE_BYTES && !last) return first;
    flr_release_pages((const char *)X->data + begin * size, count * size);
    flr_release_pages((const char *)X->indices + begin * X->index_size, count * X->index_size);
    return end;
}

void flr_csr_release(const flr_csr *X) { (void)flr_csr_release_rows(X, 0, X->n, 1); }
