/* races.c -- threads that call the drivers at once, on the same data and with different numbers of threads: for
 * ThreadSanitizer, and the same bits as alone.
 *
 *     python tests/c/build.py --sanitize thread --races --isa base OUT && OUT/races [ROUNDS]
 *
 * The scratch memory is the package's own.  Exit status 1 if a result differs; ThreadSanitizer's is its own.
 */
#include "fastlr.h"
#include "runtime/runtime.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLERS = 5, N = 900, D = 37, WIDE_K = 70, LDW = 48 };

/* inputs that all callers read */
static float X[N * D], W[WIDE_K * LDW], prob[N * WIDE_K], offset[N * WIDE_K], b[WIDE_K], V[WIDE_K * LDW];
static double weight[N], scale[D], shift[D];
static int32_t label[N], few_label[N];
static int64_t order[N];

/* X's rows without some of their values, and a transposed copy */
enum { BLOCK = 300, BLOCKS = N / BLOCK };
static float values[N * D], copy_values[N * D];
static int32_t columns[N * D];
static int64_t places[N + 1], starts[BLOCKS * (D + 1)];
static uint16_t copy_rows[N * D];
static double folded[WIDE_K * D];
static flr_csr_columns copy = {.data = copy_values, .rows = copy_rows, .starts = starts, .row_size = 2, .block_rows = BLOCK,
                               .n_blocks = BLOCKS};

/* what one caller writes: the results of every job, one behind another */
typedef struct { double loss, G[WIDE_K * D], g[WIDE_K], gram[D * D], s[D], values[4]; float Z[N * WIDE_K], R[N * WIDE_K]; } results;
typedef struct { double W[WIDE_K * D], b[WIDE_K], Wv[WIDE_K * D], bv[WIDE_K]; float W_real[WIDE_K * LDW], b_real[WIDE_K]; } model;

static int never(void *context) { return context != NULL; }

static flr_pass pass_of(int64_t k, flr_loss loss, int n_threads) {
    return (flr_pass){.X = {(const char *)X, FLR_F32, N, D, D * 4, 4, 0}, .loss = loss, .k = k, .W = W, .ldw = LDW, .b = b,
                      .label = k == WIDE_K ? label : few_label, .weight = weight, .n_threads = n_threads};
}

static flr_csr_pass csr_pass_of(int64_t k, int n_threads) {
    return (flr_csr_pass){.X = {values, FLR_F32, columns, places, 4, 8, N, D}, .loss = FLR_SOFTMAX, .k = k, .W = folded,
                          .b = b, .label = k == WIDE_K ? label : few_label, .weight = weight, .n_threads = n_threads};
}

static void epoch(results *r, int64_t k, int64_t batch, int scaled, int momentum, int n_threads) {
    model *m = calloc(1, sizeof *m);
    if (m == NULL) abort();
    for (int64_t i = 0; i < k * D; i++) m->W[i] = (double)W[i] / 9;
    flr_pass pass = pass_of(k, FLR_SOFTMAX, n_threads);
    pass.W = m->W_real, pass.b = m->b_real;
    const flr_epoch_options o = {.order = order, .batch = batch, .W = m->W, .b = m->b, .W_velocity = momentum ? m->Wv : NULL,
                                 .b_velocity = momentum ? m->bv : NULL, .scale = scaled ? scale : NULL, .shift = scaled ? shift : NULL,
                                 .learning_rate = 0.01, .momentum = momentum ? 0.9 : 0, .poll = never};
    int64_t correct = 0;
    if (flr_epoch(&r->loss, &correct, &pass, &o) != FLR_OK) abort();
    memcpy(r->G, m->W, (size_t)(k * D * 8));
    memcpy(r->g, m->b, (size_t)(k * 8));
    r->values[0] = (double)correct;
    free(m);
}

enum { JOBS = 22 };
static void do_job(results *r, int job, int n_threads) {
    memset(r, 0, sizeof *r);
    flr_pass pass = pass_of(job % 2 ? WIDE_K : 3, FLR_SOFTMAX, n_threads);
    flr_csr_pass sparse = csr_pass_of(job % 2 ? WIDE_K : 3, n_threads);
    int64_t row = 0, column = 0;
    const flr_targets y = {.prob = prob, .weight = weight, .grad_scale = 1};
    int status = FLR_OK;
    switch (job) {
    case 0: case 1: pass.R_out = r->R; status = flr_loss_and_grad(&r->loss, r->G, r->g, &pass); break;
    case 2: case 3: status = flr_hessp(r->G, r->g, &pass, V, b); break;
    case 4: case 5: pass.offset = offset; status = flr_logits(r->Z, &pass); break;
    case 6: status = flr_evaluate(&r->loss, &row, &pass); break;
    case 7: status = flr_map_rows(r->Z, prob, N, WIDE_K, 4, FLR_ROWS_SOFTMAX, n_threads); break;
    case 8: status = flr_residuals(&r->loss, r->R, NULL, prob, &y, FLR_SIGMOID, N, WIDE_K, 4, n_threads); break;
    case 9: status = flr_find_nonfinite(&row, &column, &pass.X, n_threads); break;
    case 10: epoch(r, WIDE_K, 200, 1, 1, n_threads); break;
    case 11: epoch(r, 3, 68, 1, 0, n_threads); break;
    case 12: epoch(r, 40, 1, 0, 0, n_threads); break;
    case 13: epoch(r, WIDE_K, 200, 0, 0, n_threads); break;
    case 14: epoch(r, 3, 68, 0, 1, n_threads); break;
    case 16: sparse.columns = &copy; /* fall through */
    case 17: sparse.R_out = r->R; status = flr_csr_loss_and_grad(&r->loss, r->G, r->g, &sparse); break;
    case 18: status = flr_csr_hessp(r->G, r->g, &sparse, folded, b); break;
    case 19: sparse.columns = &copy; status = flr_csr_hessp(r->G, r->g, &sparse, folded, b); break;
    case 20: status = flr_csr_gram(r->gram, r->s, &sparse.X, order, 1, weight, n_threads); break;
    case 21: column = flr_csr_first_fault(&sparse.X, places[N], places[N], 1, n_threads).kind; break;
    default: status = flr_gram(r->gram, r->s, &pass, NULL, NULL); break;
    }
    if (status != FLR_OK) abort();
    r->values[1] = (double)row, r->values[2] = (double)column;
}

static results *alone[JOBS];
static int rounds = 3;
static int differ[CALLERS];

static void *caller(void *argument) {
    const int me = (int)(intptr_t)argument;
    results *r = malloc(sizeof *r);
    if (r == NULL) abort();
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < JOBS; i++) {
            const int job = (i * 5 + me * 3 + round) % JOBS;
            do_job(r, job, 1 + (me + i) % 4);
            if (memcmp(r, alone[job], sizeof *r) != 0) differ[me]++, printf("job %d differs beside others\n", job);
        }
    free(r);
    return NULL;
}

int main(int count, char **argument) {
    if (count > 1) rounds = atoi(argument[1]);
    if (flr_pool_init() != FLR_OK) return 2;
    const flr_isa *list[8];
    for (int i = flr_available(list, 8) - 1; i >= 0; i--) /* the best of those that were built */
        if (list[i]->f32->size) flr_select(list[i]->name);
    unsigned state = 1;
#define NEXT ((double)((state = state * 1664525u + 1013904223u) >> 8) / (1 << 24) - 0.5)
    for (int i = 0; i < N * D; i++) X[i] = (float)NEXT;
    for (int c = 0; c < WIDE_K; c++)
        for (int j = 0; j < D; j++) W[c * LDW + j] = (float)NEXT, V[c * LDW + j] = (float)NEXT;
    for (int i = 0; i < N * WIDE_K; i++) prob[i] = (float)(NEXT + 0.5), offset[i] = (float)NEXT;
    for (int c = 0; c < WIDE_K; c++) b[c] = (float)NEXT;
    for (int j = 0; j < D; j++) scale[j] = 1 + NEXT, shift[j] = NEXT;
    for (int i = 0; i < N; i++) weight[i] = NEXT + 0.6, label[i] = i * 31 % WIDE_K, few_label[i] = i % 3, order[i] = i * 7 % N;
    for (int i = 0, at = 0; i < N; i++, places[i] = at)
        for (int j = 0; j < D; j++)
            if ((i + j) % 3 > 0) values[at] = X[i * D + j], columns[at++] = j;
    for (int i = 0; i < WIDE_K * D; i++) folded[i] = NEXT;
    const flr_csr_pass sparse = csr_pass_of(3, 1);
    flr_csr_transpose(&copy, &sparse.X, 3);
    for (int job = 0; job < JOBS; job++) {
        alone[job] = malloc(sizeof *alone[job]);
        if (alone[job] == NULL) return 2;
        do_job(alone[job], job, 1);
    }
    int wrong = 0;
    results *r = malloc(sizeof *r);
    if (r == NULL) return 2;
    for (int i = 0; i < rounds * JOBS * 3; i++) { /* with no other caller every worker has its part */
        do_job(r, i % JOBS, 2 + i / JOBS % 3);
        if (memcmp(r, alone[i % JOBS], sizeof *r) != 0) wrong++, printf("job %d differs on more threads\n", i % JOBS);
    }
    free(r);
    pthread_t threads[CALLERS];
    for (int i = 0; i < CALLERS; i++)
        if (pthread_create(&threads[i], NULL, caller, (void *)(intptr_t)i) != 0) return 2;
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        wrong += differ[i];
    }
    for (int job = 0; job < JOBS; job++) free(alone[job]);
    printf("%d calls by %d threads, %d with other bits than alone\n", (CALLERS + 3) * rounds * JOBS, CALLERS, wrong);
    return wrong > 0;
}
