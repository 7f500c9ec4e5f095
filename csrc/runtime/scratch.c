/* scratch.c -- the memory that a pass works in, kept for the next: to give pages back and touch new ones takes longer than
 * a small pass, and stops all threads of the process.
 */
#include "runtime/runtime.h"

#include "runtime/memory.h"

enum { LINE = 64 };
#ifdef __SANITIZE_ADDRESS__
enum { MOST_KEPT = 0 }; /* each pass is held to what it asked for */
#else
enum { MOST_KEPT = 16 << 20 };
#endif

typedef struct { int64_t bytes; } header; /* takes a line, so that what follows is aligned */

static _Atomic(header *) kept;

void *flr_take_scratch(int64_t bytes) {
    header *block = atomic_exchange(&kept, NULL);
    if (block == NULL || block->bytes < bytes) {
        memory_return(block);
        block = bytes < INT64_MAX - 2 * LINE ? memory_take(LINE, (size_t)((bytes + 2 * LINE - 1) / LINE * LINE)) : NULL;
        if (block == NULL) return NULL;
        block->bytes = bytes;
    }
    return (char *)block + LINE;
}

void flr_return_scratch(void *scratch) {
    header *block = (header *)((char *)scratch - LINE);
    if (block->bytes <= MOST_KEPT) block = atomic_exchange(&kept, block);
    memory_return(block);
}
