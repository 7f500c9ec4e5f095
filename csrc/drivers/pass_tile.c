/* pass_tile.c -- one tile of a pass: Z = x W' + b;  loss, R = residual(Z);  G_real += R' x; meanwhile the next tile is
 * prefetched.
 */
#include "drivers/pass.h"

/* In W, b and the sums the last class stands in the reference's place, but not in Z and R: exchange the two columns of
 * Z (m, k). */
static void exchange_reference(const pass_job *j, void *Z, int64_t m) {
    const int64_t k = j->p->k, r = j->p->reference;
    if (j->k < k && r < k - 1) j->kernels->exchange_columns(Z, m, k, r, k - 1);
}

/* Z (m, k) = x W' + b, b alone for the reference */
static void forward(const pass_job *j, void *Z, const pass_buffers *s, const void *W, const void *packed, const void *b,
                    int64_t m, const flr_ahead *next) {
    const flr_pass *p = j->p;
    if (j->packed)
        j->kernels->many.forward(Z, s->x, packed, W, p->ldw, b, m, p->X.d, p->k, j->tiling.head, next);
    else
        j->products->forward(Z, p->k, s->x, W, p->ldw, b, m, p->X.d, j->k, j->tiling.head, next);
    exchange_reference(j, Z, m);
}

/* G (k, d) += R (m, k)' x;  g (k,) += R' 1 */
static void backward(const pass_job *j, const pass_buffers *s, void *R, int64_t m, const flr_ahead *next) {
    const int64_t k = j->p->k;
    j->kernels->column_sums(s->g, R, m, k);
    exchange_reference(j, R, m);
    if (j->packed)
        j->kernels->many.backward(s->G_real, R, s->x, s->panels, m, j->p->X.d, k, next);
    else
        j->products->backward(s->G_real, j->ldg, R, k, s->x, m, j->p->X.d, j->k, j->tiling.head, 0, next);
    if (j->p->R_out) exchange_reference(j, R, m);
}

static void add_offset(const pass_job *j, void *Z, int64_t first, int64_t m) {
    const int64_t k = j->p->k;
    if (j->p->offset) j->kernels->add(Z, (const char *)j->p->offset + first * k * j->kernels->size, m * k);
}

double flr_pass_tile(const pass_job *j, const pass_buffers *s, int64_t *correct, int64_t first, int64_t m,
                     int64_t later) {
    const flr_pass *p = j->p;
    const int64_t size = j->kernels->size, k = p->k;
    const double *weight = p->weight ? p->weight + first : NULL;
    void *const kept = j->op == PASS_LOGITS ? j->Z_out : j->op == PASS_LOSS_AND_GRAD ? p->R_out : NULL;
    char *Z = kept ? (char *)kept + first * k * size : s->Z;

    /* prefetched by the forward product, the residual and the backward product: about as much as their times allow */
    const int64_t left = p->X.n - later, d = p->X.d;
    const flr_ahead next = flr_rows_ahead(s->ahead, &p->X, later, NULL, left < 0 ? 0 : left < m ? left : m);
    const int64_t amid = pass_has_gradient(j) && j->op != PASS_OUTER ? (next.n * 16 + d) / (16 + d) : 0;
    const int64_t half = !pass_has_gradient(j) ? next.n : pass_has_forward(j) ? (next.n - amid) / 2 : 0;
    const flr_ahead early = flr_some_of(&next, 0, half), middle = flr_some_of(&next, half, amid),
                    late = flr_some_of(&next, half + amid, next.n - half - amid);
    for (int64_t i = 0; weight && pass_has_gradient(j) && i < m; i++)
        if (weight[i] == 0) s->x[i] = s->zeros;
    if (j->op == PASS_OUTER) {
        backward(j, s, (char *)j->R + first * k * size, m, &late);
        return 0;
    }
    const void *const at = p->logits ? (const char *)p->logits + first * k * size : Z;
    if (p->logits == NULL) {
        forward(j, Z, s, p->W, j->packed_W, p->b, m, &early);
        add_offset(j, Z, first, m);
    }
    if (j->op == PASS_LOGITS) return 0;
    if (j->op == PASS_HESSP) {
        forward(j, s->U, s, j->V, j->packed_V, j->c, m, p->logits ? &early : NULL);
        j->kernels->curvature[p->loss](s->U, at, s->U, weight, s->row_scratch, m, k);
        backward(j, s, s->U, m, &late);
        return 0;
    }
    const flr_targets y = {.label = p->label ? p->label + first : NULL,
                           .prob = p->prob ? (const char *)p->prob + first * k * size : NULL,
                           .weight = weight,
                           .grad_scale = 1,
                           .next = &middle};
    if (j->op == PASS_EVALUATE) {
        if (y.label)
            *correct += j->kernels->correct(at, y.label, p->loss == FLR_SQUARED_ERROR ? 0.5 : 0, m, k);
        return j->kernels->residual[p->loss](NULL, NULL, at, &y, s->row_scratch, m, k, 0);
    }
    const double loss = j->kernels->residual[p->loss](Z, NULL, at, &y, s->row_scratch, m, k, 0);
    backward(j, s, Z, m, &late);
    return loss;
}
