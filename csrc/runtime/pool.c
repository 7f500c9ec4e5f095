/* pool.c -- a small thread pool: lazily started, fork-safe, one job at a time.
 *
 * A job is a gang: fn(context, worker, n_workers) on so many workers at once, the caller being worker 0; those beyond
 * sleep on.  A second caller that finds the pool busy runs its job alone.  Workers spin for some microseconds after a
 * job (the next batch is often near) and then sleep: by the clock, for where the machine has other work a thread that
 * yields may be away for milliseconds.  One that is woken must not start on the caller's CPU, to wait there for a time
 * slice of some milliseconds; but that is where Linux puts it on some virtual machines, though another CPU is idle.
 * After fork() the child has no workers; pthread_atfork resets the pool and the next job starts them anew.  libgomp,
 * which hangs there, is why this file exists.
 */
#define _GNU_SOURCE
#include "runtime/runtime.h"

#include "runtime/clock.h"
#include "runtime/threads.h"

#include <stdalign.h>
#include <stddef.h>
#include <string.h>

enum { SPINS_BEFORE_YIELD = 512 };
static const double SECONDS_BEFORE_SLEEP = 2e-4; /* of yielding */

static struct {
    atomic_flag busy;            /* held for the length of a job */
    thread_mutex mutex;          /* guards the sleep of workers and of the caller */
    thread_condition done;
    int n_started;               /* workers that exist, the caller not counted */
    atomic_int n_running;        /* workers that have not finished the job */
    flr_gang_fn fn;
    void *context;
    int n_workers;
    int counting;                /* whether the caller's time in jobs is added up, */
    double seconds;              /* and what it came to */
    struct {
        alignas(64) atomic_uint job; /* changes when one begins for it */
        thread_condition wake;
        thread_id thread;
        int asleep, sent_away; /* guarded by mutex */
    } worker[FLR_MAX_WORKERS];   /* 0 is the caller */
#ifdef __linux__
    cpu_set_t cpus;              /* that the caller may run on, and so may workers */
#endif
} pool = {.busy = ATOMIC_FLAG_INIT,
          .mutex = THREAD_MUTEX_INIT,
          .done = THREAD_CONDITION_INIT};

void flr_relax(int *spins) {
    if (++*spins < SPINS_BEFORE_YIELD) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    } else {
        thread_yield();
    }
}

/* Whether to go on spinning, until a time that is set with the first yield. */
static int is_patient(int spins, double *until) {
    if (spins < SPINS_BEFORE_YIELD) return 1;
    const double now = clock_seconds();
    if (spins == SPINS_BEFORE_YIELD) *until = now + SECONDS_BEFORE_SLEEP;
    return now < *until;
}

/* Sleeping workers may wake on the caller's CPUs but the one it is running on, until they have woken. */
static void send_away(int n_workers) {
#ifdef __linux__
    const int here = sched_getcpu();
    if (here < 0 || sched_getaffinity(0, sizeof pool.cpus, &pool.cpus) != 0 || CPU_COUNT(&pool.cpus) < 2) return;
    cpu_set_t elsewhere = pool.cpus;
    CPU_CLR(here, &elsewhere);
    for (int i = 1; i < n_workers; i++)
        if (pool.worker[i].asleep)
            pool.worker[i].sent_away = pthread_setaffinity_np(pool.worker[i].thread, sizeof elsewhere, &elsewhere) == 0;
#else
    (void)n_workers;
#endif
}

static void come_back(int index) {
#ifdef __linux__
    if (pool.worker[index].sent_away) pthread_setaffinity_np(pthread_self(), sizeof pool.cpus, &pool.cpus);
#endif
    pool.worker[index].sent_away = 0;
}

static thread_result THREAD_CALL work(void *argument) {
    const int index = *(int *)argument;
    atomic_uint *job = &pool.worker[index].job;
    /* the starter waits until its argument was read: n_running counts this worker too */
    atomic_fetch_sub(&pool.n_running, 1);
    for (unsigned seen = 0;; seen++) { /* a worker finishes a job before its next one begins */
        double until = 0.0;
        for (int spins = 0; atomic_load(job) == seen;) {
            if (is_patient(spins, &until)) {
                flr_relax(&spins);
                continue;
            }
            thread_lock(&pool.mutex);
            pool.worker[index].asleep = 1;
            while (atomic_load(job) == seen) thread_wait(&pool.worker[index].wake, &pool.mutex);
            pool.worker[index].asleep = 0;
            come_back(index);
            thread_unlock(&pool.mutex);
        }
        pool.fn(pool.context, index, pool.n_workers);
        if (atomic_fetch_sub(&pool.n_running, 1) == 1) {
            thread_lock(&pool.mutex);
            thread_wake_one(&pool.done);
            thread_unlock(&pool.mutex);
        }
    }
    return 0;
}

/* Start workers until n exist or the system refuses. */
static void start_workers(int n) {
    while (pool.n_started < n) {
        int index = pool.n_started + 1;
        thread_condition_init(&pool.worker[index].wake);
        atomic_store(&pool.worker[index].job, 0);
        atomic_store(&pool.n_running, 1);
        if (thread_start(&pool.worker[index].thread, work, &index) != 0) break;
        for (int spins = 0; atomic_load(&pool.n_running) != 0;) flr_relax(&spins);
        pool.n_started++;
    }
}

void flr_gang(flr_gang_fn fn, void *context, int n_threads) {
    if (n_threads > FLR_MAX_WORKERS) n_threads = FLR_MAX_WORKERS;
    if (n_threads <= 1 || atomic_flag_test_and_set(&pool.busy)) {
        fn(context, 0, 1);
        return;
    }
    if (pool.n_started < n_threads - 1) start_workers(n_threads - 1);
    if (n_threads > pool.n_started + 1) n_threads = pool.n_started + 1;

    const double begin = pool.counting ? thread_seconds() : 0.0;
    pool.fn = fn;
    pool.context = context;
    pool.n_workers = n_threads;
    atomic_store(&pool.n_running, n_threads - 1);
    thread_lock(&pool.mutex);
    send_away(n_threads);
    for (int i = 1; i < n_threads; i++) {
        atomic_fetch_add(&pool.worker[i].job, 1);
        if (pool.worker[i].asleep) thread_wake_one(&pool.worker[i].wake);
    }
    thread_unlock(&pool.mutex);

    fn(context, 0, n_threads);
    double until = 0.0;
    for (int spins = 0; atomic_load(&pool.n_running) != 0;) {
        if (is_patient(spins, &until)) {
            flr_relax(&spins);
            continue;
        }
        thread_lock(&pool.mutex);
        while (atomic_load(&pool.n_running) != 0) thread_wait(&pool.done, &pool.mutex);
        thread_unlock(&pool.mutex);
    }
    if (pool.counting) pool.seconds += thread_seconds() - begin;
    atomic_flag_clear(&pool.busy);
}

double flr_threaded_seconds(int count) {
    if (atomic_flag_test_and_set(&pool.busy)) return -1.0;
    const double seconds = pool.seconds;
    pool.counting = count;
    pool.seconds = 0.0;
    atomic_flag_clear(&pool.busy);
    return seconds;
}

typedef struct { flr_task_fn fn; void *context; int64_t n_tasks; atomic_llong next; } task_queue;

static void take_tasks(void *context, int worker, int n_workers) {
    task_queue *queue = context;
    (void)n_workers;
    for (int64_t task; (task = atomic_fetch_add(&queue->next, 1)) < queue->n_tasks;)
        queue->fn(queue->context, task, worker);
}

void flr_parallel_for(flr_task_fn fn, void *context, int64_t n_tasks, int n_threads) {
    task_queue queue = {fn, context, n_tasks, 0};
    flr_gang(take_tasks, &queue, flr_workers_for(n_threads, n_tasks));
}

void flr_await_turn(atomic_llong *turn, int64_t chunk) {
    for (int spins = 0; atomic_load_explicit(turn, memory_order_acquire) != chunk;) flr_relax(&spins);
}

void flr_end_turn(atomic_llong *turn) { atomic_fetch_add_explicit(turn, 1, memory_order_release); }

#ifdef _WIN32
int flr_pool_init(void) { return FLR_OK; } /* no process is forked */
#else
static void forget_workers(void) {
    pthread_mutex_init(&pool.mutex, NULL);
    pthread_cond_init(&pool.done, NULL);
    pool.n_started = 0;
    memset(pool.worker, 0, sizeof pool.worker);
    atomic_flag_clear(&pool.busy);
}

int flr_pool_init(void) {
    return pthread_atfork(NULL, NULL, forget_workers) == 0 ? FLR_OK : FLR_NO_MEMORY;
}
#endif
