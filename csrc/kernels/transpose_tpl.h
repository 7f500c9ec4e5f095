/* transpose_tpl.h -- VLEN rows of few classes into columns of VLEN lanes, and results back into rows.
 *
 * Into columns: copies of the last row stand in for those missing of VLEN.  Into rows: all VLEN are stored, so the
 * destination is the stage of sink_tpl.h.  Needs what vec_tpl.h needs.
 */
#ifndef FLR_TRANSPOSE_TPL_H
#define FLR_TRANSPOSE_TPL_H

#include "vec_tpl.h"

#define TRANSPOSE_SWAP_LOW(l, h) ((l) & (h) ? VLEN + (l) - (h) : (l))
#define TRANSPOSE_SWAP_HIGH(l, h) ((l) & (h) ? VLEN + (l) : (l) + (h))
#define TRANSPOSE_SWAP(a, h, count)                                                                                    \
    for (int i = 0; i < (count); i++)                                                                                  \
        if (!(i & (h))) {                                                                                              \
            const V low = VSHUFFLE(a[i], a[i + (h)], TRANSPOSE_SWAP_LOW, h);                                           \
            a[i + (h)] = VSHUFFLE(a[i], a[i + (h)], TRANSPOSE_SWAP_HIGH, h);                                           \
            a[i] = low;                                                                                                \
        }
#define TRANSPOSE_ZIP_LOW(l, h) ((l) / 2 + (l) % 2 * VLEN)
#define TRANSPOSE_ZIP_HIGH(l, h) (VLEN / 2 + TRANSPOSE_ZIP_LOW(l, h))

/* a, VLEN vectors: off-diagonal blocks of h lanes change places, h = VLEN / 4 and its halves; of count vectors only */
INLINE void transpose_blocks(V *a, const int count) {
    (void)a, (void)count;
#if VLEN >= 16
    TRANSPOSE_SWAP(a, 4, count)
#endif
#if VBYTES == 64 && REAL_BITS == 64
    TRANSPOSE_SWAP(a, 2, count)
#endif
#if VBYTES == 16 && REAL_BITS == 32
    TRANSPOSE_SWAP(a, 1, count)
#elif VBYTES > 16
    for (int i = 0; i < count; i += VQUAD) { /* within groups */
        V t[VQUAD];
        for (int j = 0; j < VQUAD; j += 2) {
            t[j] = VSHUFFLE(a[i + j], a[i + j + 1], VTURN_LOW, 1);
            t[j + 1] = VSHUFFLE(a[i + j], a[i + j + 1], VTURN_HIGH, 1);
        }
        for (int j = 0; j < VQUAD; j++) a[i + j] = t[j];
#if REAL_BITS == 32
        for (int j = 0; j < 2; j++) {
            a[i + 2 * j] = VSHUFFLE(t[j], t[j + 2], VTURN_LOW, 2);
            a[i + 2 * j + 1] = VSHUFFLE(t[j], t[j + 2], VTURN_HIGH, 2);
        }
#endif
    }
#endif
}

INLINE void transpose_square(V *a) {
    TRANSPOSE_SWAP(a, VLEN / 2, VLEN)
    transpose_blocks(a, VLEN);
}

/* Blocks of VLEN columns, or of half as many: the last one ends with the last column and may take some twice. */
INLINE int64_t transpose_width(int64_t c, int64_t k) { return k - c > VLEN / 2 && k >= VLEN ? VLEN : VLEN / 2; }

INLINE void transpose_block_in(REAL *columns, const REAL *rows, int64_t k, const int width) {
    V a[VLEN];
    for (int i = 0; i < VLEN / 2; i++) {
        const REAL *low = rows + i * k, *high = rows + (i + VLEN / 2) * k;
        a[i] = vload_halves(low, high);
        if (width == VLEN) a[i + VLEN / 2] = vload_halves(low + VLEN / 2, high + VLEN / 2);
    }
    transpose_blocks(a, width);
    for (int i = 0; i < width; i++) vstore(columns + i * VLEN, a[i]);
}

NOINLINE void transpose_blocks_in(REAL *columns, const REAL *rows, int64_t k, int64_t count) {
    if (count < VLEN || k < VLEN / 2) {
        for (int64_t i = 0; i < VLEN; i++)
            for (int64_t j = 0; j < k; j++) columns[j * VLEN + i] = rows[(i < count ? i : count - 1) * k + j];
        return;
    }
    for (int64_t c = 0, width; c < k; c += width) {
        width = transpose_width(c, k);
        const int64_t at = c + width <= k ? c : k - width;
        width == VLEN ? transpose_block_in(columns + at * VLEN, rows + at, k, VLEN)
                      : transpose_block_in(columns + at * VLEN, rows + at, k, VLEN / 2);
    }
}

/* columns (k, VLEN) = the transpose of rows (count, k); the last row stands in for those that are missing */
INLINE void transpose_in(REAL *columns, const REAL *rows, int64_t k, int64_t count) {
    if (k > 2 || count < VLEN) {
        transpose_blocks_in(columns, rows, k, count);
    } else if (k == 2) {
        const V a = vload(rows), b = vload(rows + VLEN);
        vstore(columns, VSHUFFLE(a, b, VEVEN_BLOCKS, 1));
        vstore(columns + VLEN, VSHUFFLE(a, b, VODD_BLOCKS, 1));
    } else {
        vstore(columns, vload(rows));
    }
}

/* What becomes of a column on its way back into rows: column * first, or that * wide in double, or
 * column - first - then. */
typedef struct { V first, then; const VD *wide; } transpose_finish;
typedef enum { TRANSPOSE_TIMES, TRANSPOSE_TIMES_WIDE, TRANSPOSE_MINUS } transpose_finish_kind;

INLINE V transpose_finished(const REAL *column, const transpose_finish *f, const transpose_finish_kind kind) {
    const V v = vload(column);
    if (kind == TRANSPOSE_MINUS) return v - f->first - f->then;
    return kind == TRANSPOSE_TIMES ? v * f->first : vtimes_wide(v * f->first, f->wide);
}

INLINE void transpose_block_out(REAL *rows, const REAL *columns, int64_t k, const transpose_finish *f,
                                const transpose_finish_kind kind, const int width) {
    V a[VLEN];
    for (int i = 0; i < width; i++) a[i] = transpose_finished(columns + i * VLEN, f, kind);
    transpose_blocks(a, width);
    for (int i = 0; i < VLEN / 2; i++) {
        REAL *low = rows + i * k, *high = rows + (i + VLEN / 2) * k;
        vstore_halves(low, high, a[i]);
        if (width == VLEN) vstore_halves(low + VLEN / 2, high + VLEN / 2, a[i + VLEN / 2]);
    }
}

/* rows (VLEN, k) = the transpose of columns (k, VLEN), finished */
INLINE void transpose_two_out(REAL *rows, const REAL *columns, int64_t k, const transpose_finish *f,
                              const transpose_finish_kind kind) {
    const V a = transpose_finished(columns, f, kind), b = k == 2 ? transpose_finished(columns + VLEN, f, kind) : a;
    vstore(rows, k == 2 ? VSHUFFLE(a, b, TRANSPOSE_ZIP_LOW, 0) : a);
    if (k == 2) vstore(rows + VLEN, VSHUFFLE(a, b, TRANSPOSE_ZIP_HIGH, 0));
}

INLINE void transpose_blocks_out(REAL *rows, const REAL *columns, int64_t k, const transpose_finish *f,
                                 const transpose_finish_kind kind) {
    if (k < VLEN / 2) {
        REAL all[VLEN];
        for (int64_t j = 0; j < k; j++) {
            vstore(all, transpose_finished(columns + j * VLEN, f, kind));
            for (int64_t i = 0; i < VLEN; i++) rows[i * k + j] = all[i];
        }
        return;
    }
    for (int64_t c = 0, width; c < k; c += width) {
        width = transpose_width(c, k);
        const int64_t at = c + width <= k ? c : k - width;
        width == VLEN ? transpose_block_out(rows + at, columns + at * VLEN, k, f, kind, VLEN)
                      : transpose_block_out(rows + at, columns + at * VLEN, k, f, kind, VLEN / 2);
    }
}

#define TRANSPOSE_DEFINE_OUT(name, kind, type, field)                                                                  \
    NOINLINE void name##_blocks(REAL *rows, const REAL *columns, int64_t k, V first, type field) {                     \
        const transpose_finish f = {.first = first, .field = field};                                                   \
        transpose_blocks_out(rows, columns, k, &f, kind);                                                              \
    }                                                                                                                  \
    NOINLINE void name(REAL *rows, const REAL *columns, int64_t k, V first, type field) {                              \
        const transpose_finish f = {.first = first, .field = field};                                                   \
        k <= 2 ? transpose_two_out(rows, columns, k, &f, kind) : name##_blocks(rows, columns, k, first, field);        \
    }
TRANSPOSE_DEFINE_OUT(transpose_out_times, TRANSPOSE_TIMES, V, then) /* not read */
TRANSPOSE_DEFINE_OUT(transpose_out_times_wide, TRANSPOSE_TIMES_WIDE, const VD *, wide)
TRANSPOSE_DEFINE_OUT(transpose_out_minus, TRANSPOSE_MINUS, V, then)

#endif
