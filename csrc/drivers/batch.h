/* batch.h -- how the gradient of a batch is divided between its residuals, which are real, and the step, in double. */
#ifndef FLR_BATCH_H
#define FLR_BATCH_H

#include "fastlr.h"

/* grad_scale multiplies residuals, factor their sums; steps: whether there is a step */
typedef struct { double grad_scale, factor; int steps; } flr_batch;

/* Rows [first, first + m) of the order.  Weights may be of any size beside those of other batches: of a mean they are
 * divided by their sum before residuals are rounded. */
static inline flr_batch flr_batch_of(const flr_epoch_options *o, const double *weight, int64_t first, int64_t m) {
    double total = weight ? 0 : (double)m;
    if (o->factor > 0) return (flr_batch){1, o->factor, 1};
    for (int64_t i = first; weight && i < first + m; i++) total += weight[o->order ? o->order[i] : i];
    const double mean = total > 0 ? 1 / total : 0;
    return weight ? (flr_batch){mean, 1, total > 0} : (flr_batch){1, mean, 1};
}

#endif
