# What Cython modules call of fastlr_api.h, which says how, and fastlr.h, which says what; docs/c.md has an example.
# Beside Python.h, which Cython includes first.

from libc.stdint cimport int32_t, int64_t

cdef extern from "fastlr_api.h" nogil:
    enum:
        FLR_OK, FLR_NO_MEMORY, FLR_INTERRUPTED
    ctypedef enum flr_loss:
        FLR_SOFTMAX, FLR_SIGMOID, FLR_SQUARED_ERROR
    ctypedef enum flr_dtype:
        FLR_F64, FLR_F32, FLR_F16, FLR_BF16, FLR_U8, FLR_I8, FLR_U16, FLR_I16, FLR_I32, FLR_U32, FLR_I64, FLR_U64
    ctypedef enum flr_map:
        FLR_EXP, FLR_LOG, FLR_MAP_SIGMOID, FLR_MAP_SIGMOID_DERIVATIVE, FLR_MAP_LOG_SIGMOID, FLR_MAP_LOGIT
    ctypedef enum flr_row_map:
        FLR_ROWS_SOFTMAX, FLR_ROWS_LOG_SOFTMAX, FLR_ROWS_LOGSUMEXP
    ctypedef struct flr_matrix:
        const char *data
        flr_dtype dtype
        int64_t n, d, row_stride, col_stride
    ctypedef struct flr_pass:
        flr_matrix X
        flr_loss loss
        int64_t k
        const void *W
        int64_t ldw
        const void *b
        const void *offset
        const int32_t *label
        const void *prob
        const double *weight
        int n_threads
    ctypedef struct flr_targets:
        const int32_t *label
        const void *prob
        const double *weight
        double smoothing, grad_scale
    ctypedef struct flr_api:
        void (*map_values)(void *out, const void *z, int64_t n, int64_t size, flr_map map, int n_threads) noexcept nogil
        int (*map_rows)(void *out, const void *Z, int64_t n, int64_t k, int64_t size, flr_row_map map,
                        int n_threads) noexcept nogil
        int (*residuals)(double *loss_out, void *R_out, void *losses_out, const void *Z, const flr_targets *y,
                         flr_loss loss, int64_t n, int64_t k, int64_t size, int n_threads) noexcept nogil
        int (*loss_and_grad)(double *loss_out, double *G_out, double *g_out, const flr_pass *p) noexcept nogil
        int (*hessp)(double *H_out, double *h_out, const flr_pass *p, const void *V, const void *c) noexcept nogil
        int (*logits)(void *Z_out, const flr_pass *p) noexcept nogil
        int (*gram)(double *G_out, double *s_out, const flr_pass *p, const void *scale,
                    const void *shift) noexcept nogil
        int (*find_nonfinite)(int64_t *row_out, int64_t *col_out, const flr_matrix *X, int n_threads) noexcept nogil
        int64_t (*label_outside)(const int32_t *label, int64_t n, int64_t k) noexcept nogil

cdef extern from "fastlr_api.h":
    const flr_api *flr_import() except NULL
