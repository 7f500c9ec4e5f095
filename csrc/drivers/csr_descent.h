/* csr_descent.h -- what the files of gradient descent over sparse rows share: csr_descent.c has batches and the epoch,
 * csr_descent_rules.c what a step does to the tables.
 */
#ifndef FLR_CSR_DESCENT_H
#define FLR_CSR_DESCENT_H

#include "drivers/csr.h"

#include <stddef.h>

enum { DESCENT_LONG_BATCH = 64 }; /* whose rows leave the caches before the step */

/* Side by side for each column: w, with momentum v; by FTRL what flr_csr_epoch says of its table. */
typedef struct {
    const flr_csr_pass *p;
    const flr_epoch_options *o;
    const flr_ftrl *ftrl;
    const flr_kernels *kernels;
    int64_t width, stride;      /* of a field; of a column */
    double *table;
    double scale;               /* W is this times the table's w, without momentum */
    int64_t now, *stamp;        /* steps there have been; (d,) how many of them a column has seen, with momentum */
    double *low, *high;         /* powers of the idle step: (POWERS, 4), (n_batches / POWERS + 1, 4) */
    double *z, *wide;           /* (width,); wide is zero from class k on */
    char *R, *Z;                /* (batch, k) real; (TILE, k) real, for batches of one row whose losses can wait */
    char *row_scratch, *prob;   /* prob (TILE, k) real */
    int32_t *label;             /* (TILE,) */
    double *weight, *g;         /* (TILE,), (k,) */
    int64_t fetched;            /* non-zeros of a row that are prefetched: those of a mean row */
    double loss;
    int64_t correct, work;
    flr_scratch memory;
} descent;

static inline int descent_has_momentum(const descent *j) { return j->ftrl == NULL && j->o->W_velocity != NULL; }
/* a table that is not o->W itself, nor the caller's */
static inline int descent_has_table(const descent *j) { return j->ftrl == NULL && j->stride > 1; }
static inline int64_t descent_row(const descent *j, int64_t place) { return j->o->order ? j->o->order[place] : place; }
static inline flr_csr_row descent_row_at(const descent *j, int64_t row) {
    const flr_csr *X = &j->p->X;
    const int64_t begin = flr_csr_start(X, row), size = j->kernels->size;
    return (flr_csr_row){(const char *)X->data + begin * size, (const char *)X->indices + begin * X->index_size,
                         flr_csr_start(X, row + 1) - begin, X->index_size};
}

/* of R */
static inline double descent_residual(const descent *j, int64_t at) {
    return j->kernels->size == 4 ? (double)((const float *)j->R)[at] : ((const double *)j->R)[at];
}

/* csr_descent_rules.c */
void flr_descent_lay_out(descent *j, flr_arena *arena);
void flr_descent_begin(descent *j);
/* W as the row's columns have it now, where steps are put off */
void flr_descent_settle_row(descent *j, const flr_csr_row *row);
/* the step of rows [first, first + m) of the order, whose residuals are in R and add up to g */
void flr_descent_step(descent *j, int64_t first, int64_t m, double factor);
void flr_descent_end(descent *j);

/* csr_descent.c: rows that are read soon, at this place of the order */
void flr_descent_fetch(const descent *j, int64_t place);

#endif
