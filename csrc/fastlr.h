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

#include <stdatomic.h>
#include <stdint.h>

enum { FLR_OK = 0, FLR_NO_MEMORY = -1, FLR_INTERRUPTED = -2 };

typedef enum { FLR_SOFTMAX, FLR_SIGMOID, FLR_SQUARED_ERROR, FLR_N_LOSSES } flr_loss;

typedef enum {
    FLR_F64, FLR_F32, FLR_F16, FLR_BF16, FLR_U8, FLR_I8, FLR_U16, FLR_I16,
    FLR_I32, FLR_U32, FLR_I64, FLR_U64, FLR_N_DTYPES
} flr_dtype;

/* sizeof(real) for X of this type */
static inline int64_t flr_real_size(flr_dtype dtype) { return dtype == FLR_F64 || dtype >= FLR_I32 ? 8 : 4; }
static inline flr_dtype flr_real_of(int64_t size) { return size == 4 ? FLR_F32 : FLR_F64; }

typedef enum {
    FLR_EXP, FLR_LOG, FLR_MAP_SIGMOID, FLR_MAP_SIGMOID_DERIVATIVE, FLR_MAP_LOG_SIGMOID, FLR_MAP_LOGIT, FLR_N_MAPS
} flr_map;

typedef enum { FLR_ROWS_SOFTMAX, FLR_ROWS_LOG_SOFTMAX, FLR_ROWS_LOGSUMEXP, FLR_N_ROW_MAPS } flr_row_map;

/* Runs of bytes that will be read next; kernels fetch n of them, from first on, into the cache while they compute.
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
    double smoothing;     /* labels and probabilities become (1 - smoothing) Y + smoothing / k; with k = 1, / 2, but for softmax */
    double grad_scale;    /* multiplies R, not the loss: 1 for a sum, 1 / (sum of weights) for a mean */
    const flr_ahead *next; /* to be fetched meanwhile, or NULL */
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

/* The same for many classes and rows of real, with W and sums packed as products_packed_tpl.h says.  Sizes are in values. */
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

    /* one step of gradient descent on columns [j0, j1) of classes [c0, c1); with a shift into b_shift_out (k,), too: see
     * sgd_step_tpl.h */
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
enum { FLR_MAX_WORKERS = 256 };
int flr_pool_init(void);
/* how many workers n_threads may become where there are so many tasks; at least 1 */
static inline int flr_workers_for(int n_threads, int64_t n_tasks) {
    const int64_t most = n_tasks < FLR_MAX_WORKERS ? n_tasks : FLR_MAX_WORKERS, n = n_threads < most ? n_threads : most;
    return n < 1 ? 1 : (int)n;
}
/* Run fn on up to n_threads workers at once, the caller being worker 0; return when all have. */
void flr_gang(flr_gang_fn fn, void *context, int n_threads);
/* Run tasks 0 .. n_tasks - 1, each once, handed out in order; worker < n_threads. */
void flr_parallel_for(flr_task_fn fn, void *context, int64_t n_tasks, int n_threads);
/* One processor's wait in a spin loop; yields after a while. */
void flr_relax(int *spins);
/* Chunks finish in any order and add their sums in theirs: wait until all before this one have, then let the next. */
void flr_await_turn(atomic_llong *turn, int64_t chunk);
void flr_end_turn(atomic_llong *turn);

/* scratch.c: bytes aligned to a line of the cache, of no known value, or NULL; to be returned by the same driver */
void *flr_take_scratch(int64_t bytes);
void flr_return_scratch(void *scratch);

/* arena.c: scratch in pieces, for all workers and for each.  A driver's layout is a function that takes them from an
 * arena: an empty one, {0}, whose base is NULL, tells how many bytes there will be (-1: too many); pieces are NULL then. */
typedef struct { char *base; int64_t bytes; } flr_arena;
typedef struct { char *memory; int64_t shared, each, bytes; } flr_scratch;
/* count values of size bytes, aligned to a line of the cache */
void *flr_take(flr_arena *arena, int64_t count, int64_t size);
/* memory for arenas of these many bytes: FLR_OK or FLR_NO_MEMORY */
int flr_open_scratch(flr_scratch *scratch, int64_t shared, int64_t each, int n_workers);
flr_arena flr_shared_arena(const flr_scratch *scratch);
flr_arena flr_worker_arena(const flr_scratch *scratch, int worker);
void flr_close_scratch(const flr_scratch *scratch);

/* rowwise.c: the element-wise and row kernels on many threads, chunk by chunk.  FLR_OK or FLR_NO_MEMORY. */
void flr_map_values(void *out, const void *z, int64_t n, int64_t size, flr_map map, int n_threads);
int flr_map_rows(void *out, const void *Z, int64_t n, int64_t k, int64_t size, flr_row_map map, int n_threads);
int flr_residuals(double *loss_out, void *R_out, void *losses_out, const void *Z, const flr_targets *y, flr_loss loss,
                  int64_t n, int64_t k, int64_t size, int n_threads);

/* X as the user has it: any type, any strides (bytes), never copied whole. */
typedef struct {
    const char *data;
    flr_dtype dtype;
    int64_t n, d, row_stride, col_stride;
} flr_matrix;

/* A model and its data, for one pass over the rows of X.  real is double for float64 and 32- or 64-bit integer X. */
typedef struct {
    flr_matrix X;
    flr_loss loss;
    int64_t k;
    const void *W;        /* (k, ldw) real, each row zero from d on; ldw = d rounded up to a multiple of 16; best
                             aligned as X is */
    int64_t ldw;
    const void *b;        /* (k,) real */
    int has_reference;    /* softmax sees differences of logits alone.  With a reference class W is (k - 1, ldw), that */
    int64_t reference;    /* of the other classes less its own, whose logit is its intercept; in W the last class, in b
                             the two have changed places */
    const void *offset;   /* (n, k) real, added to the logits, or NULL */
    const int32_t *label; /* (n,), or NULL */
    const void *prob;     /* (n, k) real, or NULL */
    const double *weight; /* (n,), or NULL */
    void *R_out;          /* (n, k) real: loss_and_grad leaves the residuals there, unless NULL */
    const void *logits;   /* (n, k) real: hessp and loss_and_grad take these for X W' + b + offset, or NULL; then W and b are not read */
    int n_threads;
} flr_pass;

/* pass.c: would loss_and_grad gain by a reference class? */
int flr_wants_reference(const flr_pass *pass);
/* One trip of X through the memory bus each.  All return FLR_OK or FLR_NO_MEMORY. */
int flr_loss_and_grad(double *loss_out, double *G_out, double *g_out, const flr_pass *pass);
/* H_out (k, d), h_out (k,): the Hessian of the loss sum in the direction V (k, ldw), c (k,), both real */
int flr_hessp(double *H_out, double *h_out, const flr_pass *pass, const void *V, const void *c);
/* Z_out (n, k) real */
int flr_logits(void *Z_out, const flr_pass *pass);
/* G_out (d, d) = Xs' diag(weight) Xs, s_out (d,) = Xs' weight, with Xs = (X - shift) * scale; shift, scale (d,) real */
int flr_gram(double *G_out, double *s_out, const flr_pass *pass, const void *scale, const void *shift);

/* row of the first nan or infinite value of X, in the order of rows, and its column; -1 if there is none */
int flr_find_nonfinite(int64_t *row_out, int64_t *col_out, const flr_matrix *X, int n_threads);

/* the first of n labels outside [0, k), of n rows outside [0, end), or -1: kernels take both for places in memory */
int64_t flr_label_outside(const int32_t *label, int64_t n, int64_t k);
int64_t flr_order_outside(const int64_t *order, int64_t n, int64_t end);

/* loss sum and the number of rows the model labels correctly (label targets only) */
int flr_evaluate(double *loss_out, int64_t *correct_out, const flr_pass *pass);

/* tile.c: rows of X as the products read them: in place where they are real, or of a type with products of its own, else
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

/* sgd_batch.c: gradient descent over batches of rows, in the order given; sgd_rows.c: the same over single rows */
typedef struct {
    const int64_t *order;  /* (n,) rows, or NULL for 0 .. n-1 */
    int64_t batch;         /* rows of a batch */
    double *W, *b;         /* (k, d), (k,): changed in place */
    double *W_velocity, *b_velocity; /* or NULL without momentum */
    const double *scale, *shift;     /* (d,) or NULL: the model sees (X - shift) * scale */
    double learning_rate, momentum, alpha;
    double factor;         /* of a batch's sum of gradients; 0: one over the batch's sum of weights */
    int (*poll)(void);     /* called by the calling thread now and then; not 0 stops after the batch */
} flr_epoch_options;
/* loss_out: the sum of the losses, correct_out: rows labelled correctly, each before its batch's step; pass->W and
 * pass->b are scratch (k, ldw), (k,) real.  FLR_OK, FLR_NO_MEMORY or FLR_INTERRUPTED. */
int flr_epoch(double *loss_out, int64_t *correct_out, const flr_pass *pass, const flr_epoch_options *options);
int flr_epoch_by_row(double *loss_out, int64_t *correct_out, const flr_pass *pass, const flr_epoch_options *options);

#endif
