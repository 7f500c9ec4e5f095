/* pages.c -- memory of mapped files that has been read and will not be for a while. */
#include "runtime/runtime.h"

#include <sys/mman.h>
#include <unistd.h>

void flr_release_pages(const void *data, int64_t bytes) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)data;
    const uintptr_t head = (page - begin % page) % page, end = begin + (uintptr_t)bytes;
    if (head >= (uintptr_t)bytes) return;
    const uintptr_t length = (end - begin - head) / page * page;
    if (length > 0) (void)madvise((char *)(uintptr_t)data + head, length, MADV_DONTNEED); /* advice: it may fail */
}
