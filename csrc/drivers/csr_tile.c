/* csr_tile.c -- one tile of a pass over sparse X: Z = x W' + b;  loss, R = residual(Z). */
#include "drivers/csr_pass.h"

#include <string.h>

static void forward(const csr_job *j, void *Z, const flr_csr_rows *rows, const void *table, const void *b,
                    int64_t first, int64_t m, int add_offset) {
    const flr_csr_pass *p = j->p;
    const double *weight = p->weight && csr_has_gradient(j) ? p->weight + first : NULL;
    j->kernels->csr.forward(Z, rows, table, j->ld, b, weight, m, p->k);
    if (add_offset && p->offset)
        j->kernels->add(Z, (const char *)p->offset + first * p->k * j->kernels->size, m * p->k);
}

const void *flr_csr_tile(const csr_job *j, const csr_buffers *s, double *loss, int64_t *correct,
                         const flr_csr_rows *rows, int64_t first, int64_t m) {
    const flr_csr_pass *p = j->p;
    const int64_t size = j->kernels->size, k = p->k, at = first * k * size;
    if (j->op == CSR_OUTER) return (const char *)j->R + at;
    char *Z = j->op == CSR_LOGITS ? j->Z_out + at : s->Z;
    const void *z = p->logits ? (const char *)p->logits + at : Z;
    if (csr_needs_W(j)) forward(j, Z, rows, j->W_table, p->b, first, m, 1);
    if (j->op == CSR_LOGITS) return NULL;
    const double *weight = p->weight ? p->weight + first : NULL;
    if (j->op == CSR_HESSP) {
        forward(j, s->U, rows, j->V_table, j->c, first, m, 0);
        j->kernels->curvature[p->loss](s->U, z, s->U, weight, s->row_scratch, m, k);
        return s->U;
    }
    const flr_targets y = {.label = p->label ? p->label + first : NULL,
                           .prob = p->prob ? (const char *)p->prob + at : NULL,
                           .weight = weight,
                           .grad_scale = 1};
    if (j->op == CSR_EVALUATE) {
        if (y.label) *correct += j->kernels->correct(z, y.label, p->loss == FLR_SQUARED_ERROR ? 0.5 : 0, m, k);
        *loss += j->kernels->residual[p->loss](NULL, NULL, z, &y, s->row_scratch, m, k, 0);
        return NULL;
    }
    *loss += j->kernels->residual[p->loss](Z, NULL, z, &y, s->row_scratch, m, k, 0);
    if (p->R_out) memcpy((char *)p->R_out + at, Z, (size_t)(m * k * size));
    return Z;
}
