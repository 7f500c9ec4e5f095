/* tile.c -- a tile is some rows of X as reals, small enough to stay in the L2 cache between its two uses. */
#include "drivers/tile.h"

#include <stddef.h>

static const int64_t sizes[FLR_N_DTYPES] = {8, 4, 2, 2, 1, 1, 2, 2, 4, 4, 8, 8};
enum {
    LINE = 64, /* bytes of a cache line */
    TILES_OF_COLUMNS = 3,
    ROWS_STEP = 24, /* whole blocks of rows for each kernel */
};

static int is_real(const flr_matrix *X, int64_t size) {
    return X->dtype == (size == 4 ? FLR_F32 : FLR_F64) && X->col_stride == size && X->row_stride % size == 0 &&
           (uintptr_t)X->data % (uintptr_t)size == 0;
}

flr_tiling flr_tiling_of(const flr_matrix *X, int64_t size, int64_t bytes, int narrow) {
    const int own = narrow && sizes[X->dtype] < size && X->col_stride == sizes[X->dtype] &&
                    flr_kernels_of(size)->products[X->dtype].forward != NULL;
    flr_tiling tiling = {.in_place = own || is_real(X, size), .ld = (X->d + 15) / 16 * 16};
    tiling.type = tiling.in_place ? X->dtype : flr_real_of(size);
    int64_t rows = bytes / (tiling.ld * size > 0 ? tiling.ld * size : 1) / ROWS_STEP * ROWS_STEP;
    if (rows < ROWS_STEP) rows = ROWS_STEP;
    if (rows > FLR_MAX_TILE) rows = FLR_MAX_TILE;
    tiling.rows = rows;
    /* columns are read in pieces as long as the rows loaded at once */
    tiling.slab = !tiling.in_place && X->row_stride != 0 && X->row_stride <= 8 ? TILES_OF_COLUMNS * rows : rows;
    if (tiling.in_place && !own && X->row_stride % LINE == 0)
        tiling.head = (int64_t)(-(uintptr_t)X->data % LINE) / size;
    return tiling;
}

void flr_load_tile(const void **x_out, void *buffer, const flr_matrix *X, const flr_tiling *tiling, int64_t size,
                   int64_t first, const int64_t *rows, int64_t m) {
    if (tiling->in_place) {
        for (int64_t i = 0; i < m; i++) x_out[i] = X->data + (rows ? rows[i] : first + i) * X->row_stride;
        return;
    }
    const char *data = rows ? X->data : X->data + first * X->row_stride;
    flr_kernels_of(size)->convert[X->dtype](buffer, tiling->ld, data, X->row_stride, X->col_stride, rows, m, X->d);
    for (int64_t i = 0; i < m; i++) x_out[i] = (char *)buffer + i * tiling->ld * size;
}

int64_t flr_release_rows(const flr_matrix *X, int64_t first, int64_t end, int last) {
    if (X->release != FLR_RELEASE || X->row_stride <= 0 || X->col_stride <= 0 || X->d < 1 || end <= first) return first;
    /* to the end of the last row, not to where a next one would begin: what lies behind X may be anybody's */
    const int64_t bytes = (end - first - 1) * X->row_stride + (X->d - 1) * X->col_stride + sizes[X->dtype];
    if (bytes < FLR_RELEASE_BYTES && !last) return first;
    flr_release_pages(X->data + first * X->row_stride, bytes);
    return end;
}

void flr_release(const flr_matrix *X) { (void)flr_release_rows(X, 0, X->n, 1); }

flr_ahead flr_rows_ahead(const char **runs_out, const flr_matrix *X, int64_t first, const int64_t *rows, int64_t m) {
    const int64_t size = sizes[X->dtype];
    if (X->col_stride == size) {
        for (int64_t i = 0; i < m; i++) runs_out[i] = X->data + (rows ? rows[i] : first + i) * X->row_stride;
        const int64_t gap = X->row_stride - X->d * size;
        return (flr_ahead){runs_out, m, X->d * size, !rows && gap >= 0 && gap < LINE ? X->row_stride : 0, 0, m};
    }
    if (X->row_stride != size || rows || m <= 0) return (flr_ahead){0};
    for (int64_t j = 0; j < X->d; j++) runs_out[j] = X->data + first * size + j * X->col_stride;
    return (flr_ahead){runs_out, X->d, m * size, 0, 0, X->d};
}
