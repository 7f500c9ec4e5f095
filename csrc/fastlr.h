/* fastlr.h -- the C interface: the drivers, which run the kernels on many threads. */
#ifndef FASTLR_H
#define FASTLR_H

#include "kernels/table.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What `release` is for a file mapped for reading only, whose pages go back to the system once they are read; no value
 * that a member which nobody has set is likely to have: of other memory it would leave zeros. */
enum { FLR_RELEASE = 0x5eed1ea5 };

/* X as the user has it: any type, any strides (bytes), never copied whole. */
typedef struct {
    const char *data;
    flr_dtype dtype;
    int64_t n, d, row_stride, col_stride;
    int release;          /* FLR_RELEASE, or anything else */
} flr_matrix;

/* rowwise.c: the element-wise and row kernels on many threads, chunk by chunk.  FLR_OK or FLR_NO_MEMORY. */
void flr_map_values(void *out, const void *z, int64_t n, int64_t size, flr_map map, int n_threads);
int flr_map_rows(void *out, const void *Z, int64_t n, int64_t k, int64_t size, flr_row_map map, int n_threads);
int flr_residuals(double *loss_out, void *R_out, void *losses_out, const void *Z, const flr_targets *y, flr_loss loss,
                  int64_t n, int64_t k, int64_t size, int n_threads);

/* A model and its data, for one pass over the rows of X.  real is double for float64 and 32- or 64-bit integer X. */
typedef struct {
    flr_matrix X;
    flr_loss loss;
    int64_t k;
    const void *W;        /* (k, ldw) real, each row zero from d on; ldw = d rounded up to a multiple of 16; best
                             aligned as X is */
    int64_t ldw;
    const void *b;        /* (k,) real */
    int has_reference;    /* softmax depends on differences of logits alone, so one class, the reference, may be left */
    int64_t reference;    /* out: W is (k - 1, ldw), the other classes' less the reference's, whose logit is its
                             intercept.  The last class takes its place in W; in b the two change places */
    const void *offset;   /* (n, k) real, added to the logits, or NULL */
    const int32_t *label; /* (n,), or NULL */
    const void *prob;     /* (n, k) real, or NULL */
    const double *weight; /* (n,), or NULL */
    void *R_out;          /* (n, k) real: loss_and_grad leaves the residuals there, unless NULL */
    const void *logits;   /* (n, k) real, or NULL: what loss_and_grad and hessp use as X W' + b + offset, reading
                             neither W nor b */
    int n_threads;
} flr_pass;

/* pass_plan.c: would loss_and_grad gain by a reference class? */
int flr_wants_reference(const flr_pass *pass);
/* One trip of X through the memory bus each.  All return FLR_OK or FLR_NO_MEMORY. */
int flr_loss_and_grad(double *loss_out, double *G_out, double *g_out, const flr_pass *pass);
/* H_out (k, d), h_out (k,): the Hessian of the loss sum in the direction V (k, ldw), c (k,), both real */
int flr_hessp(double *H_out, double *h_out, const flr_pass *pass, const void *V, const void *c);
/* G_out (k, d) = R' X, g_out (k,) = R' 1 for residuals R (n, k) real that are weighted already; a row of X of weight 0
 * counts as zeros, as in every gradient.  Without a reference class. */
int flr_outer(double *G_out, double *g_out, const flr_pass *pass, const void *R);
/* Z_out (n, k) real */
int flr_logits(void *Z_out, const flr_pass *pass);
/* G_out (d, d) = Xs' diag(weight) Xs, s_out (d,) = Xs' weight, with Xs = (X - shift) * scale; shift, scale (d,) real */
int flr_gram(double *G_out, double *s_out, const flr_pass *pass, const void *scale, const void *shift);

/* give back the pages that lie within X, if its `release` says so */
void flr_release(const flr_matrix *X);
/* row of the first nan or infinite value of X, in the order of rows, and its column; -1 if there is none */
int flr_find_nonfinite(int64_t *row_out, int64_t *col_out, const flr_matrix *X, int n_threads);

/* the first of n labels outside [0, k), of n rows outside [0, end), or -1: kernels take both for places in memory */
int64_t flr_label_outside(const int32_t *label, int64_t n, int64_t k);
int64_t flr_order_outside(const int64_t *order, int64_t n, int64_t end);

/* loss sum and the number of rows the model labels correctly (label targets only) */
int flr_evaluate(double *loss_out, int64_t *correct_out, const flr_pass *pass);

/* ---- sparse X ---------------------------------------------------------------------------------------------------- */
/* X in compressed sparse rows, as the user has it.  Drivers but flr_csr_first_fault trust it. */
typedef struct {
    const void *data;                /* (nnz,) double or float, by dtype */
    flr_dtype dtype;                 /* FLR_F64 or FLR_F32 */
    const void *indices, *indptr;    /* (nnz,) columns; (n + 1,) places: int32_t or int64_t, by their sizes, 4 or 8 */
    int64_t index_size, indptr_size;
    int64_t n, d;
    int release;                     /* data and indices: FLR_RELEASE, or anything else */
} flr_csr;
/* csr_rows.c: flr_release */
void flr_csr_release(const flr_csr *X);

/* A transposed copy of X in blocks of rows: gradients by column, each summed by one worker, need no sums of workers.
 * Block i has the rows from i * block_rows on; its column c the values data[j] in the rows rows[j] of the block for
 * starts[i * (d + 1) + c] <= j < starts[i * (d + 1) + c + 1]; equal columns of a row stay side by side. */
typedef struct {
    void *data, *rows;      /* (nnz,) X's type; (nnz,) uint16_t if row_size is 2, or int32_t */
    int64_t *starts;        /* (n_blocks, d + 1) */
    int64_t row_size, block_rows, n_blocks;
    int finite;             /* are all values? */
} flr_csr_columns;
/* csr_by_column.c: sizes for k classes, where the arrays are yet to be had, and the copy itself */
flr_csr_columns flr_csr_plan_columns(const flr_csr *X, int64_t k);
void flr_csr_transpose(flr_csr_columns *columns, const flr_csr *X, int n_threads);

/* flr_pass for such X.  real is X's type. */
typedef struct {
    flr_csr X;
    const flr_csr_columns *columns; /* of X, or NULL: gradients then take one more (d, k) array of each worker */
    flr_loss loss;
    int64_t k;
    const double *W;      /* (k, d) */
    const void *b;        /* (k,) real */
    const void *offset;   /* these, R_out and logits are what they are in flr_pass */
    const int32_t *label;
    const void *prob;
    const double *weight;
    void *R_out;
    const void *logits;
    int n_threads;
} flr_csr_pass;

/* csr_pass.c: all return FLR_OK or FLR_NO_MEMORY */
int flr_csr_loss_and_grad(double *loss_out, double *G_out, double *g_out, const flr_csr_pass *pass);
/* V (k, d), c (k,) real */
int flr_csr_hessp(double *H_out, double *h_out, const flr_csr_pass *pass, const double *V, const void *c);
int flr_csr_outer(double *G_out, double *g_out, const flr_csr_pass *pass, const void *R);
int flr_csr_logits(void *Z_out, const flr_csr_pass *pass);
int flr_csr_evaluate(double *loss_out, int64_t *correct_out, const flr_csr_pass *pass);

/* csr_check.c: the first fault of X that would lead a kernel out of its arrays, or make its sums nan.  indices has
 * n_indices values and data n_data.  Faults of indptr come first, by row; then those of the others, by position. */
typedef enum {
    FLR_CSR_SOUND, FLR_CSR_START, FLR_CSR_FALLS, FLR_CSR_END, FLR_CSR_INDEX, FLR_CSR_VALUE
} flr_csr_fault_kind;
typedef struct {
    flr_csr_fault_kind kind; /* indptr does not begin at 0, falls, ends beyond the arrays; index outside [0, d); value
                                not finite */
    int64_t row, position;   /* in indptr, in indices or in data */
} flr_csr_fault;
flr_csr_fault flr_csr_first_fault(const flr_csr *X, int64_t n_indices, int64_t n_data, int values, int n_threads);

/* csr_sums.c: sums over rows of x^p by column, where not NULL; weight may be NULL.  Equal columns of a row are added up
 * before they are squared.  Rows of weight 0 are not read.  sums_out, squares_out (d,): of weight * x and weight * x^2;
 * count_out (d,): rows in which x is not 0; largest_out (d,): the largest |x|, smallest_out: the smallest but
 * 0, or infinity.  FLR_OK or FLR_NO_MEMORY. */
typedef struct { double *sums, *squares, *largest, *smallest; int64_t *count; } flr_csr_sums;
int flr_csr_column_sums(const flr_csr_sums *out, const flr_csr *X, const double *weight, int n_threads);
/* G_out (m, m) = X[:, columns]' diag(weight) X[:, columns], s_out (m,) = X[:, columns]' weight; columns (m,) differ */
int flr_csr_gram(double *G_out, double *s_out, const flr_csr *X, const int64_t *columns, int64_t m,
                 const double *weight, int n_threads);

/* coordinate.c: coordinate descent on a quadratic model with an L1 penalty; the head of the file has the formula */
typedef struct {
    int64_t n, m, k;          /* rows, columns of the model, logits */
    const float *values;      /* columns: (any, n), or with rows and starts the values that are not 0 */
    const int32_t *rows;      /* (nnz,) below n, each once in a column, or NULL */
    const int64_t *starts;    /* (any + 1,) */
    const int64_t *order;     /* (m,) which of these columns are the model's */
    /* (k, n): probabilities of softmax, else the slopes of the activations.  With rows h and P lie side by side, as both
     * are read wherever a column has a value: h is pairs (k, n, 2), P is h + 1 */
    const double *h;
    const double *root;       /* (n,) roots of the rows' weights, or NULL without an intercept */
    const double *g, *g0, *w; /* (k, m), (k,): gradient of the smooth part; (k, m): the coefficients it was taken at */
    const double *l1, *l2;    /* (m,) */
    double floor;             /* curvature at least */
    int softmax;
    double *curvature, *mean, *weight; /* (k, m), (k, m), (k,): for flr_coordinate_measure to fill */
    double *t, *t0, *P, *q, *moved;    /* (k, m), (k,), (k, n), (n,), (k,): the step and its products; zeros to begin with */
} flr_coordinate;
void flr_coordinate_measure(const flr_coordinate *model, int n_threads);
/* One sweep over all coefficients, or those that are not 0.  violation_out (k,): how far each class was from optimal.  t0
 * of a sigmoid is not moved: it is -(moved + g0) / weight. */
void flr_coordinate_sweep(const flr_coordinate *model, double *violation_out, int all, int n_threads);
/* The same as if sweeps had come to the step t (k, m) and, of softmax, t0 (k,). */
void flr_coordinate_move(const flr_coordinate *model, const double *t, const double *t0, int n_threads);

/* sgd_batch.c: gradient descent over batches of rows, in the order given; sgd_rows.c: the same over single rows */
typedef struct {
    const int64_t *order;  /* (n,) rows, or NULL for 0 .. n-1 */
    int64_t batch;         /* rows of a batch */
    double *W, *b;         /* (k, d), (k,): changed in place */
    double *W_velocity, *b_velocity; /* or NULL without momentum */
    const double *scale, *shift;     /* (d,) or NULL: the model sees (X - shift) * scale */
    double learning_rate, momentum, alpha;
    double factor;         /* of a batch's sum of gradients; 0: one over the batch's sum of weights */
    int (*poll)(void *context); /* called by the calling thread now and then; not 0 stops after the batch */
    void *poll_context;
} flr_epoch_options;
/* loss_out: the sum of the losses, correct_out: rows labelled correctly, each before its batch's step; pass->W and
 * pass->b are scratch (k, ldw), (k,) real.  FLR_OK, FLR_NO_MEMORY or FLR_INTERRUPTED. */
int flr_epoch(double *loss_out, int64_t *correct_out, const flr_pass *pass, const flr_epoch_options *options);
int flr_epoch_by_row(double *loss_out, int64_t *correct_out, const flr_pass *pass, const flr_epoch_options *options);

/* csr_descent.c: the same over sparse rows, at a cost of their non-zeros, without scale and shift; pass->W and b are
 * not read.  ftrl: NULL, or the rule that takes the place of the step, whose gradients it is given; then ftrl_table
 * (d + 1, FLR_FTRL_FIELDS, flr_csr_width(k)) is what it knows of each column, and of the intercept in the last row,
 * zeros to begin with.  Where W or b are not what table and rule say, one has been changed, and the table follows. */
int flr_csr_epoch(double *loss_out, int64_t *correct_out, const flr_csr_pass *pass, const flr_epoch_options *options,
                  const flr_ftrl *ftrl, double *ftrl_table);

#ifdef __cplusplus
}
#endif

#endif
