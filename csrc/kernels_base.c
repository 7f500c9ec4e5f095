/* The kernels for any processor, 16-byte vectors. */
#define ISA base
#define VBYTES 16
#include "kernels_tpl.h"
