/* pages.c -- memory of mapped files that has been read and will not be for a while. */
#define _DEFAULT_SOURCE
#include "runtime/runtime.h"

#include "runtime/memory.h"

void flr_release_pages(const void *data, int64_t bytes) {
    const uintptr_t page = page_bytes(), begin = (uintptr_t)data;
    const uintptr_t head = (page - begin % page) % page, end = begin + (uintptr_t)bytes;
    if (head >= (uintptr_t)bytes) return;
    const uintptr_t length = (end - begin - head) / page * page;
    if (length > 0) release_pages((char *)begin + head, length); /* advice: it may fail */
}
