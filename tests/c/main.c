/* main.c -- runs each test in processes of its own and counts what they found.
 *
 *     harness [--isa NAME] [--kernel PART_OF_A_NAME] [--thin N] [--seed N] [--seconds N] [--faults N] [--list] [--isas]
 *
 * --thin N: every N-th shape.  --seconds N: random larger shapes alone, for N seconds in all.  --faults N: after N faults
 * a test is given up (default 50).  The exit status is 1 where anything was found.
 */
#include "harness.h"
#include "host.h"
#include "runtime/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_K = 130, VECTORS = 3, RANDOM_SHAPES = 150, SHAPE_VALUES = 60000, SHAPE_PRODUCTS = 1 << 20, SHOWN = 3, HANG_SECONDS = 300 };

static const test *const tables[] = {map_tests,  row_tests,  residual_tests,    curvature_tests, convert_tests,
                                     product_tests, many_tests, tile_tests,     step_tests,      rows_driver_tests,
                                     pass_tests, gram_tests, epoch_tests, csr_tests,
                                     csr_sums_tests, csr_descent_tests, coordinate_tests, pages_tests};
enum { N_TABLES = sizeof tables / sizeof tables[0], MOST_TARGETS = 16, MOST_TESTS = 128 };

/* what a test's processes leave for the one that counts */
typedef struct {
    int64_t block, in_block;                 /* of the case that is running */
    int64_t resume_block, resume_in_block;   /* the first to run */
    int64_t cases, wrong_cases;
    int64_t m, k, d;
    int done, wrong_now;
    char note[200], fault[300];
} progress;

static progress *now;
static struct { const char *isa, *kernel; int64_t thin, faults; uint64_t seed; double seconds; } options = {
    .thin = 1, .faults = 50, .seed = 1};
static char running[100]; /* test, instruction set and type */
static uint64_t test_seed;
static double stop_at; /* with --seconds */

/* ---- blocks and cases ------------------------------------------------------------------------------------------------ */
static uint64_t mixed(uint64_t a, uint64_t b) {
    seed_rnd(a * 0x9e3779b97f4a7c15u + b);
    return rnd();
}

int block(int64_t m, int64_t k, int64_t d) {
    now->block++;
    now->in_block = -1;
    if (now->block < now->resume_block) return 0;
    const uint64_t seed = mixed(mixed(test_seed, (uint64_t)now->block), (uint64_t)(m * 1000003 + k));
    if (seed % (uint64_t)options.thin != 0) return 0;
    now->m = m, now->k = k, now->d = d;
    free_plain();
    seed_rnd(seed);
    return 1;
}

void shape(int64_t m, int64_t k, int64_t d) { now->m = m, now->k = k, now->d = d; }

int begin_case(int side, const char *format, ...) {
    if (++now->in_block < now->resume_in_block && now->block == now->resume_block) return 0;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(now->note, sizeof now->note, format, arguments);
    va_end(arguments);
    now->cases++;
    now->wrong_now = 0;
    new_slots(side);
    return 1;
}

void end_case(void) {
    const char *text = broken_canary();
    if (text) wrong_because("%s", text);
}

static void where(FILE *out) {
    fprintf(out, "%s m %lld k %lld d %lld (%s)", running, (long long)now->m, (long long)now->k, (long long)now->d,
            now->note);
}

static int is_first(void) {
    if (now->wrong_now) return 0;
    now->wrong_now = 1;
    return now->wrong_cases++ < SHOWN;
}

void wrong(const char *what, int64_t at, long double got, long double expected, long double allowed) {
    if (!is_first()) return;
    printf("WRONG %s[%lld] is %.9Lg for %.9Lg, %.2Lg allowed: ", what, (long long)at, got, expected, allowed);
    where(stdout);
    printf("\n");
    fflush(stdout);
}

void wrong_because(const char *format, ...) {
    if (!is_first()) return;
    va_list arguments;
    va_start(arguments, format);
    printf("WRONG ");
    vprintf(format, arguments);
    va_end(arguments);
    printf(": ");
    where(stdout);
    printf("\n");
    fflush(stdout);
}

int more_problems(int64_t i, int64_t count) {
    return options.seconds > 0 ? clock_seconds() < stop_at : i < count;
}

void for_shapes(const target *t, int which, void (*one)(const target *, int, int64_t, int64_t, int64_t)) {
    for (int64_t k = 1; options.seconds == 0 && k <= MOST_K; k++)
        for (int64_t m = 1; m <= VECTORS * t->lanes; m++) {
            const int64_t d = (int64_t)(mixed(test_seed + (uint64_t)m, (uint64_t)k) % 100) + 1;
            if (block(m, k, d)) one(t, which, m, k, d);
        }
    for (int64_t i = 0; more_problems(i, RANDOM_SHAPES); i++) {
        seed_rnd(mixed(test_seed, (uint64_t)i) + 7);
        const int64_t k = 1 + below(i % 2 ? 5000 : 130);
        const int64_t m = 1 + below(SHAPE_VALUES / k < 5000 ? SHAPE_VALUES / k : 5000);
        const int64_t d = 1 + below(SHAPE_PRODUCTS / (k * m) < 3000 ? SHAPE_PRODUCTS / (k * m) : 3000);
        if (block(m, k, d)) one(t, which, m, k, d);
    }
}

/* ---- processes --------------------------------------------------------------------------------------------------------- */
static void report_fault(void) {
    printf("FAULT %s: ", now->fault);
    where(stdout);
    printf("\n");
    fflush(stdout);
}

typedef struct { const test *which; const target *t; } job;

static void run_job(void *context) {
    const job *j = context;
    now->block = -1;
    j->which->run(j->t, j->which->which);
    free_plain();
    now->done = 1;
}

/* until it is done or has died too often; returns the number of times it died */
static int64_t run_test(const test *which, const target *t, double seconds) {
    memset(now, 0, sizeof *now);
    stop_at = clock_seconds() + seconds;
    int64_t faults = 0;
    job j = {which, t};
    while (!now->done && faults < options.faults) {
        if (host_run(run_job, &j, HANG_SECONDS + (unsigned)options.seconds, now->fault, sizeof now->fault, report_fault))
            break;
        if (++faults <= SHOWN) report_fault();
        now->resume_block = now->block;
        now->resume_in_block = now->in_block + 1;
    }
    if (faults == options.faults) printf("GIVEN UP after %lld faults: %s\n", (long long)faults, running);
    return faults;
}

static int chosen(const test *which) {
    return which->name && (options.kernel == NULL || strstr(which->name, options.kernel));
}

static void parse(int count, char **argument) {
    for (int i = 1; i < count; i += 2) {
        const char *name = argument[i], *value = i + 1 < count ? argument[i + 1] : NULL;
        if (strcmp(name, "--list") == 0) {
            for (int table = 0; table < N_TABLES; table++)
                for (const test *one = tables[table]; one->name; one++) puts(one->name);
            exit(0);
        }
        if (strcmp(name, "--isas") == 0) {
            const flr_isa *isas[8];
            const int n_isas = flr_available(isas, 8);
            for (int set = 0; set < n_isas; set++) puts(isas[set]->name);
            exit(0);
        }
        if (value == NULL) name = "";
        if (strcmp(name, "--isa") == 0)
            options.isa = value;
        else if (strcmp(name, "--kernel") == 0)
            options.kernel = value;
        else if (strcmp(name, "--thin") == 0)
            options.thin = atoll(value);
        else if (strcmp(name, "--seed") == 0)
            options.seed = strtoull(value, NULL, 0);
        else if (strcmp(name, "--seconds") == 0)
            options.seconds = atof(value);
        else if (strcmp(name, "--faults") == 0)
            options.faults = atoll(value);
        else {
            fprintf(stderr, "usage: harness [--isa NAME] [--kernel PART_OF_A_NAME] [--thin N] [--seed N] [--seconds N] "
                            "[--faults N] [--list]\n");
            exit(2);
        }
    }
    if (options.thin < 1) options.thin = 1;
}

int main(int count, char **argument) {
    static struct { const char *name; double seconds; int64_t cases[MOST_TARGETS], faults[MOST_TARGETS], wrong[MOST_TARGETS]; } rows[MOST_TESTS];
    parse(count, argument);
    const double began = clock_seconds();
    now = host_shared(sizeof *now);
    if (now == NULL) return 2;
    const flr_isa *isas[8];
    const int n_isas = flr_available(isas, 8);
    int n_rows = 0, n_targets = 0, n_chosen = 0;
    char heads[MOST_TARGETS][32];
    for (int table = 0; table < N_TABLES; table++)
        for (const test *one = tables[table]; one->name; one++)
            if (chosen(one)) rows[n_chosen++].name = one->name;
    for (int i = 0; i < n_isas; i++) {
        if (options.isa && strcmp(options.isa, isas[i]->name) != 0) continue;
        flr_select(isas[i]->name);
        for (int64_t size = 4; size <= 8; size += 4, n_targets++) {
            const int64_t vector = strcmp(isas[i]->name, "avx512") == 0 ? 64 : strcmp(isas[i]->name, "avx2") == 0 ? 32 : 16;
            const target t = {isas[i]->name, flr_kernels_of(size), size, vector / size};
            snprintf(heads[n_targets], sizeof heads[0], "%s f%d", t.isa, (int)size * 8);
            n_rows = 0;
            for (int table = 0; table < N_TABLES; table++)
                for (const test *one = tables[table]; one->name; one++) {
                    if (!chosen(one)) continue;
                    snprintf(running, sizeof running, "%s %s", one->name, heads[n_targets]);
                    test_seed = mixed(options.seed, (uint64_t)(n_rows * 16 + n_targets));
                    const double started = host_child_seconds();
                    rows[n_rows].faults[n_targets] = run_test(one, &t, options.seconds / (n_chosen * n_isas * 2));
                    rows[n_rows].seconds += host_child_seconds() - started;
                    rows[n_rows].cases[n_targets] = now->cases;
                    rows[n_rows++].wrong[n_targets] = now->wrong_cases;
                }
        }
    }
    if (n_targets == 0 || n_chosen == 0) {
        fprintf(stderr, "harness: nothing is chosen by --isa and --kernel\n");
        return 2;
    }

    int64_t cases = 0, faults = 0, wrong_cases = 0;
    printf("\n%-28s", "cases");
    for (int t = 0; t < n_targets; t++) printf("%14s", heads[t]);
    printf("%10s\n", "seconds");
    for (int r = 0; r < n_rows; r++) {
        printf("%-28s", rows[r].name);
        for (int t = 0; t < n_targets; t++) printf("%14lld", (long long)rows[r].cases[t]);
        printf("%10.1f\n", rows[r].seconds);
        for (int t = 0; t < n_targets; t++) {
            cases += rows[r].cases[t], faults += rows[r].faults[t], wrong_cases += rows[r].wrong[t];
            if (rows[r].faults[t] + rows[r].wrong[t] > 0)
                printf("    %s: %lld faults, %lld wrong\n", heads[t], (long long)rows[r].faults[t],
                       (long long)rows[r].wrong[t]);
        }
    }
    printf("\n%lld cases, %lld faults, %lld with wrong values; seed %llu, %.0f s (%.0f s of processors)\n",
           (long long)cases, (long long)faults, (long long)wrong_cases, (unsigned long long)options.seed,
           clock_seconds() - began, host_child_seconds());
    return faults + wrong_cases > 0;
}
