/* guard.c -- memory that ends at a page which may not be touched, or begins after one. */
#include "harness.h"
#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef _WIN32
#include <pthread.h>
#endif

enum { GUARD = 1 << 16, CANARY = 256, SLOTS = 32, SCRATCH_SLOTS = 4, SCRATCH_ALIGN = 64 };
#ifdef _WIN32
static const int64_t SLOT_BYTES = 1 << 26, SCRATCH_BYTES = 1 << 30; /* committed */
#else
static const int64_t SLOT_BYTES = 1 << 26, SCRATCH_BYTES = (int64_t)1 << 32;
#endif

typedef struct {
    char *base; /* of the part that may be touched */
    int64_t capacity;
    const char *name;
    char *data;
    int64_t bytes;
    const void *source; /* what data must still be */
    int used;
} slot;

static slot slots[SLOTS], scratch_slots[SCRATCH_SLOTS];
static int n_used, begins;
int64_t scratch_taken, scratch_out, scratch_fails_at = -1;
int threads_left = 1 << 20;

static void map_slot(slot *s, int64_t capacity) {
    s->base = host_between_guards(capacity, GUARD);
    if (s->base == NULL) {
        perror("guard pages");
        exit(2);
    }
    s->capacity = capacity;
}

static unsigned char canary(const char *p) { return (unsigned char)(0x5a ^ ((uintptr_t)p * 37)); }

/* the bytes of data, and canaries in what there is between them and an end at a multiple of align */
static void place(slot *s, const char *name, int64_t bytes, int64_t align) {
    if (s->base == NULL) map_slot(s, s >= slots && s < slots + SLOTS ? SLOT_BYTES : SCRATCH_BYTES);
    const int64_t whole = (bytes + align - 1) / align * align;
    if (whole + CANARY > s->capacity) {
        fprintf(stderr, "harness: %s of %lld bytes is too large for a slot\n", name, (long long)bytes);
        exit(2);
    }
    s->name = name;
    s->bytes = bytes;
    s->source = NULL;
    s->used = 1;
    s->data = begins ? s->base : s->base + s->capacity - whole;
    memset(s->data, 0xff, (size_t)bytes);
    char *const end = s->base + s->capacity;
    for (char *p = s->data + bytes; p < end && p < s->data + bytes + CANARY; p++) *p = (char)canary(p);
    for (char *p = s->data - 1; p >= s->base && p >= s->data - CANARY; p--) *p = (char)canary(p);
}

static const char *broken(const slot *s) {
    static char text[200];
    const char *const end = s->base + s->capacity;
    for (const char *p = s->data + s->bytes; p < end && p < s->data + s->bytes + CANARY; p++)
        if ((unsigned char)*p != canary(p)) {
            snprintf(text, sizeof text, "wrote %lld bytes behind %s (%lld bytes)", (long long)(p - s->data - s->bytes),
                     s->name, (long long)s->bytes);
            return text;
        }
    for (const char *p = s->data - 1; p >= s->base && p >= s->data - CANARY; p--)
        if ((unsigned char)*p != canary(p)) {
            snprintf(text, sizeof text, "wrote %lld bytes before %s (%lld bytes)", (long long)(s->data - p), s->name,
                     (long long)s->bytes);
            return text;
        }
    if (s->source && memcmp(s->source, s->data, (size_t)s->bytes) != 0) {
        snprintf(text, sizeof text, "changed its input %s", s->name);
        return text;
    }
    return NULL;
}

void new_slots(int begin_after_guard) {
    begins = begin_after_guard;
    n_used = 0;
}

void *guarded(const char *name, int64_t bytes) {
    if (n_used == SLOTS) {
        fprintf(stderr, "harness: more than %d buffers in a case\n", SLOTS);
        exit(2);
    }
    slot *s = &slots[n_used++];
    place(s, name, bytes, 1);
    return s->data;
}

void *guarded_copy(const char *name, const void *source, int64_t bytes) {
    if (source == NULL) return NULL;
    void *data = guarded(name, bytes);
    memcpy(data, source, (size_t)bytes);
    slots[n_used - 1].source = source;
    return data;
}

const char *broken_canary(void) {
    const char *text = NULL;
    for (int i = 0; i < n_used && text == NULL; i++) text = broken(&slots[i]);
    return text;
}

static int describe(char *text, int capacity, const char *address, const slot *s) {
    if (s->base == NULL || address < s->base - GUARD || address >= s->base + s->capacity + GUARD) return 0;
    if (address >= s->data + s->bytes)
        snprintf(text, (size_t)capacity, "%lld bytes behind the end of %s (%lld bytes)",
                 (long long)(address - s->data - s->bytes), s->name, (long long)s->bytes);
    else
        snprintf(text, (size_t)capacity, "%lld bytes before %s (%lld bytes)", (long long)(s->data - address), s->name,
                 (long long)s->bytes);
    return 1;
}

void describe_address(char *text, int capacity, const char *address) {
    for (int i = 0; i < n_used; i++)
        if (describe(text, capacity, address, &slots[i])) return;
    for (int i = 0; i < SCRATCH_SLOTS; i++)
        if (describe(text, capacity, address, &scratch_slots[i])) return;
    snprintf(text, (size_t)capacity, "address %p", (const void *)address);
}

/* ---- in place of csrc/runtime/scratch.c: aligned to lines of the cache, with canaries in what that leaves ------------------- */
void *flr_take_scratch(int64_t bytes) {
    if (scratch_taken++ == scratch_fails_at) return NULL;
    for (slot *s = scratch_slots; s < scratch_slots + SCRATCH_SLOTS; s++) {
        if (s->used) continue;
        place(s, "the driver's scratch", bytes, SCRATCH_ALIGN);
        scratch_out++;
        return s->data;
    }
    return NULL;
}

void flr_return_scratch(void *scratch) {
    for (slot *s = scratch_slots; s < scratch_slots + SCRATCH_SLOTS; s++)
        if (s->used && s->data == scratch) {
            const char *text = broken(s);
            if (text) wrong_because("%s", text);
            s->used = 0;
            scratch_out--;
            return;
        }
    wrong_because("scratch was returned that had not been taken");
}

#ifndef _WIN32
/* ---- threads that cannot be made ------------------------------------------------------------------------------------ */
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
    if (threads_left <= 0) return 11; /* EAGAIN */
    threads_left--;
    return __real_pthread_create(thread, attributes, start, argument);
}
#endif
