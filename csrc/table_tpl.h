/* table_tpl.h -- the kernels of one real type, and their table. */
#include "vec_tpl.h"
#include "explog_tpl.h"
#include "rows_tpl.h"
#include "convert_tpl.h"
#include "linear_tpl.h"
#include "step_tpl.h"

static const flr_kernels NAME(table) = {
    .size = sizeof(REAL),
    .map = {NAME(map_exp), NAME(map_log), NAME(map_sigmoid), NAME(map_sigmoid_derivative), NAME(map_log_sigmoid),
            NAME(map_logit)},
    .rows = {NAME(softmax), NAME(log_softmax), NAME(logsumexp)},
    .residual = {NAME(residual_softmax), NAME(residual_sigmoid), NAME(residual_squared_error)},
    .curvature = {NAME(curvature_softmax), NAME(curvature_sigmoid), NAME(curvature_squared_error)},
    .convert = {NAME(convert_f64), NAME(convert_f32), NAME(convert_f16), NAME(convert_bf16), NAME(convert_u8),
                NAME(convert_i8), NAME(convert_u16), NAME(convert_i16), NAME(convert_i32), NAME(convert_u32),
                NAME(convert_i64), NAME(convert_u64)},
    .forward = NAME(forward),
    .backward = NAME(backward),
    .correct = NAME(correct),
    .standardise = NAME(standardise),
    .step = NAME(step),
};

#include "undef_tpl.h"
