/* absent.c -- the empty tables of an instruction set that a build leaves out. */
#include "fastlr.h"
#include "runtime/runtime.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

extern const flr_kernels JOIN(flr_kernels_f32_, ISA), JOIN(flr_kernels_f64_, ISA);
const flr_kernels JOIN(flr_kernels_f32_, ISA) = {0}, JOIN(flr_kernels_f64_, ISA) = {0};
