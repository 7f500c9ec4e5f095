/* step_tpl.h -- the learning rule: gradient = factor G + alpha W;  v = momentum v + gradient;  W -= learning_rate v.
 *
 * W, v and G are double; W_real = W * scale is the copy that the kernels multiply with.  With scale and shift the model
 * sees (x - shift) * scale, so that the gradient of W is (G - g shift') * scale and the logits need
 * b - (W * scale) shift: b_shift_out[c] is this column block's part of that product.
 */
static void step(const flr_step *p, int64_t j0, int64_t j1, double *b_shift_out) {
    const REAL *r = p->r, *x = p->x;
    for (int64_t c = 0; c < p->k; c++) {
        double *restrict W = p->W + c * p->d;
        double *restrict v = p->velocity ? p->velocity + c * p->d : NULL;
        REAL *restrict W_real = (REAL *)p->W_real + c * p->ldw;
        double product = 0;
        if (r && !v && !p->scale && !p->shift && p->alpha == 0) {
            const double rate = p->learning_rate * p->factor * (double)r[c];
            for (int64_t j = j0; j < j1; j++) {
                W[j] -= rate * (double)x[j];
                W_real[j] = (REAL)W[j];
            }
            continue;
        }
        for (int64_t j = j0; j < j1; j++) {
            double G = r ? (double)r[c] * (double)x[j] : 0;
            for (int64_t q = 0; q < p->n_parts; q++) G += p->G[q * p->part_stride + c * p->d + j];
            if (p->shift) G -= p->g[c] * p->shift[j];
            if (p->scale) G *= p->scale[j];
            double gradient = p->factor * G + p->alpha * W[j];
            if (v) gradient = v[j] = p->momentum * v[j] + gradient;
            W[j] -= p->learning_rate * gradient;
            const double w = p->scale ? W[j] * p->scale[j] : W[j];
            W_real[j] = (REAL)w;
            if (p->shift) product += w * p->shift[j];
        }
        b_shift_out[c] = product;
    }
}
