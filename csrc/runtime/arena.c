/* arena.c -- scratch memory in pieces: measured with an empty arena, then handed out by the same calls.
 *
 * Every piece is aligned to a line of the cache.  Sizes that overflow make the whole too large to be had.
 * With FLR_CHECK_BOUNDS (the C harness, builds with sanitizers) each piece has a line in front of it, which says how long
 * it is, and LINES_BEHIND lines behind it, filled with a pattern.  Closing looks for all pieces and ends the process if a
 * pattern has changed: what was written up to 256 bytes behind a piece is found.  With AddressSanitizer those lines are
 * poisoned too, so that the access itself is reported, reads as well, from the first byte behind the piece on.
 */
#include "runtime/runtime.h"

#include <stddef.h>

#ifdef FLR_CHECK_BOUNDS
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif
enum { LINES_IN_FRONT = 1, LINES_BEHIND = 4, PATTERN = 0xa5 };
#else
enum { LINES_IN_FRONT = 0, LINES_BEHIND = 0 };
#endif
enum { LINE = 64 };

/* a * b + c of values that are not negative, -1 if that overflows or one of them did */
static int64_t multiply_add(int64_t a, int64_t b, int64_t c) {
    int64_t product, sum;
    if (a < 0 || b < 0 || c < 0 || __builtin_mul_overflow(a, b, &product) || __builtin_add_overflow(product, c, &sum))
        return -1;
    return sum;
}

#ifdef FLR_CHECK_BOUNDS
typedef struct { uint64_t magic; int64_t bytes; } mark;
static uint64_t magic_at(const void *at) { return (uint64_t)(uintptr_t)at * 0x9e3779b97f4a7c15u ^ 0x5ca1ab1e0ddba11u; }

static int64_t behind(int64_t bytes) { return (LINE - bytes % LINE) % LINE + LINES_BEHIND * LINE; }

static void guard(char *piece, int64_t bytes) {
    mark *m = (mark *)(piece - LINE);
    ASAN_UNPOISON_MEMORY_REGION(m, LINE + bytes + behind(bytes));
    *m = (mark){magic_at(m), bytes};
    memset(piece + bytes, PATTERN, (size_t)behind(bytes));
    ASAN_POISON_MEMORY_REGION(m, LINE);
    ASAN_POISON_MEMORY_REGION(piece + bytes, behind(bytes));
}

static void look_at_guards(char *memory, int64_t bytes) {
    ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
    for (char *line = memory; line < memory + bytes; line += LINE) {
        const mark *m = (const mark *)line;
        if (m->magic != magic_at(m)) continue;
        const char *end = line + LINE + m->bytes;
        for (int64_t i = 0; i < behind(m->bytes); i++)
            if ((unsigned char)end[i] != PATTERN) {
                fprintf(stderr, "fastlr: a kernel wrote %lld bytes behind a piece of %lld bytes of scratch\n",
                        (long long)i, (long long)m->bytes);
                abort();
            }
    }
    memset(memory, 0, (size_t)bytes); /* no marks are left for the next */
}
#endif

void *flr_take(flr_arena *arena, int64_t count, int64_t size) {
    const int64_t bytes = multiply_add(count, size, 0), padded = multiply_add(bytes, 1, LINE - 1);
    const int64_t begin = multiply_add(LINES_IN_FRONT, LINE, arena->bytes);
    arena->bytes = padded < 0 ? -1 : multiply_add(padded / LINE + LINES_BEHIND, LINE, begin);
    if (arena->base == NULL) return NULL;
    char *piece = arena->base + begin;
#ifdef FLR_CHECK_BOUNDS
    guard(piece, bytes);
#endif
    return piece;
}

int flr_open_scratch(flr_scratch *scratch, int64_t shared, int64_t each, int n_workers) {
    const int64_t bytes = multiply_add(each, n_workers, shared);
    *scratch = (flr_scratch){bytes < 0 ? NULL : flr_take_scratch(bytes), shared, each, bytes};
#ifdef FLR_CHECK_BOUNDS
    if (scratch->memory) memset(scratch->memory, 0, (size_t)bytes);
#endif
    return scratch->memory ? FLR_OK : FLR_NO_MEMORY;
}

flr_arena flr_shared_arena(const flr_scratch *scratch) { return (flr_arena){scratch->memory, 0}; }

flr_arena flr_worker_arena(const flr_scratch *scratch, int worker) {
    return (flr_arena){scratch->memory + scratch->shared + worker * scratch->each, 0};
}

void flr_close_scratch(const flr_scratch *scratch) {
#ifdef FLR_CHECK_BOUNDS
    look_at_guards(scratch->memory, scratch->bytes);
#endif
    flr_return_scratch(scratch->memory);
}
