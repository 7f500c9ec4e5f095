/* fastlr.h -- the C interface: sizes, signs, the kernel table and the drivers that run it on many threads.
 *
 * Sizes        n rows of the data, m rows of one call, d features, k classes (1 for binary).
 * Model        Z = X W' + b logits (n, k);  A = softmax(Z), sigmoid(Z) or Z, by the loss.
 * Residual     R = weight * (A - Y), (n, k).  THE SIGN: grad_W = R' X and grad_b = R' 1, which is the lecture's
 *              -(X' (Y - A))'.  A step downhill subtracts them.
 * Sums         Kernels return the loss as a sum over rows, in double.  Gradients are sums over rows, in double.
 *              Means and penalties belong to the caller.
 * Real         the type a tile computes in: float for float32 and 8- or 16-bit X, else double.
 *
 * Kernels allocate nothing, lock nothing and trust their arguments; the drivers check allocation and return
 * FLR_NO_MEMORY.  Arguments: outputs, inputs, sizes.  A NULL weight means 1.
 */
#ifndef FASTLR_H
#define FASTLR_H

#include <stdint.h>

enum { FLR_OK = 0, FLR_NO_MEMORY = -1, FLR_INTERRUPTED = -2 };

typedef enum { FLR_SOFTMAX, FLR_SIGMOID, FLR_SQUARED_ERROR, FLR_N_LOSSES } flr_loss;

typedef enum {
    FLR_F64, FLR_F32, FLR_F16, FLR_BF16, FLR_U8, FLR_I8, FLR_U16, FLR_I16,
    FLR_I32, FLR_U32, FLR_I64, FLR_U64, FLR_N_DTYPES
} flr_dtype;

typedef enum {
    FLR_EXP, FLR_LOG, FLR_MAP_SIGMOID, FLR_MAP_SIGMOID_DERIVATIVE, FLR_MAP_LOG_SIGMOID, FLR_MAP_LOGIT, FLR_N_MAPS
} flr_map;

typedef enum { FLR_ROWS_SOFTMAX, FLR_ROWS_LOG_SOFTMAX, FLR_ROWS_LOGSUMEXP, FLR_N_ROW_MAPS } flr_row_map;

/* Y and the weights of the m rows of one call.  Exactly one of label and prob is set. */
typedef struct {
    const int32_t *label; /* (m,) class of each row; with k = 1 the target itself, 0 or 1 */
    const void *prob;     /* (m, k) real: target probabilities (or target values, squared error) */
    const double *weight; /* (m,) or NULL */
    double smoothing;     /* labels and probabilities become (1 - smoothing) Y + smoothing / k; with k = 1, / 2 */
    double grad_scale;    /* multiplies R, not the loss: 1 for a sum, 1 / (sum of weights) for a mean */
} flr_targets;

/* The kernels of one instruction set and one real type; void * stands for real *. */
typedef struct {
    int64_t size; /* sizeof(real) */

    /* out[i] = f(z[i]), n values; stream: write past the caches */
    void (*map[FLR_N_MAPS])(void *out, const void *z, int64_t n, int stream);

    /* softmax, log_softmax: (m, k) -> (m, k);  logsumexp: (m, k) -> (m,).  Rows are contiguous; out may be Z. */
    void (*rows[FLR_N_ROW_MAPS])(void *out, const void *Z, int64_t m, int64_t k, int stream);

    /* R_out (m, k) = grad_scale * weight * (A - Y), or NULL; loss_out (m,) = weighted loss of each row, or NULL;
     * returns the sum of the losses.  R_out may be Z. */
    double (*residual[FLR_N_LOSSES])(void *R_out, void *loss_out, const void *Z, const flr_targets *y, int64_t m,
                                     int64_t k, int stream);

    /* H_out (m, k) = weight * (dA/dZ) U: the Hessian's residual at logits Z in the direction U; H_out may be U */
    void (*curvature[FLR_N_LOSSES])(void *H_out, const void *Z, const void *U, const double *weight, int64_t m,
                                    int64_t k);

    /* out (m, ld_out) = X[rows] as real: row i of X begins at X + rows[i] * row_stride (rows NULL: i * row_stride),
     * its values col_stride bytes apart */
    void (*convert[FLR_N_DTYPES])(void *out, int64_t ld_out, const char *X, int64_t row_stride, int64_t col_stride,
                                  const int64_t *rows, int64_t m, int64_t d);

    /* Z_out (m, k) = X (m, d) W (k, d)' + b (k,).  x[i] is row i.  W rows are ldw apart, zero from d to the next
     * multiple of 16 */
    void (*forward)(void *Z_out, const void *const *x, const void *W, int64_t ldw, const void *b, int64_t m,
                    int64_t d, int64_t k);

    /* G (k, ldg) += R (m, k)' X (m, d): a real sum over the m rows, added to G in double */
    void (*backward)(double *G, int64_t ldg, const void *R, const void *const *x, int64_t m, int64_t d, int64_t k);
} flr_kernels;

typedef struct {
    const char *name; /* "base", "avx2", "avx512", "neon" */
    const flr_kernels *f32, *f64;
} flr_isa;

/* dispatch.c: best first.  flr_select(NULL) takes the best, else the named one; NULL if it is unknown or absent. */
extern const flr_isa *flr_active;
int flr_available(const flr_isa **list_out, int capacity);
const flr_isa *flr_select(const char *name);
static inline const flr_kernels *flr_kernels_of(int64_t size) { return size == 4 ? flr_active->f32 : flr_active->f64; }

/* pool.c */
typedef void (*flr_gang_fn)(void *context, int worker, int n_workers);
typedef void (*flr_task_fn)(void *context, int64_t task, int worker);
int flr_pool_init(void);
/* Run fn on up to n_threads workers at once, the caller being worker 0; return when all have. */
void flr_gang(flr_gang_fn fn, void *context, int n_threads);
/* Run tasks 0 .. n_tasks - 1, each once, handed out in order; worker < n_threads. */
void flr_parallel_for(flr_task_fn fn, void *context, int64_t n_tasks, int n_threads);
/* One processor's wait in a spin loop; yields after a while. */
void flr_relax(int *spins);

#endif
