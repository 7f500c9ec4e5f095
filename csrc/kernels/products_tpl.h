/* products_tpl.h -- forward and backward, as linear_tpl.h says, for rows of one type.
 *
 * linear_tpl.h includes this once for each type, so there is no guard.  Needs LINEAR_X_NAME, in which names end, and
 * LINEAR_X_TYPE, which it undefines, and linear_load_NAME and linear_load_lanes_NAME.
 */
/* acc (rows, classes) += x[:, j:j + width] W[:, j:j + width]' in lanes first, first + 1, ...; in all if width is VLEN */
INLINE void LINEAR_OF(forward_step)(V *acc, const LINEAR_X_TYPE *const *x, const REAL *W, int64_t ldw, int64_t j,
                                    int first, int width, const int rows, const int classes) {
    V xj[8];
    UNROLL for (int r = 0; r < rows; r++)
        xj[r] = width == VLEN ? LINEAR_OF(load)(x[r] + j) : LINEAR_OF(load_lanes)(x[r] + j, first, width);
    UNROLL for (int c = 0; c < classes; c++) {
        const V w = vin_register(width == VLEN ? vload(W + c * ldw + j)
                                               : linear_load_lanes_real(W + c * ldw + j, first, width));
        UNROLL for (int r = 0; r < rows; r++) acc[r * classes + c] = vfma(xj[r], w, acc[r * classes + c]);
    }
}

/* Z_out (rows, ldz)[:, :classes] = (first ? b : Z_out) + x[:, j0:j1] W[:, j0:j1]'.  Columns VLEN apart are added in one
 * lane, wherever the first whole vector begins; linear_lane_sums does not mind which lane that is. */
INLINE void LINEAR_OF(forward_block)(REAL *Z_out, int64_t ldz, const LINEAR_X_TYPE *const *x, const REAL *W,
                                     int64_t ldw, const REAL *b, int64_t j0, int64_t j1, int64_t head, prefetch *ahead,
                                     const int rows, const int classes) {
    V acc[LINEAR_ACCUMULATORS];
    UNROLL for (int i = 0; i < rows * classes; i++) acc[i] = (V){0};
    int64_t j = j0;
    if (head % VLEN) {
        const int width = head % VLEN < j1 - j0 ? (int)(head % VLEN) : (int)(j1 - j0);
        LINEAR_OF(forward_step)(acc, x, W, ldw, j, VLEN - (int)(head % VLEN), width, rows, classes);
        j += width;
    }
    while (j + VLEN <= j1)
        for (int64_t steps = prefetch_stretch(ahead, (j1 - j) / VLEN); steps > 0; steps--, j += VLEN) {
            LINEAR_OF(forward_step)(acc, x, W, ldw, j, 0, VLEN, rows, classes);
            prefetch_step(ahead, LINEAR_PREFETCHES(rows));
        }
    if (j < j1) LINEAR_OF(forward_step)(acc, x, W, ldw, j, 0, (int)(j1 - j), rows, classes);

    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int c = 0; c < classes; c += VLEN) {
            const int count = classes - c < VLEN ? classes - c : VLEN;
            REAL *z = Z_out + r * ldz + c;
            const V before = vload_part(j0 == 0 ? b + c : z, count);
            vstore_part(z, before + linear_lane_sums(acc + r * classes + c, count), count);
        }
}

/* one row, and all m rows for a block of classes: compiled for each number of classes, with the most rows at a time
 * that registers allow.  Tiles but the last have a multiple of each of these numbers. */
#define LINEAR_DEFINE_FORWARD_ROW(classes)                                                                             \
    NOINLINE void LINEAR_OF(forward_row_##classes)(REAL *Z_out, const LINEAR_X_TYPE *const *x, const REAL *W,          \
                                                   int64_t ldw, const REAL *b, int64_t j0, int64_t j1, int64_t head,   \
                                                   prefetch *ahead) {                                                  \
        LINEAR_OF(forward_block)(Z_out, 0, x, W, ldw, b, j0, j1, head, ahead, 1, classes);                             \
    }
LINEAR_ROW_BLOCKS(LINEAR_DEFINE_FORWARD_ROW)

#define LINEAR_DEFINE_FORWARD(classes, most)                                                                           \
    static void LINEAR_OF(forward_##classes)(REAL *Z_out, int64_t ldz, const LINEAR_X_TYPE *const *x, const REAL *W,   \
                                             int64_t ldw, const REAL *b, int64_t j0, int64_t j1, int64_t head,         \
                                             int64_t m, prefetch *ahead) {                                             \
        prefetch f = *ahead;                                                                                           \
        int64_t i = 0;                                                                                                 \
        for (; i + (most) <= m; i += (most))                                                                           \
            LINEAR_OF(forward_block)(Z_out + i * ldz, ldz, x + i, W, ldw, b, j0, j1, head, &f, most, classes);         \
        *ahead = f;                                                                                                    \
        for (; i < m; i++)                                                                                             \
            LINEAR_OF(forward_row_##classes)(Z_out + i * ldz, x + i, W, ldw, b, j0, j1, head, ahead);                  \
    }
LINEAR_FORWARD_BLOCKS(LINEAR_DEFINE_FORWARD)
#define LINEAR_FORWARD_ENTRY(classes, most) {LINEAR_OF(forward_##classes), most},
static const struct {
    void (*run)(REAL *, int64_t, const LINEAR_X_TYPE *const *, const REAL *, int64_t, const REAL *, int64_t, int64_t,
                int64_t, int64_t, prefetch *);
    int64_t rows;
} LINEAR_OF(forward_blocks)[] = {LINEAR_FORWARD_BLOCKS(LINEAR_FORWARD_ENTRY)};

#define LINEAR_FORWARD_ROW_ENTRY(classes) LINEAR_OF(forward_row_##classes),

static void LINEAR_OF(forward_row)(REAL *Z_out, const LINEAR_X_TYPE *const *x, const REAL *W, int64_t ldw,
                                   const REAL *b, int64_t d, int64_t k, int64_t head, const flr_ahead *next) {
    typedef void (*forward_fn)(REAL *, const LINEAR_X_TYPE *const *, const REAL *, int64_t, const REAL *, int64_t,
                               int64_t, int64_t, prefetch *);
    static const forward_fn block[] = {LINEAR_ROW_BLOCKS(LINEAR_FORWARD_ROW_ENTRY)};
    const int64_t n_blocks = (k + LINEAR_ROW_CLASSES - 1) / LINEAR_ROW_CLASSES;
    prefetch ahead = prefetch_begin(next, n_blocks * (d / VLEN), LINEAR_PREFETCHES(1));
    for (int64_t q = 0; q < n_blocks; q++) {
        const int64_t c0 = q * k / n_blocks, c1 = (q + 1) * k / n_blocks;
        block[c1 - c0 - 1](Z_out + c0, x, W + c0 * ldw, ldw, b + c0, 0, d, head, &ahead);
    }
}

/* Z_out (m, ldz)[:, :k] = x W' + b; a single row has a function of its own */
static void LINEAR_OF(forward_classes)(REAL *Z_out, int64_t ldz, const LINEAR_X_TYPE *const *x, const REAL *W,
                                       int64_t ldw, const REAL *b, int64_t m, int64_t d, int64_t k, int64_t head,
                                       const flr_ahead *next) {
    const int64_t most = k > LINEAR_FORWARD_CLASSES ? LINEAR_FORWARD_CLASSES_OF_MORE : LINEAR_FORWARD_CLASSES,
                  n_blocks = (k + most - 1) / most;
    const int64_t rows = LINEAR_OF(forward_blocks)[k / n_blocks - 1].rows;
    prefetch ahead = prefetch_begin(next, m / rows * (d / VLEN) * n_blocks, LINEAR_PREFETCHES(rows));
    const int64_t parts = d > LINEAR_FEATURES ? (d + LINEAR_FEATURES - 1) / LINEAR_FEATURES : 1,
                  part = d / parts / VLEN * VLEN + VLEN;
    for (int64_t j0 = 0; j0 == 0 || j0 < d; j0 += part) {
        const int64_t j1 = j0 + part < d ? j0 + part : d;
        for (int64_t q = 0; q < n_blocks; q++) {
            const int64_t c0 = q * k / n_blocks, c1 = (q + 1) * k / n_blocks;
            LINEAR_OF(forward_blocks)[c1 - c0 - 1].run(Z_out + c0, ldz, x, W + c0 * ldw, ldw, b + c0, j0, j1, head, m,
                                                       &ahead);
        }
    }
}

static void LINEAR_OF(forward)(void *Z_out, int64_t ldz, const void *const *x, const void *W, int64_t ldw,
                               const void *b, int64_t m, int64_t d, int64_t k, int64_t head, const flr_ahead *next) {
    if (m == 1)
        LINEAR_OF(forward_row)(Z_out, (const LINEAR_X_TYPE *const *)x, W, ldw, b, d, k, head, next);
    else
        LINEAR_OF(forward_classes)(Z_out, ldz, (const LINEAR_X_TYPE *const *)x, W, ldw, b, m, d, k, head, next);
    for (int64_t c = k; c < ldz; c++)
        for (int64_t i = 0; i < m; i++) ((REAL *)Z_out)[i * ldz + c] = ((const REAL *)b)[c];
}

/* G (classes, panel of vectors) = (fresh ? 0 : G) + R (m, classes)' x (m, panel), of the last vector its first width
 * values */
INLINE void LINEAR_OF(backward_panel)(REAL *G, int64_t ldg, const REAL *R, int64_t ldr, const LINEAR_X_TYPE *const *x,
                                      int64_t m, int64_t j, int fresh, prefetch *ahead, const int classes,
                                      const int panel, const int whole, int width) {
    prefetch f = *ahead;
    V acc[LINEAR_ACCUMULATORS];
    UNROLL for (int c = 0; c < classes; c++)
        UNROLL for (int v = 0; v < panel; v++)
            acc[c * panel + v] = fresh                    ? (V){0}
                                 : whole || v < panel - 1 ? vload(G + c * ldg + j + v * VLEN)
                                                          : vload_part(G + c * ldg + j + v * VLEN, width);
    for (int64_t i = 0; i < m;)
        for (int64_t steps = prefetch_stretch(&f, m - i); steps > 0; steps--, i++) {
            V xj[8];
            UNROLL for (int v = 0; v < panel; v++)
                xj[v] = whole || v < panel - 1 ? LINEAR_OF(load)(x[i] + j + v * VLEN)
                                               : LINEAR_OF(load_lanes)(x[i] + j + v * VLEN, 0, width);
            prefetch_step(&f, LINEAR_PREFETCHES(panel));
            UNROLL for (int c = 0; c < classes; c++) {
                const V r = vsplat(R[i * ldr + c]);
                UNROLL for (int v = 0; v < panel; v++) acc[c * panel + v] = vfma(r, xj[v], acc[c * panel + v]);
            }
        }
    *ahead = f;
    UNROLL for (int c = 0; c < classes; c++)
        UNROLL for (int v = 0; v < panel; v++) {
            REAL *g = G + c * ldg + j + v * VLEN;
            whole || v < panel - 1 ? vstore(g, acc[c * panel + v]) : vstore_part(g, acc[c * panel + v], width);
        }
}

#define LINEAR_PARTIAL_PANEL(classes, most, n)                                                                         \
    case n:                                                                                                            \
        if ((n) <= (most))                                                                                             \
            LINEAR_OF(backward_panel)(G, ldg, R, ldr, x, m, j, fresh, ahead, classes, (n) <= (most) ? (n) : 1, 0,      \
                                      width);                                                                          \
        break;

/* partial: what is left of d, before the first line of the cache and behind the last whole panel */
#define LINEAR_DEFINE_BACKWARD(classes, panel)                                                                         \
    NOINLINE void LINEAR_OF(partial_##classes)(REAL *G, int64_t ldg, const REAL *R, int64_t ldr,                      \
                                               const LINEAR_X_TYPE *const *x, int64_t m, int64_t j, int64_t d,         \
                                               int fresh, prefetch *ahead) {                                           \
        const int vectors = (int)((d - j + VLEN - 1) / VLEN), width = (int)(d - j) - (vectors - 1) * VLEN;             \
        switch (vectors) {                                                                                             \
            LINEAR_PARTIAL_PANEL(classes, panel, 1)                                                                    \
            LINEAR_PARTIAL_PANEL(classes, panel, 2)                                                                    \
            LINEAR_PARTIAL_PANEL(classes, panel, 3)                                                                    \
            LINEAR_PARTIAL_PANEL(classes, panel, 4)                                                                    \
            LINEAR_PARTIAL_PANEL(classes, panel, 5)                                                                    \
            LINEAR_PARTIAL_PANEL(classes, panel, 6)                                                                    \
            LINEAR_PARTIAL_PANEL(classes, panel, 7)                                                                    \
            LINEAR_PARTIAL_PANEL(classes, panel, 8)                                                                    \
        }                                                                                                              \
    }                                                                                                                  \
    static void LINEAR_OF(backward_##classes)(REAL *G, int64_t ldg, const REAL *R, int64_t ldr,                       \
                                              const LINEAR_X_TYPE *const *x, int64_t m, int64_t d, int64_t head,       \
                                              int fresh, prefetch *ahead) {                                            \
        int64_t j = 0;                                                                                                 \
        for (const int64_t end = head < d ? head : d; j < end; j += end - j < VLEN ? end - j : VLEN)                   \
            LINEAR_OF(partial_##classes)(G, ldg, R, ldr, x, m, j, end - j < VLEN ? end : j + VLEN, fresh, ahead);      \
        for (; j + (panel) * VLEN <= d; j += (panel) * VLEN)                                                           \
            LINEAR_OF(backward_panel)(G, ldg, R, ldr, x, m, j, fresh, ahead, classes, panel, 1, VLEN);                 \
        if (j < d) LINEAR_OF(partial_##classes)(G, ldg, R, ldr, x, m, j, d, fresh, ahead);                             \
    }
LINEAR_BACKWARD_BLOCKS(LINEAR_DEFINE_BACKWARD)
#define LINEAR_BACKWARD_ENTRY(classes, panel) {LINEAR_OF(backward_##classes), panel},
static const struct {
    void (*run)(REAL *, int64_t, const REAL *, int64_t, const LINEAR_X_TYPE *const *, int64_t, int64_t, int64_t, int,
                prefetch *);
    int64_t panel;
} LINEAR_OF(backward_blocks)[] = {LINEAR_BACKWARD_BLOCKS(LINEAR_BACKWARD_ENTRY)};

static void LINEAR_OF(backward)(void *G, int64_t ldg, const void *R, int64_t ldr, const void *const *x, int64_t m,
                                int64_t d, int64_t k, int64_t head, int fresh, const flr_ahead *next) {
    const int64_t n_blocks = (k + LINEAR_BACKWARD_CLASSES - 1) / LINEAR_BACKWARD_CLASSES,
                  panel = LINEAR_OF(backward_blocks)[k / n_blocks - 1].panel;
    prefetch ahead = prefetch_begin(next, m * n_blocks * (d / (VLEN * panel) + 1), LINEAR_PREFETCHES(panel));
    for (int64_t q = 0; q < n_blocks; q++) {
        const int64_t c0 = q * k / n_blocks, c1 = (q + 1) * k / n_blocks;
        LINEAR_OF(backward_blocks)[c1 - c0 - 1].run((REAL *)G + c0 * ldg, ldg, (const REAL *)R + c0, ldr,
                                             (const LINEAR_X_TYPE *const *)x, m, d, head, fresh, &ahead);
    }
}

#undef LINEAR_X_NAME
#undef LINEAR_X_TYPE
