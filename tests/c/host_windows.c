/* host_windows.c -- host.h by Windows, which does not fork: tests run in the process of the harness, and a fault ends it. */
#ifdef _WIN32
#include "harness.h"
#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static char *fault_text;
static size_t fault_capacity;
static void (*report_fault)(void);

void *host_shared(int64_t bytes) { return calloc(1, (size_t)bytes); }

char *host_between_guards(int64_t bytes, int64_t guard) {
    char *p = VirtualAlloc(NULL, (size_t)(bytes + 2 * guard), MEM_RESERVE, PAGE_NOACCESS);
    return p ? VirtualAlloc(p + guard, (size_t)bytes, MEM_COMMIT, PAGE_READWRITE) : NULL;
}

int64_t host_page(void) {
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwPageSize;
}

/* a file's pages cannot lie between others: ordinary memory, of which as little may change */
char *host_file_between(const char *bytes, int64_t file_bytes, int64_t around) {
    char *all = VirtualAlloc(NULL, (size_t)(file_bytes + 2 * around), MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    return all ? memcpy(all + around, bytes, (size_t)file_bytes) : NULL;
}

double host_child_seconds(void) {
    FILETIME made, ended, kernel, user; /* in units of 100 ns */
    if (!GetProcessTimes(GetCurrentProcess(), &made, &ended, &kernel, &user)) return 0.0;
    return 1e-7 * (((double)kernel.dwHighDateTime + user.dwHighDateTime) * 0x1p32 + kernel.dwLowDateTime + user.dwLowDateTime);
}

static LONG CALLBACK on_fault(EXCEPTION_POINTERS *at) {
    const EXCEPTION_RECORD *record = at->ExceptionRecord;
    if (record->ExceptionCode >> 30 != 3) return EXCEPTION_CONTINUE_SEARCH; /* no error */
    char text[200] = "";
    if (record->ExceptionCode == EXCEPTION_ACCESS_VIOLATION)
        describe_address(text, sizeof text, (const char *)record->ExceptionInformation[1]);
    snprintf(fault_text, fault_capacity, "exception %08lx %s", record->ExceptionCode, text);
    report_fault();
    ExitProcess(1);
}

int host_run(void (*run)(void *context), void *context, unsigned seconds, char *fault, int64_t capacity,
             void (*report)(void)) {
    static void *handler;
    (void)seconds;
    fault_text = fault;
    fault_capacity = (size_t)capacity;
    report_fault = report;
    if (handler == NULL) handler = AddVectoredExceptionHandler(1, on_fault);
    run(context);
    return 1;
}
#else
typedef int nothing;
#endif
