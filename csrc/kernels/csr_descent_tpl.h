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
        int64_t j = 0;
        for (; j + 4 <= count; j += 4) { /* products before stores, which they might be made from */
            const double a = one * x[j], b = one * x[j + 1], c = one * x[j + 2], e = one * x[j + 3];
            const csr_places at = JOIN(csr_places_, CSR_INDEX_NAME)(index + j);
            CSR_FETCH(x + j, index + j);
            table[at.a * stride] += a;
            table[at.b * stride] += b;
            table[at.c * stride] += c;
            table[at.d * stride] += e;
        }
        for (; j < count; j++) table[index[j] * stride] += one * x[j];
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
    if (width > 1) {
        for (int64_t j = 0; j < row->count; j++) {
            double *w = table + (int64_t)index[j] * FLR_FTRL_FIELDS * width;
            csr_ftrl_steps(w, w + width, w + 2 * width, w + 3 * width, width, rule);
            memset(w + width, 0, (size_t)width * 8);
        }
        return;
    }
    /* of equal columns in a block all make the same step */
    double w[CSR_FTRL_BLOCK], g[CSR_FTRL_BLOCK], z[CSR_FTRL_BLOCK], root[CSR_FTRL_BLOCK];
    for (int64_t first = 0; first < row->count; first += CSR_FTRL_BLOCK) {
        const int64_t n = row->count - first < CSR_FTRL_BLOCK ? row->count - first : CSR_FTRL_BLOCK;
        for (int64_t j = 0; j < n; j++) {
            const double *from = table + (int64_t)index[first + j] * FLR_FTRL_FIELDS;
            w[j] = from[0], g[j] = from[1], z[j] = from[2], root[j] = from[3];
        }
        csr_ftrl_steps(w, g, z, root, n, rule);
        for (int64_t j = 0; j < n; j++) {
            double *to = table + (int64_t)index[first + j] * FLR_FTRL_FIELDS;
            to[0] = w[j], to[1] = 0, to[2] = z[j], to[3] = root[j];
        }
    }
}

#undef CSR_OF
#undef CSR_INDEX
#undef CSR_INDEX_NAME
