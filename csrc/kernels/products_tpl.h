/* products_tpl.h -- forward and backward, as linear_tpl.h says, for rows of X_TYPE; the names end in X_NAME. */

/* acc (rows, classes) += x[:, j:j + width] W[:, j:j + width]' in lanes first, first + 1, ...; all where width is VLEN */
INLINE void OF(forward_step)(V *acc, const X_TYPE *const *x, const REAL *W, int64_t ldw, int64_t j, int first, int width,
                             const int rows, const int classes) {
    V xj[8];
    UNROLL for (int r = 0; r < rows; r++)
        xj[r] = width == VLEN ? OF(load)(x[r] + j) : OF(load_lanes)(x[r] + j, first, width);
    UNROLL for (int c = 0; c < classes; c++) {
        const V w = in_register(width == VLEN ? load(W + c * ldw + j) : load_lanes_real(W + c * ldw + j, first, width));
        UNROLL for (int r = 0; r < rows; r++) acc[r * classes + c] = vfma(xj[r], w, acc[r * classes + c]);
    }
}

/* Z_out (rows, ldz)[:, :classes] = (first ? b : Z_out) + x[:, j0:j1] W[:, j0:j1]'.  Columns VLEN apart are added in one
 * lane, wherever the first whole vector begins; lane_sums does not mind which lane that is. */
INLINE void OF(forward_block)(REAL *Z_out, int64_t ldz, const X_TYPE *const *x, const REAL *W, int64_t ldw,
                              const REAL *b, int64_t j0, int64_t j1, int64_t head, fetch *ahead, const int rows,
                              const int classes) {
    V acc[ACCUMULATORS];
    UNROLL for (int i = 0; i < rows * classes; i++) acc[i] = (V){0};
    int64_t j = j0;
    if (head % VLEN) {
        const int width = head % VLEN < j1 - j0 ? (int)(head % VLEN) : (int)(j1 - j0);
        OF(forward_step)(acc, x, W, ldw, j, VLEN - (int)(head % VLEN), width, rows, classes);
        j += width;
    }
    while (j + VLEN <= j1)
        for (int64_t steps = fetch_stretch(ahead, (j1 - j) / VLEN); steps > 0; steps--, j += VLEN) {
            OF(forward_step)(acc, x, W, ldw, j, 0, VLEN, rows, classes);
            fetch_step(ahead, FETCHES(rows));
        }
    if (j < j1) OF(forward_step)(acc, x, W, ldw, j, 0, (int)(j1 - j), rows, classes);

    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int c = 0; c < classes; c += VLEN) {
            const int count = classes - c < VLEN ? classes - c : VLEN;
            REAL *z = Z_out + r * ldz + c;
            const V before = load_part(j0 == 0 ? b + c : z, count);
            store_part(z, before + lane_sums(acc + r * classes + c, count), count);
        }
}

/* all m rows for a block of classes; compiled once for each number of classes, with as many rows as registers allow */
#define DEFINE_FORWARD(classes, many)                                                                                 \
    static void OF(forward_##classes)(REAL *Z_out, int64_t ldz, const X_TYPE *const *x, const REAL *W, int64_t ldw,   \
                                      const REAL *b, int64_t j0, int64_t j1, int64_t head, int64_t m, fetch *ahead) { \
        fetch f = *ahead;                                                                                             \
        int64_t i = 0;                                                                                                \
        for (; i + (many) <= m; i += (many))                                                                          \
            OF(forward_block)(Z_out + i * ldz, ldz, x + i, W, ldw, b, j0, j1, head, &f, many, classes);               \
        for (; (many) > 2 && i + 2 <= m; i += 2)                                                                      \
            OF(forward_block)(Z_out + i * ldz, ldz, x + i, W, ldw, b, j0, j1, head, &f, 2, classes);                  \
        for (; i < m; i++) OF(forward_block)(Z_out + i * ldz, ldz, x + i, W, ldw, b, j0, j1, head, &f, 1, classes);   \
        *ahead = f;                                                                                                   \
    }
FORWARD_BLOCKS(DEFINE_FORWARD)
#define FORWARD_ENTRY(classes, many) {OF(forward_##classes), many},
static const struct {
    void (*run)(REAL *, int64_t, const X_TYPE *const *, const REAL *, int64_t, const REAL *, int64_t, int64_t, int64_t,
                int64_t, fetch *);
    int64_t rows;
} OF(forward_blocks)[] = {FORWARD_BLOCKS(FORWARD_ENTRY)};

#define DEFINE_FORWARD_ROW(classes)                                                                                   \
    static void OF(forward_row_##classes)(REAL *Z_out, const X_TYPE *const *x, const REAL *W, int64_t ldw,            \
                                          const REAL *b, int64_t d, int64_t head, fetch *ahead) {                     \
        OF(forward_block)(Z_out, 0, x, W, ldw, b, 0, d, head, ahead, 1, classes);                                     \
    }
ROW_BLOCKS(DEFINE_FORWARD_ROW)
#define FORWARD_ROW_ENTRY(classes) OF(forward_row_##classes),

static void OF(forward_row)(REAL *Z_out, const X_TYPE *const *x, const REAL *W, int64_t ldw, const REAL *b, int64_t d,
                            int64_t k, int64_t head, const flr_ahead *next) {
    typedef void (*forward_fn)(REAL *, const X_TYPE *const *, const REAL *, int64_t, const REAL *, int64_t, int64_t,
                               fetch *);
    static const forward_fn block[] = {ROW_BLOCKS(FORWARD_ROW_ENTRY)};
    const int64_t n_blocks = (k + ROW_CLASSES - 1) / ROW_CLASSES;
    fetch ahead = fetch_rows(next, n_blocks * (d / VLEN), FETCHES(1));
    for (int64_t q = 0; q < n_blocks; q++) {
        const int64_t c0 = q * k / n_blocks, c1 = (q + 1) * k / n_blocks;
        block[c1 - c0 - 1](Z_out + c0, x, W + c0 * ldw, ldw, b + c0, d, head, &ahead);
    }
}

/* Z_out (m, ldz)[:, :k] = x W' + b; a single row has a function of its own */
static void OF(forward_classes)(REAL *Z_out, int64_t ldz, const X_TYPE *const *x, const REAL *W, int64_t ldw,
                                const REAL *b, int64_t m, int64_t d, int64_t k, int64_t head, const flr_ahead *next) {
    const int64_t most = k > FWD_CLASSES ? FWD_OF_MANY : FWD_CLASSES, n_blocks = (k + most - 1) / most;
    const int64_t rows = OF(forward_blocks)[k / n_blocks - 1].rows;
    fetch ahead = fetch_rows(next, m / rows * (d / VLEN) * n_blocks, FETCHES(rows));
    const int64_t parts = d > D_BLOCK ? (d + D_BLOCK - 1) / D_BLOCK : 1, part = d / parts / VLEN * VLEN + VLEN;
    for (int64_t j0 = 0; j0 == 0 || j0 < d; j0 += part) {
        const int64_t j1 = j0 + part < d ? j0 + part : d;
        for (int64_t q = 0; q < n_blocks; q++) {
            const int64_t c0 = q * k / n_blocks, c1 = (q + 1) * k / n_blocks;
            OF(forward_blocks)[c1 - c0 - 1].run(Z_out + c0, ldz, x, W + c0 * ldw, ldw, b + c0, j0, j1, head, m, &ahead);
        }
    }
}

static void OF(forward)(void *Z_out, int64_t ldz, const void *const *x, const void *W, int64_t ldw, const void *b,
                        int64_t m, int64_t d, int64_t k, int64_t head, const flr_ahead *next) {
    if (m == 1)
        OF(forward_row)(Z_out, (const X_TYPE *const *)x, W, ldw, b, d, k, head, next);
    else
        OF(forward_classes)(Z_out, ldz, (const X_TYPE *const *)x, W, ldw, b, m, d, k, head, next);
    for (int64_t c = k; c < ldz; c++)
        for (int64_t i = 0; i < m; i++) ((REAL *)Z_out)[i * ldz + c] = ((const REAL *)b)[c];
}

/* G (classes, panel of vectors) = (fresh ? 0 : G) + R (m, classes)' x (m, panel), of the last vector its first width
 * values */
INLINE void OF(backward_panel)(REAL *G, int64_t ldg, const REAL *R, int64_t ldr, const X_TYPE *const *x, int64_t m,
                               int64_t j, int fresh, fetch *ahead, const int classes, const int panel,
                               const int whole, int width) {
    fetch f = *ahead;
    V acc[ACCUMULATORS];
    UNROLL for (int c = 0; c < classes; c++)
        UNROLL for (int v = 0; v < panel; v++)
            acc[c * panel + v] = fresh                    ? (V){0}
                                 : whole || v < panel - 1 ? load(G + c * ldg + j + v * VLEN)
                                                          : load_part(G + c * ldg + j + v * VLEN, width);
    for (int64_t i = 0; i < m;)
        for (int64_t steps = fetch_stretch(&f, m - i); steps > 0; steps--, i++) {
            V xj[8];
            UNROLL for (int v = 0; v < panel; v++)
                xj[v] = whole || v < panel - 1 ? OF(load)(x[i] + j + v * VLEN)
                                               : OF(load_lanes)(x[i] + j + v * VLEN, 0, width);
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
        if ((n) <= (most))                                                                                            \
            OF(backward_panel)(G, ldg, R, ldr, x, m, j, fresh, ahead, classes, (n) <= (most) ? (n) : 1, 0, width);    \
        break;

/* partial: what is left of d, before the first line of the cache and behind the last whole panel */
#define DEFINE_BACKWARD(classes, panel)                                                                               \
    NOINLINE void OF(partial_##classes)(REAL *G, int64_t ldg, const REAL *R, int64_t ldr, const X_TYPE *const *x,     \
                                        int64_t m, int64_t j, int64_t d, int fresh, fetch *ahead) {                   \
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
    static void OF(backward_##classes)(REAL *G, int64_t ldg, const REAL *R, int64_t ldr, const X_TYPE *const *x,      \
                                       int64_t m, int64_t d, int64_t head, int fresh, fetch *ahead) {                 \
        int64_t j = 0;                                                                                                \
        for (const int64_t end = head < d ? head : d; j < end; j += end - j < VLEN ? end - j : VLEN)                  \
            OF(partial_##classes)(G, ldg, R, ldr, x, m, j, end - j < VLEN ? end : j + VLEN, fresh, ahead);            \
        for (; j + (panel) * VLEN <= d; j += (panel) * VLEN)                                                          \
            OF(backward_panel)(G, ldg, R, ldr, x, m, j, fresh, ahead, classes, panel, 1, VLEN);                       \
        if (j < d) OF(partial_##classes)(G, ldg, R, ldr, x, m, j, d, fresh, ahead);                                   \
    }
BACKWARD_BLOCKS(DEFINE_BACKWARD)
#define BACKWARD_ENTRY(classes, panel) {OF(backward_##classes), panel},
static const struct {
    void (*run)(REAL *, int64_t, const REAL *, int64_t, const X_TYPE *const *, int64_t, int64_t, int64_t, int, fetch *);
    int64_t panel;
} OF(backward_blocks)[] = {BACKWARD_BLOCKS(BACKWARD_ENTRY)};

static void OF(backward)(void *G, int64_t ldg, const void *R, int64_t ldr, const void *const *x, int64_t m, int64_t d,
                         int64_t k, int64_t head, int fresh, const flr_ahead *next) {
    const int64_t n_blocks = (k + BWD_CLASSES - 1) / BWD_CLASSES, panel = OF(backward_blocks)[k / n_blocks - 1].panel;
    fetch ahead = fetch_rows(next, m * n_blocks * (d / (VLEN * panel) + 1), FETCHES(panel));
    for (int64_t q = 0; q < n_blocks; q++) {
        const int64_t c0 = q * k / n_blocks, c1 = (q + 1) * k / n_blocks;
        OF(backward_blocks)[c1 - c0 - 1].run((REAL *)G + c0 * ldg, ldg, (const REAL *)R + c0, ldr,
                                             (const X_TYPE *const *)x, m, d, head, fresh, &ahead);
    }
}

#undef X_NAME
#undef X_TYPE
