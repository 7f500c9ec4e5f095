/* csr_descent_tpl.h -- what a step of gradient descent does with one sparse row; csr_tpl.h has this once for each type
 * of index: CSR_INDEX, called CSR_INDEX_NAME.
 *
 * A table has `stride` doubles for each column, of which a product takes `width`: 1, or a multiple of 8.
 */
#define CSR_OF(name) JOIN(JOIN(csr_##name, _), CSR_INDEX_NAME)

/* sum of x_j table[index_j stride], in four chains: see CSR_SUM */
INLINE double CSR_OF(dot_one)(const REAL *x, const CSR_INDEX *index, int64_t count, const double *table,
                              const int64_t stride) {
    double sum_0 = 0, sum_1 = 0, sum_2 = 0, sum_3 = 0;
    int64_t j = 0;
    for (; j + 4 <= count; j += 4) {
        sum_0 += (double)x[j] * table[index[j] * stride];
        sum_1 += (double)x[j + 1] * table[index[j + 1] * stride];
        sum_2 += (double)x[j + 2] * table[index[j + 2] * stride];
        sum_3 += (double)x[j + 3] * table[index[j + 3] * stride];
        CSR_APART(sum_0, sum_1, sum_2, sum_3);
    }
    for (; j < count; j++) sum_0 += (double)x[j] * table[index[j] * stride];
    return (sum_0 + sum_1) + (sum_2 + sum_3);
}

static void CSR_OF(dot)(double *z_out, const flr_csr_row *row, const double *table, int64_t stride, int64_t width) {
    const REAL *const x = row->data;
    const CSR_INDEX *const index = row->indices;
    if (width == 1) {
        *z_out = stride == 1 ? CSR_OF(dot_one)(x, index, row->count, table, 1)
                             : CSR_OF(dot_one)(x, index, row->count, table, stride);
        return;
    }
    for (int64_t c = 0; c < width; c += 8) {
        csr_doubles sum[CSR_LINE] = {{0}};
        for (int64_t j = 0; j < row->count; j++) {
            const double *t = table + (int64_t)index[j] * stride + c;
            UNROLL for (int v = 0; v < CSR_LINE; v++)
                sum[v] += (double)x[j] * *(const csr_doubles *)(t + v * CSR_DOUBLES);
        }
        UNROLL for (int v = 0; v < CSR_LINE; v++) *(csr_doubles *)(z_out + c + v * CSR_DOUBLES) = sum[v];
    }
}

/* table[index_j] += x_j r */
INLINE void CSR_OF(add_row)(double *table, int64_t stride, const REAL *x, const CSR_INDEX *index, int64_t count,
                            const double *r, int64_t width) {
    if (width == 1) {
        const double one = r[0];
        for (int64_t j = 0; j < count; j++) table[index[j] * stride] += one * x[j];
        return;
    }
    for (int64_t j = 0; j < count; j++) {
        double *t = table + (int64_t)index[j] * stride;
        const double value = x[j];
        for (int64_t c = 0; c < width; c += CSR_DOUBLES) {
            const VD sum = *(const csr_doubles *)(t + c) + value * *(const csr_doubles *)(r + c);
            *(csr_doubles *)(t + c) = sum;
        }
    }
}

static void CSR_OF(add)(double *table, int64_t stride, const flr_csr_row *row, const double *r, int64_t width) {
    if (stride == 1)
        CSR_OF(add_row)(table, 1, row->data, row->indices, row->count, r, width);
    else
        CSR_OF(add_row)(table, stride, row->data, row->indices, row->count, r, width);
}

static void CSR_OF(fetch)(const double *table, int64_t stride, const flr_csr_row *row) {
    const CSR_INDEX *const index = row->indices;
    for (int64_t j = 0; j < row->count; j++)
        for (int64_t c = 0; c < stride; c += 8) __builtin_prefetch(table + (int64_t)index[j] * stride + c, 1, 3);
}

static void CSR_OF(ftrl)(double *table, int64_t width, const flr_csr_row *row, const flr_ftrl *rule) {
    const CSR_INDEX *const index = row->indices;
    const double per_rate = 1 / rule->learning_rate;
    for (int64_t j = 0; j < row->count; j++) {
        double *w = table + (int64_t)index[j] * FLR_FTRL_FIELDS * width;
        for (int64_t c = 0; c < width; c++, w++) {
            const double g = w[width];
            if (g == 0) continue; /* or it was done for an earlier non-zero */
            const double before = w[3 * width], root = __builtin_sqrt(before * before + g * g);
            double z = w[2 * width] + g;
            if (root > 0) z -= g * g / (root + before) * per_rate * *w; /* root - before would cancel */
            const double excess = __builtin_fabs(z) - rule->l1, curvature = (rule->beta + root) * per_rate + rule->l2;
            *w = excess > 0 && curvature > 0 ? -__builtin_copysign(excess, z) / curvature : 0;
            w[width] = 0, w[2 * width] = z, w[3 * width] = root;
        }
    }
}

#undef CSR_OF
#undef CSR_INDEX
#undef CSR_INDEX_NAME
