# What Cython modules call of fastlr_api.h, which says how, and fastlr.h, which says what; docs/c.md has an example.
# Beside Python.h, which Cython includes first.

from libc.stdint cimport int32_t, int64_t

cdef extern from "fastlr_api.h" nogil:
    enum:
        FLR_OK, FLR_NO_MEMORY, FLR_INTERRUPTED
    enum:
        FLR_RELEASE
    enum:
        FLR_API_VERSION
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
        int release
    ctypedef struct flr_pass:
        flr_matrix X
        flr_loss loss
        int64_t k
        const void *W
        int64_t ldw
        const void *b
        int has_reference
        int64_t reference
        const void *offset
        const int32_t *label
        const void *prob
        const double *weight
        void *R_out
        const void *logits
        int n_threads
    ctypedef struct flr_ahead:
        const char **runs
        int64_t of, bytes, distance, first, n
    ctypedef struct flr_targets:
        const int32_t *label
        const void *prob
        const double *weight
        double smoothing, grad_scale
        const flr_ahead *next
    ctypedef struct flr_epoch_options:
        const int64_t *order
        int64_t batch
        double *W
        double *b
        double *W_velocity
        double *b_velocity
        const double *scale
        const double *shift
        double learning_rate, momentum, alpha, factor
        int (*poll)(void *context) noexcept nogil
        void *poll_context
    ctypedef struct flr_kernels:  # some of them: those of contiguous rows, on the calling thread
        int64_t size
        void (*map[6])(void *out, const void *z, int64_t n, int stream) noexcept nogil
        void (*rows[3])(void *out, const void *Z, void *scratch, int64_t m, int64_t k, int stream) noexcept nogil
        double (*residual[3])(void *R_out, void *loss_out, const void *Z, const flr_targets *y, void *scratch,
                              int64_t m, int64_t k, int stream) noexcept nogil
        void (*curvature[3])(void *H_out, const void *Z, const void *U, const double *weight, void *scratch,
                             int64_t m, int64_t k) noexcept nogil
        void (*column_sums)(double *g, const void *R, int64_t m, int64_t k) noexcept nogil
        int64_t (*correct)(const void *Z, const int32_t *label, double threshold, int64_t m, int64_t k) noexcept nogil
        int64_t (*first_nonfinite)(const void *x, int64_t d) noexcept nogil
    int64_t flr_row_scratch(int64_t k, int64_t size)  # bytes of the scratch of rows, residual and curvature
    ctypedef struct flr_api:
        int64_t version
        const flr_kernels *(*kernels)(int64_t size) noexcept nogil
        void (*map_values)(void *out, const void *z, int64_t n, int64_t size, flr_map map, int n_threads) noexcept nogil
        int (*map_rows)(void *out, const void *Z, int64_t n, int64_t k, int64_t size, flr_row_map map,
                        int n_threads) noexcept nogil
        int (*residuals)(double *loss_out, void *R_out, void *losses_out, const void *Z, const flr_targets *y,
                         flr_loss loss, int64_t n, int64_t k, int64_t size, int n_threads) noexcept nogil
        int (*loss_and_grad)(double *loss_out, double *G_out, double *g_out, const flr_pass *p) noexcept nogil
        int (*hessp)(double *H_out, double *h_out, const flr_pass *p, const void *V, const void *c) noexcept nogil
        int (*outer)(double *G_out, double *g_out, const flr_pass *p, const void *R) noexcept nogil
        int (*logits)(void *Z_out, const flr_pass *p) noexcept nogil
        int (*gram)(double *G_out, double *s_out, const flr_pass *p, const void *scale,
                    const void *shift) noexcept nogil
        int (*evaluate)(double *loss_out, int64_t *correct_out, const flr_pass *p) noexcept nogil
        int (*epoch)(double *loss_out, int64_t *correct_out, const flr_pass *p,
                     const flr_epoch_options *options) noexcept nogil
        int (*find_nonfinite)(int64_t *row_out, int64_t *col_out, const flr_matrix *X, int n_threads) noexcept nogil
        int64_t (*label_outside)(const int32_t *label, int64_t n, int64_t k) noexcept nogil
        int64_t (*order_outside)(const int64_t *order, int64_t n, int64_t end) noexcept nogil

cdef extern from "fastlr_api.h":
    const flr_api *flr_import() except NULL
