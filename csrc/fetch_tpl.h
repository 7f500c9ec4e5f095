/* fetch_tpl.h -- memory that is read next, fetched into L2 while a kernel computes: a fixed number of prefetches in each
 * of its steps, without a branch, so that the core asks for lines all the time.  Each run of memory is fetched from its
 * beginning and from its middle on: two streams set the hardware's own prefetcher to work on both, one keeps memory half
 * as busy.  Prefetches lie stride bytes apart, a line or less, so that they last for all steps.  Steps are counted
 * between runs only.
 */
typedef struct {
    const char *at;
    int64_t middle, stride, left, steps_a_run; /* middle: bytes from a run's beginning; left: steps until its end */
    const char *const *run, *const *last;
} fetch;

/* lines of half a run; runs that lie one behind another are one */
INLINE int64_t lines_of_half(const flr_ahead *next) {
    return (next->distance ? next->n * next->distance : next->bytes) / 128 + 1;
}

/* pairs of lines */
INLINE int64_t pairs_ahead(const flr_ahead *next) {
    return next == NULL || next->n == 0 ? 0 : lines_of_half(next) * (next->distance ? 1 : next->n);
}

/* steps: about how many there will be, with count prefetches each in either half */
INLINE fetch fetch_rows(const flr_ahead *next, int64_t steps, int64_t count) {
    static const char nothing[64];
    const int64_t pairs = pairs_ahead(next);
    if (pairs == 0) return (fetch){.at = nothing, .left = INT64_MAX};
    const int64_t most = pairs * 64 / (steps * count + 1) + 1, stride = most < 64 ? most : 64;
    return (fetch){.middle = lines_of_half(next) * 64,
                   .stride = stride,
                   .steps_a_run = lines_of_half(next) * 64 / (stride * count) + 1,
                   .run = next->runs,
                   .last = next->runs + (next->distance ? 1 : next->n)};
}

/* how many of the next steps there are in one run */
INLINE int64_t fetch_stretch(fetch *f, int64_t steps) {
    if (f->left == 0 && f->run < f->last) {
        f->at = *f->run++;
        f->left = f->steps_a_run;
    } else if (f->left == 0) {
        f->stride = 0;
        f->left = INT64_MAX;
    }
    if (steps > f->left) steps = f->left;
    f->left -= steps;
    return steps;
}

INLINE void fetch_step(fetch *f, const int64_t count) {
    for (int64_t i = 0; i < count; i++, f->at += f->stride) {
        __builtin_prefetch(f->at, 0, 2);
        __builtin_prefetch(f->at + f->middle, 0, 2);
    }
}

/* where steps are long: pairs_each(next, steps) in each, of fetch_rows(next, 0, 1) */
INLINE int64_t pairs_each(const flr_ahead *next, int64_t steps) {
    const int64_t pairs = pairs_ahead(next);
    return pairs > 0 ? pairs / (steps + 1) + 1 : 0;
}

INLINE void fetch_pairs(fetch *f, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        fetch_stretch(f, 1);
        fetch_step(f, 1);
    }
}
