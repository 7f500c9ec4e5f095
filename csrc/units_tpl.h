/* units_tpl.h -- what row kernels compute together: one row of many classes, or VLEN rows of few "across".
 *
 * Across (k <= SMALL_K): VLEN rows are transposed, so that vector j is column j and a lane is a row; else the vectors are
 * those of one row, and its lanes are summed or compared at the end.  Either is a unit.  Several units go through each
 * step in turn, so that the long chain from sum to quotient or logarithm of one overlaps with the next.
 * Results are staged in scratch and flushed to their destination in long runs, past the caches if asked.
 */
enum { SMALL_K = 64, MAX_UNITS = 16 };

/* units that go through each step together; their values fit the columns, or the stage */
INLINE int64_t units_together(int64_t k) {
    const int64_t fit = k > SMALL_K ? FLR_STAGE / k : SMALL_K / k;
    return fit < 1 ? 1 : fit < MAX_UNITS ? fit : MAX_UNITS;
}

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
#define UPPER_HALF(l, h) ((l) % (VLEN / 2) + VLEN / 2)

/* a, VLEN vectors: off-diagonal blocks of h lanes change places, h halved each time.  Where the upper half of the
 * vectors that result is not wanted (few columns), it is not made. */
INLINE void transpose_blocks(V *a, const int first_half_only) {
    const int count = first_half_only ? VLEN / 2 : VLEN;
    (void)a, (void)count;
#if VLEN >= 16
    SWAP_STAGE(a, 4, count)
#endif
#if VLEN >= 8
    SWAP_STAGE(a, 2, count)
#endif
#if VLEN >= 4
    SWAP_STAGE(a, 1, count)
#endif
}

INLINE void transpose(V *a) {
    SWAP_STAGE(a, VLEN / 2, VLEN)
    transpose_blocks(a, 0);
}

/* columns (k, VLEN) = the transpose of rows (count, k); the last row stands in for those that are missing */
NOINLINE void to_columns(REAL *columns, const REAL *rows, int64_t k, int64_t count) {
    if (count == VLEN && k == 1) {
        store(columns, load(rows));
        return;
    }
    if (count == VLEN && k == 2) {
        const V a = load(rows), b = load(rows + VLEN);
        store(columns, SHUFFLE(a, b, EVEN_BLOCKS, 1));
        store(columns + VLEN, SHUFFLE(a, b, ODD_BLOCKS, 1));
        return;
    }
    for (int64_t c = 0; c < k; c += VLEN) {
        V a[VLEN];
        const int width = k - c < VLEN ? (int)(k - c) : VLEN;
        if (width == VLEN)
            for (int i = 0; i < VLEN; i++) a[i] = load(rows + (i < count ? i : count - 1) * k + c);
        else
            for (int i = 0; i < VLEN; i++) a[i] = load_part(rows + (i < count ? i : count - 1) * k + c, width);
        if (width <= VLEN / 2) {
            for (int i = 0; i < VLEN / 2; i++) a[i] = SHUFFLE(a[i], a[i + VLEN / 2], SWAP_LOW, VLEN / 2);
            transpose_blocks(a, 1);
        } else {
            transpose(a);
        }
        for (int i = 0; i < width; i++) store(columns + (c + i) * VLEN, a[i]);
    }
}

/* rows (VLEN, k) = the transpose of columns (k, VLEN).  Whole vectors are stored: a row's last one runs into the next
 * row's first, which is stored later, and the last row's into VLEN values of padding. */
NOINLINE void to_rows(REAL *rows, const REAL *columns, int64_t k) {
    if (k == 1) {
        store(rows, load(columns));
        return;
    }
    if (k == 2) {
        const V a = load(columns), b = load(columns + VLEN);
        store(rows, SHUFFLE(a, b, ZIP_LOW, 0));
        store(rows + VLEN, SHUFFLE(a, b, ZIP_HIGH, 0));
        return;
    }
    for (int64_t group = (k + VLEN - 1) / VLEN, q = 0; q < group; q++) {
        const int64_t c = (q == 0 ? group - 1 : q - 1) * VLEN; /* the part of a vector first */
        V a[VLEN];
        if (k - c <= VLEN / 2) {
            for (int i = 0; i < VLEN / 2; i++) a[i] = c + i < k ? load(columns + (c + i) * VLEN) : (V){0};
            transpose_blocks(a, 1);
            for (int i = 0; i < VLEN / 2; i++) a[i + VLEN / 2] = SHUFFLE(a[i], a[i], UPPER_HALF, 0);
        } else {
            for (int i = 0; i < VLEN; i++) a[i] = c + i < k ? load(columns + (c + i) * VLEN) : (V){0};
            transpose(a);
        }
        for (int i = 0; i < VLEN; i++) store(rows + i * k + c, a[i]);
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
        for (; to + VLEN <= end; to += VLEN, from += VLEN) stream_out(to, load(from));
    }
    memcpy(to, from, (size_t)(end - to) * sizeof(REAL));
    s->out = end;
    s->filled = 0;
}

/* room for count <= k VLEN values of a small k, or one row of k, and VLEN of padding */
INLINE REAL *room(sink *s, int64_t count) {
    if (s->filled > 0 && s->filled + count > FLR_STAGE) flush(s);
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

/* ---- the parts of a vector at the end of a row --------------------------------------------------------------------- */
/* vector at p, filled up behind left values */
INLINE V take(const REAL *p, int64_t left, REAL fill) {
    if (left >= VLEN) return load(p);
    return vselect(iota() < (INT)left, load_part(p, (int)left), splat(fill));
}

/* the left first values of v, or all: what lies behind them in out is another row */
INLINE void put(REAL *p, V v, int64_t left) { left >= VLEN ? store(p, v) : store_part(p, v, (int)left); }
