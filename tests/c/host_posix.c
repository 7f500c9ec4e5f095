/* host_posix.c -- host.h by POSIX: mmap, fork. */
#ifndef _WIN32
#define _GNU_SOURCE
#include "harness.h"
#include "host.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAULT = 77 };

void *host_shared(int64_t bytes) {
    void *p = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

char *host_between_guards(int64_t bytes, int64_t guard) {
    char *p = mmap(NULL, (size_t)(bytes + 2 * guard), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED || mprotect(p + guard, (size_t)bytes, PROT_READ | PROT_WRITE) != 0) return NULL;
    return p + guard;
}

int64_t host_page(void) { return sysconf(_SC_PAGESIZE); }

char *host_file_between(const char *bytes, int64_t file_bytes, int64_t around) {
    FILE *file = tmpfile();
    char *all = mmap(NULL, (size_t)(file_bytes + 2 * around), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (file == NULL || all == MAP_FAILED) return NULL;
    if (fwrite(bytes, 1, (size_t)file_bytes, file) != (size_t)file_bytes || fflush(file) != 0) return NULL;
    char *middle = mmap(all + around, (size_t)file_bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fileno(file), 0);
    fclose(file);
    return middle == MAP_FAILED ? NULL : middle;
}

double host_child_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static char *fault_text;
static size_t fault_capacity;

static void on_fault(int signal_number, siginfo_t *info, void *context) {
    char text[200];
    describe_address(text, sizeof text, info->si_addr);
    const char *does = "touches";
#if defined(__x86_64__) && defined(__linux__)
    const ucontext_t *u = context;
    does = u->uc_mcontext.gregs[REG_ERR] & 2 ? "writes" : "reads";
#endif
    (void)context;
    if (signal_number == SIGALRM)
        snprintf(fault_text, fault_capacity, "does not end");
    else
        snprintf(fault_text, fault_capacity, "%s: %s %s", strsignal(signal_number), does, text);
    _exit(FAULT);
}

int host_run(void (*run)(void *context), void *context, unsigned seconds, char *fault, int64_t capacity,
             void (*report)(void)) {
    (void)report;
    fault_text = fault;
    fault_capacity = (size_t)capacity;
    fault[0] = 0;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        const struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
        const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM};
        for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) sigaction(signals[i], &action, NULL);
        alarm(seconds);
        run(context);
        exit(0);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("fork");
        exit(2);
    }
    if (status == 0) return 1;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2) exit(2); /* the harness itself failed, and has said so */
    if (fault[0] == 0)
        snprintf(fault, (size_t)capacity, WIFSIGNALED(status) ? "killed by signal %d" : "ended with status %d",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return 0;
}
#else
typedef int nothing;
#endif
