/* fetch_tpl.h -- memory that is read next, fetched into L2 while a kernel computes: a fixed number of prefetches in each
 * of its steps, without a branch, so that the core asks for lines all the time.  Two places are fetched side by side,
 * the halves of what lies in one piece or two of the runs: two streams set the hardware's own prefetcher to work on
 * both, one keeps memory half as busy.  Prefetches lie stride bytes apart, a line or less, so that they last for all
 * steps.  Steps are counted only where one pair of places ends and the next begins.
 */
typedef struct {
    const char *at;
    int64_t other, stride, left, steps_a_pair; /* other: bytes from at; left: steps until the pair ends */
    const char *const *run, *const *last;
} fetch;

/* pairs of lines of one pair of places, and of all */
INLINE int64_t lines_of_pair(const flr_ahead *next) {
    return next->distance ? next->n * next->distance / 128 + 1 : next->bytes / 64 + 1;
}
INLINE int64_t lines_ahead(const flr_ahead *next) {
    return next == NULL || next->n == 0 ? 0 : lines_of_pair(next) * (next->distance ? 1 : (next->n + 1) / 2);
}

/* steps: about how many there will be, with count prefetches each of either place */
INLINE fetch fetch_rows(const flr_ahead *next, int64_t steps, int64_t count) {
    static const char nothing[64];
    const int64_t lines = lines_ahead(next);
    if (lines == 0) return (fetch){.at = nothing, .left = INT64_MAX};
    const int64_t least = lines * 64 / (steps * count + 1) + 1, stride = least < 16 ? 16 : least < 64 ? least : 64;
    fetch f = {.stride = stride, .steps_a_pair = (lines_of_pair(next) * 64 + stride * count - 1) / (stride * count)};
    if (next->distance) {
        f.at = next->runs[0];
        f.other = lines_of_pair(next) * 64;
        f.left = f.steps_a_pair;
    } else {
        f.run = next->runs;
        f.last = next->runs + next->n;
    }
    return f;
}

/* how many of the next steps there are until the pair ends */
INLINE int64_t fetch_stretch(fetch *f, int64_t steps) {
    if (f->left == 0 && f->run < f->last) {
        f->at = *f->run++;
        f->other = f->run < f->last ? *f->run++ - f->at : 0;
        f->left = f->steps_a_pair;
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
        __builtin_prefetch(f->at + f->other, 0, 2);
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
