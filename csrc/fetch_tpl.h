/* fetch_tpl.h -- memory that is read next, fetched into L2 while a kernel computes: some lines every so many of its
 * steps, by fixed numbers, so that the branch is predicted. */
typedef struct { const char *at, *end, *const *run, *const *last; int64_t bytes, lines, period, wait; } fetch;

INLINE fetch fetch_rows(const flr_ahead *next, int64_t steps) {
    if (next == NULL || next->n == 0 || next->bytes == 0) return (fetch){.wait = INT64_MAX};
    const int64_t lines = next->n * (next->bytes / 64 + 2), period = steps > lines ? (steps + lines / 2) / lines : 1;
    return (fetch){.run = next->runs, .last = next->runs + next->n, .bytes = next->bytes, .period = period,
                   .lines = steps > lines ? 1 : lines / (steps + 1) + 1, .wait = period};
}

INLINE void fetch_step(fetch *f) {
    if (__builtin_expect(--f->wait > 0, 1)) return;
    f->wait = f->period;
    for (int64_t l = 0; l < f->lines; l++, f->at += 64) {
        if (f->at >= f->end) {
            if (f->run == f->last) {
                f->wait = INT64_MAX;
                return;
            }
            f->at = *f->run++;
            f->end = f->at + f->bytes;
        }
        __builtin_prefetch(f->at, 0, 2);
    }
}
