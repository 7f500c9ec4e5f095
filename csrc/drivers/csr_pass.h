/* csr_pass.h -- what the files of a pass over sparse X share: csr_pass.c runs it row by row, csr_by_column.c with a
 * transposed copy, csr_tile.c does a tile of rows.
 */
#ifndef FLR_CSR_PASS_H
#define FLR_CSR_PASS_H

#include "drivers/csr.h"

#include <stddef.h>

typedef enum { CSR_LOSS_AND_GRAD, CSR_HESSP, CSR_OUTER, CSR_LOGITS, CSR_EVALUATE } csr_op;

enum {
    CSR_TILE_NONZEROS = 4096,
    CSR_ROW_COST = 8,          /* of a row, in non-zeros */
    CSR_CHUNKS = 24,           /* at most: of all rows, or of a block's */
};

typedef struct {
    const flr_csr_pass *p;
    csr_op op;
    const flr_kernels *kernels;
    const double *V;
    const void *c, *R;
    char *Z_out;
    double loss, *G, *g;         /* totals */
    int64_t correct;
    int64_t ld, ldg;             /* of tables, of G' */
    int64_t tile_rows, n_chunks;
    char *W_table, *V_table;     /* (d, ld) real */
    double *G_table;             /* (d, ldg): the total, or G where k = 1 */
    char *R_table;               /* by column: (block_rows, k) real, and slack */
    double *sums;                /* by column: (flr_csr_sums_of_blocks,) */
    flr_scratch memory;
    atomic_llong turn;
} csr_job;

/* What a worker holds. */
typedef struct {
    int64_t *starts;    /* (tile_rows + 1,) */
    char *Z, *U;        /* (tile_rows, k) real */
    double *G;          /* (d, ldg): of the chunk; NULL with a transposed copy */
    double *g, *wide;   /* (k,), (ldg,) */
    char *row_scratch;
} csr_buffers;

static inline int csr_has_gradient(const csr_job *j) { return j->op < CSR_LOGITS; }
static inline int csr_by_column(const csr_job *j) { return csr_has_gradient(j) && j->p->columns != NULL; }
static inline int csr_by_row(const csr_job *j) { return csr_has_gradient(j) && !csr_by_column(j); }
static inline int csr_needs_W(const csr_job *j) { return j->op != CSR_OUTER && j->p->logits == NULL; }
static inline int64_t csr_at_least(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t csr_at_most(int64_t a, int64_t b) { return a < b ? a : b; }

/* csr_pass.c */
csr_buffers flr_csr_buffers_of(const csr_job *j, int worker);

/* csr_tile.c: the residuals of rows [first, first + m), or NULL where they are not asked for; loss += theirs, and to
 * evaluate, correct += rows labelled correctly */
const void *flr_csr_tile(const csr_job *j, const csr_buffers *s, double *loss, int64_t *correct,
                         const flr_csr_rows *rows, int64_t first, int64_t m);

/* csr_by_column.c: G_table, g and loss with a transposed copy */
int64_t flr_csr_sums_of_blocks(const csr_job *j);
void flr_csr_by_column(csr_job *j);

#endif
