/* sink_tpl.h -- the way out for results of row kernels: staged in scratch, flushed to the output in long runs, past the
 * caches if asked.
 *
 * Whole vectors are stored into the stage: VLEN rows of few classes though fewer are left, or up to VLEN - 1 values
 * behind the last row, which sink_room() is told of.  The output gets its own values and nothing else.
 *
 * Needs what vec_tpl.h needs and FLR_STAGE of table.h.
 */
#ifndef FLR_SINK_TPL_H
#define FLR_SINK_TPL_H

#include "vec_tpl.h"

typedef struct {
    REAL *out, *stage;
    int64_t filled;
    int stream;
} sink;

NOINLINE void sink_flush(sink *s) {
    const REAL *from = s->stage;
    REAL *to = s->out, *const end = to + s->filled;
    if (s->stream) {
        while (to < end && (uintptr_t)to % VBYTES) *to++ = *from++;
        for (; end - to >= VLEN; to += VLEN, from += VLEN) vstream(to, vload(from));
    }
    memcpy(to, from, (size_t)(end - to) * sizeof(REAL));
    s->out = end;
    s->filled = 0;
}

/* Room for count values, where written >= count are stored, at most FLR_STAGE or k, and VLEN: flr_row_scratch has room
 * for the most of them at its beginning, and elsewhere they do not leave the stage. */
INLINE REAL *sink_room(sink *s, int64_t count, int64_t written) {
    if (s->filled > 0 && s->filled + written > FLR_STAGE) sink_flush(s);
    REAL *place = s->stage + s->filled;
    s->filled += count;
    return place;
}

INLINE void sink_finish(sink *s) {
    sink_flush(s);
#if VX86
    if (s->stream) _mm_sfence();
#endif
}

/* R (rows, k) *= scale * weight of each row, or scale, as vtimes_wide does it */
INLINE void sink_multiply_rows(REAL *R, const double *weight, double scale, int64_t rows, int64_t k) {
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

#endif
