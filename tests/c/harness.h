/* harness.h -- kernels and drivers against plain loops, with no memory around their arguments.
 *
 * A test is a kernel or a driver; it runs for each instruction set and real type, in a process of its own.  A block is one
 * shape with its data and reference; a case is one call.  Buffers of a case lie in slots, which end at a page that may not
 * be touched, or (the other run of each case) begin after one; the free side has canaries.  They hold nan before the call.
 * Whatever kills the process is printed with what it touched, and the next process goes on with the next case.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include "fastlr.h"
#include "runtime/runtime.h"

#include <math.h>
#include <stdint.h>

/* ---- what is tested ------------------------------------------------------------------------------------------------ */
typedef struct {
    const char *isa;
    const flr_kernels *kernels;
    int64_t size, lanes; /* of a real; reals in a vector */
} target;

typedef struct {
    const char *name;
    void (*run)(const target *t, int which);
    int which; /* function, loss or dtype */
} test;

/* tables of tests, each ended by a NULL name */
extern const test map_tests[], row_tests[], residual_tests[], curvature_tests[], convert_tests[], product_tests[],
    many_tests[], tile_tests[], step_tests[], rows_driver_tests[], pass_tests[], gram_tests[], epoch_tests[], csr_tests[], csr_sums_tests[],
    csr_descent_tests[], coordinate_tests[], pages_tests[];

/* ---- main.c: blocks and cases --------------------------------------------------------------------------------------- */
/* Begin a block of this shape, seeding rnd(); 0 if it is to be left out. */
int block(int64_t m, int64_t k, int64_t d);
/* the shape for the reports, where it is drawn after the block began */
void shape(int64_t m, int64_t k, int64_t d);
/* Begin a case of the block, with notes for the reports; 0 if it is to be left out.  end_case() checks the canaries.
 * side 0: buffers end at a guard page; 1: they begin after one. */
int begin_case(int side, const char *format, ...) __attribute__((format(printf, 2, 3)));
void end_case(void);
#define BOTH_SIDES for (int side = 0; side < 2; side++)
/* all k <= 130 with all m <= 3 vectors, d small; then random larger ones, or only those for a number of seconds */
void for_shapes(const target *t, int which, void (*one)(const target *t, int which, int64_t m, int64_t k, int64_t d));
/* blocks of random drivers' problems: the i-th of count, or for a number of seconds */
int more_problems(int64_t i, int64_t count);
/* A wrong value: counts once a case; printed for the first of a test. */
void wrong(const char *what, int64_t at, long double got, long double expected, long double allowed);
void wrong_because(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- guard.c: memory ------------------------------------------------------------------------------------------------ */
/* bytes of nan at the guarded end of the next slot; and with a copy of what must not change */
void *guarded(const char *name, int64_t bytes);
void *guarded_copy(const char *name, const void *source, int64_t bytes);
void new_slots(int begin_after_guard);
/* NULL, or what is wrong with the canaries and the inputs of the slots in use */
const char *broken_canary(void);
/* into text: which slot an address lies behind or before */
void describe_address(char *text, int capacity, const char *address);
/* flr_take_scratch: how often it was called, how many blocks are out, and the call that fails (-1: none) */
extern int64_t scratch_taken, scratch_out, scratch_fails_at;
/* pthread_create: how many more threads there may be */
extern int threads_left;

/* ---- values.c ------------------------------------------------------------------------------------------------------- */
uint64_t rnd(void);
void seed_rnd(uint64_t seed);
int64_t below(int64_t n); /* 0 .. n - 1 */
double uniform(void);
double normal(void);

static inline double get(const void *p, int64_t i, int64_t size) {
    return size == 4 ? (double)((const float *)p)[i] : ((const double *)p)[i];
}
static inline void put(void *p, int64_t i, int64_t size, double value) {
    if (size == 4)
        ((float *)p)[i] = (float)value;
    else
        ((double *)p)[i] = value;
}
/* plain memory that the block's loops write; freed by the next block */
void *plain(int64_t bytes);
void free_plain(void);

/* for reals of this size: a double's own error does not matter to a float */
static inline long double exp_for(int64_t size, long double x) { return size == 4 ? (long double)exp((double)x) : expl(x); }
static inline long double log1p_for(int64_t size, long double x) {
    return size == 4 ? (long double)log1p((double)x) : log1pl(x);
}
static inline long double eps_of(int64_t size) { return size == 4 ? 0x1p-23L : 0x1p-52L; }
static inline long double tiny_of(int64_t size) { return size == 4 ? 0x1p-149L : 0x1p-1074L; }
/* as a real holds it */
static inline long double as_real(long double x, int64_t size) { return size == 4 ? (float)x : (double)x; }
/* got within allowed of expected, or both nan, or both the same infinity */
static inline void check(const char *what, int64_t at, long double got, long double expected, long double allowed) {
    const long double error = got > expected ? got - expected : expected - got;
    if (error <= allowed || got == expected || (got != got && expected != expected)) return;
    wrong(what, at, got, expected, allowed);
}
static inline void check_bits(const char *what, const void *got_, const void *expected_, int64_t bytes) {
    const unsigned char *got = got_, *expected = expected_;
    for (int64_t i = 0; i < bytes; i++)
        if (got[i] != expected[i]) {
            wrong_because("%s: byte %lld is another", what, (long long)i);
            return;
        }
}

/* values of X: the dtype's bytes at p from a number, and the number */
extern const int64_t dtype_size[FLR_N_DTYPES];
extern const char *const dtype_name[FLR_N_DTYPES];
void put_dtype(void *p, flr_dtype dtype, double value);
double get_dtype(const void *p, flr_dtype dtype);
double random_of(flr_dtype dtype); /* small enough for products */

/* X (n, d) in memory, as arrays of any layout have it */
typedef struct { const char *name; int64_t row_stride, col_stride, lowest, bytes; } layout; /* lowest: offset, <= 0 */
enum { N_LAYOUTS = 12 };
layout layout_of(int which, int64_t n, int64_t d, int64_t size);

/* what losses and targets say, row by row (losses.c) */
void random_logits(void *Z, int64_t m, int64_t k, int64_t size, int peculiar);
typedef struct {
    flr_targets y;   /* plain memory */
    double *Y;       /* (m, k) smoothed, as the loss reads them */
} targets;
enum { LABELS_ONLY = 1, SMOOTHED = 2, PROBABILITIES_ONLY = 4, WEIGHTED = 8, RESCALED = 16 };
targets random_targets(flr_loss loss, int kind, int64_t m, int64_t k, int64_t size);
/* of one row: R (k,) = A - Y and its allowance, both before weights; the loss and its allowance.
 * z_error: what z may be off by.  0 if the row has no result that is laid down (infinite logits of softmax). */
int expected_residual(long double *R, long double *R_allowed, long double *loss, long double *loss_allowed,
                      const long double *z, const double *Y, flr_loss loss_kind, int64_t k, int64_t size,
                      long double z_error);
/* logits (n, k) as reals, which they become; their errors (n,) become 0 */
void *keep_logits(long double *Z, long double *error, int64_t n, int64_t k, int64_t size);
/* of one row: H (k,) = (dA/dZ) u */
int expected_curvature(long double *H, long double *H_allowed, const long double *z, const long double *u,
                       flr_loss loss_kind, int64_t k, int64_t size, long double z_error);
extern const char *const loss_name[FLR_N_LOSSES];

/* ---- problem.c: a model and its data, for the drivers ----------------------------------------------------------------- */
typedef struct {
    flr_pass pass;          /* of plain memory */
    const char *layout;
    int64_t X_lowest, X_bytes;
    int64_t n, d, k, size;
    double *X;              /* (n, d) */
    double *Y;              /* (n, k) */
    long double *Z, *error; /* (n, k) logits; (n,) what the drivers' may be off by */
    char text[120];
} problem;
enum { MAY_REFER = 1, MAY_OFFSET = 2, FEW_COLUMNS = 4 };
/* X of a type whose reals have t's size; may: which may have a reference class, an offset */
problem random_problem(const target *t, int may);
/* the pass with every input in a slot of the case */
flr_pass guarded_pass(const problem *p);

/* sparse_problem.c: the same of sparse rows, unsorted, with equal columns, explicit zeros and empty rows */
typedef struct {
    flr_csr_pass pass;      /* of plain memory */
    flr_csr_columns columns;
    int64_t n, d, k, size, nonzeros;
    double *X, *A, *Y;      /* (n, d): X, and with |x| of equal columns added up; (n, k) */
    long double *Z, *error; /* (n, k), (n,): logits, and what they may be off by */
    char text[120];
} sparse;
/* block_rows: of the transposed copy, or 0 for its own */
sparse random_sparse(int64_t n, int64_t k, int64_t d, int64_t size, int64_t block_rows);
/* X, and the pass without a transposed copy, in slots of the case */
flr_csr guarded_csr(const sparse *p);
flr_csr_pass guarded_csr_pass(const sparse *p);

/* what both of these say, for references of either; of the sparse X with equal columns added up */
typedef struct {
    int64_t n, d, k, size;
    const double *X, *Y, *weight;
    const int32_t *label;
    const long double *Z, *error;
    flr_loss loss;
} examples;
#define EXAMPLES_OF(p)                                                                                                 \
    (examples) {                                                                                                       \
        (p)->n, (p)->d, (p)->k, (p)->size, (p)->X, (p)->Y, (p)->pass.weight, (p)->pass.label, (p)->Z, (p)->error,      \
            (p)->pass.loss                                                                                             \
    }
/* drive_pass.c: rows labelled correctly, and rows that could go either way */
void count_correct(int64_t *sure, int64_t *open, const examples *p);
/* drive_pass.c: the sum of the losses, and how many rows are labelled correctly */
void check_evaluation(const examples *p, double loss, int64_t correct);
/* drive_epoch.c: gradients G (k, d), g (k,) of a batch at W, b; its loss and its weight, which are added to; scratch (3, k).  Returns how
 * far its rows reach: what G's values would be at most, were all residuals 1 and of one sign */
long double batch_gradient(long double *G, long double *g, long double *total, long double *mass, long double *scratch, const long double *W,
                           const long double *b, const examples *p, const flr_epoch_options *o, int64_t first);
/* W, b, velocities after the epoch, plain; returns the loss.  churn: what W's values would have moved by, at most, were all
 * residuals 1 and of one sign */
long double descend(long double *churn, long double *W, long double *b, long double *Wv, long double *bv, const examples *p,
                    const flr_epoch_options *o);
/* plain copies */
long double *widened(const double *values, int64_t n);
double *normals(int64_t n, double scale);

/* Call a driver on one thread, on two and three, and with each of its allocations failing: the same bits in its outputs,
 * FLR_NO_MEMORY, nothing leaked.  reset, if not NULL, puts inputs back that the driver changes. */
typedef struct { void *data; int64_t bytes; } output;
void call_driver(int (*call)(void *context, int n_threads), void (*reset)(void *context), void *context,
                 const output *outputs, int n_outputs);

#endif
