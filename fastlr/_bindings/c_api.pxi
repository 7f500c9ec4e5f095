# The drivers for other extension modules and languages: the table of csrc/fastlr_api.h, and its addresses.

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int64_t

cdef extern from "fastlr_api.h":
    ctypedef struct flr_api:
        void *kernels, *map_values, *map_rows, *residuals, *loss_and_grad, *hessp, *outer, *logits, *gram, *evaluate
        void *epoch, *find_nonfinite, *label_outside, *order_outside
    const flr_api flr_api_table
    const char *FLR_API_CAPSULE

_api = PyCapsule_New(<void *>&flr_api_table, FLR_API_CAPSULE, NULL)

C_FUNCTIONS = {
    "kernels": <size_t>flr_api_table.kernels,
    "map_values": <size_t>flr_api_table.map_values,
    "map_rows": <size_t>flr_api_table.map_rows,
    "residuals": <size_t>flr_api_table.residuals,
    "loss_and_grad": <size_t>flr_api_table.loss_and_grad,
    "hessp": <size_t>flr_api_table.hessp,
    "outer": <size_t>flr_api_table.outer,
    "logits": <size_t>flr_api_table.logits,
    "gram": <size_t>flr_api_table.gram,
    "evaluate": <size_t>flr_api_table.evaluate,
    "epoch": <size_t>flr_api_table.epoch,
    "find_nonfinite": <size_t>flr_api_table.find_nonfinite,
    "label_outside": <size_t>flr_api_table.label_outside,
    "order_outside": <size_t>flr_api_table.order_outside,
}
