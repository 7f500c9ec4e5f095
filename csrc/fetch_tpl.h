/* fetch_tpl.h -- memory that is read next, fetched into L2 while a kernel computes: a fixed number of prefetches in each
 * of its steps, without a branch, so that the core asks for lines all the time.  They lie stride bytes apart, a line or
 * less, so that they last for all steps.  Only between two runs of memory are steps counted.
 */
typedef struct {
    const char *at;
    int64_t stride, left, steps_a_run; /* left: steps until the run's end */
    const char *const *run, *const *last;
} fetch;

/* the lines of runs that lie one behind another, or of each run, which may begin within a line */
INLINE int64_t lines_of_run(const flr_ahead *next) {
    return (next->distance ? next->n * next->distance : next->bytes) / 64 + 1;
}
INLINE int64_t lines_ahead(const flr_ahead *next) {
    return next == NULL || next->n == 0 ? 0 : lines_of_run(next) * (next->distance ? 1 : next->n);
}

/* steps: about how many there will be, with count prefetches each */
INLINE fetch fetch_rows(const flr_ahead *next, int64_t steps, int64_t count) {
    static const char nothing[64];
    const int64_t lines = lines_ahead(next);
    if (lines == 0) return (fetch){.at = nothing, .left = INT64_MAX};
    const int64_t most = lines * 64 / (steps * count + 1) + 1, stride = most < 64 ? most : 64;
    return (fetch){.stride = stride,
                   .steps_a_run = lines_of_run(next) * 64 / (stride * count) + 1,
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
    for (int64_t i = 0; i < count; i++, f->at += f->stride) __builtin_prefetch(f->at, 0, 2);
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
