/* The kernels for neon, 16-byte vectors. */
#define ISA neon
#define VBYTES 16
#include "kernels_tpl.h"
