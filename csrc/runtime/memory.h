/* memory.h -- aligned memory and pages, of POSIX or of Windows. */
#ifndef FLR_MEMORY_H
#define FLR_MEMORY_H

#include <stddef.h>

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <malloc.h>

/* bytes: a multiple of the alignment */
static inline void *memory_take(size_t alignment, size_t bytes) { return _aligned_malloc(bytes, alignment); }
static inline void memory_return(void *memory) { _aligned_free(memory); }

static inline size_t page_bytes(void) {
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwPageSize;
}
/* unlocking pages that are not locked takes them out of the working set */
static inline void release_pages(void *begin, size_t bytes) { (void)VirtualUnlock(begin, bytes); }

#else
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* bytes: a multiple of the alignment */
static inline void *memory_take(size_t alignment, size_t bytes) { return aligned_alloc(alignment, bytes); }
static inline void memory_return(void *memory) { free(memory); }

static inline size_t page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }
static inline void release_pages(void *begin, size_t bytes) { (void)madvise(begin, bytes, MADV_DONTNEED); }
#endif

#endif
