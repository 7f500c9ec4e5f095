/* kernels.c -- the kernels of one instruction set and one real type.
 *
 * setup.py compiles this file once for each pair, with -DISA=avx2 (a name), -DVBYTES=32 (bytes in a vector register)
 * and -DREAL_BITS=32 or 64; dispatch.c knows the tables by their names, flr_kernels_f32_avx2 and the like.
 */
#include "convert_tpl.h"
#include "cross_entropy_tpl.h"
#include "csr_tpl.h"
#include "elementwise_loss_tpl.h"
#include "hessian_rows_tpl.h"
#include "linear_tpl.h"
#include "map_tpl.h"
#include "products_packed_tpl.h"
#include "row_map_tpl.h"
#include "sgd_step_tpl.h"
#include "table.h"
#include "tile_tpl.h"

#if REAL_BITS == 32
#define TABLE JOIN(flr_kernels_f32_, ISA)
#else
#define TABLE JOIN(flr_kernels_f64_, ISA)
#endif

extern const flr_kernels TABLE;
const flr_kernels TABLE = {
    .size = sizeof(REAL),
    .many_classes = VBYTES == 64 ? 32 : 48,
    .panel_classes = PACKED_VECTORS * VLEN,
    .map = {map_exp, map_log, map_sigmoid, map_sigmoid_derivative, map_log_sigmoid, map_logit},
    .rows = {rowmap_softmax, rowmap_log_softmax, rowmap_logsumexp},
    .residual = {xent_residual_softmax, elementwise_sigmoid, elementwise_squared_error},
    .error = {NULL, elementwise_error_sigmoid, elementwise_error_squared_error},
    .curvature = {hessian_softmax, hessian_sigmoid, hessian_squared_error},
    .convert = {convert_f64, convert_f32, convert_f16, convert_bf16, convert_u8, convert_i8, convert_u16, convert_i16,
                convert_i32, convert_u32, convert_i64, convert_u64},
    .products = {
#if REAL_BITS == 32
        [FLR_F32] = {linear_forward_real, linear_backward_real},
#else
        [FLR_F64] = {linear_forward_real, linear_backward_real},
#endif
#if LINEAR_NARROW
        [FLR_U8] = {linear_forward_u8, linear_backward_u8},
        [FLR_I8] = {linear_forward_i8, linear_backward_i8},
        [FLR_F16] = {linear_forward_f16, linear_backward_f16},
        [FLR_BF16] = {linear_forward_bf16, linear_backward_bf16},
#endif
    },
    .many = {packed_W_size, packed_pack, packed_forward, packed_sums_size, packed_backward_size, packed_backward,
             packed_flush, packed_gram, packed_flush_gram},
    .csr = {csr_forward, csr_scatter, csr_gather, csr_pack},
    .csr_descent = {csr_dot, csr_add, csr_fetch, csr_ftrl},
    .flush = tile_flush,
    .add = tile_add,
    .exchange_columns = tile_exchange_columns,
    .column_sums = tile_column_sums,
    .correct = tile_correct,
    .first_nonfinite = tile_first_nonfinite,
    .standardise = tile_standardise,
    .step = sgd_step,
    .subtract_steps = sgd_subtract_steps,
};
