/* tile.h -- tiles of X, which the drivers share (tile.c). */
#ifndef FLR_TILE_H
#define FLR_TILE_H

#include "fastlr.h"
#include "runtime/runtime.h"

/* rows of X as the products read them: in place where they are real, or of a type with products of its own, else
 * converted to real */
enum { FLR_MAX_TILE = 2048 };
typedef struct {
    int64_t rows;   /* most rows of a tile */
    int64_t slab;   /* rows that a pass loads at once, some tiles */
    int64_t ld;     /* values from a row to the next in the buffer */
    int in_place;   /* the products read rows of X where they are */
    flr_dtype type; /* of the rows */
    int64_t head;   /* columns of a row before its first whole cache line; 0 if that differs from row to row */
} flr_tiling;
/* bytes: about those of a tile of reals; narrow: other types than real may stay as they are */
flr_tiling flr_tiling_of(const flr_matrix *X, int64_t size, int64_t bytes, int narrow);
/* x_out[i] = row i of the tile: X[rows[i]], or X[first + i] if rows is NULL; buffer (m, ld) is used unless in place */
void flr_load_tile(const void **x_out, void *buffer, const flr_matrix *X, const flr_tiling *tiling, int64_t size,
                   int64_t first, const int64_t *rows, int64_t m);

/* Rows first to end - 1 have been read: if X is to be released, and they span much or are the chunk's last, the pages
 * that lie between the first one's begin and the last one's end leave this process's memory.  Returns the first row that
 * is still held. */
int64_t flr_release_rows(const flr_matrix *X, int64_t first, int64_t end, int last);

/* What a later tile will load, to be prefetched: X[rows[i]] or X[first + i], i < m, as m runs of rows or d of columns;
 * none where neither is contiguous.  runs_out (max(m, d),). */
flr_ahead flr_rows_ahead(const char **runs_out, const flr_matrix *X, int64_t first, const int64_t *rows, int64_t m);

#endif
