/* sgd_gradient.c -- loss and gradient of one batch, chunk by chunk on any worker, each with a part of the sums. */
#include "drivers/sgd_batch.h"

#include <string.h>

sgd_buffers flr_lay_out_sgd(const sgd_job *j, flr_arena *arena) {
    const flr_pass *p = j->p;
    const int64_t size = j->kernels->size, rows = j->tiling.rows, k = p->k, d = p->X.d;
    sgd_buffers s;
    s.x = flr_take(arena, rows, sizeof(void *));
    s.ahead = flr_take(arena, rows > d ? rows : d, sizeof(void *));
    s.tile = flr_take(arena, j->tiling.in_place ? 0 : rows * j->tiling.ld, size);
    s.Z = flr_take(arena, rows * k, size);
    s.prob = flr_take(arena, p->prob ? rows * k : 0, size);
    s.label = flr_take(arena, rows, sizeof(int32_t));
    s.weight = flr_take(arena, rows, sizeof(double));
    s.g = flr_take(arena, k, sizeof(double));
    s.row_scratch = flr_take(arena, 1, flr_row_scratch(k, size));
    s.zeros = flr_take(arena, p->weight ? j->tiling.ld : 0, size);
    return s;
}

void flr_sgd_barrier(sgd_job *j, int n_workers) {
    if (n_workers == 1) return;
    const int phase = atomic_load(&j->phase);
    if (atomic_fetch_add(&j->arrived, 1) == n_workers - 1) {
        atomic_store(&j->arrived, 0);
        atomic_store(&j->phase, phase + 1);
    } else {
        for (int spins = 0; atomic_load(&j->phase) == phase;) flr_relax(&spins);
    }
}

/* Loss and gradient of rows [first, first + m) of the order, into part q.  Meanwhile the worker's next chunk, which
 * begins at next, is prefetched. */
static void chunk(sgd_job *j, const sgd_buffers *s, double grad_scale, int64_t q, int64_t first, int64_t m,
                  int64_t next) {
    const flr_pass *p = j->p;
    const int64_t k = p->k, d = p->X.d, size = j->kernels->size, rows = j->tiling.rows;
    double *g = j->g + q * k;
    const int rank_one = j->o->batch == 1;
    struct sgd_part part = {0};

    memset(g, 0, (size_t)(k * 8));
    for (int64_t begin = first, end = first + m; begin < end; begin += rows) {
        const int64_t t = end - begin < rows ? end - begin : rows;
        const int64_t *order = j->o->order ? j->o->order + begin : NULL;
        flr_load_tile(s->x, s->tile, &p->X, &j->tiling, size, begin, order, t);
        for (int64_t i = 0; i < t; i++) {
            const int64_t row = order ? order[i] : begin + i;
            if (p->label) s->label[i] = p->label[row];
            if (p->weight) s->weight[i] = p->weight[row];
            if (p->prob) memcpy(s->prob + i * k * size, (const char *)p->prob + row * k * size, (size_t)(k * size));
        }
        const flr_targets y = {.label = p->label ? s->label : NULL,
                               .prob = p->prob ? s->prob : NULL,
                               .weight = p->weight ? s->weight : NULL,
                               .grad_scale = grad_scale};
        const int64_t later = begin + t < end ? begin + t : next, left = p->X.n - later, ahead = left < t ? left : t;
        flr_ahead rest = {0};
        if (ahead > 0)
            rest = flr_rows_ahead(s->ahead, &p->X, later, j->o->order ? j->o->order + later : NULL, ahead);
        const int64_t half = rank_one ? rest.n : rest.n / 2;
        const flr_ahead early = flr_some_of(&rest, 0, half), late = flr_some_of(&rest, half, rest.n - half);
        j->products->forward(s->Z, k, s->x, p->W, p->ldw, p->b, t, d, k, j->tiling.head, &early);
        if (p->label)
            part.correct += j->kernels->correct(s->Z, s->label, p->loss == FLR_SQUARED_ERROR ? 0.5 : 0, t, k);
        part.loss += j->kernels->residual[p->loss](s->Z, NULL, s->Z, &y, s->row_scratch, t, k, 0);
        j->kernels->column_sums(g, s->Z, t, k);
        for (int64_t i = 0; p->weight && i < t; i++)
            if (s->weight[i] == 0) s->x[i] = s->zeros;
        if (!rank_one)
            j->products->backward(j->G + q * k * d * size, d, s->Z, k, s->x, t, d, k, j->tiling.head, begin == first,
                                  &late);
    }
    j->parts[q] = part;
}

/* total (+)= the parts, in order, in the worker's blocks */
static void add_parts(sgd_job *j, int64_t n_parts, int fresh, int worker, int n_workers) {
    const int64_t k = j->p->k, d = j->p->X.d, size = j->kernels->size;
    for (int64_t t = sgd_share_begin(j, worker, n_workers); t < sgd_share_begin(j, worker + 1, n_workers); t++) {
        const int64_t j0 = sgd_block_begin(j, t % j->n_blocks), columns = sgd_block_begin(j, t % j->n_blocks + 1) - j0;
        const int64_t at = t / j->n_blocks * d + j0;
        if (fresh) memset(j->total + at, 0, (size_t)(columns * 8));
        for (int64_t q = 0; q < n_parts; q++) j->kernels->flush(j->total + at, j->G + (q * k * d + at) * size, columns);
    }
}

void flr_sgd_gradient(sgd_job *j, const sgd_buffers *s, double grad_scale, int64_t first, int64_t m, int worker,
                      int n_workers) {
    const int64_t k = j->p->k, rows = j->chunk_rows, n_chunks = (m + rows - 1) / rows, n_values = k * j->p->X.d;
    const int in_rounds = n_chunks > FLR_STEP_PARTS, folded = n_workers <= 2 && !in_rounds;
    memset(s->g, 0, (size_t)(k * 8));
    for (int64_t done = 0; done < n_chunks; done += j->max_parts) {
        const int64_t n_parts = n_chunks - done < j->max_parts ? n_chunks - done : j->max_parts;
        for (int64_t q = worker; q < n_parts; q += n_workers) {
            const int64_t begin = (done + q) * rows, bytes = n_values * j->kernels->size;
            const int64_t next = q + n_workers < n_parts ? done + q + n_workers : done + n_parts + worker;
            chunk(j, s, grad_scale, q, first + begin, m - begin < rows ? m - begin : rows,
                  first + (next < n_chunks ? next * rows : j->o->batch + worker * rows));
            if (folded && q >= 2) j->kernels->add(j->G + (q - 2) * bytes, j->G + q * bytes, n_values);
        }
        flr_sgd_barrier(j, n_workers);
        for (int64_t q = 0; q < n_parts; q++) {
            for (int64_t c = 0; (worker == 0 || j->o->shift) && c < k; c++) s->g[c] += j->g[q * k + c];
            if (worker == 0) j->total_loss += j->parts[q].loss, j->total_correct += j->parts[q].correct;
        }
        if (in_rounds) add_parts(j, n_parts, done == 0, worker, n_workers);
        if (done + n_parts < n_chunks) flr_sgd_barrier(j, n_workers);
    }
}
