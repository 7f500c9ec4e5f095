/* fastlr_api.h -- what other extension modules call: the drivers of fastlr.h, in a table that the Python module gives.
 *
 *     #include <Python.h>
 *     #include "fastlr_api.h"
 *     const flr_api *fastlr = flr_import();     with the GIL; NULL with a Python exception set
 *     fastlr->map_rows(out, Z, n, k, sizeof(double), FLR_ROWS_SOFTMAX, n_threads);     without it, if you like
 *
 * Nothing is linked: the functions that fastlr.h declares are reached through the table alone.  They check nothing but
 * memory; fastlr.h, types.h and kernels/table.h say what each argument must be.  C11 or C++17, with GNU extensions.
 */
#ifndef FASTLR_API_H
#define FASTLR_API_H

#include "fastlr.h"

/* of another version may be laid out otherwise */
enum { FLR_API_VERSION = 1 };
#define FLR_API_CAPSULE "fastlr._core._api"

typedef struct {
    int64_t version;
    const flr_kernels *(*kernels)(int64_t size); /* of the instruction set in use: size 4 float, 8 double */
    __typeof__(flr_map_values) *map_values;
    __typeof__(flr_map_rows) *map_rows;
    __typeof__(flr_residuals) *residuals;
    __typeof__(flr_loss_and_grad) *loss_and_grad;
    __typeof__(flr_hessp) *hessp;
    __typeof__(flr_outer) *outer;
    __typeof__(flr_logits) *logits;
    __typeof__(flr_gram) *gram;
    __typeof__(flr_evaluate) *evaluate;
    __typeof__(flr_epoch) *epoch;
    __typeof__(flr_find_nonfinite) *find_nonfinite;
    __typeof__(flr_label_outside) *label_outside;
    __typeof__(flr_order_outside) *order_outside;
} flr_api;

extern const flr_api flr_api_table; /* runtime/api.c; within fastlr._core only */

#ifdef Py_PYTHON_H
static inline const flr_api *flr_import(void) {
    const flr_api *api = (const flr_api *)PyCapsule_Import(FLR_API_CAPSULE, 0);
    if (api && api->version != FLR_API_VERSION) {
        PyErr_Format(PyExc_ImportError, "fastlr has version %d of its C interface; this module was compiled for %d: "
                     "compile it again", (int)api->version, FLR_API_VERSION);
        return NULL;
    }
    return api;
}
#endif

#endif
