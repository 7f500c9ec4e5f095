/* prefetch_tpl.h -- what is read next is prefetched into L2 while a kernel computes: a fixed number of prefetches in
 * each of its steps, without a branch, so that the core asks for lines all the time.
 *
 * Some streams are prefetched side by side, the parts of what lies in one piece or some of the runs: the hardware's own
 * prefetcher follows each, and a single one keeps memory half as busy.  Prefetches lie stride bytes apart, a line or
 * less, so that they last for all steps.  Steps are counted only where one group of streams ends and the next begins.
 * Needs what vec_tpl.h needs and flr_ahead of table.h.
 */
#ifndef FLR_PREFETCH_TPL_H
#define FLR_PREFETCH_TPL_H

#include "vec_tpl.h"

/* The line of p + ahead, which may lie beyond what p points into, where no pointer may. */
INLINE void prefetch_line(const void *p, int64_t ahead) {
    __builtin_prefetch((const void *)((uintptr_t)p + (uintptr_t)(ahead * (int64_t)sizeof(REAL))), 0, 2);
}

/* the lines of n values from p + ahead on */
INLINE void prefetch_lines_at(const REAL *p, int64_t ahead, int64_t n) {
    for (int64_t j = 0; j < n; j += 64 / (int64_t)sizeof(REAL)) prefetch_line(p, ahead + j);
}

enum { PREFETCH_STREAMS = 4 };
typedef struct {
    uintptr_t at[PREFETCH_STREAMS]; /* next first; not pointers, as they may run beyond what is there */
    int64_t stride, left, steps_a_group; /* left: steps until the group ends */
    const char *const *run, *const *last;
} prefetch;

/* lines of each stream of a group: of all that lies in one piece, or of one group of runs */
INLINE int64_t prefetch_lines_of_stream(const flr_ahead *next) {
    return next->distance ? next->of * next->distance / (64 * PREFETCH_STREAMS) + 1 : next->bytes / 64 + 1;
}

/* lines of a group that are prefetched */
INLINE int64_t prefetch_lines_of_group(const flr_ahead *next) {
    const int64_t lines = prefetch_lines_of_stream(next);
    return PREFETCH_STREAMS * (next->distance ? lines * next->n / next->of + 1 : lines);
}

INLINE int64_t prefetch_lines_in_all(const flr_ahead *next) {
    if (next == NULL || next->n == 0) return 0;
    return prefetch_lines_of_group(next) * (next->distance ? 1 : (next->n + PREFETCH_STREAMS - 1) / PREFETCH_STREAMS);
}

/* steps: about how many there will be, with count prefetches each */
INLINE prefetch prefetch_begin(const flr_ahead *next, int64_t steps, int64_t count) {
    static const char nothing[64];
    const int64_t lines = prefetch_lines_in_all(next);
    prefetch f = {.left = INT64_MAX};
    for (int q = 0; q < PREFETCH_STREAMS; q++) f.at[q] = (uintptr_t)nothing;
    if (lines == 0) return f;
    const int64_t least = lines * 64 / (steps * count + 1) + 1;
    f.stride = least < 16 ? 16 : least < 64 ? least : 64;
    f.steps_a_group = (prefetch_lines_of_group(next) * 64 + f.stride * count - 1) / (f.stride * count);
    if (next->distance) {
        const int64_t apart = prefetch_lines_of_stream(next);
        for (int q = 0; q < PREFETCH_STREAMS; q++)
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
INLINE int64_t prefetch_stretch(prefetch *f, int64_t steps) {
    if (f->left == 0 && f->run < f->last) {
        const int64_t runs = f->last - f->run;
        for (int q = 0; q < PREFETCH_STREAMS; q++) f->at[q] = (uintptr_t)f->run[q < runs ? q : 0];
        f->run += runs < PREFETCH_STREAMS ? runs : PREFETCH_STREAMS;
        f->left = f->steps_a_group;
    } else if (f->left == 0) {
        f->stride = 0;
        f->left = INT64_MAX;
    }
    if (steps > f->left) steps = f->left;
    f->left -= steps;
    return steps;
}

INLINE void prefetch_step(prefetch *f, const int64_t count) {
    UNROLL for (int64_t i = 0; i < count; i++) {
        const uintptr_t at = f->at[0];
        __builtin_prefetch((const void *)at, 0, 2);
        UNROLL for (int q = 1; q < PREFETCH_STREAMS; q++) f->at[q - 1] = f->at[q];
        f->at[PREFETCH_STREAMS - 1] = at + (uintptr_t)f->stride;
    }
}

/* where steps are long: prefetch_lines_each(next, steps) in each, of prefetch_begin(next, 0, 1) */
INLINE int64_t prefetch_lines_each(const flr_ahead *next, int64_t steps) {
    const int64_t lines = prefetch_lines_in_all(next);
    return lines > 0 ? lines / (steps + 1) + 1 : 0;
}

INLINE void prefetch_lines(prefetch *f, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        prefetch_stretch(f, 1);
        prefetch_step(f, 1);
    }
}

#endif
