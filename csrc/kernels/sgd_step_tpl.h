/* sgd_step_tpl.h -- the step of gradient descent: g = factor G + alpha W;  v = momentum v + g;  W -= learning_rate v.
 *
 * W, v and G are double; W_real = W * scale is the copy that the kernels multiply with.  With scale and shift the model
 * sees (x - shift) * scale, so that the gradient of W is (G - g shift') * scale and the logits need b - (W * scale)
 * shift: b_shift_out[c] is this column block's part of that product.
 *
 * A block of one row of W at a time, in plain loops that the compiler vectorises; the block's gradient stays in L1.
 *
 * Needs what vec_tpl.h needs.
 */
#ifndef FLR_SGD_STEP_TPL_H
#define FLR_SGD_STEP_TPL_H

#include "vec_tpl.h"

enum { SGD_BLOCK = 256 };

static void sgd_step_block(const flr_step *p, int64_t c, int64_t j, int64_t m, double *b_shift_out) {
    const REAL *restrict x = p->x;
    double *restrict W = p->W + c * p->d + j;
    double *restrict v = p->velocity ? p->velocity + c * p->d + j : NULL;
    REAL *restrict W_real = (REAL *)p->W_real + c * p->ldw + j;
    const double *restrict scale = p->scale ? p->scale + j : NULL, *restrict shift = p->shift ? p->shift + j : NULL;
    double G[SGD_BLOCK];

    if (p->r) {
        const double r = (double)((const REAL *)p->r)[c];
        for (int64_t i = 0; i < m; i++) G[i] = r * (double)x[j + i];
    } else if (p->total) {
        memcpy(G, p->total + c * p->d + j, (size_t)m * sizeof(double));
    } else {
        for (int64_t i = 0; i < m; i++) G[i] = 0;
        for (int64_t q = 0; q < 2 && q < p->n_parts; q++) {
            const REAL *restrict part = (const REAL *)p->G + q * p->part_stride + c * p->d + j;
            const REAL *restrict other = part + 2 * p->part_stride;
            if (q + 2 < p->n_parts && !p->folded)
                for (int64_t i = 0; i < m; i++) G[i] += (double)(part[i] + other[i]);
            else
                for (int64_t i = 0; i < m; i++) G[i] += (double)part[i];
        }
    }
    if (shift)
        for (int64_t i = 0; i < m; i++) G[i] -= p->g[c] * shift[i];
    if (scale)
        for (int64_t i = 0; i < m; i++) G[i] *= scale[i];
    const double factor = p->factor, alpha = p->alpha, momentum = p->momentum, learning_rate = p->learning_rate;
    if (v) {
        for (int64_t i = 0; i < m; i++) G[i] = v[i] = momentum * v[i] + (factor * G[i] + alpha * W[i]);
        for (int64_t i = 0; i < m; i++) W[i] -= learning_rate * G[i];
    } else {
        for (int64_t i = 0; i < m; i++) W[i] -= learning_rate * (factor * G[i] + alpha * W[i]);
    }
    for (int64_t i = 0; i < m; i++) W_real[i] = (REAL)(scale ? W[i] * scale[i] : W[i]);
    if (shift)
        for (int64_t i = 0; i < m; i++) *b_shift_out += (scale ? W[i] * scale[i] : W[i]) * shift[i];
}

static void sgd_step(const flr_step *p, int64_t c0, int64_t c1, int64_t j0, int64_t j1, double *b_shift_out) {
    for (int64_t c = c0; c < c1; c++) {
        double b_shift = 0;
        for (int64_t j = j0; j < j1; j += SGD_BLOCK)
            sgd_step_block(p, c, j, j1 - j < SGD_BLOCK ? j1 - j : SGD_BLOCK, &b_shift);
        if (p->shift) b_shift_out[c] = b_shift;
    }
}

/* z (k,) -= sum over l < m of (inner[l] + 1) rates[l]: what m steps, rates (m, k), changed in the logits of a row whose
 * inner products with the rows of those steps are inner (m,); the 1 is that of the intercept */
static void sgd_subtract_steps(void *z_, const void *rates_, const void *inner_, int64_t m, int64_t k) {
    REAL *restrict z = z_;
    const REAL *rates = rates_, *inner = inner_;
    for (int64_t l = 0; l < m; l++)
        for (int64_t c = 0; c < k; c++) z[c] -= (inner[l] + 1) * rates[l * k + c];
}

#endif
