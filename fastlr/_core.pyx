"""Bindings: take checked arrays, drop the GIL, call the drivers of csrc/fastlr.h.

Nothing is checked here beyond what keeps memory safe; messages for users belong to the Python layer above.  The parts
are one module, as there is one pool of threads and one table of kernels.
"""

cimport numpy as np

np.import_array()

if flr_pool_init() != FLR_OK:
    raise MemoryError("fastlr could not register its fork handler")

include "_bindings/arguments.pxi"
include "_bindings/instruction_sets.pxi"
include "_bindings/logits.pxi"
include "_bindings/matrix.pxi"
include "_bindings/mapped_file.pxi"
include "_bindings/weights.pxi"
include "_bindings/interrupts.pxi"
include "_bindings/epochs.pxi"
include "_bindings/problem_data.pxi"
include "_bindings/problem.pxi"
include "_bindings/csr.pxi"
include "_bindings/csr_sums.pxi"
include "_bindings/coordinate.pxi"
include "_bindings/tasks.pxi"
include "_bindings/blas.pxi"
include "_bindings/c_api.pxi"
