/* products_packed_tpl.h -- the two products of a tile for many classes.
 *
 * Logits: a lane is a class, and a value of x is broadcast to all of them, so that there are no sums over lanes, and W
 * is loaded once for PACKED_ROWS rows.  Gradient: a lane is a column, and a value of R is broadcast.  Both read panels
 * that are packed in the order of reading, so that neither cache sets nor pages run short, whatever d and k are:
 *
 *     W        once a pass: panels of PACKED_VECTORS vectors of classes, (d, PACKED_VECTORS VLEN) each, zeros behind
 *              the last class
 *     x, R     in a tile: panels of PACKED_VECTORS vectors of columns, (m, PACKED_VECTORS VLEN); blocks of PACKED_ROWS
 *              classes, (m, PACKED_ROWS)
 *     G        for each panel of columns and block of classes (PACKED_ROWS, PACKED_VECTORS VLEN)
 *
 * The last panel has fewer vectors.  A remainder of classes that fills less than half a vector is left to the dot
 * products of linear_tpl.h.
 *
 * Needs what vec_tpl.h needs.  Names begin with packed or PACKED.
 */
#ifndef FLR_PRODUCTS_PACKED_TPL_H
#define FLR_PRODUCTS_PACKED_TPL_H

#include "linear_tpl.h"
#include "prefetch_tpl.h"
#include "tile_tpl.h"

#if VBYTES == 64
enum { PACKED_VECTORS = 3, PACKED_ROWS = 8 };
#define PACKED_PANELS(f) f(1) f(2) f(3)
#elif VBYTES == 32
enum { PACKED_VECTORS = 2, PACKED_ROWS = 6 };
#define PACKED_PANELS(f) f(1) f(2)
#else
enum { PACKED_VECTORS = 2, PACKED_ROWS = 4 };
#define PACKED_PANELS(f) f(1) f(2)
#endif
/* Features of a block: its part of a panel stays in L1 or near it, and sums in real stay short. */
enum { PACKED_FEATURES = 256 };

INLINE int64_t packed_round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }
/* values of panel c / (PACKED_VECTORS VLEN) that there are behind c, as whole vectors */
INLINE int64_t packed_width(int64_t c, int64_t n) {
    return n - c < PACKED_VECTORS * VLEN ? packed_round_up(n - c, VLEN) : PACKED_VECTORS * VLEN;
}

/* ---- logits ----------------------------------------------------------------------------------------------------- */
/* how many of the k classes are in panels */
INLINE int64_t packed_classes(int64_t k) { return k % VLEN > VLEN / 2 ? k : k / VLEN * VLEN; }

static int64_t packed_W_size(int64_t k, int64_t d) { return packed_round_up(packed_classes(k), VLEN) * d; }

static void packed_pack(void *packed_, const void *W_, int64_t ldw, int64_t k, int64_t d, int64_t panel) {
    const int64_t c0 = panel * PACKED_VECTORS * VLEN, classes = packed_classes(k) - c0;
    if (classes <= 0) return;
    const int64_t width = packed_width(0, classes);
    const REAL *W = (const REAL *)W_ + c0 * ldw;
    REAL *packed = (REAL *)packed_ + c0 * d;
    for (int64_t j = 0; j < d; j++)
        for (int64_t c = 0; c < width; c++) packed[j * width + c] = c < classes ? W[c * ldw + j] : 0;
}

/* acc (rows, vectors) += x[:, j] W[:, j]' */
INLINE void packed_logits_step(V *acc, const REAL *const *row, int64_t j, const REAL *W, const int rows,
                               const int vectors) {
    V w[PACKED_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) w[v] = vload(W + v * VLEN);
    UNROLL for (int r = 0; r < rows; r++) {
        const V value = vsplat(row[r][j]);
        UNROLL for (int v = 0; v < vectors; v++) acc[r * vectors + v] = vfma(value, w[v], acc[r * vectors + v]);
    }
}

/* Z_out (rows, ldz)[:, :classes] = (j0 == 0 ? b : Z_out) + x[:, j0:j1] W[:, j0:j1]', W packed from feature j0 on;
 * classes: more than vectors - 1 vectors of them, vectors at most */
INLINE void packed_logits_block(REAL *Z_out, int64_t ldz, const REAL *const *x, const REAL *W, const REAL *b,
                                int64_t j0, int64_t j1, int64_t classes, prefetch *ahead, const int rows,
                                const int vectors) {
    const REAL *row[PACKED_ROWS];
    UNROLL for (int r = 0; r < rows; r++) row[r] = x[r];
    prefetch f = *ahead;
    V acc[PACKED_ROWS * PACKED_VECTORS];
    UNROLL for (int i = 0; i < rows * vectors; i++) acc[i] = (V){0};
    int64_t j = j0;
    while (j + 2 <= j1)
        for (int64_t steps = prefetch_stretch(&f, (j1 - j) / 2); steps > 0; steps--, j += 2, W += 2 * vectors * VLEN) {
            packed_logits_step(acc, row, j, W, rows, vectors);
            packed_logits_step(acc, row, j + 1, W + vectors * VLEN, rows, vectors);
            prefetch_step(&f, 1);
        }
    if (j < j1) packed_logits_step(acc, row, j, W, rows, vectors);
    *ahead = f;
    const int last = (int)classes - (vectors - 1) * VLEN;
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < vectors; v++) {
            REAL *z = Z_out + r * ldz + v * VLEN;
            const REAL *before = j0 == 0 ? b + v * VLEN : z;
            if (v < vectors - 1)
                vstore(z, vload(before) + acc[r * vectors + v]);
            else
                vstore_part(z, vload_part(before, last) + acc[r * vectors + v], last);
        }
}

#define PACKED_DEFINE_LOGITS(vectors)                                                                                  \
    static void packed_logits_##vectors(REAL *Z_out, int64_t ldz, const REAL *const *x, const REAL *W, const REAL *b,  \
                                        int64_t j0, int64_t j1, int64_t classes, int64_t m, prefetch *ahead) {         \
        int64_t i = 0;                                                                                                 \
        for (; i + PACKED_ROWS <= m; i += PACKED_ROWS)                                                                 \
            packed_logits_block(Z_out + i * ldz, ldz, x + i, W, b, j0, j1, classes, ahead, PACKED_ROWS, vectors);      \
        for (; i + 2 <= m; i += 2)                                                                                     \
            packed_logits_block(Z_out + i * ldz, ldz, x + i, W, b, j0, j1, classes, ahead, 2, vectors);                \
        for (; i < m; i++) packed_logits_block(Z_out + i * ldz, ldz, x + i, W, b, j0, j1, classes, ahead, 1, vectors); \
    }
PACKED_PANELS(PACKED_DEFINE_LOGITS)
#define PACKED_LOGITS_ENTRY(vectors) packed_logits_##vectors,

static void packed_forward(void *Z_out, const void *const *x_, const void *packed, const void *W, int64_t ldw,
                           const void *b_, int64_t m, int64_t d, int64_t k, int64_t head, const flr_ahead *next) {
    typedef void (*logits_fn)(REAL *, int64_t, const REAL *const *, const REAL *, const REAL *, int64_t, int64_t,
                              int64_t, int64_t, prefetch *);
    static const logits_fn logits[] = {PACKED_PANELS(PACKED_LOGITS_ENTRY)};
    const REAL *const *x = (const REAL *const *)x_, *b = b_;
    REAL *Z = Z_out;
    const int64_t whole = packed_classes(k),
                  n_panels = packed_round_up(whole, PACKED_VECTORS * VLEN) / (PACKED_VECTORS * VLEN);
    prefetch ahead = prefetch_begin(next, (m / PACKED_ROWS + 1) * n_panels * d / 2, 1);
    const int64_t parts = (d + PACKED_FEATURES - 1) / PACKED_FEATURES, part = parts ? (d + parts - 1) / parts : 1;
    for (int64_t j0 = 0; j0 == 0 || j0 < d; j0 += part)
        for (int64_t c = 0; c < whole; c += PACKED_VECTORS * VLEN) {
            const int64_t width = packed_width(c, whole), classes = whole - c < width ? whole - c : width;
            logits[width / VLEN - 1](Z + c, k, x, (const REAL *)packed + c * d + j0 * width, b + c, j0,
                                     j0 + part < d ? j0 + part : d, classes, m, &ahead);
        }
    if (whole < k)
        linear_forward_classes_real(Z + whole, k, x, (const REAL *)W + whole * ldw, ldw, b + whole, m, d, k - whole,
                                    head, NULL);
}

/* ---- gradient --------------------------------------------------------------------------------------------------- */
static int64_t packed_sums_size(int64_t k, int64_t d) {
    return packed_round_up(k, PACKED_ROWS) * packed_round_up(d, VLEN);
}

/* of packed_backward's scratch */
static int64_t packed_backward_size(int64_t m, int64_t k) {
    return m * (packed_round_up(k, PACKED_ROWS) + PACKED_VECTORS * VLEN);
}

/* acc (PACKED_ROWS, vectors) += r (PACKED_ROWS,) x (vectors VLEN,) */
INLINE void packed_gradient_step(V *acc, const REAL *r, const REAL *x, const int vectors) {
    V xj[PACKED_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) xj[v] = vload(x + v * VLEN);
    UNROLL for (int c = 0; c < PACKED_ROWS; c++) {
        const V rc = vsplat(r[c]);
        UNROLL for (int v = 0; v < vectors; v++) acc[c * vectors + v] = vfma(rc, xj[v], acc[c * vectors + v]);
    }
}

/* G (PACKED_ROWS, vectors VLEN) += R (m, ldr)[:, :PACKED_ROWS]' x (m, ldx)[:, :vectors VLEN], summed from 0: two short
 * sums err less than a long one */
INLINE void packed_gradient_block(REAL *G, const REAL *R, const int64_t ldr, const REAL *x, const int64_t ldx,
                                  int64_t m, prefetch *ahead, const int vectors) {
    prefetch f = *ahead;
    V acc[PACKED_ROWS * PACKED_VECTORS];
    UNROLL for (int i = 0; i < PACKED_ROWS * vectors; i++) acc[i] = (V){0};
    int64_t i = 0;
    while (i + 2 <= m)
        for (int64_t steps = prefetch_stretch(&f, (m - i) / 2); steps > 0; steps--, i += 2, R += 2 * ldr) {
            packed_gradient_step(acc, R, x + i * ldx, vectors);
            packed_gradient_step(acc, R + ldr, x + (i + 1) * ldx, vectors);
            prefetch_step(&f, 1);
        }
    if (i < m) packed_gradient_step(acc, R, x + i * ldx, vectors);
    *ahead = f;
    UNROLL for (int i = 0; i < PACKED_ROWS * vectors; i++) vstore(G + i * VLEN, vload(G + i * VLEN) + acc[i]);
}

/* gradient: n_blocks of packed R, one behind another; square: columns of both products lie in the same rows */
#define PACKED_DEFINE_GRADIENT(vectors)                                                                                \
    static void packed_gradient_##vectors(REAL *G, const REAL *R, const REAL *x, int64_t m, int64_t n_blocks,          \
                                          prefetch *ahead) {                                                           \
        for (int64_t q = 0; q < n_blocks; q++, G += PACKED_ROWS * (vectors) * VLEN, R += m * PACKED_ROWS)              \
            packed_gradient_block(G, R, PACKED_ROWS, x, (vectors) * VLEN, m, ahead, vectors);                          \
    }                                                                                                                  \
    static void packed_square_##vectors(REAL *G, const REAL *x, int64_t ldx, int64_t m, int64_t n_blocks) {            \
        prefetch nothing = prefetch_begin(NULL, 0, 1);                                                                 \
        for (int64_t q = 0; q < n_blocks; q++, G += PACKED_ROWS * (vectors) * VLEN)                                    \
            packed_gradient_block(G, x + q * PACKED_ROWS, ldx, x, ldx, m, &nothing, vectors);                          \
    }
PACKED_PANELS(PACKED_DEFINE_GRADIENT)
#define PACKED_GRADIENT_ENTRY(vectors) packed_gradient_##vectors,
#define PACKED_SQUARE_ENTRY(vectors) packed_square_##vectors,
typedef void (*packed_gradient_fn)(REAL *, const REAL *, const REAL *, int64_t, int64_t, prefetch *);
static const packed_gradient_fn packed_gradient[] = {PACKED_PANELS(PACKED_GRADIENT_ENTRY)};

static void packed_backward(void *sums, const void *R_, const void *const *x_, void *scratch, int64_t m, int64_t d,
                            int64_t k, const flr_ahead *next) {
    const REAL *const *x = (const REAL *const *)x_, *R = R_;
    const int64_t n_blocks = packed_round_up(k, PACKED_ROWS) / PACKED_ROWS;
    REAL *blocks = scratch, *panel = blocks + n_blocks * m * PACKED_ROWS;
    for (int64_t i = 0; i < m; i++) {
        int64_t q = 0;
        for (; (q + 1) * PACKED_ROWS <= k; q++)
            memcpy(blocks + (q * m + i) * PACKED_ROWS, R + i * k + q * PACKED_ROWS, PACKED_ROWS * sizeof(REAL));
        for (int64_t c = q * PACKED_ROWS; c < n_blocks * PACKED_ROWS; c++)
            blocks[(q * m + i) * PACKED_ROWS + c % PACKED_ROWS] = c < k ? R[i * k + c] : 0;
    }
    prefetch ahead =
        prefetch_begin(next, m / 2 * n_blocks * packed_round_up(d, PACKED_VECTORS * VLEN) / (PACKED_VECTORS * VLEN), 1);
    for (int64_t j = 0; j < d; j += PACKED_VECTORS * VLEN) {
        const int64_t width = packed_width(j, d);
        for (int64_t i = 0; i < m; i++)
            for (int64_t l = 0; l < width; l += VLEN)
                vstore(panel + i * width + l,
                      d - j - l < VLEN ? vload_part(x[i] + j + l, (int)(d - j - l)) : vload(x[i] + j + l));
        packed_gradient[width / VLEN - 1]((REAL *)sums + j * n_blocks * PACKED_ROWS, blocks, panel, m, n_blocks,
                                          &ahead);
    }
}

/* ---- Gram matrix ------------------------------------------------------------------------------------------------ */
/* G = X' X is symmetric: of the panel of columns [j, j + width), the rows that are not all below the diagonal */
INLINE int64_t packed_upper_rows(int64_t j, int64_t width, int64_t d) { return j + width < d ? j + width : d; }

static void packed_gram(void *sums_, const void *X_, int64_t ldx, void *scratch, int64_t m, int64_t d) {
    typedef void (*square_fn)(REAL *, const REAL *, int64_t, int64_t, int64_t);
    static const square_fn square[] = {PACKED_PANELS(PACKED_SQUARE_ENTRY)};
    const int64_t n_blocks = packed_round_up(d, PACKED_ROWS) / PACKED_ROWS;
    const REAL *X = X_;
    REAL *sums = sums_, *blocks = scratch, *panel = blocks + n_blocks * m * PACKED_ROWS;
    if (d <= PACKED_VECTORS * VLEN) {
        if (d > 0) square[packed_width(0, d) / VLEN - 1](sums, X, ldx, m, n_blocks);
        return;
    }
    for (int64_t i = 0; i < m; i++)
        for (int64_t q = 0; q < n_blocks; q++)
            memcpy(blocks + (q * m + i) * PACKED_ROWS, X + i * ldx + q * PACKED_ROWS, PACKED_ROWS * sizeof(REAL));
    prefetch nothing = prefetch_begin(NULL, 0, 1);
    for (int64_t j = 0; j < d; j += PACKED_VECTORS * VLEN) {
        const int64_t width = packed_width(j, d), rows = packed_upper_rows(j, width, d);
        for (int64_t i = 0; i < m; i++)
            for (int64_t l = 0; l < width; l += VLEN) vstore(panel + i * width + l, vload(X + i * ldx + j + l));
        packed_gradient[width / VLEN - 1](sums + j * n_blocks * PACKED_ROWS, blocks, panel, m,
                                          packed_round_up(rows, PACKED_ROWS) / PACKED_ROWS, &nothing);
    }
}

INLINE void packed_flush_panels(double *G, REAL *sums, int64_t k, int64_t d, int symmetric) {
    for (int64_t j = 0; j < d; j += PACKED_VECTORS * VLEN) {
        const int64_t width = packed_width(j, d);
        REAL *panel = sums + j * packed_round_up(k, PACKED_ROWS);
        for (int64_t c = 0; c < (symmetric ? packed_upper_rows(j, width, k) : k); c++)
            tile_flush(G + c * d + j, panel + c * width, d - j < width ? d - j : width);
    }
}

static void packed_flush(double *G, void *sums, int64_t k, int64_t d) { packed_flush_panels(G, sums, k, d, 0); }

static void packed_flush_gram(double *G, void *sums, int64_t d) { packed_flush_panels(G, sums, d, d, 1); }

#endif
