/* The kernels for avx512, 64-byte vectors. */
#define ISA avx512
#define VBYTES 64
#include "kernels_tpl.h"
