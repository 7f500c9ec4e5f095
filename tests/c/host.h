/* host.h -- what the harness asks of the system it runs on. */
#ifndef HOST_H
#define HOST_H

#include <stdint.h>

/* zeros that child processes share, or NULL */
void *host_shared(int64_t bytes);
/* bytes of zeros between two guards that may not be touched, or NULL */
char *host_between_guards(int64_t bytes, int64_t guard);
int64_t host_page(void);
/* bytes of pages whose middle is a file's, where there is such memory: where the middle begins, or NULL */
char *host_file_between(const char *bytes, int64_t file_bytes, int64_t around);
/* of the processes that have ended, CPU seconds */
double host_child_seconds(void);
/* Run a function for so many seconds at most: 1 if it returned, else 0, and fault says why.  It has a process of its own, but
 * on Windows, where a fault is reported and ends the harness. */
int host_run(void (*run)(void *context), void *context, unsigned seconds, char *fault, int64_t capacity,
             void (*report)(void));

#endif
