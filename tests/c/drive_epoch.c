/* drive_epoch.c -- an epoch of gradient descent, by batches and by rows, against the learning rule in long double. */
#include "harness.h"

#include <math.h>
#include <string.h>

enum { PROBLEMS = 120 };

typedef struct {
    flr_pass pass;
    flr_epoch_options options;
    const double *W, *b, *W_velocity, *b_velocity; /* where the epoch begins */
    double *loss;
    int64_t *correct, k, d;
    int by_row;
} arguments;

static int never(void *context) { return context != NULL; }

static void reset(void *context) {
    const arguments *a = context;
    const size_t bytes = (size_t)(a->k * a->d * 8);
    memcpy(a->options.W, a->W, bytes), memcpy(a->options.b, a->b, (size_t)(a->k * 8));
    if (a->options.W_velocity) memcpy(a->options.W_velocity, a->W_velocity, bytes), memcpy(a->options.b_velocity, a->b_velocity, (size_t)(a->k * 8));
    memset((void *)a->pass.W, 0, (size_t)(a->k * a->pass.ldw * flr_real_size(a->pass.X.dtype)));
}

static int call(void *context, int n_threads) {
    arguments *a = context;
    a->pass.n_threads = n_threads;
    return (a->by_row ? flr_epoch_by_row : flr_epoch)(a->loss, a->correct, &a->pass, &a->options);
}

long double batch_gradient(long double *G, long double *g, long double *total, long double *mass, long double *scratch, const long double *W,
                           const long double *b, const examples *p, const flr_epoch_options *o, int64_t first) {
    const int64_t n = p->n, d = p->d, k = p->k, end = first + o->batch < n ? first + o->batch : n;
    long double *z = scratch, *R = z + k, *unused = R + k, reach = 0;
    memset(G, 0, (size_t)(k * d * 16)), memset(g, 0, (size_t)(k * 16));
    for (int64_t i = first; i < end; i++) {
        const int64_t row = o->order ? o->order[i] : i;
        const long double w = p->weight ? (long double)p->weight[row] : 1;
        long double loss, loss_allowed, longest = 1;
        *mass += w;
        for (int64_t j = 0; j < d; j++)
            longest = fmaxl(longest, (fabsl((long double)p->X[row * d + j]) + (o->shift ? fabsl((long double)o->shift[j]) : 0)) *
                                         (o->scale ? (long double)o->scale[j] : 1));
        reach += w * longest;
        for (int64_t c = 0; c < k; c++) {
            z[c] = b[c];
            for (int64_t j = 0; j < d; j++)
                z[c] += W[c * d + j] * ((long double)p->X[row * d + j] - (o->shift ? (long double)o->shift[j] : 0)) *
                        (o->scale ? (long double)o->scale[j] : 1);
        }
        expected_residual(R, unused, &loss, &loss_allowed, z, p->Y + row * k, p->loss, k, p->size, 0);
        *total += w * loss;
        for (int64_t c = 0; c < k; c++) {
            g[c] += w * R[c];
            for (int64_t j = 0; j < d; j++) G[c * d + j] += w * R[c] * (long double)p->X[row * d + j];
        }
    }
    return reach;
}

long double descend(long double *churn, long double *W, long double *b, long double *Wv, long double *bv, const examples *p,
                    const flr_epoch_options *o) {
    const int64_t d = p->d, k = p->k;
    long double *G = plain(k * d * 16), *g = plain(k * 16), *scratch = plain(3 * k * 16), total = 0;
    for (int64_t first = 0; first < p->n; first += o->batch) {
        long double mass = 0;
        const long double reach = batch_gradient(G, g, &total, &mass, scratch, W, b, p, o, first);
        if (mass == 0 && o->factor == 0) continue;
        const long double factor = o->factor > 0 ? (long double)o->factor : 1 / mass, rate = (long double)o->learning_rate;
        *churn += rate * factor * reach;
        for (int64_t c = 0; c < k; c++) {
            for (int64_t j = 0; j < d; j++) {
                const int64_t at = c * d + j;
                long double gradient = (G[at] - (o->shift ? g[c] * (long double)o->shift[j] : 0)) * (o->scale ? (long double)o->scale[j] : 1);
                gradient = factor * gradient + (long double)o->alpha * W[at];
                if (Wv) gradient = Wv[at] = (long double)o->momentum * Wv[at] + gradient;
                W[at] -= rate * gradient;
            }
            long double gradient = factor * g[c];
            if (bv) gradient = bv[c] = (long double)o->momentum * bv[c] + gradient;
            b[c] -= rate * gradient;
        }
    }
    return total;
}

long double *widened(const double *values, int64_t n) {
    if (values == NULL) return NULL;
    long double *wide = plain(n * 16);
    for (int64_t i = 0; i < n; i++) wide[i] = (long double)values[i];
    return wide;
}

double *normals(int64_t n, double scale) {
    double *values = plain(n * 8);
    for (int64_t i = 0; i < n; i++) values[i] = scale * normal();
    return values;
}

static void one(const target *t, int by_row) {
    const problem p = random_problem(t, 0);
    const int64_t n = p.n, d = p.d, k = p.k, values = k * d;
    const int integers = p.pass.X.dtype > FLR_BF16, momentum = !by_row && below(3) == 0, with = (int)below(4) & (by_row ? 1 : 3);
    const double unit = 1 / (sqrt((double)(d + 1)) * (integers ? 100 : 1));
    static const int64_t batches[] = {1, 1, 2, 16, 17, 32, 50, 63, 68, 200, 1000, 100000};
    flr_epoch_options o = {.batch = by_row ? 1 : batches[below(12)], .momentum = momentum ? 0.5 : 0,
                           .alpha = by_row ? 0 : (double)below(2) * 0.01, .poll = never};
    o.learning_rate = (with & 1 ? 0.05 / (double)(d + 1) : 0.05 * unit * unit) * (p.pass.loss == FLR_SQUARED_ERROR ? 0.3 : 1);
    o.factor = below(4) ? 0 : 0.8;
    if (o.factor > 0) o.learning_rate /= (double)(o.batch < n ? o.batch : n + 1);
    double *W = normals(values, with & 1 ? unit * (integers ? 100 : 1) : unit), *b = normals(k, 1);
    double *Wv = momentum ? normals(values, 0.1 * unit) : NULL, *bv = momentum ? normals(k, 0.1) : NULL;
    double *scale = with & 1 ? normals(d, 0) : NULL, *shift = with & 2 ? normals(d, integers ? 10 : 0.3) : NULL;
    for (int64_t j = 0; scale && j < d; j++) scale[j] = (0.5 + uniform()) / (integers ? 100 : 1);
    int64_t *order = below(2) ? plain(n * 8) : NULL;
    for (int64_t i = 0; order && i < n; i++) {
        const int64_t at = below(i + 1);
        order[i] = order[at], order[at] = i;
    }
    long double *eW = widened(W, values), *eb = widened(b, k), *eWv = widened(Wv, values), *ebv = widened(bv, k);
    flr_epoch_options plainly = o;
    plainly.scale = scale, plainly.shift = shift, plainly.order = order;
    long double churn = 0;
    const long double total = descend(&churn, eW, eb, eWv, ebv, &EXAMPLES_OF(&p), &plainly);
    /* a row's part of a change is far larger than what rounding makes of the whole */
    long double moved = 0, largest = 0;
    for (int64_t i = 0; i < values; i++) moved = fmaxl(moved, fabsl(eW[i] - (long double)W[i])), largest = fmaxl(largest, fabsl((long double)W[i]));
    for (int64_t c = 0; c < k; c++) moved = fmaxl(moved, fabsl(eb[c] - (long double)b[c])), largest = fmaxl(largest, fabsl((long double)b[c]));
    const long double loose = p.size == 4 ? 2e-4L : 1e-11L, allowed = loose * moved + 16 * eps_of(p.size) * churn + 64 * eps_of(8) * largest;

    BOTH_SIDES {
        if (!begin_case(side, "%s, batch %lld%s%s%s%s%s", p.text, (long long)o.batch, momentum ? " momentum" : "",
                        scale ? " scale" : "", shift ? " shift" : "", order ? " order" : "", o.factor > 0 ? " factor" : ""))
            continue;
        arguments a = {.pass = guarded_pass(&p), .options = o, .W = W, .b = b, .W_velocity = Wv, .b_velocity = bv, .k = k, .d = d,
                       .by_row = by_row, .loss = guarded("loss_out", 8), .correct = guarded("correct_out", 8)};
        a.pass.W = guarded("W_real", k * p.pass.ldw * p.size), a.pass.b = guarded("b_real", k * p.size);
        a.options.W = guarded("W", values * 8), a.options.b = guarded("b", k * 8);
        if (momentum) a.options.W_velocity = guarded("W_velocity", values * 8), a.options.b_velocity = guarded("b_velocity", k * 8);
        a.options.scale = guarded_copy("scale", scale, d * 8), a.options.shift = guarded_copy("shift", shift, d * 8);
        a.options.order = guarded_copy("order", order, n * 8);
        const output outputs[] = {{a.loss, 8}, {a.correct, 8}, {a.options.W, values * 8}, {a.options.b, k * 8},
                                  {a.options.W_velocity, momentum ? values * 8 : 0}, {a.options.b_velocity, momentum ? k * 8 : 0}};
        call_driver(call, reset, &a, outputs, 6);
        check("loss", 0, (long double)*a.loss, total, loose * (fabsl(total) + (long double)n));
        for (int64_t i = 0; i < values; i++) check("W", i, (long double)a.options.W[i], eW[i], allowed);
        for (int64_t c = 0; c < k; c++) check("b", c, (long double)a.options.b[c], eb[c], allowed);
        end_case();
    }
}

static void run(const target *t, int by_row) {
    for (int64_t i = 0; more_problems(i, PROBLEMS); i++)
        if (block(i, 0, 0)) one(t, by_row);
}

const test epoch_tests[] = {{"flr_epoch", run, 0}, {"flr_epoch_by_row", run, 1}, {0}};
