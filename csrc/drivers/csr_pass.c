/* csr_pass.c -- one pass over sparse X: loss and gradient, Hessian product, gradient of given residuals, logits, loss.
 *
 * W' is packed once: the weights that one non-zero needs lie side by side.  Then
 *     for each chunk of rows (a grid that depends on the problem alone), on any thread
 *         for each tile of the chunk:  Z = x W' + b;  loss, R = residual(Z);  G_part' += x' R      (x is hot)
 *         when all earlier chunks have been added:  G' += G_part'
 * and G' is turned into G.  With a transposed copy of X csr_by_column.c goes another way, by blocks of rows.  The order
 * of every sum is fixed, so the bits do not depend on the number of threads.
 */
#include "drivers/csr_pass.h"

#include <string.h>

enum {
    TILE_BYTES = 64 << 10,      /* of logits */
    MOST_ROWS = 1024,
    LEAST_ROWS = 16,
    CHUNK_NONZEROS = 16 << 10,  /* at least */
    CHUNK_FILL = 4,             /* non-zeros of a chunk, at least, for each column: a chunk's sums are added up */
    PANEL = 64,                 /* columns that are packed, or turned, at once */
    PANELS = 64,                /* a task's */
};

static void plan(csr_job *j) {
    const flr_csr *X = &j->p->X;
    const int64_t k = j->p->k, nonzeros = flr_csr_nonzeros(X) - flr_csr_start(X, 0);
    j->ld = flr_csr_ld(k);
    j->ldg = k == 1 ? 1 : (k + 7) / 8 * 8;
    j->tile_rows = csr_at_least(csr_at_most(TILE_BYTES / (k * j->kernels->size), MOST_ROWS), LEAST_ROWS);
    const int64_t work = nonzeros + X->n * CSR_ROW_COST;
    int64_t chunks = csr_at_most(work / CHUNK_NONZEROS, CSR_CHUNKS);
    if (csr_has_gradient(j)) chunks = csr_at_most(chunks, work / (CHUNK_FILL * csr_at_least(X->d, 1)));
    j->n_chunks = csr_by_column(j) ? CSR_CHUNKS : csr_at_least(chunks, 1);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */
static void lay_out_shared(csr_job *j, flr_arena *arena) {
    const int64_t size = j->kernels->size, d = j->p->X.d, values = d * j->ld + FLR_CSR_SLACK;
    const int64_t rows = csr_by_column(j) ? csr_at_most(j->p->columns->block_rows, j->p->X.n) : 0;
    j->W_table = flr_take(arena, csr_needs_W(j) ? values : 0, size);
    j->V_table = flr_take(arena, j->op == CSR_HESSP ? values : 0, size);
    j->G_table = flr_take(arena, csr_has_gradient(j) && j->p->k > 1 ? d * j->ldg : 0, sizeof(double));
    if (j->p->k == 1) j->G_table = j->G;
    j->R_table = flr_take(arena, csr_by_column(j) ? rows * j->p->k + FLR_CSR_SLACK : 0, size);
    j->sums = flr_take(arena, csr_by_column(j) ? flr_csr_sums_of_blocks(j) : 0, sizeof(double));
}

static csr_buffers lay_out(const csr_job *j, flr_arena *arena) {
    const int64_t size = j->kernels->size, k = j->p->k, values = j->tile_rows * k;
    csr_buffers s;
    s.starts = flr_take(arena, j->tile_rows + 1, sizeof(int64_t));
    s.Z = flr_take(arena, j->op == CSR_LOGITS || j->op == CSR_OUTER ? 0 : values, size);
    s.U = flr_take(arena, j->op == CSR_HESSP ? values : 0, size);
    s.G = flr_take(arena, csr_by_row(j) ? j->p->X.d * j->ldg : 0, sizeof(double));
    s.g = flr_take(arena, k, sizeof(double));
    s.wide = flr_take(arena, j->ldg, sizeof(double));
    s.row_scratch = flr_take(arena, 1, flr_row_scratch(k, size));
    return s;
}

csr_buffers flr_csr_buffers_of(const csr_job *j, int worker) {
    flr_arena arena = flr_worker_arena(&j->memory, worker);
    return lay_out(j, &arena);
}

/* ---- tables: some panels of columns each task -------------------------------------------------------------------- */
static void pack_one(const csr_job *j, char *table, const double *W, int64_t begin, int64_t end) {
    const int64_t size = j->kernels->size, d = j->p->X.d;
    for (int64_t at = begin; table && at < end; at += PANEL)
        j->kernels->csr.pack(table + at * j->ld * size, j->ld, W + at, d, csr_at_most(PANEL, end - at), j->p->k);
}

static void pack(void *context, int64_t task, int worker) {
    const csr_job *j = context;
    const int64_t begin = task * PANEL * PANELS, end = csr_at_most(begin + PANEL * PANELS, j->p->X.d);
    (void)worker;
    if (csr_needs_W(j)) pack_one(j, j->W_table, j->p->W, begin, end);
    if (j->op == CSR_HESSP) pack_one(j, j->V_table, j->V, begin, end);
}

static void turn_back(void *context, int64_t task, int worker) {
    const csr_job *j = context;
    const int64_t begin = task * PANEL * PANELS, end = csr_at_most(begin + PANEL * PANELS, j->p->X.d), d = j->p->X.d;
    (void)worker;
    for (int64_t at = begin; at < end; at += PANEL)
        for (int64_t c = 0; c < j->p->k; c++)
            for (int64_t i = at; i < csr_at_most(at + PANEL, end); i++) j->G[c * d + i] = j->G_table[i * j->ldg + c];
}

static void add_in_turn(csr_job *j, const csr_buffers *s, double loss, int64_t correct, int64_t chunk) {
    flr_await_turn(&j->turn, chunk);
    j->loss += loss;
    j->correct += correct;
    if (csr_has_gradient(j)) flr_kernels_of(8)->flush(j->G_table, s->G, j->p->X.d * j->ldg);
    for (int64_t c = 0; csr_has_gradient(j) && c < j->p->k; c++) j->g[c] += s->g[c];
    flr_end_turn(&j->turn);
}

static void do_chunk(void *context, int64_t chunk, int worker) {
    csr_job *j = context;
    const flr_csr *X = &j->p->X;
    const int64_t begin = flr_csr_chunk_begin(X, CSR_ROW_COST, chunk, j->n_chunks);
    const int64_t end = flr_csr_chunk_begin(X, CSR_ROW_COST, chunk + 1, j->n_chunks), k = j->p->k;
    const csr_buffers s = flr_csr_buffers_of(j, worker);
    double loss = 0;
    int64_t correct = 0;
    int64_t held = begin;
    memset(s.g, 0, (size_t)(k * 8));
    for (int64_t first = begin, m; first < end; first += m) {
        flr_csr_rows rows;
        held = flr_csr_release_rows(X, held, first, 0);
        m = flr_csr_take_rows(&rows, s.starts, X, first, end, j->tile_rows, CSR_TILE_NONZEROS);
        const void *R = flr_csr_tile(j, &s, &loss, &correct, &rows, first, m);
        if (R == NULL) continue;
        j->kernels->column_sums(s.g, R, m, k);
        j->kernels->csr.scatter(s.G, j->ldg, &rows, R, j->p->weight ? j->p->weight + first : NULL, s.wide, m, k);
    }
    (void)flr_csr_release_rows(X, held, end, 1);
    if (j->op != CSR_LOGITS) add_in_turn(j, &s, loss, correct, chunk);
}

static int run(csr_job *j) {
    const int64_t d = j->p->X.d, k = j->p->k, tasks = (d + PANEL * PANELS - 1) / (PANEL * PANELS);
    plan(j);
    const int n_threads = flr_workers_for(j->p->n_threads, j->n_chunks);
    flr_arena shared = {0}, each = {0};
    lay_out_shared(j, &shared);
    lay_out(j, &each);
    if (flr_open_scratch(&j->memory, shared.bytes, each.bytes, n_threads) != FLR_OK) return FLR_NO_MEMORY;
    shared = flr_shared_arena(&j->memory);
    lay_out_shared(j, &shared);
    for (int worker = 0; csr_by_row(j) && worker < n_threads; worker++) { /* flushes leave zeros, too */
        const csr_buffers s = flr_csr_buffers_of(j, worker);
        memset(s.G, 0, (size_t)(d * j->ldg * 8));
        memset(s.wide, 0, (size_t)(j->ldg * 8));
    }
    if (csr_has_gradient(j)) {
        memset(j->G_table, 0, (size_t)(d * j->ldg * 8));
        memset(j->g, 0, (size_t)(k * 8));
    }
    flr_parallel_for(pack, j, tasks, j->p->n_threads);
    if (csr_by_column(j))
        flr_csr_by_column(j);
    else
        flr_parallel_for(do_chunk, j, j->n_chunks, n_threads);
    if (csr_has_gradient(j) && k > 1) flr_parallel_for(turn_back, j, tasks, j->p->n_threads);
    flr_close_scratch(&j->memory);
    return FLR_OK;
}

static csr_job job_of(const flr_csr_pass *pass, csr_op op) {
    return (csr_job){.p = pass, .op = op, .kernels = flr_kernels_of(flr_real_size(pass->X.dtype))};
}

int flr_csr_loss_and_grad(double *loss_out, double *G_out, double *g_out, const flr_csr_pass *pass) {
    csr_job j = job_of(pass, CSR_LOSS_AND_GRAD);
    j.G = G_out, j.g = g_out;
    const int status = run(&j);
    *loss_out = j.loss;
    return status;
}

int flr_csr_hessp(double *H_out, double *h_out, const flr_csr_pass *pass, const double *V, const void *c) {
    csr_job j = job_of(pass, CSR_HESSP);
    j.V = V, j.c = c, j.G = H_out, j.g = h_out;
    return run(&j);
}

int flr_csr_outer(double *G_out, double *g_out, const flr_csr_pass *pass, const void *R) {
    csr_job j = job_of(pass, CSR_OUTER);
    j.R = R, j.G = G_out, j.g = g_out;
    return run(&j);
}

int flr_csr_logits(void *Z_out, const flr_csr_pass *pass) {
    csr_job j = job_of(pass, CSR_LOGITS);
    j.Z_out = Z_out;
    return run(&j);
}

int flr_csr_evaluate(double *loss_out, int64_t *correct_out, const flr_csr_pass *pass) {
    csr_job j = job_of(pass, CSR_EVALUATE);
    const int status = run(&j);
    *loss_out = j.loss;
    *correct_out = j.correct;
    return status;
}
