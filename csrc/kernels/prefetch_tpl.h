/* prefetch_tpl.h -- memory that is read next, fetched into L2 while a kernel computes: a fixed number of prefetches in each
 * of its steps, without a branch, so that the core asks for lines all the time.  Some places are fetched side by side, the
 * parts of what lies in one piece or some of the runs: the hardware's own prefetcher follows each, and one keeps memory
 * half as busy.  Prefetches lie stride bytes apart, a line or less, so that they last for all steps.  Steps are counted
 * only where one group of places ends and the next begins.
 */
enum { PLACES = 4 };
typedef struct {
    uintptr_t at[PLACES]; /* the places, whose turn is next first: addresses, as they may run beyond what is there */
    int64_t stride, left, steps_a_group; /* left: steps until the group ends */
    const char *const *run, *const *last;
} fetch;

/* lines of each place of a group, for all that lies in one piece or for one group of runs */
INLINE int64_t lines_of_place(const flr_ahead *next) {
    return next->distance ? next->of * next->distance / (64 * PLACES) + 1 : next->bytes / 64 + 1;
}

/* lines of a group that are fetched */
INLINE int64_t lines_of_group(const flr_ahead *next) {
    const int64_t lines = lines_of_place(next);
    return PLACES * (next->distance ? lines * next->n / next->of + 1 : lines);
}

INLINE int64_t lines_ahead(const flr_ahead *next) {
    if (next == NULL || next->n == 0) return 0;
    return lines_of_group(next) * (next->distance ? 1 : (next->n + PLACES - 1) / PLACES);
}

/* steps: about how many there will be, with count prefetches each */
INLINE fetch fetch_rows(const flr_ahead *next, int64_t steps, int64_t count) {
    static const char nothing[64];
    const int64_t lines = lines_ahead(next);
    fetch f = {.left = INT64_MAX};
    for (int q = 0; q < PLACES; q++) f.at[q] = (uintptr_t)nothing;
    if (lines == 0) return f;
    const int64_t least = lines * 64 / (steps * count + 1) + 1;
    f.stride = least < 16 ? 16 : least < 64 ? least : 64;
    f.steps_a_group = (lines_of_group(next) * 64 + f.stride * count - 1) / (f.stride * count);
    if (next->distance) {
        const int64_t apart = lines_of_place(next);
        for (int q = 0; q < PLACES; q++)
            f.at[q] = (uintptr_t)next->runs[0] + (uintptr_t)((q * apart + apart * next->first / next->of) * 64);
        f.left = f.steps_a_group;
    } else {
        f.left = 0;
        f.run = next->runs + next->first;
        f.last = f.run + next->n;
    }
    return f;
}

/* how many of the next steps there are until the group ends */
INLINE int64_t fetch_stretch(fetch *f, int64_t steps) {
    if (f->left == 0 && f->run < f->last) {
        const int64_t runs = f->last - f->run;
        for (int q = 0; q < PLACES; q++) f->at[q] = (uintptr_t)f->run[q < runs ? q : 0];
        f->run += runs < PLACES ? runs : PLACES;
        f->left = f->steps_a_group;
    } else if (f->left == 0) {
        f->stride = 0;
        f->left = INT64_MAX;
    }
    if (steps > f->left) steps = f->left;
    f->left -= steps;
    return steps;
}

INLINE void fetch_step(fetch *f, const int64_t count) {
    UNROLL for (int64_t i = 0; i < count; i++) {
        const uintptr_t at = f->at[0];
        __builtin_prefetch((const void *)at, 0, 2);
        UNROLL for (int q = 1; q < PLACES; q++) f->at[q - 1] = f->at[q];
        f->at[PLACES - 1] = at + (uintptr_t)f->stride;
    }
}

/* where steps are long: lines_each(next, steps) in each, of fetch_rows(next, 0, 1) */
INLINE int64_t lines_each(const flr_ahead *next, int64_t steps) {
    const int64_t lines = lines_ahead(next);
    return lines > 0 ? lines / (steps + 1) + 1 : 0;
}

INLINE void fetch_lines(fetch *f, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        fetch_stretch(f, 1);
        fetch_step(f, 1);
    }
}
