/* linear_tpl.h -- the two products of a tile for few classes: logits Z = X W' + b and gradient G += R' X.
 *
 * Forward: dot products along d.  ROWS rows by up to CLASSES classes of accumulators stay in registers, so that a load of
 * x serves CLASSES multiplications and a load of w ROWS of them; d goes in blocks, so that W stays in L1.
 * Backward: PANEL vectors of columns by up to CLASSES classes stay in registers over all m rows; r is broadcast.
 * Sizes: m rows, d features, k classes.  Sums over a tile are real; G is double.
 */
#if VBYTES == 64
enum { FWD_ROWS = 4, FWD_CLASSES = 5, BWD_CLASSES = 10, BWD_REGISTERS = 20 };
#else
enum { FWD_ROWS = 4, FWD_CLASSES = 2, BWD_CLASSES = 5, BWD_REGISTERS = 10 };
#endif
#define D_BLOCK (4096 / (int)sizeof(REAL))

/* Fold a pair of vectors: the sum of neighbouring blocks of h lanes of a, then of b.  Neighbouring pairs, h halved each
 * time, turn VLEN vectors into one of their lanes' sums, in order. */
#define FOLD(a, b, h) (SHUFFLE(a, b, EVEN_BLOCKS, h) + SHUFFLE(a, b, ODD_BLOCKS, h))

/* sum_out[i] = the sum of the lanes of a[i], i < count <= VLEN; a is overwritten */
INLINE void lane_sums(REAL *sum_out, V *a, const int count) {
    for (int i = count; i < VLEN; i++) a[i] = (V){0};
#if VLEN >= 16
    for (int i = 0; i < 8; i++) a[i] = FOLD(a[2 * i], a[2 * i + 1], 8);
#endif
#if VLEN >= 8
    for (int i = 0; i < 4; i++) a[i] = FOLD(a[2 * i], a[2 * i + 1], 4);
#endif
#if VLEN >= 4
    for (int i = 0; i < 2; i++) a[i] = FOLD(a[2 * i], a[2 * i + 1], 2);
#endif
    const V sums = FOLD(a[0], a[1], 1);
    if (count == VLEN) {
        store(sum_out, sums);
    } else {
        REAL all[VLEN];
        store(all, sums);
        for (int i = 0; i < count; i++) sum_out[i] = all[i];
    }
}

/* Z_out (rows, ldz)[:, :classes] = (first ? b : Z_out) + x[:, j0:j1] W[:, j0:j1]' */
INLINE void forward_block(REAL *Z_out, int64_t ldz, const REAL *const *x, const REAL *W, int64_t ldw, const REAL *b,
                          int64_t j0, int64_t j1, int first, const int rows, const int classes) {
    V acc[FWD_ROWS * 2 * FWD_CLASSES + VLEN];
    for (int i = 0; i < rows * classes; i++) acc[i] = (V){0};
    int64_t j = j0;
    for (; j + VLEN <= j1; j += VLEN) {
        V xj[FWD_ROWS * 2];
        for (int r = 0; r < rows; r++) xj[r] = load(x[r] + j);
        for (int c = 0; c < classes; c++) {
            const V w = load(W + c * ldw + j);
            for (int r = 0; r < rows; r++) acc[r * classes + c] = vfma(xj[r], w, acc[r * classes + c]);
        }
    }
    if (j < j1) {
        V xj[FWD_ROWS * 2];
        for (int r = 0; r < rows; r++) xj[r] = load_part(x[r] + j, (int)(j1 - j));
        for (int c = 0; c < classes; c++) {
            const V w = load(W + c * ldw + j);
            for (int r = 0; r < rows; r++) acc[r * classes + c] = vfma(xj[r], w, acc[r * classes + c]);
        }
    }
    REAL sums[FWD_ROWS * 2 * FWD_CLASSES + VLEN];
    for (int i = 0; i < rows * classes; i += VLEN) {
        const int left = rows * classes - i;
        lane_sums(sums + i, acc + i, left < VLEN ? left : VLEN);
    }
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < classes; c++) {
            REAL *z = Z_out + r * ldz + c;
            *z = (first ? b[c] : *z) + sums[r * classes + c];
        }
}

/* all m rows for a block of classes; compiled once for each number of classes */
#define FORWARD_ROWS(count, classes)                                                                                  \
    for (; i + (count) <= m; i += (count))                                                                            \
        forward_block(Z_out + i * ldz, ldz, x + i, W, ldw, b, j0, j1, first, count, classes);

#define DEFINE_FORWARD(classes, many)                                                                                 \
    static void forward_##classes(REAL *Z_out, int64_t ldz, const REAL *const *x, const REAL *W, int64_t ldw,   \
                                        const REAL *b, int64_t j0, int64_t j1, int first, int64_t m) {                \
        int64_t i = 0;                                                                                                \
        FORWARD_ROWS(many, classes)                                                                                   \
        FORWARD_ROWS(1, classes)                                                                                      \
    }
DEFINE_FORWARD(1, 8)
DEFINE_FORWARD(2, 4)
#if VBYTES == 64
DEFINE_FORWARD(3, 4)
DEFINE_FORWARD(4, 4)
DEFINE_FORWARD(5, 4)
#endif

static void forward(void *Z_out, const void *const *x, const void *W, int64_t ldw, const void *b, int64_t m,
                          int64_t d, int64_t k) {
    typedef void (*forward_fn)(REAL *, int64_t, const REAL *const *, const REAL *, int64_t, const REAL *, int64_t,
                               int64_t, int, int64_t);
    static const forward_fn block[] = {
        forward_1, forward_2,
#if VBYTES == 64
        forward_3, forward_4, forward_5,
#endif
    };
    const int64_t n_blocks = (k + FWD_CLASSES - 1) / FWD_CLASSES;
    for (int64_t j0 = 0; j0 == 0 || j0 < d; j0 += D_BLOCK) {
        const int64_t j1 = j0 + D_BLOCK < d ? j0 + D_BLOCK : d;
        for (int64_t q = 0; q < n_blocks; q++) {
            const int64_t c0 = q * k / n_blocks, c1 = (q + 1) * k / n_blocks;
            block[c1 - c0 - 1]((REAL *)Z_out + c0, k, (const REAL *const *)x, (const REAL *)W + c0 * ldw, ldw,
                               (const REAL *)b + c0, j0, j1, j0 == 0, m);
        }
    }
}

/* G (classes, panel of vectors) += R (m, classes)' x (m, panel); the last vector may be a part */
INLINE void backward_panel(double *G, int64_t ldg, const REAL *R, int64_t ldr, const REAL *const *x, int64_t m,
                           int64_t j, const int classes, const int panel, int part) {
    V acc[BWD_REGISTERS];
    for (int i = 0; i < classes * panel; i++) acc[i] = (V){0};
    for (int64_t i = 0; i < m; i++) {
        V xj[BWD_REGISTERS];
        for (int v = 0; v < panel; v++)
            xj[v] = part ? load_part(x[i] + j + v * VLEN, part) : load(x[i] + j + v * VLEN);
        for (int c = 0; c < classes; c++) {
            const V r = splat(R[i * ldr + c]);
            for (int v = 0; v < panel; v++) acc[c * panel + v] = vfma(r, xj[v], acc[c * panel + v]);
        }
    }
    for (int c = 0; c < classes; c++)
        for (int v = 0; v < panel; v++) {
            REAL sums[VLEN];
            double *g = G + c * ldg + j + v * VLEN;
            store(sums, acc[c * panel + v]);
            for (int l = 0; l < (part ? part : VLEN); l++) g[l] += (double)sums[l];
        }
}

#define DEFINE_BACKWARD(classes, panel)                                                                               \
    static void backward_##classes(double *G, int64_t ldg, const REAL *R, int64_t ldr, const REAL *const *x,    \
                                         int64_t m, int64_t d) {                                                      \
        int64_t j = 0;                                                                                                \
        for (; j + (panel) * VLEN <= d; j += (panel) * VLEN)                                                          \
            backward_panel(G, ldg, R, ldr, x, m, j, classes, panel, 0);                                               \
        for (; j + VLEN <= d; j += VLEN) backward_panel(G, ldg, R, ldr, x, m, j, classes, 1, 0);                      \
        if (j < d) backward_panel(G, ldg, R, ldr, x, m, j, classes, 1, (int)(d - j));                                 \
    }
#if VBYTES == 64
DEFINE_BACKWARD(1, 8)
DEFINE_BACKWARD(2, 8)
DEFINE_BACKWARD(3, 4)
DEFINE_BACKWARD(4, 4)
DEFINE_BACKWARD(5, 4)
DEFINE_BACKWARD(6, 2)
DEFINE_BACKWARD(7, 2)
DEFINE_BACKWARD(8, 2)
DEFINE_BACKWARD(9, 2)
DEFINE_BACKWARD(10, 2)
#else
DEFINE_BACKWARD(1, 8)
DEFINE_BACKWARD(2, 4)
DEFINE_BACKWARD(3, 3)
DEFINE_BACKWARD(4, 2)
DEFINE_BACKWARD(5, 2)
#endif

static void backward(double *G, int64_t ldg, const void *R, const void *const *x, int64_t m, int64_t d,
                           int64_t k) {
    typedef void (*backward_fn)(double *, int64_t, const REAL *, int64_t, const REAL *const *, int64_t, int64_t);
    static const backward_fn block[] = {
        backward_1, backward_2, backward_3, backward_4, backward_5,
#if VBYTES == 64
        backward_6, backward_7, backward_8, backward_9, backward_10,
#endif
    };
    const int64_t n_blocks = (k + BWD_CLASSES - 1) / BWD_CLASSES;
    for (int64_t q = 0; q < n_blocks; q++) {
        const int64_t c0 = q * k / n_blocks, c1 = (q + 1) * k / n_blocks;
        block[c1 - c0 - 1](G + c0 * ldg, ldg, (const REAL *)R + c0, k, (const REAL *const *)x, m, d);
    }
}

static int64_t correct(const void *Z_, const int32_t *label, double threshold, int64_t m, int64_t k) {
    const REAL *Z = Z_;
    int64_t count = 0;
    for (int64_t i = 0; i < m; i++) {
        if (k == 1) {
            count += label[i] == (Z[i] > threshold || (threshold > 0 && Z[i] == threshold));
            continue;
        }
        int64_t best = 0;
        for (int64_t c = 1; c < k; c++)
            if (Z[i * k + c] > Z[i * k + best]) best = c;
        count += label[i] == best;
    }
    return count;
}

static int64_t first_nonfinite(const void *x_, int64_t d) {
    const REAL *x = x_;
    V zeros = {0}; /* x - x is 0 or nan */
    int64_t j = 0;
    for (; j + VLEN <= d; j += VLEN) zeros += load(x + j) - load(x + j);
    if (j < d) zeros += load_part(x + j, (int)(d - j)) - load_part(x + j, (int)(d - j));
    int clean = 1;
    for (int l = 0; l < VLEN; l++) clean &= zeros[l] == 0;
    for (j = clean ? d : 0; j < d && isfinite(x[j]);) j++;
    return j;
}

static void standardise(void *out_, int64_t ld_out, double *s, const void *const *x, const void *scale_,
                              const void *shift_, const double *weight, int64_t m, int64_t d) {
    const REAL *scale = scale_, *shift = shift_;
    for (int64_t i = 0; i < m; i++) {
        const REAL *xi = x[i], root = weight ? (REAL)sqrt(weight[i]) : 1;
        REAL *o = (REAL *)out_ + i * ld_out;
        for (int64_t j = 0; j < d; j++) {
            const REAL value = (xi[j] - (shift ? shift[j] : 0)) * (scale ? scale[j] : 1);
            s[j] += (weight ? weight[i] : 1) * (double)value;
            o[j] = root * value;
        }
    }
}
