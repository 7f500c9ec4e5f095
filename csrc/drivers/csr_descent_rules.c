/* csr_descent_rules.c -- what a step of gradient descent over sparse rows does, column by column.
 *
 *     v = momentum v + g + alpha w;  w -= learning_rate v          g is 0 for all columns but those of the batch
 *
 * No column is read that the batch has not.  Without momentum w is scale times what the table holds, and the penalty
 * changes the scale alone (Bottou, Large-scale machine learning with stochastic gradient descent, 2010; Shalev-Shwartz
 * et al., Pegasos, 2007): a step costs a division, and neither a time for each column nor a branch for each non-zero.
 * The table is multiplied out before the scale leaves [2^-200, 2^200], once in thousands of steps.  With momentum the
 * idle step, where g is 0, is a 2 x 2 matrix; a column that was left alone for t steps is multiplied by its t-th power
 * when it is read next.  (A scale for each eigenvector would do as well, but momentum^t soon leaves the range of a
 * double, and where the two eigenvalues meet nothing is left of w.)
 *
 * FTRL-proximal keeps its penalties in w, a function of each column's own sums: nothing is put off.
 */
#include "drivers/csr_descent.h"

#include <math.h>
#include <string.h>

enum { POWERS = 256 };
static const double LEAST_SCALE = 0x1p-200, MOST_SCALE = 0x1p200;
static const double SAME_RULE = 1e-9; /* relative, and far beyond rounding */

static int64_t n_batches(const descent *j) { return (j->p->X.n + j->o->batch - 1) / j->o->batch; }

void flr_descent_lay_out(descent *j, flr_arena *arena) {
    const int64_t d = j->p->X.d, momentum = descent_has_momentum(j);
    j->table = flr_take(arena, descent_has_table(j) ? d * j->stride : 0, sizeof(double));
    j->stamp = flr_take(arena, momentum ? d : 0, sizeof(int64_t));
    j->low = flr_take(arena, momentum ? POWERS * 4 : 0, sizeof(double));
    j->high = flr_take(arena, momentum ? (n_batches(j) / POWERS + 1) * 4 : 0, sizeof(double));
}

/* ---- momentum: (v, w) of a column that no row has for some steps ------------------------------------------------- */
/* out = a b, of 2 x 2 matrices by rows */
static void multiply(double *out, const double *a, const double *b) {
    const double product[4] = {a[0] * b[0] + a[1] * b[2], a[0] * b[1] + a[1] * b[3], a[2] * b[0] + a[3] * b[2],
                               a[2] * b[1] + a[3] * b[3]};
    memcpy(out, product, sizeof product);
}

static void make_powers(descent *j) {
    const double rate = j->o->learning_rate, momentum = j->o->momentum, alpha = j->o->alpha;
    const double idle[4] = {momentum, alpha, -rate * momentum, 1 - rate * alpha}, one[4] = {1, 0, 0, 1};
    double both[4];
    memcpy(j->low, one, sizeof one);
    for (int64_t t = 1; t < POWERS; t++) multiply(j->low + 4 * t, j->low + 4 * (t - 1), idle);
    multiply(both, j->low + 4 * (POWERS - 1), idle);
    memcpy(j->high, one, sizeof one);
    for (int64_t t = 1; t <= n_batches(j) / POWERS; t++) multiply(j->high + 4 * t, j->high + 4 * (t - 1), both);
}

static void settle(descent *j, int64_t column) {
    const int64_t idle = j->now - j->stamp[column];
    if (idle == 0) return;
    double power[4], *w = j->table + column * j->stride, *v = w + j->width;
    memcpy(power, j->low + 4 * (idle % POWERS), sizeof power);
    if (idle >= POWERS) multiply(power, j->high + 4 * (idle / POWERS), power);
    for (int64_t c = 0; c < j->p->k; c++) {
        const double before = v[c];
        v[c] = power[0] * before + power[1] * w[c];
        w[c] = power[2] * before + power[3] * w[c];
    }
    j->stamp[column] = j->now;
}

void flr_descent_settle_row(descent *j, const flr_csr_row *row) {
    if (!descent_has_momentum(j)) return;
    for (int64_t at = 0; at < row->count; at++)
        settle(j, row->index_size == 4 ? ((const int32_t *)row->indices)[at] : ((const int64_t *)row->indices)[at]);
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */
/* a field of the table = W (k, d)', zero from class k on */
static void pack(const descent *j, int64_t field, const double *W) {
    const int64_t d = j->p->X.d, k = j->p->k;
    double *out = j->table + field * j->width;
    for (int64_t column = 0; column < d; column++, out += j->stride)
        for (int64_t c = 0; c < j->width; c++) out[c] = c < k ? W[c * d + column] : 0;
}

static void unpack(const descent *j, int64_t field, double *W) {
    const int64_t d = j->p->X.d, k = j->p->k;
    const double *from = j->table + field * j->width;
    for (int64_t column = 0; column < d; column++, from += j->stride)
        for (int64_t c = 0; c < k; c++) W[c * d + column] = from[c];
}

/* z of a column that has n^(1/2), where W (k, ldw) is not what z and the rule say: one of them has been changed */
static void follow(const descent *j, const flr_ftrl *rule, int64_t column, const double *W, int64_t ldw) {
    double *w = j->table + column * j->stride;
    for (int64_t c = 0; c < j->p->k; c++, w++) {
        double *z = w + 2 * j->width;
        const double value = W[c * ldw], curvature = (rule->beta + w[3 * j->width]) / rule->learning_rate + rule->l2;
        const double by_rule = -copysign(fmax(fabs(*z) - rule->l1, 0), *z);
        if (*w == value && fabs(by_rule - value * curvature) <= SAME_RULE * fabs(value * curvature)) continue;
        if (*w == value && value == 0) continue; /* its z counts under any rule */
        *w = value;
        *z = value == 0 ? 0 : -value * curvature - copysign(rule->l1, value);
    }
}

/* columns that a step may change, some of them often: those of the non-zeros, or all, where these are fewer */
static int64_t n_touched(const descent *j) {
    const int64_t nonzeros = flr_csr_nonzeros(&j->p->X);
    return nonzeros < j->p->X.d ? nonzeros : j->p->X.d;
}
static int64_t touched(const descent *j, int64_t at) {
    return flr_csr_nonzeros(&j->p->X) < j->p->X.d ? flr_csr_column(&j->p->X, at) : at;
}

/* the intercept has no penalty */
static flr_ftrl intercept_rule(const descent *j) {
    return (flr_ftrl){.learning_rate = j->ftrl->learning_rate, .beta = j->ftrl->beta};
}

static void rescale(descent *j) {
    const int64_t values = j->p->X.d * j->stride;
    for (int64_t i = 0; i < values; i++) j->table[i] *= j->scale;
    j->scale = 1;
}

void flr_descent_begin(descent *j) {
    const int64_t d = j->p->X.d;
    if (descent_has_table(j)) pack(j, 0, j->o->W);
    if (descent_has_momentum(j)) {
        pack(j, 1, j->o->W_velocity);
        memset(j->stamp, 0, (size_t)d * 8);
        make_powers(j);
    }
    if (j->ftrl == NULL) return;
    const flr_ftrl rule = intercept_rule(j);
    for (int64_t at = 0; at < n_touched(j); at++) follow(j, j->ftrl, touched(j, at), j->o->W + touched(j, at), d);
    follow(j, &rule, d, j->o->b, 1);
}

void flr_descent_end(descent *j) {
    const int64_t d = j->p->X.d;
    if (j->scale != 1) rescale(j);
    for (int64_t column = 0; descent_has_momentum(j) && column < d; column++) settle(j, column);
    if (descent_has_momentum(j)) unpack(j, 1, j->o->W_velocity);
    if (descent_has_table(j)) unpack(j, 0, j->o->W);
    for (int64_t at = 0; j->ftrl && at < n_touched(j); at++) {
        const double *w = j->table + touched(j, at) * j->stride;
        for (int64_t c = 0; c < j->p->k; c++) j->o->W[c * d + touched(j, at)] = w[c];
    }
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */
/* rows of weight 0 may hold anything */
static int counts(const descent *j, int64_t row) { return !j->p->weight || j->p->weight[row] != 0; }

/* a field of the table += x' R times a factor, of row i of the batch */
static void add(descent *j, const flr_csr_row *row, int64_t i, int64_t field, double factor) {
    for (int64_t c = 0; c < j->p->k; c++) j->wide[c] = factor * descent_residual(j, i * j->p->k + c);
    j->kernels->csr_descent.add(j->table + field * j->width, j->stride, row, j->wide, j->width);
}

static void step_intercept(descent *j, double factor) {
    const flr_epoch_options *o = j->o;
    for (int64_t c = 0; c < j->p->k; c++) {
        double gradient = factor * j->g[c];
        if (o->b_velocity) gradient = o->b_velocity[c] = o->momentum * o->b_velocity[c] + gradient;
        o->b[c] -= o->learning_rate * gradient;
    }
}

static void step_ftrl(descent *j, int64_t first, int64_t m, double factor) {
    const int64_t d = j->p->X.d;
    const flr_csr_row intercept = {.indices = &d, .count = 1, .index_size = 8};
    const flr_ftrl rule = intercept_rule(j);
    double *b = j->table + d * j->stride;
    for (int64_t i = 0; i < m; i++) {
        const int64_t row = descent_row(j, first + i);
        const flr_csr_row x = descent_row_at(j, row);
        if (counts(j, row)) j->kernels->csr_descent.ftrl(j->table, j->width, &x, j->ftrl);
    }
    for (int64_t c = 0; c < j->p->k; c++) b[j->width + c] = factor * j->g[c];
    j->kernels->csr_descent.ftrl(j->table, j->width, &intercept, &rule);
    memcpy(j->o->b, b, (size_t)(j->p->k * 8));
}

void flr_descent_step(descent *j, int64_t first, int64_t m, double factor) {
    const int momentum = descent_has_momentum(j);
    const double rate = j->o->learning_rate;
    double to_w = -rate * factor;
    if (momentum) {
        j->now++;
    } else if (!j->ftrl && j->o->alpha > 0) {
        j->scale *= 1 - rate * j->o->alpha;
        if (!(fabs(j->scale) >= LEAST_SCALE && fabs(j->scale) <= MOST_SCALE)) rescale(j);
        to_w /= j->scale;
    }
    for (int64_t i = 0; i < m; i++) {
        const int64_t row = descent_row(j, first + i);
        const flr_csr_row x = descent_row_at(j, row);
        if (!counts(j, row)) continue;
        if (m > DESCENT_LONG_BATCH) flr_descent_fetch(j, first + i);
        flr_descent_settle_row(j, &x);
        if (!j->ftrl) add(j, &x, i, 0, to_w);
        if (j->ftrl || momentum) add(j, &x, i, 1, factor);
    }
    if (j->ftrl)
        step_ftrl(j, first, m, factor);
    else
        step_intercept(j, factor);
}
