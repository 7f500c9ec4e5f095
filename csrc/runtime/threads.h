/* threads.h -- what pool.c needs of the system's threads: POSIX's, or Windows'. */
#ifndef FLR_THREADS_H
#define FLR_THREADS_H

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <process.h>

typedef HANDLE thread_id;
typedef SRWLOCK thread_mutex;
typedef CONDITION_VARIABLE thread_condition;
typedef unsigned thread_result;
#define THREAD_CALL __stdcall
#define THREAD_MUTEX_INIT SRWLOCK_INIT
#define THREAD_CONDITION_INIT CONDITION_VARIABLE_INIT

static inline void thread_lock(thread_mutex *mutex) { AcquireSRWLockExclusive(mutex); }
static inline void thread_unlock(thread_mutex *mutex) { ReleaseSRWLockExclusive(mutex); }
static inline void thread_wait(thread_condition *condition, thread_mutex *mutex) {
    SleepConditionVariableSRW(condition, mutex, INFINITE, 0);
}
static inline void thread_wake_one(thread_condition *condition) { WakeConditionVariable(condition); }
static inline void thread_condition_init(thread_condition *condition) { InitializeConditionVariable(condition); }
static inline void thread_yield(void) { SwitchToThread(); }

/* 0, or not if there is no such thread */
static inline int thread_start(thread_id *thread, thread_result(THREAD_CALL *run)(void *), void *argument) {
    *thread = (HANDLE)_beginthreadex(NULL, 0, run, argument, 0, NULL);
    if (*thread == NULL) return -1;
    CloseHandle(*thread);
    return 0;
}

#else
#include <pthread.h>
#include <sched.h>
#include <signal.h>

typedef pthread_t thread_id;
typedef pthread_mutex_t thread_mutex;
typedef pthread_cond_t thread_condition;
typedef void *thread_result;
#define THREAD_CALL
#define THREAD_MUTEX_INIT PTHREAD_MUTEX_INITIALIZER
#define THREAD_CONDITION_INIT PTHREAD_COND_INITIALIZER

static inline void thread_lock(thread_mutex *mutex) { pthread_mutex_lock(mutex); }
static inline void thread_unlock(thread_mutex *mutex) { pthread_mutex_unlock(mutex); }
static inline void thread_wait(thread_condition *condition, thread_mutex *mutex) {
    pthread_cond_wait(condition, mutex);
}
static inline void thread_wake_one(thread_condition *condition) { pthread_cond_signal(condition); }
static inline void thread_condition_init(thread_condition *condition) { pthread_cond_init(condition, NULL); }
static inline void thread_yield(void) { sched_yield(); }

/* 0, or not if there is no such thread; signals stay with the threads of the user */
static inline int thread_start(thread_id *thread, thread_result (*run)(void *), void *argument) {
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    const int status = pthread_create(thread, NULL, run, argument);
    if (status == 0) pthread_detach(*thread);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return status;
}
#endif

#endif
