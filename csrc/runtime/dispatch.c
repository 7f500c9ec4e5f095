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

#if defined(__x86_64__)
/* Register states that the system keeps for its threads (XCR0). */
static unsigned kept_states(void) {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* 2: all that avx512 is compiled with, 1: all of avx2, 0.  Not by __builtin_cpu_supports, which needs the compiler's own
 * runtime and says no to everything where that is another's (zig). */
static int x86_level(void) {
    enum { AVX_STATES = 0x6, AVX512_STATES = 0xe6 };
    const unsigned first = bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C;
    const unsigned avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & first) != first) return 0;
    const unsigned states = kept_states();
    if ((states & AVX_STATES) != AVX_STATES || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2)) return 0;
#ifdef __APPLE__
    const int keeps_avx512 = 1; /* from a thread's first use on, which XCR0 does not tell */
#else
    const int keeps_avx512 = (states & AVX512_STATES) == AVX512_STATES;
#endif
    return keeps_avx512 && (b & avx512) == avx512 ? 2 : 1;
}
#endif

int flr_available(const flr_isa **list_out, int capacity) {
    int n = 0;
#if defined(__x86_64__)
    const int level = x86_level();
    if (level == 2) n = add(list_out, n, capacity, &isa_avx512);
    if (level >= 1) n = add(list_out, n, capacity, &isa_avx2);
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
