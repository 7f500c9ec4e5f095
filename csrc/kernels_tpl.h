/* kernels_tpl.h -- one instruction set: every template for float and for double, and the table that lists them.
 *
 * The including file sets ISA (a name) and VBYTES (bytes in a vector register).  Names get a suffix:
 * NAME(softmax) is flr_softmax_f32_avx2.
 */
#include "fastlr.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define CAT4_(a, b, c, d) a##b##_##c##_##d
#define CAT4(a, b, c, d) CAT4_(a, b, c, d)
#define NAME(x) CAT4(flr_, x, TYPE, ISA)
#define CAT2_(a, b) a##b
#define CAT2(a, b) CAT2_(a, b)
#define STRING_(x) #x
#define STRING(x) STRING_(x)

#define TYPE f32
#define REAL_BITS 32
#include "table_tpl.h"
#undef TYPE
#undef REAL_BITS

#define TYPE f64
#define REAL_BITS 64
#include "table_tpl.h"
#undef TYPE
#undef REAL_BITS

extern const flr_isa CAT2(flr_isa_, ISA);
const flr_isa CAT2(flr_isa_, ISA) = {STRING(ISA), &CAT4(flr_, table, f32, ISA), &CAT4(flr_, table, f64, ISA)};
