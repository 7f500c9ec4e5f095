/* dispatch.c -- which instruction sets this processor has, best first, and the one in use. */
#include "runtime/runtime.h"

#include <stddef.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define DEFINE_ISA(name)                                                  \
    extern const flr_kernels flr_kernels_f32_##name, flr_kernels_f64_##name; \
    static const flr_isa isa_##name = {#name, &flr_kernels_f32_##name, &flr_kernels_f64_##name};

DEFINE_ISA(base)
#if defined(__x86_64__)
DEFINE_ISA(avx2)
DEFINE_ISA(avx512)
#elif defined(__aarch64__)
DEFINE_ISA(neon)
#endif

const flr_isa *flr_active = &isa_base;

/* Add an instruction set to a list of n, unless the build left it out; the new length. */
static int add(const flr_isa **list_out, int n, int capacity, const flr_isa *isa) {
    if (n < capacity && isa->f32->size) list_out[n++] = isa;
    return n;
}

int flr_available(const flr_isa **list_out, int capacity) {
    int n = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    unsigned a, b, c = 0, d; /* f16c: __builtin_cpu_supports does not know it everywhere */
    const int f16c = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) != 0;
    const int avx2 = f16c && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (avx512) n = add(list_out, n, capacity, &isa_avx512);
    if (avx2) n = add(list_out, n, capacity, &isa_avx2);
#elif defined(__aarch64__)
    n = add(list_out, n, capacity, &isa_neon);
#endif
    return add(list_out, n, capacity, &isa_base);
}

const flr_isa *flr_select(const char *name) {
    const flr_isa *list[8];
    const int n = flr_available(list, 8);
    for (int i = 0; i < n; i++)
        if (name == NULL || strcmp(name, list[i]->name) == 0) return flr_active = list[i];
    return NULL;
}
