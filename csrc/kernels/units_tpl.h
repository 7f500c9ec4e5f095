/* units_tpl.h -- what row kernels compute together: one row of many classes, or VLEN rows of few "across".
 *
 * Across (k <= SMALL_K): VLEN rows are transposed, so that vector j is column j and a lane is a row; else the vectors are
 * those of one row, and its lanes are summed or compared at the end.  Either is a unit.  Several units go through each
 * step in turn, so that the long chain from sum to quotient or logarithm of one overlaps with the next.
 * Results are staged in scratch and flushed to their destination in long runs, past the caches if asked.
 *
 * What is written beyond a result: into the stage go whole vectors, VLEN rows of a small k though fewer are left, or up to
 * VLEN - 1 values behind the last row; room() is told of them.  Outputs get their own values and nothing else.
 */
enum { SMALL_K = 64, MAX_UNITS = 16 };

/* units that go through each step together; their values fit the columns, or the stage */
INLINE int64_t units_together(int64_t k) {
    const int64_t fit = k > SMALL_K ? FLR_STAGE / k : SMALL_K / k;
    return fit < 1 ? 1 : fit < MAX_UNITS ? fit : MAX_UNITS;
}

/* ---- the parts of a vector at the end of a row --------------------------------------------------------------------- */
/* vector at p, filled up behind left values */
INLINE V take(const REAL *p, int64_t left, REAL fill) {
    if (left >= VLEN) return load(p);
    return vselect(iota() < (INT)left, load_part(p, (int)left), splat(fill));
}

/* the left first values of v, or all: what lies behind them in out is another row */
INLINE void put(REAL *p, V v, int64_t left) { left >= VLEN ? store(p, v) : store_part(p, v, (int)left); }

/* ---- transposition ------------------------------------------------------------------------------------------------ */
#define SWAP_LOW(l, h) ((l) & (h) ? VLEN + (l) - (h) : (l))
#define SWAP_HIGH(l, h) ((l) & (h) ? VLEN + (l) : (l) + (h))
#define SWAP_STAGE(a, h, count)                                                                                       \
    for (int i = 0; i < (count); i++)                                                                                 \
        if (!(i & (h))) {                                                                                             \
            const V low = SHUFFLE(a[i], a[i + (h)], SWAP_LOW, h);                                                     \
            a[i + (h)] = SHUFFLE(a[i], a[i + (h)], SWAP_HIGH, h);                                                     \
            a[i] = low;                                                                                               \
        }
#define ZIP_LOW(l, h) ((l) / 2 + (l) % 2 * VLEN)
#define ZIP_HIGH(l, h) (VLEN / 2 + ZIP_LOW(l, h))
/* blocks of h lanes of a and b in turn, from the lower or upper halves of their GROUPs of 16 bytes: one instruction */
#define GROUP (16 / (int)sizeof(REAL))
#define TURN_LOW(l, h) ((l) / GROUP * GROUP + (l) % GROUP / (h) / 2 * (h) + (l) % (h) + (l) / (h) % 2 * VLEN)
#define TURN_HIGH(l, h) (GROUP / 2 + TURN_LOW(l, h))

/* a, VLEN vectors: off-diagonal blocks of h lanes change places, h = VLEN / 4 and its halves; of count vectors only */
INLINE void transpose_blocks(V *a, const int count) {
    (void)a, (void)count;
#if VLEN >= 16
    SWAP_STAGE(a, 4, count)
#endif
#if VBYTES == 64 && REAL_BITS == 64
    SWAP_STAGE(a, 2, count)
#endif
#if VBYTES == 16 && REAL_BITS == 32
    SWAP_STAGE(a, 1, count)
#elif VBYTES > 16
    for (int i = 0; i < count; i += GROUP) { /* within groups */
        V t[GROUP];
        for (int j = 0; j < GROUP; j += 2) {
            t[j] = SHUFFLE(a[i + j], a[i + j + 1], TURN_LOW, 1);
            t[j + 1] = SHUFFLE(a[i + j], a[i + j + 1], TURN_HIGH, 1);
        }
        for (int j = 0; j < GROUP; j++) a[i + j] = t[j];
#if REAL_BITS == 32
        for (int j = 0; j < 2; j++) {
            a[i + 2 * j] = SHUFFLE(t[j], t[j + 2], TURN_LOW, 2);
            a[i + 2 * j + 1] = SHUFFLE(t[j], t[j + 2], TURN_HIGH, 2);
        }
#endif
    }
#endif
}

INLINE void transpose(V *a) {
    SWAP_STAGE(a, VLEN / 2, VLEN)
    transpose_blocks(a, VLEN);
}

/* Blocks of VLEN columns, or of half as many: the last one ends with the last column and may take some twice. */
INLINE int64_t block_width(int64_t c, int64_t k) { return k - c > VLEN / 2 && k >= VLEN ? VLEN : VLEN / 2; }

INLINE void block_to_columns(REAL *columns, const REAL *rows, int64_t k, const int width) {
    V a[VLEN];
    for (int i = 0; i < VLEN / 2; i++) {
        const REAL *low = rows + i * k, *high = rows + (i + VLEN / 2) * k;
        a[i] = load_halves(low, high);
        if (width == VLEN) a[i + VLEN / 2] = load_halves(low + VLEN / 2, high + VLEN / 2);
    }
    transpose_blocks(a, width);
    for (int i = 0; i < width; i++) store(columns + i * VLEN, a[i]);
}

NOINLINE void many_to_columns(REAL *columns, const REAL *rows, int64_t k, int64_t count) {
    if (count < VLEN || k < VLEN / 2) {
        for (int64_t i = 0; i < VLEN; i++)
            for (int64_t j = 0; j < k; j++) columns[j * VLEN + i] = rows[(i < count ? i : count - 1) * k + j];
        return;
    }
    for (int64_t c = 0, width; c < k; c += width) {
        width = block_width(c, k);
        const int64_t at = c + width <= k ? c : k - width;
        width == VLEN ? block_to_columns(columns + at * VLEN, rows + at, k, VLEN)
                      : block_to_columns(columns + at * VLEN, rows + at, k, VLEN / 2);
    }
}

/* columns (k, VLEN) = the transpose of rows (count, k); the last row stands in for those that are missing */
INLINE void to_columns(REAL *columns, const REAL *rows, int64_t k, int64_t count) {
    if (k > 2 || count < VLEN) {
        many_to_columns(columns, rows, k, count);
    } else if (k == 2) {
        const V a = load(rows), b = load(rows + VLEN);
        store(columns, SHUFFLE(a, b, EVEN_BLOCKS, 1));
        store(columns + VLEN, SHUFFLE(a, b, ODD_BLOCKS, 1));
    } else {
        store(columns, load(rows));
    }
}

/* the lines of n values from p + ahead on, fetched */
INLINE void fetch_ahead(const REAL *p, int64_t ahead, int64_t n) {
    for (int64_t j = 0; j < n; j += 64 / (int64_t)sizeof(REAL)) fetch_line(p, ahead + j);
}

/* What becomes of a column on its way back into rows: column * first, or that * wide in double, or column - first - then. */
typedef struct { V first, then; const VD *wide; } finish_of;
typedef enum { TIMES, TIMES_WIDE, MINUS } finish_kind;

INLINE V finished(const REAL *column, const finish_of *f, const finish_kind kind) {
    const V v = load(column);
    if (kind == MINUS) return v - f->first - f->then;
    return kind == TIMES ? v * f->first : times_wide(v * f->first, f->wide);
}

INLINE void block_to_rows(REAL *rows, const REAL *columns, int64_t k, const finish_of *f, const finish_kind kind,
                          const int width) {
    V a[VLEN];
    for (int i = 0; i < width; i++) a[i] = finished(columns + i * VLEN, f, kind);
    transpose_blocks(a, width);
    for (int i = 0; i < VLEN / 2; i++) {
        REAL *low = rows + i * k, *high = rows + (i + VLEN / 2) * k;
        store_halves(low, high, a[i]);
        if (width == VLEN) store_halves(low + VLEN / 2, high + VLEN / 2, a[i + VLEN / 2]);
    }
}

/* rows (VLEN, k) = the transpose of columns (k, VLEN), finished */
INLINE void few_to_rows(REAL *rows, const REAL *columns, int64_t k, const finish_of *f, const finish_kind kind) {
    const V a = finished(columns, f, kind), b = k == 2 ? finished(columns + VLEN, f, kind) : a;
    store(rows, k == 2 ? SHUFFLE(a, b, ZIP_LOW, 0) : a);
    if (k == 2) store(rows + VLEN, SHUFFLE(a, b, ZIP_HIGH, 0));
}

INLINE void many_to_rows(REAL *rows, const REAL *columns, int64_t k, const finish_of *f, const finish_kind kind) {
    if (k < VLEN / 2) {
        REAL all[VLEN];
        for (int64_t j = 0; j < k; j++) {
            store(all, finished(columns + j * VLEN, f, kind));
            for (int64_t i = 0; i < VLEN; i++) rows[i * k + j] = all[i];
        }
        return;
    }
    for (int64_t c = 0, width; c < k; c += width) {
        width = block_width(c, k);
        const int64_t at = c + width <= k ? c : k - width;
        width == VLEN ? block_to_rows(rows + at, columns + at * VLEN, k, f, kind, VLEN)
                      : block_to_rows(rows + at, columns + at * VLEN, k, f, kind, VLEN / 2);
    }
}

#define DEFINE_TO_ROWS(name, kind, type, field)                                                                       \
    NOINLINE void many_##name(REAL *rows, const REAL *columns, int64_t k, V first, type field) {                      \
        const finish_of f = {.first = first, .field = field};                                                         \
        many_to_rows(rows, columns, k, &f, kind);                                                                     \
    }                                                                                                                 \
    NOINLINE void name(REAL *rows, const REAL *columns, int64_t k, V first, type field) {                             \
        const finish_of f = {.first = first, .field = field};                                                         \
        k <= 2 ? few_to_rows(rows, columns, k, &f, kind) : many_##name(rows, columns, k, first, field);               \
    }
DEFINE_TO_ROWS(times_to_rows, TIMES, V, then) /* not read */
DEFINE_TO_ROWS(times_wide_to_rows, TIMES_WIDE, const VD *, wide)
DEFINE_TO_ROWS(minus_to_rows, MINUS, V, then)

/* R (rows, k) *= scale * weight of each row, or scale, as times_wide does it */
INLINE void weigh_rows(REAL *R, const double *weight, double scale, int64_t rows, int64_t k) {
    for (int64_t l = 0; k == 1 && l < rows; l++) {
        const double factor = weight ? scale * weight[l] : scale, product = factor * (double)R[l];
        R[l] = (REAL)(factor == 0 ? 0 : product);
    }
    for (int64_t l = 0; k > 1 && l < rows; l++) {
        const double factor = weight ? scale * weight[l] : scale;
        REAL *r = R + l * k;
        if (factor == 0)
            memset(r, 0, (size_t)k * sizeof(REAL));
        else
            for (int64_t j = 0; j < k; j++) r[j] = (REAL)(factor * (double)r[j]);
    }
}

/* ---- destination -------------------------------------------------------------------------------------------------- */
typedef struct {
    REAL *out, *stage;
    int64_t filled;
    int stream;
} sink;

NOINLINE void flush(sink *s) {
    const REAL *from = s->stage;
    REAL *to = s->out, *const end = to + s->filled;
    if (s->stream) {
        while (to < end && (uintptr_t)to % VBYTES) *to++ = *from++;
        for (; end - to >= VLEN; to += VLEN, from += VLEN) stream_out(to, load(from));
    }
    memcpy(to, from, (size_t)(end - to) * sizeof(REAL));
    s->out = end;
    s->filled = 0;
}

/* Room for count values, where written >= count are stored, at most FLR_STAGE or k, and VLEN: flr_row_scratch has room for
 * the most of them at its beginning, and elsewhere they do not leave the stage. */
INLINE REAL *room(sink *s, int64_t count, int64_t written) {
    if (s->filled > 0 && s->filled + written > FLR_STAGE) flush(s);
    REAL *place = s->stage + s->filled;
    s->filled += count;
    return place;
}

INLINE void finish(sink *s) {
    flush(s);
#if X86_VECTOR
    if (s->stream) _mm_sfence();
#endif
}
