/* products_packed_tpl.h -- the two products of a tile for many classes.
 *
 * Logits: a lane is a class, and a value of x is broadcast to all of them, so that there are no sums over lanes, and a
 * load of W serves ROWS rows.  Gradient: a lane is a column, and a value of R is broadcast.  Both read what is packed in
 * the order of their reading, so that neither sets of the cache nor pages run short, whatever d and k are:
 *
 *     W        once a pass: panels of PANEL vectors of classes, (d, PANEL VLEN) each, zeros behind the last class
 *     x, R     in a tile: panels of PANEL vectors of columns, (m, PANEL VLEN); blocks of ROWS classes, (m, ROWS)
 *     G        for each panel of columns and block of classes (ROWS, PANEL VLEN)
 *
 * The last panel has fewer vectors.  Few classes are left to the dot products of linear_tpl.h: a vector of which they fill
 * less than half would cost more.
 */
#if VBYTES == 64
enum { PANEL = 3, ROWS = 8 };
#define PANELS(f) f(1) f(2) f(3)
#elif VBYTES == 32
enum { PANEL = 2, ROWS = 6 };
#define PANELS(f) f(1) f(2)
#else
enum { PANEL = 2, ROWS = 4 };
#define PANELS(f) f(1) f(2)
#endif
/* Features of a block: its part of a panel stays in L1 or near it, and sums in real stay short. */
enum { PANEL_FEATURES = 256 };

INLINE int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }
/* values of panel c / (PANEL VLEN) that there are behind c, as whole vectors */
INLINE int64_t panel_width(int64_t c, int64_t n) { return n - c < PANEL * VLEN ? round_up(n - c, VLEN) : PANEL * VLEN; }

/* ---- logits --------------------------------------------------------------------------------------------------------- */
/* how many of the k classes are in panels */
INLINE int64_t packed_classes(int64_t k) { return k % VLEN > VLEN / 2 ? k : k / VLEN * VLEN; }

static int64_t packed_size(int64_t k, int64_t d) { return round_up(packed_classes(k), VLEN) * d; }

static void pack(void *packed_, const void *W_, int64_t ldw, int64_t k, int64_t d, int64_t panel) {
    const int64_t c0 = panel * PANEL * VLEN, classes = packed_classes(k) - c0;
    if (classes <= 0) return;
    const int64_t width = panel_width(0, classes);
    const REAL *W = (const REAL *)W_ + c0 * ldw;
    REAL *packed = (REAL *)packed_ + c0 * d;
    for (int64_t j = 0; j < d; j++)
        for (int64_t c = 0; c < width; c++) packed[j * width + c] = c < classes ? W[c * ldw + j] : 0;
}

/* acc (rows, vectors) += x[:, j] W[:, j]' */
INLINE void logits_step(V *acc, const REAL *const *row, int64_t j, const REAL *W, const int rows, const int vectors) {
    V w[PANEL];
    UNROLL for (int v = 0; v < vectors; v++) w[v] = load(W + v * VLEN);
    UNROLL for (int r = 0; r < rows; r++) {
        const V value = splat(row[r][j]);
        UNROLL for (int v = 0; v < vectors; v++) acc[r * vectors + v] = vfma(value, w[v], acc[r * vectors + v]);
    }
}

/* Z_out (rows, ldz)[:, :classes] = (j0 == 0 ? b : Z_out) + x[:, j0:j1] W[:, j0:j1]', W packed from feature j0 on;
 * classes: more than vectors - 1 vectors of them, vectors at most */
INLINE void logits_block(REAL *Z_out, int64_t ldz, const REAL *const *x, const REAL *W, const REAL *b, int64_t j0,
                         int64_t j1, int64_t classes, fetch *ahead, const int rows, const int vectors) {
    const REAL *row[ROWS];
    UNROLL for (int r = 0; r < rows; r++) row[r] = x[r];
    fetch f = *ahead;
    V acc[ROWS * PANEL];
    UNROLL for (int i = 0; i < rows * vectors; i++) acc[i] = (V){0};
    int64_t j = j0;
    while (j + 2 <= j1)
        for (int64_t steps = fetch_stretch(&f, (j1 - j) / 2); steps > 0; steps--, j += 2, W += 2 * vectors * VLEN) {
            logits_step(acc, row, j, W, rows, vectors);
            logits_step(acc, row, j + 1, W + vectors * VLEN, rows, vectors);
            fetch_step(&f, 1);
        }
    if (j < j1) logits_step(acc, row, j, W, rows, vectors);
    *ahead = f;
    const int last = (int)classes - (vectors - 1) * VLEN;
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < vectors; v++) {
            REAL *z = Z_out + r * ldz + v * VLEN;
            const REAL *before = j0 == 0 ? b + v * VLEN : z;
            if (v < vectors - 1)
                store(z, load(before) + acc[r * vectors + v]);
            else
                store_part(z, load_part(before, last) + acc[r * vectors + v], last);
        }
}

#define DEFINE_LOGITS(vectors)                                                                                        \
    static void logits_##vectors(REAL *Z_out, int64_t ldz, const REAL *const *x, const REAL *W, const REAL *b,        \
                                 int64_t j0, int64_t j1, int64_t classes, int64_t m, fetch *ahead) {                  \
        int64_t i = 0;                                                                                                \
        for (; i + ROWS <= m; i += ROWS)                                                                              \
            logits_block(Z_out + i * ldz, ldz, x + i, W, b, j0, j1, classes, ahead, ROWS, vectors);                   \
        for (; i + 2 <= m; i += 2)                                                                                    \
            logits_block(Z_out + i * ldz, ldz, x + i, W, b, j0, j1, classes, ahead, 2, vectors);                      \
        for (; i < m; i++) logits_block(Z_out + i * ldz, ldz, x + i, W, b, j0, j1, classes, ahead, 1, vectors);       \
    }
PANELS(DEFINE_LOGITS)
#define LOGITS_ENTRY(vectors) logits_##vectors,

static void forward_many(void *Z_out, const void *const *x_, const void *packed, const void *W, int64_t ldw,
                         const void *b_, int64_t m, int64_t d, int64_t k, int64_t head, const flr_ahead *next) {
    typedef void (*logits_fn)(REAL *, int64_t, const REAL *const *, const REAL *, const REAL *, int64_t, int64_t,
                              int64_t, int64_t, fetch *);
    static const logits_fn logits[] = {PANELS(LOGITS_ENTRY)};
    const REAL *const *x = (const REAL *const *)x_, *b = b_;
    REAL *Z = Z_out;
    const int64_t many = packed_classes(k), n_panels = round_up(many, PANEL * VLEN) / (PANEL * VLEN);
    fetch ahead = fetch_rows(next, (m / ROWS + 1) * n_panels * d / 2, 1);
    const int64_t parts = (d + PANEL_FEATURES - 1) / PANEL_FEATURES, part = parts ? (d + parts - 1) / parts : 1;
    for (int64_t j0 = 0; j0 == 0 || j0 < d; j0 += part)
        for (int64_t c = 0; c < many; c += PANEL * VLEN) {
            const int64_t width = panel_width(c, many), classes = many - c < width ? many - c : width;
            logits[width / VLEN - 1](Z + c, k, x, (const REAL *)packed + c * d + j0 * width, b + c, j0,
                                     j0 + part < d ? j0 + part : d, classes, m, &ahead);
        }
    if (many < k)
        forward_classes_real(Z + many, k, x, (const REAL *)W + many * ldw, ldw, b + many, m, d, k - many, head, NULL);
}

/* ---- gradient ------------------------------------------------------------------------------------------------------- */
static int64_t sums_size(int64_t k, int64_t d) { return round_up(k, ROWS) * round_up(d, VLEN); }

/* of backward_many's scratch */
static int64_t backward_size(int64_t m, int64_t k) { return m * (round_up(k, ROWS) + PANEL * VLEN); }

/* acc (ROWS, vectors) += r (ROWS,) x (vectors VLEN,) */
INLINE void gradient_step(V *acc, const REAL *r, const REAL *x, const int vectors) {
    V xj[PANEL];
    UNROLL for (int v = 0; v < vectors; v++) xj[v] = load(x + v * VLEN);
    UNROLL for (int c = 0; c < ROWS; c++) {
        const V rc = splat(r[c]);
        UNROLL for (int v = 0; v < vectors; v++) acc[c * vectors + v] = vfma(rc, xj[v], acc[c * vectors + v]);
    }
}

/* G (ROWS, vectors VLEN) += R (m, ldr)[:, :ROWS]' x (m, ldx)[:, :vectors VLEN], summed from 0: two short sums err less
 * than a long one */
INLINE void gradient_block(REAL *G, const REAL *R, const int64_t ldr, const REAL *x, const int64_t ldx, int64_t m,
                           fetch *ahead, const int vectors) {
    fetch f = *ahead;
    V acc[ROWS * PANEL];
    UNROLL for (int i = 0; i < ROWS * vectors; i++) acc[i] = (V){0};
    int64_t i = 0;
    while (i + 2 <= m)
        for (int64_t steps = fetch_stretch(&f, (m - i) / 2); steps > 0; steps--, i += 2, R += 2 * ldr) {
            gradient_step(acc, R, x + i * ldx, vectors);
            gradient_step(acc, R + ldr, x + (i + 1) * ldx, vectors);
            fetch_step(&f, 1);
        }
    if (i < m) gradient_step(acc, R, x + i * ldx, vectors);
    *ahead = f;
    UNROLL for (int i = 0; i < ROWS * vectors; i++) store(G + i * VLEN, load(G + i * VLEN) + acc[i]);
}

/* gradient: n_blocks of packed R, one behind another; square: columns of both products lie in the same rows */
#define DEFINE_GRADIENT(vectors)                                                                                      \
    static void gradient_##vectors(REAL *G, const REAL *R, const REAL *x, int64_t m, int64_t n_blocks,                \
                                   fetch *ahead) {                                                                    \
        for (int64_t q = 0; q < n_blocks; q++, G += ROWS * (vectors) * VLEN, R += m * ROWS)                           \
            gradient_block(G, R, ROWS, x, (vectors) * VLEN, m, ahead, vectors);                                       \
    }                                                                                                                 \
    static void square_##vectors(REAL *G, const REAL *x, int64_t ldx, int64_t m, int64_t n_blocks) {                  \
        fetch nothing = fetch_rows(NULL, 0, 1);                                                                       \
        for (int64_t q = 0; q < n_blocks; q++, G += ROWS * (vectors) * VLEN)                                          \
            gradient_block(G, x + q * ROWS, ldx, x, ldx, m, &nothing, vectors);                                       \
    }
PANELS(DEFINE_GRADIENT)
#define GRADIENT_ENTRY(vectors) gradient_##vectors,
#define SQUARE_ENTRY(vectors) square_##vectors,
typedef void (*gradient_fn)(REAL *, const REAL *, const REAL *, int64_t, int64_t, fetch *);
static const gradient_fn gradient[] = {PANELS(GRADIENT_ENTRY)};

static void backward_many(void *sums, const void *R_, const void *const *x_, void *scratch, int64_t m, int64_t d,
                          int64_t k, const flr_ahead *next) {
    const REAL *const *x = (const REAL *const *)x_, *R = R_;
    const int64_t n_blocks = round_up(k, ROWS) / ROWS;
    REAL *blocks = scratch, *panel = blocks + n_blocks * m * ROWS;
    for (int64_t i = 0; i < m; i++) {
        int64_t q = 0;
        for (; (q + 1) * ROWS <= k; q++)
            memcpy(blocks + (q * m + i) * ROWS, R + i * k + q * ROWS, ROWS * sizeof(REAL));
        for (int64_t c = q * ROWS; c < n_blocks * ROWS; c++)
            blocks[(q * m + i) * ROWS + c % ROWS] = c < k ? R[i * k + c] : 0;
    }
    fetch ahead = fetch_rows(next, m / 2 * n_blocks * round_up(d, PANEL * VLEN) / (PANEL * VLEN), 1);
    for (int64_t j = 0; j < d; j += PANEL * VLEN) {
        const int64_t width = panel_width(j, d);
        for (int64_t i = 0; i < m; i++)
            for (int64_t l = 0; l < width; l += VLEN)
                store(panel + i * width + l,
                      d - j - l < VLEN ? load_part(x[i] + j + l, (int)(d - j - l)) : load(x[i] + j + l));
        gradient[width / VLEN - 1]((REAL *)sums + j * n_blocks * ROWS, blocks, panel, m, n_blocks, &ahead);
    }
}

/* ---- Gram matrix ---------------------------------------------------------------------------------------------------- */
/* G = X' X is symmetric: of the panel of columns [j, j + width), the rows that are not all below the diagonal */
INLINE int64_t upper_rows(int64_t j, int64_t width, int64_t d) { return j + width < d ? j + width : d; }

static void gram(void *sums_, const void *X_, int64_t ldx, void *scratch, int64_t m, int64_t d) {
    typedef void (*square_fn)(REAL *, const REAL *, int64_t, int64_t, int64_t);
    static const square_fn square[] = {PANELS(SQUARE_ENTRY)};
    const int64_t n_blocks = round_up(d, ROWS) / ROWS;
    const REAL *X = X_;
    REAL *sums = sums_, *blocks = scratch, *panel = blocks + n_blocks * m * ROWS;
    if (d <= PANEL * VLEN) {
        if (d > 0) square[panel_width(0, d) / VLEN - 1](sums, X, ldx, m, n_blocks);
        return;
    }
    for (int64_t i = 0; i < m; i++)
        for (int64_t q = 0; q < n_blocks; q++)
            memcpy(blocks + (q * m + i) * ROWS, X + i * ldx + q * ROWS, ROWS * sizeof(REAL));
    fetch nothing = fetch_rows(NULL, 0, 1);
    for (int64_t j = 0; j < d; j += PANEL * VLEN) {
        const int64_t width = panel_width(j, d), rows = upper_rows(j, width, d);
        for (int64_t i = 0; i < m; i++)
            for (int64_t l = 0; l < width; l += VLEN) store(panel + i * width + l, load(X + i * ldx + j + l));
        gradient[width / VLEN - 1](sums + j * n_blocks * ROWS, blocks, panel, m, round_up(rows, ROWS) / ROWS, &nothing);
    }
}

INLINE void flush_panels(double *G, REAL *sums, int64_t k, int64_t d, int symmetric) {
    for (int64_t j = 0; j < d; j += PANEL * VLEN) {
        const int64_t width = panel_width(j, d);
        REAL *panel = sums + j * round_up(k, ROWS);
        for (int64_t c = 0; c < (symmetric ? upper_rows(j, width, k) : k); c++)
            flush_sums(G + c * d + j, panel + c * width, d - j < width ? d - j : width);
    }
}

static void flush_many(double *G, void *sums, int64_t k, int64_t d) { flush_panels(G, sums, k, d, 0); }

static void flush_gram(double *G, void *sums, int64_t d) { flush_panels(G, sums, d, d, 1); }
