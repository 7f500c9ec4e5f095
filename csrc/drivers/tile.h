/* tile.h -- tiles of X, which the drivers share (tile.c). */
#ifndef FLR_TILE_H
#define FLR_TILE_H

#include "fastlr.h"

/* rows of X as the products read them: in place where they are real, or of a type with products of its own, else
 * converted to real */
enum { FLR_MAX_TILE = 2048 };
typedef struct {
    int64_t rows;   /* most rows of a tile */
    int64_t slab;   /* rows that a pass loads at once, some tiles */
    int64_t ld;     /* values from a row to the next in the buffer */
    int in_place;   /* rows of X serve as they are */
    flr_dtype type; /* of the rows */
    int64_t head;   /* columns before the first cache line of a row, 0 if that differs from row to row */
} flr_tiling;
/* bytes: about those of a tile of reals; narrow: other types than real may stay as they are */
flr_tiling flr_tiling_of(const flr_matrix *X, int64_t size, int64_t bytes, int narrow);
/* x_out[i] = row i of the tile: X[rows[i]], or X[first + i] where rows is NULL; buffer (m, ld) is used if not in place */
void flr_load_tile(const void **x_out, void *buffer, const flr_matrix *X, const flr_tiling *tiling, int64_t size,
                   int64_t first, const int64_t *rows, int64_t m);

/* where what a later tile will load is, X[rows[i]] or X[first + i], i < m: m rows, or d columns, or nothing that is in one
 * piece; runs_out (max(m, d),) */
flr_ahead flr_rows_ahead(const char **runs_out, const flr_matrix *X, int64_t first, const int64_t *rows, int64_t m);

#endif
