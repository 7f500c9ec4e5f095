/* kernels.c -- the kernels of one instruction set and one real type.
 *
 * setup.py compiles this file once for each pair, with -DISA=avx2 (a name), -DVBYTES=32 (bytes in a vector register)
 * and -DREAL_BITS=32 or 64; dispatch.c knows the tables by their names, flr_kernels_f32_avx2 and the like.
 */
#include "table.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

#include "vec_tpl.h"
#include "prefetch_tpl.h"
#include "explog_tpl.h"
#include "map_tpl.h"
#include "units_tpl.h"
#include "rows_tpl.h"
#include "cross_entropy_tpl.h"
#include "elementwise_loss_tpl.h"
#include "hessian_rows_tpl.h"
#include "convert_tpl.h"
#include "linear_tpl.h"
#include "tile_tpl.h"
#include "products_packed_tpl.h"
#include "sgd_step_tpl.h"

#if REAL_BITS == 32
#define TABLE JOIN(flr_kernels_f32_, ISA)
#else
#define TABLE JOIN(flr_kernels_f64_, ISA)
#endif

extern const flr_kernels TABLE;
const flr_kernels TABLE = {
    .size = sizeof(REAL),
    .many_classes = VBYTES == 64 ? 32 : 48,
    .panel_classes = PANEL * VLEN,
    .map = {map_exp, map_log, map_sigmoid, map_sigmoid_derivative, map_log_sigmoid, map_logit},
    .rows = {softmax, log_softmax, logsumexp},
    .residual = {residual_softmax, residual_sigmoid, residual_squared_error},
    .curvature = {curvature_softmax, curvature_sigmoid, curvature_squared_error},
    .convert = {convert_f64, convert_f32, convert_f16, convert_bf16, convert_u8, convert_i8, convert_u16, convert_i16,
                convert_i32, convert_u32, convert_i64, convert_u64},
    .products = {
#if REAL_BITS == 32
        [FLR_F32] = {forward_real, backward_real},
#else
        [FLR_F64] = {forward_real, backward_real},
#endif
#if NARROW_PRODUCTS
        [FLR_U8] = {forward_u8, backward_u8},
        [FLR_I8] = {forward_i8, backward_i8},
        [FLR_F16] = {forward_f16, backward_f16},
        [FLR_BF16] = {forward_bf16, backward_bf16},
#endif
    },
    .many = {packed_size, pack, forward_many, sums_size, backward_size, backward_many, flush_many,
             gram, flush_gram},
    .flush = flush_sums,
    .add = add,
    .exchange_columns = exchange_columns,
    .column_sums = column_sums,
    .correct = correct,
    .first_nonfinite = first_nonfinite,
    .standardise = standardise,
    .step = step,
    .subtract_steps = subtract_steps,
};
