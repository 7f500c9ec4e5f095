/* pass.c -- one pass over X: loss and gradient, Hessian product, gradient of given residuals, logits.
 *
 * for each chunk of rows (a grid that depends on the problem alone), on any thread
 *     for each tile of the chunk:  Z = x W' + b;  loss, R = residual(Z);  G_part += R' x     (x is hot, Z and R small)
 *     when all earlier chunks have been added:  G += G_part
 * The order of every sum is fixed, so the bits do not depend on the number of threads.
 *
 * Softmax of few classes may leave out a reference class: Z and R have its column, W and the sums do not.
 * With few classes the sums of some tiles are real and those of a chunk double.  With many, products read packed panels
 * and the sums lie beyond L1: those of a chunk are real, and chunks are so short that rounding stays small.
 */
#include "drivers/pass.h"

#include <string.h>

static void flush(const pass_job *j, const pass_buffers *s) { j->kernels->flush(s->G, s->G_real, j->k * j->ldg); }

static void add_in_turn(pass_job *j, const pass_buffers *s, double loss, int64_t correct, int64_t chunk) {
    const int64_t k = pass_has_gradient(j) ? j->p->k : 0, d = j->p->X.d;
    flr_await_turn(&j->turn, chunk);
    j->loss += loss;
    j->correct += correct;
    if (j->packed && pass_has_gradient(j)) j->kernels->many.flush(j->G, s->G_real, k, d);
    for (int64_t c = 0; c < k; c++) {
        if (!j->packed && c < j->k) flr_kernels_of(8)->flush(j->G + c * d, s->G + c * j->ldg, d);
        j->g[c] += s->g[c];
    }
    flr_end_turn(&j->turn);
}

static int64_t claim_chunk(pass_job *j) { return atomic_fetch_add(&j->unclaimed, 1); }

/* Does a row of these have a weight?  Others add nothing to sums: folds of cross-validation are blocks of them. */
static int any_counts(const pass_job *j, int64_t first, int64_t m) {
    const double *weight = j->p->weight;
    if (weight == NULL || !pass_has_gradient(j) || j->p->R_out != NULL) return 1;
    for (int64_t i = first; i < first + m; i++)
        if (weight[i] != 0) return 1;
    return 0;
}

/* returns the worker's next chunk, claimed before the last tile so that its first can be prefetched */
static int64_t do_chunk(pass_job *j, int64_t chunk, const pass_buffers *all) {
    const int64_t begin = flr_chunk_begin(j, chunk), end = flr_chunk_begin(j, chunk + 1), most = flr_most_real_rows(j);
    pass_buffers s = *all;
    const void **x = s.x;
    if (pass_has_gradient(j)) memset(s.g, 0, (size_t)(j->p->k * 8));
    double loss = 0;
    int64_t correct = 0, next = -1, held = begin;
    int counts = 1;
    for (int64_t first = begin, unflushed = 0; first < end; first += j->tiling.rows) {
        const int64_t left = end - first, m = left < j->tiling.rows ? left : j->tiling.rows;
        const int64_t at = (first - begin) % j->tiling.slab;
        if (at == 0) {
            const int64_t n_rows = left < j->tiling.slab ? left : j->tiling.slab;
            counts = any_counts(j, first, n_rows);
            if (counts) flr_load_tile(x, s.tile, &j->p->X, &j->tiling, j->kernels->size, first, NULL, n_rows);
        }
        s.x = x + at;
        int64_t later = first + j->tiling.slab;
        if (later >= end) {
            if (next < 0) next = claim_chunk(j);
            later = flr_chunk_begin(j, next) + at;
        }
        if (counts) loss += flr_pass_tile(j, &s, &correct, first, m, later);
        held = flr_release_rows(&j->p->X, held, first + m, 0);
        unflushed += m;
        if (pass_has_gradient(j) && !j->packed && (unflushed + j->tiling.rows > most || first + m == end)) {
            flush(j, &s);
            unflushed = 0;
        }
    }
    flr_release_rows(&j->p->X, held, end, 1);
    if (j->op != PASS_LOGITS) add_in_turn(j, &s, loss, correct, chunk);
    return next < 0 ? claim_chunk(j) : next;
}

static void work(void *context, int worker, int n_workers) {
    pass_job *j = context;
    const pass_buffers s = flr_buffers_of(j, worker);
    (void)n_workers;
    for (int64_t chunk = claim_chunk(j); chunk < j->n_chunks;) chunk = do_chunk(j, chunk, &s);
}

static void pack(void *context, int64_t panel, int worker) {
    const pass_job *j = context;
    const flr_pass *p = j->p;
    (void)worker;
    if (p->W) j->kernels->many.pack((void *)j->packed_W, p->W, p->ldw, p->k, p->X.d, panel);
    if (j->V) j->kernels->many.pack((void *)j->packed_V, j->V, p->ldw, p->k, p->X.d, panel);
}

/* residuals of a row sum to 0: the gradient of the reference is minus the sum of the others */
static void finish_gradient(const pass_job *j) {
    const int64_t d = j->p->X.d;
    double *last = j->G + j->k * d, *own = j->G + j->p->reference * d;
    for (int64_t c = 0; c < j->k; c++)
        for (int64_t i = 0; i < d; i++) last[i] -= j->G[c * d + i];
    for (int64_t i = 0; own < last && i < d; i++) {
        const double minus_others = last[i];
        last[i] = own[i];
        own[i] = minus_others;
    }
}

static int run(pass_job *j) {
    const int64_t d = j->p->X.d, k = j->p->k, panel = j->kernels->panel_classes;
    flr_plan_pass(j);
    const int n_threads = flr_workers_for(j->p->n_threads, j->n_chunks);
    if (flr_open_pass(j, n_threads) != FLR_OK) return FLR_NO_MEMORY;
    if (j->packed) flr_parallel_for(pack, j, (k + panel - 1) / panel, n_threads);
    if (pass_has_gradient(j)) {
        memset(j->G, 0, (size_t)(k * d * 8));
        memset(j->g, 0, (size_t)(k * 8));
    }
    flr_gang(work, j, n_threads);
    if (pass_has_gradient(j) && j->k < k) finish_gradient(j);
    flr_close_scratch(&j->memory);
    return FLR_OK;
}

static pass_job job_of(const flr_pass *pass, pass_op op) {
    return (pass_job){.p = pass, .op = op, .kernels = flr_kernels_of(flr_real_size(pass->X.dtype))};
}

int flr_loss_and_grad(double *loss_out, double *G_out, double *g_out, const flr_pass *pass) {
    pass_job j = job_of(pass, PASS_LOSS_AND_GRAD);
    j.G = G_out, j.g = g_out;
    const int status = run(&j);
    *loss_out = j.loss;
    return status;
}

int flr_hessp(double *H_out, double *h_out, const flr_pass *pass, const void *V, const void *c) {
    pass_job j = job_of(pass, PASS_HESSP);
    j.V = V, j.c = c, j.G = H_out, j.g = h_out;
    return run(&j);
}

int flr_outer(double *G_out, double *g_out, const flr_pass *pass, const void *R) {
    pass_job j = job_of(pass, PASS_OUTER);
    j.R = R, j.G = G_out, j.g = g_out;
    return run(&j);
}

int flr_logits(void *Z_out, const flr_pass *pass) {
    pass_job j = job_of(pass, PASS_LOGITS);
    j.Z_out = Z_out;
    return run(&j);
}

int flr_evaluate(double *loss_out, int64_t *correct_out, const flr_pass *pass) {
    pass_job j = job_of(pass, PASS_EVALUATE);
    const int status = run(&j);
    *loss_out = j.loss;
    *correct_out = j.correct;
    return status;
}
