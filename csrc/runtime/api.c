/* api.c -- the table of what other modules may call: see fastlr_api.h. */
#include "fastlr_api.h"
#include "runtime/runtime.h"

static const flr_kernels *kernels(int64_t size) { return flr_kernels_of(size); }

const flr_api flr_api_table = {
    .version = FLR_API_VERSION,
    .kernels = kernels,
    .map_values = flr_map_values,
    .map_rows = flr_map_rows,
    .residuals = flr_residuals,
    .loss_and_grad = flr_loss_and_grad,
    .hessp = flr_hessp,
    .outer = flr_outer,
    .logits = flr_logits,
    .gram = flr_gram,
    .evaluate = flr_evaluate,
    .epoch = flr_epoch,
    .find_nonfinite = flr_find_nonfinite,
    .label_outside = flr_label_outside,
    .order_outside = flr_order_outside,
};
