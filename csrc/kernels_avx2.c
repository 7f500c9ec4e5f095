/* The kernels for avx2, 32-byte vectors. */
#define ISA avx2
#define VBYTES 32
#include "kernels_tpl.h"
