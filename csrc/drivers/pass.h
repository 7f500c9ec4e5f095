/* pass.h -- what the files of a pass over X share: pass.c runs it, pass_plan.c divides it, pass_tile.c does a tile. */
#ifndef FLR_PASS_H
#define FLR_PASS_H

#include "drivers/tile.h"
#include "fastlr.h"
#include "runtime/runtime.h"

#include <stddef.h>

typedef enum { PASS_LOSS_AND_GRAD, PASS_HESSP, PASS_OUTER, PASS_LOGITS, PASS_EVALUATE } pass_op;

typedef struct {
    const flr_pass *p;
    pass_op op;
    const flr_kernels *kernels;
    const flr_products *products; /* of the tile's rows */
    flr_tiling tiling;
    int64_t k;                   /* classes that are multiplied: all, or all but the reference */
    int packed;                  /* many classes: the products read packed panels, and no sums of a chunk are double */
    const void *packed_W, *packed_V;
    int64_t ldg;                 /* values from one class to the next in a worker's gradient */
    int64_t n_chunks;
    const void *V, *c;           /* hessp: the direction */
    const void *R;               /* outer: residuals (n, k) real */
    void *Z_out;                 /* logits: the destination */
    double loss, *G, *g;         /* totals */
    int64_t correct;
    flr_scratch memory;
    atomic_llong unclaimed;      /* the next chunk that no worker has begun */
    atomic_llong turn;           /* the next chunk whose sums are added to the totals */
} pass_job;

static inline int pass_has_gradient(const pass_job *j) { return j->op <= PASS_OUTER; }

/* Is X multiplied by W or by the direction of hessp? */
static inline int pass_has_forward(const pass_job *j) {
    return j->op == PASS_HESSP || (j->op != PASS_OUTER && j->p->logits == NULL);
}

/* What one worker holds, for tiles of at most m rows. */
typedef struct {
    const void **x;     /* (slab,) rows of the tile and of those loaded with it */
    const char **ahead; /* (max(m, d),) rows or columns of a later tile, as X has them */
    char *tile;         /* (slab, ld) real, if X must be converted */
    char *Z, *U;        /* (m, k) real; U for hessp */
    char *G_real;       /* (k, ldg) real: sums over some rows; laid out by products_packed_tpl.h if packed */
    char *panels;       /* packed: scratch of the backward product */
    double *G;          /* (k, ldg): sums over the chunk; NULL if packed, as G_real is then added to the totals */
    double *g;          /* (k,) */
    char *row_scratch;
    char *zeros;        /* (ld,) real: gradients read this in place of a row of weight 0, which may hold nan */
} pass_buffers;

/* pass_plan.c: sizes and grid from p, op and kernels */
void flr_plan_pass(pass_job *j);
int64_t flr_chunk_begin(const pass_job *j, int64_t chunk);
/* rows whose sums may stay real */
int64_t flr_most_real_rows(const pass_job *j);
/* FLR_OK or FLR_NO_MEMORY; where there is a gradient, the sums of n_workers are 0 */
int flr_open_pass(pass_job *j, int n_workers);
pass_buffers flr_buffers_of(const pass_job *j, int worker);

/* pass_tile.c: rows [first, first + m); returns their loss.  later: the first row of the tile to be loaded next, which
 * is prefetched meanwhile. */
double flr_pass_tile(const pass_job *j, const pass_buffers *s, int64_t *correct, int64_t first, int64_t m,
                     int64_t later);

#endif
