/* linear_tpl.h -- the two products of a tile for few classes: logits Z = X W' + b and gradient G += R' X.
 *
 * Forward: dot products along d.  Some rows by some classes of accumulators stay in registers, so that a load of x serves
 * as many multiplications as there are classes, and a load of w as there are rows; d goes in blocks, so that W stays in L1.
 * Backward: some classes by PANEL vectors of columns stay in registers over all m rows; r is broadcast.
 * Sizes: m rows, d features, k classes.  Rows of x are aligned to cache lines from column head < 16 on: the columns
 * before it are taken by parts of vectors.  All sums here are real; the caller adds them up in double.
 */
#if VBYTES == 64
enum { FWD_CLASSES = 10, BWD_CLASSES = 10 };
#else
enum { FWD_CLASSES = 4, BWD_CLASSES = 5 };
#endif
enum { D_BLOCK = 3200 / sizeof(REAL), ACCUMULATORS = 32 };

/* Pairs of lines fetched in a step that reads this many vectors of x: each product fetches half of a tile. */
#define FETCHES(vectors) ((vectors) * VBYTES / 256 > 0 ? (vectors) * VBYTES / 256 : 1)

/* The sums of the lanes of a[0] .. a[count - 1], count <= VLEN; a is overwritten.  Pairs of vectors are folded: blocks
 * of h lanes of both, in turn, are added to those next to them.  First within groups of 16 bytes, which takes one
 * instruction a shuffle, then groups.  A vector without a partner is its own. */
#define FOLD_STAGE(a, count, low, high, h)                                                                            \
    UNROLL for (int i = 0; 2 * i < (count); i++) {                                                                           \
        const V first = a[2 * i], second = a[2 * i + 1 < (count) ? 2 * i + 1 : 2 * i];                                \
        a[i] = SHUFFLE(first, second, low, h) + SHUFFLE(first, second, high, h);                                      \
    }

INLINE V lane_sums(V *a, int count) {
    FOLD_STAGE(a, count, TURN_LOW, TURN_HIGH, 1)
    count = (count + 1) / 2;
#if REAL_BITS == 32
    FOLD_STAGE(a, count, TURN_LOW, TURN_HIGH, 2)
    count = (count + 1) / 2;
#endif
#if VBYTES == 64
    FOLD_STAGE(a, count, EVEN_BLOCKS, ODD_BLOCKS, VLEN / 2)
    count = (count + 1) / 2;
    FOLD_STAGE(a, count, EVEN_BLOCKS, ODD_BLOCKS, VLEN / 4)
#elif VBYTES == 32
    FOLD_STAGE(a, count, EVEN_BLOCKS, ODD_BLOCKS, VLEN / 2)
#endif
    return a[0];
}

/* acc (rows, classes) += x[:, j:j + width] W[:, j:j + width]', width VLEN or less */
INLINE void forward_step(V *acc, const REAL *const *x, const REAL *W, int64_t ldw, int64_t j, int width, const int rows,
                         const int classes) {
    V xj[8];
    UNROLL for (int r = 0; r < rows; r++) xj[r] = width == VLEN ? load(x[r] + j) : load_part(x[r] + j, width);
    UNROLL for (int c = 0; c < classes; c++) {
        const V w = in_register(load(W + c * ldw + j));
        UNROLL for (int r = 0; r < rows; r++) acc[r * classes + c] = vfma(xj[r], w, acc[r * classes + c]);
    }
}

/* Z_out (rows, ldz)[:, :classes] = (first ? b : Z_out) + x[:, j0:j1] W[:, j0:j1]' */
INLINE void forward_block(REAL *Z_out, int64_t ldz, const REAL *const *x, const REAL *W, int64_t ldw, const REAL *b,
                          int64_t j0, int64_t j1, int64_t head, fetch *ahead, const int rows, const int classes) {
    fetch f = *ahead;
    V acc[ACCUMULATORS];
    UNROLL for (int i = 0; i < rows * classes; i++) acc[i] = (V){0};
    int64_t j = j0;
    for (int64_t end = j0 + head < j1 ? j0 + head : j1; j < end;) {
        const int width = end - j < VLEN ? (int)(end - j) : VLEN;
        forward_step(acc, x, W, ldw, j, width, rows, classes);
        j += width;
    }
    while (j + VLEN <= j1)
        for (int64_t steps = fetch_stretch(&f, (j1 - j) / VLEN); steps > 0; steps--, j += VLEN) {
            forward_step(acc, x, W, ldw, j, VLEN, rows, classes);
            fetch_step(&f, FETCHES(rows));
        }
    *ahead = f;
    if (j < j1) forward_step(acc, x, W, ldw, j, (int)(j1 - j), rows, classes);

    REAL sums[ACCUMULATORS + VLEN];
    UNROLL for (int i = 0; i < rows * classes; i += VLEN)
        store(sums + i, lane_sums(acc + i, rows * classes - i < VLEN ? rows * classes - i : VLEN));
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int c = 0; c < classes; c++) {
            REAL *z = Z_out + r * ldz + c;
            *z = (j0 == 0 ? b[c] : *z) + sums[r * classes + c];
        }
}

/* all m rows for a block of classes; compiled once for each number of classes, with as many rows as registers allow */
#define DEFINE_FORWARD(classes, many)                                                                                 \
    static void forward_##classes(REAL *Z_out, int64_t ldz, const REAL *const *x, const REAL *W, int64_t ldw,         \
                                  const REAL *b, int64_t j0, int64_t j1, int64_t head, int64_t m, fetch *ahead) {     \
        int64_t i = 0;                                                                                                \
        for (; i + (many) <= m; i += (many))                                                                          \
            forward_block(Z_out + i * ldz, ldz, x + i, W, ldw, b, j0, j1, head, ahead, many, classes);                \
        for (; (many) > 2 && i + 2 <= m; i += 2)                                                                      \
            forward_block(Z_out + i * ldz, ldz, x + i, W, ldw, b, j0, j1, head, ahead, 2, classes);                   \
        for (; i < m; i++) forward_block(Z_out + i * ldz, ldz, x + i, W, ldw, b, j0, j1, head, ahead, 1, classes);    \
    }
#if VBYTES == 64
#define FORWARD_BLOCKS(f) f(1, 8) f(2, 8) f(3, 6) f(4, 4) f(5, 4) f(6, 4) f(7, 3) f(8, 3) f(9, 2) f(10, 2)
#else
#define FORWARD_BLOCKS(f) f(1, 8) f(2, 6) f(3, 4) f(4, 3)
#endif
FORWARD_BLOCKS(DEFINE_FORWARD)
#define FORWARD_ENTRY(classes, many) {forward_##classes, many},
static const struct {
    void (*run)(REAL *, int64_t, const REAL *const *, const REAL *, int64_t, const REAL *, int64_t, int64_t, int64_t,
                int64_t, fetch *);
    int64_t rows;
} forward_blocks[] = {FORWARD_BLOCKS(FORWARD_ENTRY)};

/* a single row: more classes make up for it, and keep as many sums going */
enum { ROW_CLASSES = 10 };
#define DEFINE_FORWARD_ROW(classes)                                                                                   \
    static void forward_row_##classes(REAL *Z_out, const REAL *const *x, const REAL *W, int64_t ldw, const REAL *b,   \
                                      int64_t d, int64_t head, fetch *ahead) {                                        \
        forward_block(Z_out, 0, x, W, ldw, b, 0, d, head, ahead, 1, classes);                                         \
    }
DEFINE_FORWARD_ROW(1)
DEFINE_FORWARD_ROW(2)
DEFINE_FORWARD_ROW(3)
DEFINE_FORWARD_ROW(4)
DEFINE_FORWARD_ROW(5)
DEFINE_FORWARD_ROW(6)
DEFINE_FORWARD_ROW(7)
DEFINE_FORWARD_ROW(8)
DEFINE_FORWARD_ROW(9)
DEFINE_FORWARD_ROW(10)

static void forward_row(REAL *Z_out, const REAL *const *x, const REAL *W, int64_t ldw, const REAL *b, int64_t d,
                        int64_t k, int64_t head, const flr_ahead *next) {
    typedef void (*forward_fn)(REAL *, const REAL *const *, const REAL *, int64_t, const REAL *, int64_t, int64_t,
                               fetch *);
    static const forward_fn block[] = {forward_row_1, forward_row_2, forward_row_3, forward_row_4, forward_row_5,
                                       forward_row_6, forward_row_7, forward_row_8, forward_row_9, forward_row_10};
    const int64_t n_blocks = (k + ROW_CLASSES - 1) / ROW_CLASSES;
    fetch ahead = fetch_rows(next, n_blocks * (d / VLEN), FETCHES(1));
    for (int64_t q = 0; q < n_blocks; q++) {
        const int64_t c0 = q * k / n_blocks, c1 = (q + 1) * k / n_blocks;
        block[c1 - c0 - 1](Z_out + c0, x, W + c0 * ldw, ldw, b + c0, d, head, &ahead);
    }
}

static void forward(void *Z_out, const void *const *x, const void *W, int64_t ldw, const void *b, int64_t m, int64_t d,
                    int64_t k, int64_t head, const flr_ahead *next) {
    if (m == 1) {
        forward_row(Z_out, (const REAL *const *)x, W, ldw, b, d, k, head, next);
        return;
    }
    const int64_t n_blocks = (k + FWD_CLASSES - 1) / FWD_CLASSES, rows = forward_blocks[k / n_blocks - 1].rows;
    fetch ahead = fetch_rows(next, m / rows * (d / VLEN) * n_blocks, FETCHES(rows));
    const int64_t parts = d > D_BLOCK ? (d + D_BLOCK - 1) / D_BLOCK : 1, part = d / parts / VLEN * VLEN + VLEN;
    for (int64_t j0 = 0; j0 == 0 || j0 < d; j0 += part) {
        const int64_t j1 = j0 + part < d ? j0 + part : d;
        for (int64_t q = 0; q < n_blocks; q++) {
            const int64_t c0 = q * k / n_blocks, c1 = (q + 1) * k / n_blocks;
            forward_blocks[c1 - c0 - 1].run((REAL *)Z_out + c0, k, (const REAL *const *)x, (const REAL *)W + c0 * ldw,
                                            ldw, (const REAL *)b + c0, j0, j1, head, m, &ahead);
        }
    }
}

/* G (classes, panel of vectors) += R (m, classes)' x (m, panel), of the last vector its first width values */
INLINE void backward_panel(REAL *G, int64_t ldg, const REAL *R, int64_t ldr, const REAL *const *x, int64_t m, int64_t j,
                           fetch *ahead, const int classes, const int panel, const int whole, int width) {
    fetch f = *ahead;
    V acc[ACCUMULATORS];
    UNROLL for (int c = 0; c < classes; c++)
        UNROLL for (int v = 0; v < panel; v++)
            acc[c * panel + v] = whole || v < panel - 1 ? load(G + c * ldg + j + v * VLEN)
                                                        : load_part(G + c * ldg + j + v * VLEN, width);
    for (int64_t i = 0; i < m;)
        for (int64_t steps = fetch_stretch(&f, m - i); steps > 0; steps--, i++) {
            V xj[8];
            UNROLL for (int v = 0; v < panel; v++)
                xj[v] = whole || v < panel - 1 ? load(x[i] + j + v * VLEN) : load_part(x[i] + j + v * VLEN, width);
            fetch_step(&f, FETCHES(panel));
            UNROLL for (int c = 0; c < classes; c++) {
                const V r = splat(R[i * ldr + c]);
                UNROLL for (int v = 0; v < panel; v++) acc[c * panel + v] = vfma(r, xj[v], acc[c * panel + v]);
            }
        }
    *ahead = f;
    UNROLL for (int c = 0; c < classes; c++)
        UNROLL for (int v = 0; v < panel; v++) {
            REAL *g = G + c * ldg + j + v * VLEN;
            whole || v < panel - 1 ? store(g, acc[c * panel + v]) : store_part(g, acc[c * panel + v], width);
        }
}

#define PARTIAL_PANEL(classes, most, n)                                                                               \
    case n:                                                                                                           \
        if ((n) <= (most)) backward_panel(G, ldg, R, ldr, x, m, j, ahead, classes, (n) <= (most) ? (n) : 1, 0, width); \
        break;

/* partial: what is left of d, before the first line of the cache and behind the last whole panel */
#define DEFINE_BACKWARD(classes, panel)                                                                               \
    NOINLINE void partial_##classes(REAL *G, int64_t ldg, const REAL *R, int64_t ldr, const REAL *const *x, int64_t m, \
                                    int64_t j, int64_t d, fetch *ahead) {                                             \
        const int vectors = (int)((d - j + VLEN - 1) / VLEN), width = (int)(d - j) - (vectors - 1) * VLEN;            \
        switch (vectors) {                                                                                            \
            PARTIAL_PANEL(classes, panel, 1)                                                                          \
            PARTIAL_PANEL(classes, panel, 2)                                                                          \
            PARTIAL_PANEL(classes, panel, 3)                                                                          \
            PARTIAL_PANEL(classes, panel, 4)                                                                          \
            PARTIAL_PANEL(classes, panel, 5)                                                                          \
            PARTIAL_PANEL(classes, panel, 6)                                                                          \
            PARTIAL_PANEL(classes, panel, 7)                                                                          \
            PARTIAL_PANEL(classes, panel, 8)                                                                          \
        }                                                                                                             \
    }                                                                                                                 \
    static void backward_##classes(REAL *G, int64_t ldg, const REAL *R, int64_t ldr, const REAL *const *x, int64_t m, \
                                   int64_t d, int64_t head, fetch *ahead) {                                           \
        int64_t j = 0;                                                                                                \
        for (const int64_t end = head < d ? head : d; j < end; j += end - j < VLEN ? end - j : VLEN)                  \
            partial_##classes(G, ldg, R, ldr, x, m, j, end - j < VLEN ? end : j + VLEN, ahead);                       \
        for (; j + (panel) * VLEN <= d; j += (panel) * VLEN)                                                          \
            backward_panel(G, ldg, R, ldr, x, m, j, ahead, classes, panel, 1, VLEN);                                  \
        if (j < d) partial_##classes(G, ldg, R, ldr, x, m, j, d, ahead);                                              \
    }
#if VBYTES == 64
#define BACKWARD_BLOCKS(f) f(1, 8) f(2, 8) f(3, 4) f(4, 4) f(5, 4) f(6, 2) f(7, 2) f(8, 2) f(9, 2) f(10, 2)
#else
#define BACKWARD_BLOCKS(f) f(1, 8) f(2, 4) f(3, 3) f(4, 2) f(5, 2)
#endif
BACKWARD_BLOCKS(DEFINE_BACKWARD)
#define BACKWARD_ENTRY(classes, panel) {backward_##classes, panel},
static const struct {
    void (*run)(REAL *, int64_t, const REAL *, int64_t, const REAL *const *, int64_t, int64_t, int64_t, fetch *);
    int64_t panel;
} backward_blocks[] = {BACKWARD_BLOCKS(BACKWARD_ENTRY)};

static void backward(void *G, int64_t ldg, const void *R, const void *const *x, int64_t m, int64_t d, int64_t k,
                     int64_t head, const flr_ahead *next) {
    const int64_t n_blocks = (k + BWD_CLASSES - 1) / BWD_CLASSES, panel = backward_blocks[k / n_blocks - 1].panel;
    fetch ahead = fetch_rows(next, m * n_blocks * (d / (VLEN * panel) + 1), FETCHES(panel));
    for (int64_t q = 0; q < n_blocks; q++) {
        const int64_t c0 = q * k / n_blocks, c1 = (q + 1) * k / n_blocks;
        backward_blocks[c1 - c0 - 1].run((REAL *)G + c0 * ldg, ldg, (const REAL *)R + c0, k, (const REAL *const *)x, m,
                                         d, head, &ahead);
    }
}

static void flush_sums(double *G, void *G_real_, int64_t n) {
    REAL *G_real = G_real_;
    for (int64_t i = 0; i < n; i++) {
        G[i] += (double)G_real[i];
        G_real[i] = 0;
    }
}

static void column_sums(double *g, const void *R_, int64_t m, int64_t k) {
    const REAL *R = R_;
    if (k > 1) {
        for (int64_t i = 0; i < m; i++)
            for (int64_t c = 0; c < k; c++) g[c] += (double)R[i * k + c];
        return;
    }
    double sums[16] = {0}; /* one sum would be a chain of m additions */
    int64_t i = 0;
    for (; i + 16 <= m; i += 16)
        for (int l = 0; l < 16; l++) sums[l] += (double)R[i + l];
    for (; i < m; i++) sums[0] += (double)R[i];
    for (int l = 0; l < 16; l++) g[0] += sums[l];
}

static int64_t correct(const void *Z_, const int32_t *label, double threshold, int64_t m, int64_t k) {
    const REAL *Z = Z_;
    int64_t count = 0;
    for (int64_t i = 0; i < m; i++) {
        if (k == 1) {
            count += label[i] == (Z[i] > threshold || (threshold > 0 && Z[i] == threshold));
            continue;
        }
        /* none before it as large, none behind it larger; without branches, which would be mispredicted */
        const REAL *z = Z + i * k, own = z[label[i]];
        int64_t rivals = 0;
        for (int64_t c = 0; c < label[i]; c++) rivals += !(z[c] < own);
        for (int64_t c = label[i] + 1; c < k; c++) rivals += !(z[c] <= own);
        count += rivals == 0;
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
