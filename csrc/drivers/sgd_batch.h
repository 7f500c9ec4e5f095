/* sgd_batch.h -- what the files of gradient descent over batches share: sgd_gradient.c has the gradient of a batch,
 * sgd_batch.c the steps and the epoch.
 */
#ifndef FLR_SGD_BATCH_H
#define FLR_SGD_BATCH_H

#include "drivers/tile.h"
#include "fastlr.h"
#include "runtime/runtime.h"

typedef struct {
    const flr_pass *p;
    const flr_epoch_options *o;
    const flr_kernels *kernels;
    const flr_products *products;
    flr_tiling tiling;
    int64_t chunk_rows, max_parts, n_blocks;
    int in_rounds;              /* batches may have more chunks than step adds up */
    char *G;                    /* partial sums: (max_parts, k, d) real */
    double *total;              /* (k, d) sums of a batch that takes rounds */
    double *g;                  /* (max_parts, k) */
    double *b_shift;            /* (n_blocks, k) parts of (W * scale) shift */
    struct sgd_part { double loss; int64_t correct; } *parts; /* (max_parts,), before the step */
    flr_scratch memory;
    double total_loss;
    int64_t total_correct;
    int stop;
    atomic_int arrived, phase;
} sgd_job;

/* What one worker holds. */
typedef struct {
    const void **x;     /* (rows,) */
    const char **ahead; /* (max(rows, d),): of rows or columns to prefetch */
    char *tile;         /* (rows, ld) real, if X must be converted */
    char *Z, *prob;     /* (rows, k) real */
    int32_t *label;     /* (rows,) */
    double *weight;     /* (rows,) */
    double *g;          /* (k,): the batch's gradient of b */
    char *row_scratch;
    char *zeros;        /* (ld,) real: gradients read this in place of a row of weight 0, which may hold nan */
} sgd_buffers;

/* Blocks of columns, numbered class by class: those of a worker, from its first on, and the columns of one. */
static inline int64_t sgd_share_begin(const sgd_job *j, int worker, int n_workers) {
    return worker * (j->p->k * j->n_blocks) / n_workers;
}
static inline int64_t sgd_block_begin(const sgd_job *j, int64_t block) { return block * j->p->X.d / j->n_blocks; }

/* sgd_gradient.c */
sgd_buffers flr_lay_out_sgd(const sgd_job *j, flr_arena *arena);
void flr_sgd_barrier(sgd_job *j, int n_workers);
/* All chunks of the batch of rows [first, first + m), in rounds.  When it returns the worker's s->g and its blocks of
 * total are complete. */
void flr_sgd_gradient(sgd_job *j, const sgd_buffers *s, double grad_scale, int64_t first, int64_t m, int worker,
                      int n_workers);

#endif
