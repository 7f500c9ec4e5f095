/* runtime.h -- what drivers run on: an instruction set, threads, scratch memory. */
#ifndef FLR_RUNTIME_H
#define FLR_RUNTIME_H

#include "kernels/table.h"

#include <stdatomic.h>

typedef struct {
    const char *name; /* "base", "avx2", "avx512", "neon" */
    const flr_kernels *f32, *f64;
} flr_isa;

/* dispatch.c: best first.  flr_select(NULL) takes the best, else the named one; NULL if it is unknown or absent. */
extern const flr_isa *flr_active;
int flr_available(const flr_isa **list_out, int capacity);
const flr_isa *flr_select(const char *name);
static inline const flr_kernels *flr_kernels_of(int64_t size) { return size == 4 ? flr_active->f32 : flr_active->f64; }

/* pool.c */
typedef void (*flr_gang_fn)(void *context, int worker, int n_workers);
typedef void (*flr_task_fn)(void *context, int64_t task, int worker);
enum { FLR_MAX_WORKERS = 256 };
int flr_pool_init(void);
/* how many workers n_threads may become where there are so many tasks; at least 1 */
static inline int flr_workers_for(int n_threads, int64_t n_tasks) {
    const int64_t most = n_tasks < FLR_MAX_WORKERS ? n_tasks : FLR_MAX_WORKERS, n = n_threads < most ? n_threads : most;
    return n < 1 ? 1 : (int)n;
}
/* Where a part of n things begins: floor(n * part / n_parts), of fewer than 3e9 parts.  A division of 128 bits would take
 * the compiler's library; zig links the whole of it, and its memcpy and expl in place of libc's. */
static inline int64_t flr_part_begin(int64_t n, int64_t part, int64_t n_parts) {
    return n / n_parts * part + n % n_parts * part / n_parts;
}
/* Run fn on up to n_threads workers at once, the caller being worker 0; return when all have. */
void flr_gang(flr_gang_fn fn, void *context, int n_threads);
/* Run tasks 0 .. n_tasks - 1, each once, handed out in order; worker < n_threads. */
void flr_parallel_for(flr_task_fn fn, void *context, int64_t n_tasks, int n_threads);
/* CPU seconds that callers spent in jobs of several workers since the last call, if it asked to count; whether to count
 * from now on.  -1 while a job runs.  For measurements: what a caller spends besides is what runs on one thread. */
double flr_threaded_seconds(int count);
/* One processor's wait in a spin loop; yields after a while. */
void flr_relax(int *spins);
/* Chunks finish in any order and add their sums in theirs: wait until all before this one have, then let the next. */
void flr_await_turn(atomic_llong *turn, int64_t chunk);
void flr_end_turn(atomic_llong *turn);

/* scratch.c: bytes aligned to a line of the cache, of no known value, or NULL; to be returned by the same driver */
void *flr_take_scratch(int64_t bytes);
void flr_return_scratch(void *scratch);

enum { FLR_RELEASE_BYTES = 4 << 20 }; /* of rows that have been read, from which on their pages are given back */
/* pages.c: let the system take back the whole pages within; they are read from their file again */
void flr_release_pages(const void *data, int64_t bytes);

/* arena.c: scratch in pieces, for all workers and for each.  A driver's layout is a function that takes them from an
 * arena: an empty one, {0}, whose base is NULL, tells how many bytes there will be (-1: too many); pieces are NULL
 * then. */
typedef struct { char *base; int64_t bytes; } flr_arena;
typedef struct { char *memory; int64_t shared, each, bytes; } flr_scratch;
/* count values of size bytes, aligned to a line of the cache */
void *flr_take(flr_arena *arena, int64_t count, int64_t size);
/* memory for arenas of these many bytes: FLR_OK or FLR_NO_MEMORY */
int flr_open_scratch(flr_scratch *scratch, int64_t shared, int64_t each, int n_workers);
flr_arena flr_shared_arena(const flr_scratch *scratch);
flr_arena flr_worker_arena(const flr_scratch *scratch, int worker);
void flr_close_scratch(const flr_scratch *scratch);

#endif
