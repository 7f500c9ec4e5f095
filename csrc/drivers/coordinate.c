/* coordinate.c -- coordinate descent on the quadratic model of a penalised loss, for some columns of the features.
 *
 * Of class c, with columns x_j already multiplied by the roots of the rows' weights and r those roots themselves,
 *
 *     sigmoid:  sum_c [ g_c' t_c + 1/2 sum_i h_ic (x_i t_c + r_i t0_c)^2 ]
 *     softmax:  sum_c   g_c' t_c + 1/2 sum_i ( sum_c h_ic P_ic^2 - q_i^2 )
 *               P_ic = x_i t_c + r_i t0_c,  q_i = sum_c h_ic P_ic
 *
 * plus l2_j/2 t_jc^2 and l1_j |w_jc + t_jc|.  While the columns of a class are stepped its own intercept is minimised out:
 * a column acts less its mean under the class's curvatures, so that it need not be centred.  A sigmoid's intercept is not
 * in P; that of a class is moved when its columns have been, for the other classes see it. */
#include "fastlr.h"
#include "runtime/runtime.h"

#include <math.h>
#include <stddef.h>

enum { LANES = 8 };

typedef struct { const float *x; const int32_t *row; int64_t count; } column;

/* doubles from h or P of one row to the next */
static int64_t apart(const flr_coordinate *m) { return m->rows ? 2 : 1; }

static column column_of(const flr_coordinate *m, int64_t at) {
    const int64_t j = m->order[at];
    if (!m->rows) return (column){m->values + j * m->n, NULL, m->n};
    return (column){m->values + m->starts[j], m->rows + m->starts[j], m->starts[j + 1] - m->starts[j]};
}

/* the sum of x_i f(i) over a column, in a fixed order of its own: whole vectors of a dense one, then what is left */
#define SUM_OVER(c, f)                                                                                                 \
    double lane[LANES] = {0}, sum = 0;                                                                                 \
    int64_t p = 0;                                                                                                     \
    while (!c.row && p + LANES <= c.count)                                                                             \
        for (int l = 0; l < LANES; l++, p++) {                                                                         \
            const int64_t i = p, at = i;                                                                               \
            lane[l] += (double)c.x[p] * (f);                                                                           \
        }                                                                                                              \
    for (; p < c.count; p++) {                                                                                         \
        const int64_t i = c.row ? c.row[p] : p, at = c.row ? 2 * i : i;                                                \
        lane[p % LANES] += (double)c.x[p] * (f);                                                                       \
    }                                                                                                                  \
    for (int l = 0; l < LANES; l++) sum += lane[l];                                                                    \
    return sum;

static double slope(column x, const double *h, const double *P) { SUM_OVER(x, h[at] * P[at]) }
static double slope_softmax(column x, const double *h, const double *P, const double *q) {
    SUM_OVER(x, h[at] * (P[at] - q[i]))
}
/* a column's curvature, sum s x^2 with s = h or h (1 - h), and its product with the intercept's, sum s x r; in the order
 * of SUM_OVER */
static void measure_column(double *curvature, double *mean, column x, const double *h, const double *r, int softmax) {
    double squares[LANES] = {0}, products[LANES] = {0};
    int64_t p = 0;
    while (!x.row && p + LANES <= x.count)
        for (int l = 0; l < LANES; l++, p++) {
            const double s = softmax ? h[p] * (1 - h[p]) : h[p], v = (double)x.x[p];
            squares[l] += v * (s * v);
            products[l] += v * (s * r[p]);
        }
    for (; p < x.count; p++) {
        const int64_t i = x.row ? x.row[p] : p;
        const double of_row = h[x.row ? 2 * i : i], s = softmax ? of_row * (1 - of_row) : of_row, v = (double)x.x[p];
        squares[p % LANES] += v * (s * v);
        products[p % LANES] += v * (s * r[i]);
    }
    *curvature = *mean = 0;
    for (int l = 0; l < LANES; l++) *curvature += squares[l], *mean += products[l];
}

static void add(column x, double step, const double *h, double *P, double *q) {
    if (x.row)
        for (int64_t p = 0; p < x.count; p++) {
            const int64_t i = x.row[p], at = 2 * i;
            const double change = step * (double)x.x[p];
            P[at] += change;
            if (q) q[i] += h[at] * change;
        }
    else if (q)
        for (int64_t i = 0; i < x.count; i++) {
            const double change = step * (double)x.x[i];
            P[i] += change;
            q[i] += h[i] * change;
        }
    else
        for (int64_t i = 0; i < x.count; i++) P[i] += step * (double)x.x[i];
}

/* ---- what stays the same during a descent: task (c, block of columns) ------------------------------------------- */
enum { BLOCK = 64 };

static void measure_block(void *context, int64_t task, int worker) {
    const flr_coordinate *m = context;
    const int64_t n_blocks = (m->m + BLOCK - 1) / BLOCK, c = task / n_blocks, first = task % n_blocks * BLOCK;
    const double *h = m->h + c * m->n * apart(m);
    (void)worker;
    for (int64_t j = first; j < first + BLOCK && j < m->m; j++) {
        const int64_t at = c * m->m + j;
        double mean;
        measure_column(&m->curvature[at], &mean, column_of(m, j), h, m->root ? m->root : h, m->softmax);
        if (m->root) m->mean[at] = mean;
    }
}

void flr_coordinate_measure(const flr_coordinate *m, int n_threads) {
    const int64_t n_tasks = m->k * ((m->m + BLOCK - 1) / BLOCK);
    flr_parallel_for(measure_block, (void *)m, n_tasks, flr_workers_for(n_threads, n_tasks));
    for (int64_t c = 0; m->root && c < m->k; c++) {
        double sum = 0;
        for (int64_t i = 0; i < m->n; i++) {
            const double h = m->h[(c * m->n + i) * apart(m)];
            sum += (m->softmax ? h * (1 - h) : h) * m->root[i] * m->root[i];
        }
        m->weight[c] = sum;
    }
}

/* ---- sweeps ----------------------------------------------------------------------------------------------------- */
typedef struct { const flr_coordinate *m; int all; double *violation; } sweep;

/* the slope by the intercept of class c, of a sigmoid without a step of it */
static double slope_by_intercept(const flr_coordinate *m, int64_t c) {
    double grad = m->g0[c];
    if (!m->softmax) return grad + m->moved[c];
    const int64_t s = apart(m);
    const double *h = m->h + c * m->n * s, *P = m->P + c * m->n * s;
    for (int64_t i = 0; i < m->n; i++) grad += m->root[i] * h[i * s] * (P[i * s] - m->q[i]);
    return grad;
}

static void move_intercept(const flr_coordinate *m, int64_t c, double t) {
    const int64_t s = apart(m);
    const double *h = m->h + c * m->n * s;
    double *P = m->P + c * m->n * s;
    for (int64_t i = 0; i < m->n; i++) {
        P[i * s] += t * m->root[i];
        m->q[i] += h[i * s] * t * m->root[i];
    }
    m->t0[c] += t;
}

static void sweep_class(void *context, int64_t c, int worker) {
    const sweep *s = context;
    const flr_coordinate *m = s->m;
    const double *h = m->h + c * m->n * apart(m), weight = m->root ? m->weight[c] + m->floor : 1;
    double *P = m->P + c * m->n * apart(m), *q = m->softmax ? m->q : NULL;
    double g0 = m->root ? slope_by_intercept(m, c) : 0, moved = 0;
    double total = q ? fabs(g0) : 0;
    (void)worker;
    for (int64_t j = 0; j < m->m; j++) {
        const int64_t at = c * m->m + j;
        const double w = m->w[at] + m->t[at], mean = m->mean[at];
        if (!s->all && w == 0) continue;
        const column x = column_of(m, j);
        double grad = m->g[at] + m->l2[j] * m->t[at] - mean / weight * (g0 + moved);
        grad += q ? slope_softmax(x, h, P, q) : slope(x, h, P);
        double H = m->curvature[at] + m->l2[j] - mean / weight * mean;
        H = fmax(H, m->curvature[at] * 1e-8) + m->floor;
        const double l1 = m->l1[j];
        total += w > 0 ? fabs(grad + l1) : w < 0 ? fabs(grad - l1) : fmax(fabs(grad) - l1, 0);
        const double to = H * w - grad, size = fabs(to) - l1;
        const double new = size > 0 ? copysign(size, to) / H : 0.0;
        const double step = new - w;
        if (step == 0 || !isfinite(step)) continue;
        m->t[at] = new == 0 ? -m->w[at] : m->t[at] + step;
        add(x, step, h, P, q);
        moved += mean * step;
    }
    m->moved[c] += moved;
    if (q && m->root) move_intercept(m, c, -(g0 + moved) / weight);
    s->violation[c] = total;
}

void flr_coordinate_sweep(const flr_coordinate *m, double *violation_out, int all, int n_threads) {
    sweep s = {m, all, violation_out};
    flr_parallel_for(sweep_class, &s, m->k, m->softmax ? 1 : flr_workers_for(n_threads, m->k));
}

typedef struct { const flr_coordinate *m; const double *t, *t0; } move;

static void move_class(void *context, int64_t c, int worker) {
    const move *to = context;
    const flr_coordinate *m = to->m;
    (void)worker;
    for (int64_t j = 0; j < m->m; j++) {
        const int64_t at = c * m->m + j;
        const double step = to->t[at] - m->t[at];
        if (step == 0) continue;
        m->t[at] = to->t[at];
        add(column_of(m, j), step, m->h + c * m->n * apart(m), m->P + c * m->n * apart(m), m->softmax ? m->q : NULL);
        m->moved[c] += m->mean[at] * step;
    }
    if (m->softmax && m->root) move_intercept(m, c, to->t0[c] - m->t0[c]);
}

void flr_coordinate_move(const flr_coordinate *m, const double *t, const double *t0, int n_threads) {
    move to = {m, t, t0};
    flr_parallel_for(move_class, &to, m->k, m->softmax ? 1 : flr_workers_for(n_threads, m->k));
}
