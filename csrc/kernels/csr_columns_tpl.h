/* csr_columns_tpl.h -- the products of the columns of a transposed copy, whose indices are rows of X; csr_tpl.h has
 * this once for each type of index: CSR_INDEX, called CSR_INDEX_NAME.
 */
#define CSR_OF(name) JOIN(JOIN(csr_##name, _), CSR_INDEX_NAME)

/* sums in registers, added to G after every CSR_BLOCK non-zeros */
INLINE void CSR_OF(gather_rows)(double *G, int64_t ldg, const flr_csr_rows *columns, const REAL *R, int64_t m,
                                int64_t k, const int vectors, const int half) {
    const REAL *const x = columns->data;
    const CSR_INDEX *const index = columns->indices;
    for (int64_t i = 0; i < m; i++, G += ldg)
        for (int64_t j = columns->starts[i], end = columns->starts[i + 1]; j < end;) {
            const int64_t stop = end - j < CSR_BLOCK ? end : j + CSR_BLOCK;
            V sum[CSR_VECTORS];
            VHALF half_sum = {0};
            UNROLL for (int v = 0; v < vectors; v++) sum[v] = (V){0};
            for (; j < stop; j++) {
                const REAL *row = R + (int64_t)index[j] * k;
                const V value = vsplat(x[j]);
                UNROLL for (int v = 0; v < vectors; v++) sum[v] = vfma(value, vload(row + v * VLEN), sum[v]);
                if (half) half_sum += x[j] * *(const VHALF *)(row + vectors * VLEN);
            }
            double *g = G;
            UNROLL for (int v = 0; v < vectors; v++)
                for (int p = 0; p < VWIDE; p++, g += CSR_DOUBLES) *(csr_doubles *)g += vwiden(sum[v], p);
            if (half) *(csr_half *)g += __builtin_convertvector(half_sum, csr_half);
        }
}

INLINE void CSR_OF(gather_one)(double *G, const flr_csr_rows *columns, const REAL *R, int64_t m) {
    const REAL *const x = columns->data;
    const CSR_INDEX *const index = columns->indices;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = columns->starts[i], end = columns->starts[i + 1]; j < end; j += CSR_BLOCK) {
            REAL sum;
            CSR_SUM(sum, x, index, R, j, end - j < CSR_BLOCK ? end : j + CSR_BLOCK)
            G[i] += (double)sum;
        }
}

/* where values are not finite: rows of weight 0 are not read */
NOINLINE void CSR_OF(gather_weighted)(double *G, int64_t ldg, const flr_csr_rows *columns, const REAL *R,
                                      const double *weight, int64_t m, int64_t k) {
    const REAL *const x = columns->data;
    const CSR_INDEX *const index = columns->indices;
    for (int64_t i = 0; i < m; i++, G += ldg)
        for (int64_t j = columns->starts[i]; j < columns->starts[i + 1]; j++)
            for (int64_t c = 0; weight[index[j]] != 0 && c < k; c++)
                G[c] += (double)x[j] * (double)R[(int64_t)index[j] * k + c];
}

static void CSR_OF(gather)(double *G, int64_t ldg, const flr_csr_rows *columns, const void *R_, const double *weight,
                           int64_t m, int64_t k) {
    const REAL *R = R_;
    if (weight) {
        CSR_OF(gather_weighted)(G, ldg, columns, R, weight, m, k);
        return;
    }
    if (k == 1) {
        CSR_OF(gather_one)(G, columns, R, m);
        return;
    }
    for (int64_t c = 0; c < k; c += CSR_VECTORS * VLEN) {
        const int64_t left = k - c < CSR_VECTORS * VLEN ? k - c : CSR_VECTORS * VLEN;
#define CSR_CASE(vectors, half)                                                                                        \
    case 2 * (vectors) + (half): CSR_OF(gather_rows)(G + c, ldg, columns, R + c, m, k, vectors, half); break;
        switch ((left + VLEN / 2 - 1) / (VLEN / 2)) { CSR_CASES }
#undef CSR_CASE
    }
}

#undef CSR_OF
#undef CSR_INDEX
#undef CSR_INDEX_NAME
