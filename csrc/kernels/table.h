/* table.h -- the table of kernels that each instruction set and real type has. */
#ifndef FLR_TABLE_H
#define FLR_TABLE_H

#include "types.h"

/* Runs of bytes that will be read next; while kernels compute they prefetch n of them, from first on.
 * distance: from one of all `of` runs to the next where they lie one behind another, else 0. */
typedef struct { const char *const *runs; int64_t of, bytes, distance, first, n; } flr_ahead;
static inline flr_ahead flr_some_of(const flr_ahead *ahead, int64_t first, int64_t n) {
    flr_ahead some = *ahead;
    some.first += first;
    some.n = n;
    return some;
}

/* Y and the weights of the m rows of one call.  Exactly one of label and prob is set. */
typedef struct {
    const int32_t *label; /* (m,) class of each row; with k = 1 the target itself, 0 or 1, but for softmax */
    const void *prob;     /* (m, k) real: target probabilities (or target values, squared error) */
    const double *weight; /* (m,) or NULL */
    double smoothing;     /* targets: (1 - smoothing) Y + smoothing / outcomes: k, or 2 if k = 1, not softmax */
    double grad_scale;    /* multiplies R, not the loss: 1 for a sum, 1 / (sum of weights) for a mean */
    const flr_ahead *next; /* to be prefetched meanwhile, or NULL */
} flr_targets;

struct flr_step;

/* Results of row kernels gather in scratch, FLR_STAGE values or one row, and leave it in long runs.  Behind them whole
 * vectors are stored, up to 64 values: only there; outputs get their own values and nothing else. */
enum { FLR_STAGE = 2048 };
static inline int64_t flr_row_scratch(int64_t k, int64_t size) { return (k + FLR_STAGE + 64) * size; }

/* The two products of a tile whose rows have one type; all else is real.  x[i] is row i, best aligned from column head
 * on.  next may be NULL. */
typedef struct {
    /* Z_out (m, ldz) = X (m, d) W (k, d)' + b (ldz,), from column k on b alone.  W rows are ldw apart, zero from d to
     * the next multiple of 16. */
    void (*forward)(void *Z_out, int64_t ldz, const void *const *x, const void *W, int64_t ldw, const void *b, int64_t m,
                    int64_t d, int64_t k, int64_t head, const flr_ahead *next);

    /* G (k, ldg)[:, :d] = (fresh ? 0 : G) + R (m, ldr)[:, :k]' X (m, d) */
    void (*backward)(void *G, int64_t ldg, const void *R, int64_t ldr, const void *const *x, int64_t m, int64_t d,
                     int64_t k, int64_t head, int fresh, const flr_ahead *next);
} flr_products;

/* The same for many classes and rows of real, with W and sums packed as products_packed_tpl.h says.  Sizes are in
 * values. */
typedef struct {
    /* packed (packed_size(k, d),) = W; one call packs one panel of panel_classes, or nothing if there are none */
    int64_t (*packed_size)(int64_t k, int64_t d);
    void (*pack)(void *packed, const void *W, int64_t ldw, int64_t k, int64_t d, int64_t panel);
    void (*forward)(void *Z_out, const void *const *x, const void *packed, const void *W, int64_t ldw, const void *b,
                    int64_t m, int64_t d, int64_t k, int64_t head, const flr_ahead *next);

    /* sums (sums_size(k, d),) += R (m, k)' X (m, d); scratch (backward_size(m, k),) */
    int64_t (*sums_size)(int64_t k, int64_t d);
    int64_t (*backward_size)(int64_t m, int64_t k);
    void (*backward)(void *sums, const void *R, const void *const *x, void *scratch, int64_t m, int64_t d, int64_t k,
                     const flr_ahead *next);
    /* G (k, d) double += sums, which become 0 */
    void (*flush)(double *G, void *sums, int64_t k, int64_t d);

    /* the same with R = X (m, ldx) and k = d, of which only what is not below the diagonal is made; ldx is a multiple
     * of 16 and at least d + 7: what lies behind column d is read, and comes to nothing */
    void (*gram)(void *sums, const void *X, int64_t ldx, void *scratch, int64_t m, int64_t d);
    void (*flush_gram)(double *G, void *sums, int64_t d);
} flr_many;

/* Rows of a sparse matrix: row i has the values data[j] in the columns indices[j] for starts[i] <= j < starts[i + 1], in
 * any order; equal columns add up. */
typedef struct {
    const void *data;    /* real */
    const void *indices; /* int32_t or int64_t, by index_size, 4 or 8; in a transposed copy uint16_t or int32_t */
    const int64_t *starts;
    int64_t index_size;
} flr_csr_rows;

/* The products of sparse rows.  A table of k classes has rows of ld values, and FLR_CSR_SLACK values behind them that may
 * be read.  Rows of weight 0 count as empty; weight may be NULL. */
enum { FLR_CSR_SLACK = 64 };
static inline int64_t flr_csr_ld(int64_t k) { return k <= 2 ? k : (k + 3) / 4 * 4; }
typedef struct {
    /* Z_out (m, k) = X W' + b, with a table W (d, ld) */
    void (*forward)(void *Z_out, const flr_csr_rows *rows, const void *W, int64_t ld, const void *b,
                    const double *weight, int64_t m, int64_t k);
    /* G (d, ldg) += X' R with R (m, k); ldg is 1 or a multiple of 8.  wide (ldg,) is zero from class k on and
     * scratch before. */
    void (*scatter)(double *G, int64_t ldg, const flr_csr_rows *rows, const void *R, const double *weight,
                    double *wide, int64_t m, int64_t k);
    /* G (m, ldg) += X' R for m columns of X, given as rows of a transposed copy, whose indices, uint16_t or int32_t, are
     * rows of the table R (rows, k).  weight: NULL, or of rows, where X has values that are not finite. */
    void (*gather)(double *G, int64_t ldg, const flr_csr_rows *columns, const void *R, const double *weight, int64_t m,
                   int64_t k);
    /* table out (columns, ld) = W (k, ldw)' */
    void (*pack)(void *out, int64_t ld, const double *W, int64_t ldw, int64_t columns, int64_t k);
} flr_csr_products;

/* One of these rows, and the rule of FTRL-proximal (McMahan et al., Ad click prediction, KDD 2013, algorithm 1): each
 * coefficient w has a linear term z and the root n^(1/2) of the sum of its squared gradients, and a gradient g makes
 *     z += g - ((n + g^2)^(1/2) - n^(1/2)) / learning_rate w,  n += g^2
 *     w  = -sign(z) max(|z| - l1, 0) / ((beta + n^(1/2)) / learning_rate + l2) */
typedef struct { const void *data, *indices; int64_t count, index_size; } flr_csr_row;
typedef struct { double learning_rate, beta, l1, l2; } flr_ftrl;
enum { FLR_FTRL_FIELDS = 4 };

/* Steps of gradient descent by one row at a time.  A table has `stride` doubles for each column, of which products take
 * the first `width`: 1, or a multiple of 8. */
static inline int64_t flr_csr_width(int64_t k) { return k == 1 ? 1 : (k + 7) / 8 * 8; }
typedef struct {
    /* z_out (width,) = x times the table */
    void (*dot)(double *z_out, const flr_csr_row *row, const double *table, int64_t stride, int64_t width);
    /* table += the outer product of x and r (width,) */
    void (*add)(double *table, int64_t stride, const flr_csr_row *row, const double *r, int64_t width);
    /* prefetch what the row needs of a table that exceeds the caches */
    void (*fetch)(const double *table, int64_t stride, const flr_csr_row *row);
    /* of a table (d, FLR_FTRL_FIELDS, width) of w, g, z and n^(1/2): the step of the row's columns, whose g becomes 0 */
    void (*ftrl)(double *table, int64_t width, const flr_csr_row *row, const flr_ftrl *rule);
} flr_csr_descent;

/* The kernels of one instruction set and one real type; void * stands for real *. */
typedef struct {
    int64_t size;         /* sizeof(real) */
    int64_t many_classes; /* from this many classes on, many.forward and many.backward are faster */
    int64_t panel_classes; /* of a panel of their packed W */

    /* out[i] = f(z[i]), n values; stream: write past the caches */
    void (*map[FLR_N_MAPS])(void *out, const void *z, int64_t n, int stream);

    /* softmax, log_softmax: (m, k) -> (m, k);  logsumexp: (m, k) -> (m,).  Rows are contiguous; out may be Z. */
    void (*rows[FLR_N_ROW_MAPS])(void *out, const void *Z, void *scratch, int64_t m, int64_t k, int stream);

    /* R_out (m, k) = grad_scale * weight * (A - Y), or NULL; loss_out (m,) = weighted loss of each row, or NULL;
     * returns the sum of the losses.  R_out may be Z. */
    double (*residual[FLR_N_LOSSES])(void *R_out, void *loss_out, const void *Z, const flr_targets *y,
                                     void *scratch, int64_t m, int64_t k, int stream);

    /* R_out (k,) of one row without its loss, of losses whose classes do not see each other; NULL for softmax */
    void (*error[FLR_N_LOSSES])(void *R_out, const void *Z, const flr_targets *y, int64_t k);

    /* H_out (m, k) = weight * (dA/dZ) U: the Hessian's residual at logits Z in the direction U; H_out may be U */
    void (*curvature[FLR_N_LOSSES])(void *H_out, const void *Z, const void *U, const double *weight,
                                    void *scratch, int64_t m, int64_t k);

    /* out (m, ld_out) = X[rows] as real: row i of X begins at X + rows[i] * row_stride (rows NULL: i * row_stride),
     * its values col_stride bytes apart */
    void (*convert[FLR_N_DTYPES])(void *out, int64_t ld_out, const char *X, int64_t row_stride, int64_t col_stride,
                                  const int64_t *rows, int64_t m, int64_t d);

    /* for rows of real and of the types that it can read as they are; else NULL: rows are converted first */
    flr_products products[FLR_N_DTYPES];

    flr_many many;

    flr_csr_products csr;
    flr_csr_descent csr_descent;

    /* G (n,) double += G_real (n,) real, which becomes 0 */
    void (*flush)(double *G, void *G_real, int64_t n);

    /* out (n,) += other (n,), both real */
    void (*add)(void *out, const void *other, int64_t n);

    /* columns a and b of Z (m, k) change places */
    void (*exchange_columns)(void *Z, int64_t m, int64_t k, int64_t a, int64_t b);

    /* g (k,) += R (m, k)' 1 */
    void (*column_sums)(double *g, const void *R, int64_t m, int64_t k);

    /* rows whose label is the argmax of their logits (the first of equals); k = 1: whose label is z > threshold */
    int64_t (*correct)(const void *Z, const int32_t *label, double threshold, int64_t m, int64_t k);

    /* index, within the row, of the first value that is nan or infinite; d if there is none */
    int64_t (*first_nonfinite)(const void *x, int64_t d);

    /* out (m, ld_out) = sqrt(weight) * (x - shift) * scale;  s (d,) += weight-ed sum of (x - shift) * scale */
    void (*standardise)(void *out, int64_t ld_out, double *s, const void *const *x, const void *scale,
                        const void *shift, const double *weight, int64_t m, int64_t d);

    /* one step of gradient descent on columns [j0, j1) of classes [c0, c1); with a shift into b_shift_out (k,), too:
     * see sgd_step_tpl.h */
    void (*step)(const struct flr_step *step, int64_t c0, int64_t c1, int64_t j0, int64_t j1,
                 double *b_shift_out);

    /* z (k,) -= sum over l < m of (inner[l] + 1) rates[l], rates (m, k): see sgd_step_tpl.h */
    void (*subtract_steps)(void *z, const void *rates, const void *inner, int64_t m, int64_t k);
} flr_kernels;

/* G is the sum of n_parts <= FLR_STEP_PARTS partial gradients, each (k, d) real, part_stride apart; or total (k, d), if
 * set; or, if r is, the outer product of r (k,) and one row x (d,), both real. */
enum { FLR_STEP_PARTS = 4 };
typedef struct flr_step {
    double *W, *velocity;    /* (k, d); velocity NULL without momentum */
    void *W_real;            /* (k, ldw) real: W * scale, what the next batch computes with */
    int64_t ldw;
    const void *G;           /* parts */
    const double *g;         /* (k,), already summed */
    int64_t n_parts, part_stride;
    int folded;              /* part 2 has been added to part 0 and part 3 to part 1 */
    const double *total;
    const void *r, *x;
    const double *scale, *shift; /* (d,) or NULL */
    double factor, alpha, learning_rate, momentum; /* gradient = factor * G + alpha * W */
    int64_t k, d;
} flr_step;

#endif
