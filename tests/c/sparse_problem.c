/* sparse_problem.c -- random models and sparse data for the drivers, their logits by plain loops. */
#include "harness.h"

#include <math.h>
#include <stdio.h>

static void put_index(void *p, int64_t i, int64_t size, int64_t value) {
    if (size == 4)
        ((int32_t *)p)[i] = (int32_t)value;
    else
        ((int64_t *)p)[i] = value;
}

sparse random_sparse(int64_t n, int64_t k, int64_t d, int64_t size, int64_t block_rows) {
    sparse p = {.n = n, .d = d, .k = k, .size = size};
    const int64_t mean = 1 + below(d < 20 ? 8 : 30);
    int64_t *lengths = plain((n + 1) * 8);
    for (int64_t i = 0; i < n; i++) p.nonzeros += lengths[i] = d == 0 || below(5) == 0 ? 0 : below(2 * mean);
    flr_csr *X = &p.pass.X;
    const int64_t index_size = below(2) ? 4 : 8, indptr_size = below(2) ? 4 : 8;
    void *data = plain(p.nonzeros * size), *indices = plain(p.nonzeros * index_size), *indptr = plain((n + 1) * indptr_size);
    p.X = plain(n * d * 8), p.A = plain(n * d * 8);
    put_index(indptr, 0, indptr_size, 0);
    const int full_column = below(3) == 0; /* one that parts of a block cut */
    for (int64_t i = 0, at = 0; i < n; i++) {
        for (int64_t q = 0; q < lengths[i]; q++, at++) {
            const int64_t column = full_column && below(2) ? d / 2 : below(d);
            put(data, at, size, below(12) == 0 ? 0 : normal());
            put_index(indices, at, index_size, column);
            p.X[i * d + column] += get(data, at, size), p.A[i * d + column] += fabs(get(data, at, size));
        }
        put_index(indptr, i + 1, indptr_size, at);
    }
    *X = (flr_csr){data, size == 4 ? FLR_F32 : FLR_F64, indices, indptr, index_size, indptr_size, n, d, 0};
    p.columns = flr_csr_plan_columns(X, k);
    if (block_rows > 0) p.columns.block_rows = block_rows, p.columns.n_blocks = n / block_rows + 1;
    if (below(3) == 0) p.columns.row_size = 4;
    p.columns.data = plain(p.nonzeros * size), p.columns.rows = plain(p.nonzeros * p.columns.row_size);
    p.columns.starts = plain(p.columns.n_blocks * (d + 1) * 8);
    flr_csr_transpose(&p.columns, X, 1);

    const flr_loss loss = (flr_loss)below(FLR_N_LOSSES);
    const targets y = random_targets(loss, (below(3) ? LABELS_ONLY : PROBABILITIES_ONLY) | (below(2) ? WEIGHTED : 0), n, k, size);
    p.Y = y.Y;
    double *W = plain(k * d * 8);
    void *b = plain(k * size), *offset = below(3) == 0 ? plain(n * k * size) : NULL;
    const double scale = 1 / sqrt((double)mean);
    for (int64_t i = 0; i < k * d; i++) W[i] = (double)as_real((long double)(scale * normal()), size);
    for (int64_t c = 0; c < k; c++) put(b, c, size, normal());
    for (int64_t i = 0; offset && i < n * k; i++) put(offset, i, size, normal());
    p.pass.loss = loss, p.pass.k = k, p.pass.W = W, p.pass.b = b, p.pass.offset = offset, p.pass.n_threads = 1;
    p.pass.label = y.y.label, p.pass.prob = y.y.prob, p.pass.weight = y.y.weight;
    p.Z = plain(n * k * 16), p.error = plain(n * 16);
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < k; c++) {
            long double sum = (long double)get(b, c, size), absolute = fabsl(sum);
            for (int64_t j = 0; j < d; j++) {
                sum += (long double)p.X[i * d + j] * (long double)W[c * d + j];
                absolute += (long double)p.A[i * d + j] * fabsl((long double)W[c * d + j]);
            }
            if (offset) sum += (long double)get(offset, i * k + c, size), absolute += fabsl(sum);
            const long double error = (6 + (long double)mean) * eps_of(size) * absolute;
            p.Z[i * k + c] = sum;
            if (error > p.error[i]) p.error[i] = error;
        }
    snprintf(p.text, sizeof p.text, "%d-bit columns, %d-bit places, %s %s%s%s", (int)index_size * 8, (int)indptr_size * 8,
             loss_name[loss], y.y.prob ? "probabilities" : "labels", y.y.weight ? " weighted" : "", offset ? " offset" : "");
    return p;
}

flr_csr guarded_csr(const sparse *p) {
    flr_csr X = p->pass.X;
    X.data = guarded_copy("data", X.data, p->nonzeros * p->size);
    X.indices = guarded_copy("indices", X.indices, p->nonzeros * X.index_size);
    X.indptr = guarded_copy("indptr", X.indptr, (p->n + 1) * X.indptr_size);
    return X;
}

flr_csr_pass guarded_csr_pass(const sparse *p) {
    flr_csr_pass g = p->pass;
    const int64_t n = p->n, k = p->k, size = p->size;
    g.X = guarded_csr(p);
    g.W = guarded_copy("W", p->pass.W, k * p->d * 8);
    g.b = guarded_copy("b", p->pass.b, k * size);
    g.offset = guarded_copy("offset", p->pass.offset, n * k * size);
    g.label = guarded_copy("label", p->pass.label, n * 4);
    g.prob = guarded_copy("prob", p->pass.prob, n * k * size);
    g.weight = guarded_copy("weight", p->pass.weight, n * 8);
    return g;
}
