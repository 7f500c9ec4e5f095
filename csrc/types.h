/* types.h -- what kernels and drivers agree on: sizes, signs, types.
 *
 * Sizes        n rows of the data, m rows of one call, d features, k classes (1 for binary).
 * Model        Z = X W' + b logits (n, k);  A = softmax(Z), sigmoid(Z) or Z, by the loss.
 * Residual     R = weight * (A - Y), (n, k).  THE SIGN: grad_W = R' X and grad_b = R' 1, which is the lecture's
 *              -(X' (Y - A))'.  A step downhill subtracts them.
 * Sums         Kernels return the loss as a sum over rows, in double.  Gradients are sums over rows, in double.
 *              Means and penalties belong to the caller.
 * Real         the type a tile computes in: float for float32 and 8- or 16-bit X, else double.
 *
 * Kernels allocate nothing, lock nothing and trust their arguments; the drivers check allocation and return
 * FLR_NO_MEMORY.  Arguments: outputs, inputs, sizes.  A NULL weight means 1.
 */
#ifndef FLR_TYPES_H
#define FLR_TYPES_H

#include <stdint.h>

enum { FLR_OK = 0, FLR_NO_MEMORY = -1, FLR_INTERRUPTED = -2 };

typedef enum { FLR_SOFTMAX, FLR_SIGMOID, FLR_SQUARED_ERROR, FLR_N_LOSSES } flr_loss;

typedef enum {
    FLR_F64, FLR_F32, FLR_F16, FLR_BF16, FLR_U8, FLR_I8, FLR_U16, FLR_I16,
    FLR_I32, FLR_U32, FLR_I64, FLR_U64, FLR_N_DTYPES
} flr_dtype;

/* sizeof(real) for X of this type */
static inline int64_t flr_real_size(flr_dtype dtype) { return dtype == FLR_F64 || dtype >= FLR_I32 ? 8 : 4; }
static inline flr_dtype flr_real_of(int64_t size) { return size == 4 ? FLR_F32 : FLR_F64; }

typedef enum {
    FLR_EXP, FLR_LOG, FLR_MAP_SIGMOID, FLR_MAP_SIGMOID_DERIVATIVE, FLR_MAP_LOG_SIGMOID, FLR_MAP_LOGIT, FLR_N_MAPS
} flr_map;

typedef enum { FLR_ROWS_SOFTMAX, FLR_ROWS_LOG_SOFTMAX, FLR_ROWS_LOGSUMEXP, FLR_N_ROW_MAPS } flr_row_map;

#endif
