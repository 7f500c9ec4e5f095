/* clock.h -- seconds: of the clock that never goes back, and of the processor in the calling thread. */
#ifndef FLR_CLOCK_H
#define FLR_CLOCK_H

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

static inline double clock_seconds(void) {
    LARGE_INTEGER count, per_second;
    QueryPerformanceCounter(&count);
    QueryPerformanceFrequency(&per_second);
    return (double)count.QuadPart / (double)per_second.QuadPart;
}

static inline double thread_seconds(void) {
    FILETIME made, ended, kernel, user; /* in units of 100 ns */
    if (!GetThreadTimes(GetCurrentThread(), &made, &ended, &kernel, &user)) return 0.0;
    const double high = (double)kernel.dwHighDateTime + user.dwHighDateTime;
    return 1e-7 * (high * 0x1p32 + kernel.dwLowDateTime + user.dwLowDateTime);
}

#else
#include <time.h>

static inline double seconds_of(clockid_t clock) {
    struct timespec now;
    return clock_gettime(clock, &now) == 0 ? (double)now.tv_sec + 1e-9 * (double)now.tv_nsec : 0.0;
}
static inline double clock_seconds(void) { return seconds_of(CLOCK_MONOTONIC); }
static inline double thread_seconds(void) { return seconds_of(CLOCK_THREAD_CPUTIME_ID); }
#endif

#endif
