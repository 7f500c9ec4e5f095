/* csr_rows_tpl.h -- the products of csr_tpl.h, which includes this once for each type of index: CSR_INDEX, called
 * CSR_INDEX_NAME.
 */
#define CSR_OF(name) JOIN(JOIN(csr_##name, _), CSR_INDEX_NAME)

/* sums (vectors * VLEN + half * VLEN / 2,) += sum of x_j times the row index_j of the table; of later non-zeros, to be
 * prefetched for, there are `more` */
INLINE void CSR_OF(add_rows)(REAL *sums, const REAL *x, const CSR_INDEX *index, const REAL *table, int64_t ld,
                             int64_t count, int64_t more, const int vectors, const int half) {
    V sum[CSR_VECTORS];
    VHALF half_sum = {0};
    UNROLL for (int v = 0; v < vectors; v++) sum[v] = vload(sums + v * VLEN);
    if (half) half_sum = *(const VHALF *)(sums + vectors * VLEN);
    for (int64_t j = 0; j < count; j++) {
        const REAL *row = table + (int64_t)index[j] * ld;
        const REAL *later = table + (int64_t)index[j + CSR_AHEAD < count + more ? j + CSR_AHEAD : j] * ld;
        UNROLL for (int v = 0; v < vectors; v++) prefetch_line(later, v * VLEN);
        prefetch_line(later, vectors * VLEN + half * (VLEN / 2) - 1);
        const V value = vsplat(x[j]);
        UNROLL for (int v = 0; v < vectors; v++) sum[v] = vfma(value, vload(row + v * VLEN), sum[v]);
        if (half) half_sum += x[j] * *(const VHALF *)(row + vectors * VLEN);
    }
    UNROLL for (int v = 0; v < vectors; v++) vstore(sums + v * VLEN, sum[v]);
    if (half) *(VHALF *)(sums + vectors * VLEN) = half_sum;
}

/* the same for k <= CSR_VECTORS * VLEN classes; sums has room for whole vectors */
NOINLINE void CSR_OF(add_classes)(REAL *sums, const REAL *x, const CSR_INDEX *index, const REAL *table, int64_t ld,
                                  int64_t count, int64_t more, int64_t k) {
#define CSR_CASE(vectors, half)                                                                                        \
    case 2 * (vectors) + (half): CSR_OF(add_rows)(sums, x, index, table, ld, count, more, vectors, half); break;
    switch ((k + VLEN / 2 - 1) / (VLEN / 2)) { CSR_CASES }
#undef CSR_CASE
}

static void CSR_OF(forward)(void *Z_out, const flr_csr_rows *rows, const void *W_, int64_t ld, const void *b_,
                            const double *weight, int64_t m, int64_t k) {
    const REAL *const x = rows->data, *const W = W_, *const b = b_;
    const CSR_INDEX *const index = rows->indices;
    REAL *z = Z_out;
    for (int64_t i = 0; i < m; i++, z += k) {
        const int64_t begin = rows->starts[i], read = weight && weight[i] == 0 ? 0 : rows->starts[i + 1] - begin;
        if (k == 1) {
            REAL sum;
            CSR_SUM(sum, x, index, W, begin, begin + read)
            z[0] = b[0] + sum;
            continue;
        }
        for (int64_t c = 0; c < k; c += CSR_VECTORS * VLEN) {
            const int64_t left = k - c < CSR_VECTORS * VLEN ? k - c : CSR_VECTORS * VLEN;
            REAL sums[CSR_VECTORS * VLEN] = {0};
            CSR_OF(add_classes)(sums, x + begin, index + begin, W + c, ld, read, rows->starts[m] - begin - read, left);
            for (int64_t q = 0; q < left; q += VLEN)
                vstore_first(z + c + q, vload(sums + q) + vload_filled(b + c + q, left - q, 0), left - q);
        }
    }
}

static void CSR_OF(scatter)(double *G, int64_t ldg, const flr_csr_rows *rows, const void *R, const double *weight,
                            double *wide, int64_t m, int64_t k) {
    const REAL *const x = rows->data, *r = R;
    const CSR_INDEX *const index = rows->indices;
    for (int64_t i = 0; i < m; i++, r += k) {
        const int64_t end = rows->starts[i + 1];
        if (weight && weight[i] == 0) continue;
        for (int64_t c = 0; c < k; c++) wide[c] = r[c];
        const int64_t begin = rows->starts[i];
        if (k == 1)
            CSR_OF(add_row)(G, 1, x + begin, index + begin, end - begin, wide, 1);
        else
            CSR_OF(add_row)(G, ldg, x + begin, index + begin, end - begin, wide, ldg);
    }
}

#undef CSR_OF
#undef CSR_INDEX
#undef CSR_INDEX_NAME
