# What the bindings call of csrc/fastlr.h and csrc/runtime/runtime.h, which say what all of it means; Cython reads this
# with _core.pyx.

from libc.stdint cimport int32_t, int64_t

cdef extern from "fastlr.h" nogil:
    enum:
        FLR_OK, FLR_NO_MEMORY, FLR_INTERRUPTED, FLR_RELEASE
    ctypedef int flr_loss
    ctypedef int flr_dtype
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
        bint has_reference
        int64_t reference
        const void *offset
        const int32_t *label
        const void *prob
        const double *weight
        void *R_out
        const void *logits
        int n_threads
    ctypedef int flr_map
    ctypedef int flr_row_map
    ctypedef struct flr_targets:
        const int32_t *label
        const void *prob
        const double *weight
        double smoothing, grad_scale
    ctypedef struct flr_csr:
        const void *data
        flr_dtype dtype
        const void *indices
        const void *indptr
        int64_t index_size, indptr_size
        int64_t n, d
        int release
    ctypedef struct flr_csr_columns:
        void *data
        void *rows
        int64_t *starts
        int64_t row_size, block_rows, n_blocks
        bint finite
    flr_csr_columns flr_csr_plan_columns(const flr_csr *X, int64_t k)
    void flr_csr_release(const flr_csr *X)
    void flr_csr_transpose(flr_csr_columns *columns, const flr_csr *X, int n_threads)
    ctypedef struct flr_csr_pass:
        flr_csr X
        const flr_csr_columns *columns
        flr_loss loss
        int64_t k
        const double *W
        const void *b
        const void *offset
        const int32_t *label
        const void *prob
        const double *weight
        void *R_out
        const void *logits
        int n_threads
    ctypedef struct flr_csr_fault:
        int kind
        int64_t row, position
    ctypedef struct flr_csr_sums:
        double *sums
        double *squares
        double *largest
        double *smallest
        int64_t *count
    int flr_csr_loss_and_grad(double *loss_out, double *G_out, double *g_out, const flr_csr_pass *p)
    int flr_csr_hessp(double *H_out, double *h_out, const flr_csr_pass *p, const double *V, const void *c)
    int flr_csr_outer(double *G_out, double *g_out, const flr_csr_pass *p, const void *R)
    int flr_csr_logits(void *Z_out, const flr_csr_pass *p)
    int flr_csr_evaluate(double *loss_out, int64_t *correct_out, const flr_csr_pass *p)
    flr_csr_fault flr_csr_first_fault(const flr_csr *X, int64_t n_indices, int64_t n_data, int values, int n_threads)
    int flr_csr_column_sums(const flr_csr_sums *out, const flr_csr *X, const double *weight, int n_threads)
    int flr_csr_gram(double *G_out, double *s_out, const flr_csr *X, const int64_t *columns, int64_t m,
                     const double *weight, int n_threads)
    ctypedef struct flr_coordinate:
        int64_t n, m, k
        const float *values
        const int32_t *rows
        const int64_t *starts
        const int64_t *order
        const double *h
        const double *root
        const double *g
        const double *g0
        const double *w
        const double *l1
        const double *l2
        double floor
        int softmax
        double *curvature
        double *mean
        double *weight
        double *t
        double *t0
        double *P
        double *q
        double *moved
    void flr_coordinate_measure(const flr_coordinate *model, int n_threads)
    void flr_coordinate_sweep(const flr_coordinate *model, double *violation_out, int everything, int n_threads)
    void flr_coordinate_move(const flr_coordinate *model, const double *t, const double *t0, int n_threads)
    ctypedef struct flr_epoch_options:
        const int64_t *order
        int64_t batch
        double *W
        double *b
        double *W_velocity
        double *b_velocity
        const double *scale
        const double *shift
        double learning_rate, momentum, alpha
        double factor
        int (*poll)(void *context) noexcept nogil
        void *poll_context
    enum:
        FLR_FTRL_FIELDS
    int64_t flr_csr_width(int64_t k)
    ctypedef struct flr_ftrl:
        double learning_rate, beta, l1, l2
    int flr_csr_epoch(double *loss_out, int64_t *correct_out, const flr_csr_pass *p, const flr_epoch_options *options,
                      const flr_ftrl *ftrl, double *ftrl_table)
    int64_t flr_real_size(flr_dtype dtype)
    bint flr_wants_reference(const flr_pass *p)
    int flr_loss_and_grad(double *loss_out, double *G_out, double *g_out, const flr_pass *p)
    int flr_hessp(double *H_out, double *h_out, const flr_pass *p, const void *V, const void *c)
    int flr_outer(double *G_out, double *g_out, const flr_pass *p, const void *R)
    int flr_logits(void *Z_out, const flr_pass *p)
    int flr_evaluate(double *loss_out, int64_t *correct_out, const flr_pass *p)
    int flr_gram(double *G_out, double *s_out, const flr_pass *p, const void *scale, const void *shift)
    int flr_epoch(double *loss_out, int64_t *correct_out, const flr_pass *p, const flr_epoch_options *options)
    int64_t flr_label_outside(const int32_t *label, int64_t n, int64_t k)
    int64_t flr_order_outside(const int64_t *order, int64_t n, int64_t end)
    void flr_release(const flr_matrix *X)
    int flr_find_nonfinite(int64_t *row_out, int64_t *col_out, const flr_matrix *X, int n_threads)
    void flr_map_values(void *out, const void *z, int64_t n, int64_t size, flr_map map, int n_threads)
    int flr_map_rows(void *out, const void *Z, int64_t n, int64_t k, int64_t size, flr_row_map map, int n_threads)
    int flr_residuals(double *loss_out, void *R_out, void *losses_out, const void *Z, const flr_targets *y,
                      flr_loss loss, int64_t n, int64_t k, int64_t size, int n_threads)

cdef extern from "runtime/runtime.h" nogil:
    ctypedef struct flr_isa:
        const char *name
    extern const flr_isa *flr_active
    int flr_available(const flr_isa **list_out, int capacity)
    const flr_isa *flr_select(const char *name)
    int flr_pool_init()
    enum:
        FLR_MAX_WORKERS
    void flr_parallel_for(void (*fn)(void *context, int64_t task, int worker) noexcept nogil, void *context,
                          int64_t n_tasks, int n_threads)
    double flr_threaded_seconds(bint count)
