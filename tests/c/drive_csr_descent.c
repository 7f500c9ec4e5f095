/* drive_csr_descent.c -- epochs over sparse rows against the learning rules in long double, and losses of sparse rows. */
#include "harness.h"

#include <math.h>
#include <string.h>

enum { PROBLEMS = 150, MOST_PRODUCTS = 20000, FTRL = 1, EVALUATE = 2 };

typedef struct {
    flr_csr_pass pass;
    flr_epoch_options options;
    flr_ftrl rule;
    const double *W, *b, *W_velocity, *b_velocity, *table; /* where the epoch begins */
    double *loss, *new_table;
    int64_t *correct, values, table_values;
} arguments;

static int never(void *context) { return context != NULL; }

static void reset(void *context) {
    const arguments *a = context;
    const size_t W_bytes = (size_t)(a->values * 8), b_bytes = (size_t)(a->pass.k * 8);
    memcpy(a->options.W, a->W, W_bytes), memcpy(a->options.b, a->b, b_bytes);
    if (a->options.W_velocity) memcpy(a->options.W_velocity, a->W_velocity, W_bytes), memcpy(a->options.b_velocity, a->b_velocity, b_bytes);
    if (a->new_table) memcpy(a->new_table, a->table, (size_t)(a->table_values * 8));
}

static int call(void *context, int n_threads) {
    arguments *a = context;
    a->pass.n_threads = n_threads;
    return flr_csr_epoch(a->loss, a->correct, &a->pass, &a->options, a->new_table ? &a->rule : NULL, a->new_table);
}

static int call_evaluate(void *context, int n_threads) {
    arguments *a = context;
    a->pass.n_threads = n_threads;
    return flr_csr_evaluate(a->loss, a->correct, &a->pass);
}

/* the epoch of flr_csr_epoch with a rule, of coefficients w (k, d + 1) with their z and n, from its formula */
static long double follow_leader(long double *churn, long double *W, long double *b, long double *z, long double *root, const examples *p,
                                 const flr_epoch_options *o, const flr_ftrl *rule) {
    const int64_t d = p->d, k = p->k;
    long double *G = plain(k * d * 16), *g = plain(k * 16), *scratch = plain(3 * k * 16), total = 0;
    for (int64_t first = 0; first < p->n; first += o->batch) {
        long double mass = 0;
        *churn += batch_gradient(G, g, &total, &mass, scratch, W, b, p, o, first);
        if (mass == 0 && o->factor == 0) continue;
        for (int64_t c = 0; c < k; c++)
            for (int64_t j = 0; j <= d; j++) {
                const int64_t at = c * (d + 1) + j;
                long double *w = j < d ? &W[c * d + j] : &b[c];
                const long double l1 = j < d ? (long double)rule->l1 : 0, l2 = j < d ? (long double)rule->l2 : 0, rate = (long double)rule->learning_rate;
                const long double gradient = (j < d ? G[c * d + j] : g[c]) * (o->factor > 0 ? (long double)o->factor : 1 / mass);
                const long double after = sqrtl(root[at] * root[at] + gradient * gradient);
                if (gradient == 0) continue;
                z[at] += gradient - (after - root[at]) / rate * *w;
                root[at] = after;
                *w = fabsl(z[at]) <= l1 ? 0 : -copysignl(fabsl(z[at]) - l1, z[at]) / (((long double)rule->beta + after) / rate + l2);
            }
    }
    return total;
}

/* a table that FTRL-proximal may have left, and what the reference has of it; W and b are its w */
static double *random_table(double *W, double *b, long double *z, long double *root, const sparse *p, const flr_ftrl *rule, int fresh) {
    const int64_t d = p->d, k = p->k, width = flr_csr_width(k);
    double *table = plain((d + 1) * FLR_FTRL_FIELDS * width * 8);
    for (int64_t j = 0; j <= d; j++)
        for (int64_t c = 0; c < k; c++) {
            double *field = table + j * FLR_FTRL_FIELDS * width + c;
            const double l1 = j < d ? rule->l1 : 0, l2 = j < d ? rule->l2 : 0;
            if (!fresh) field[2 * width] = normal(), field[3 * width] = 0.2 + uniform();
            const double excess = fabs(field[2 * width]) - l1;
            field[0] = excess > 0 ? -copysign(excess, field[2 * width]) / ((rule->beta + field[3 * width]) / rule->learning_rate + l2) : 0;
            *(j < d ? &W[c * d + j] : &b[c]) = field[0];
            z[c * (d + 1) + j] = (long double)field[2 * width], root[c * (d + 1) + j] = (long double)field[3 * width];
        }
    return table;
}

static void one_epoch(sparse p, int ftrl) {
    const int64_t n = p.n, d = p.d, k = p.k, values = k * d, table_values = (d + 1) * FLR_FTRL_FIELDS * flr_csr_width(k);
    const int momentum = !ftrl && below(2), fresh = below(2) != 0;
    const double unit = 1 / sqrt((double)(d + 1));
    static const int64_t batches[] = {1, 1, 1, 2, 17, 63, 64, 65, 200, 100000};
    flr_epoch_options o = {.batch = batches[below(10)], .momentum = momentum ? 0.5 + 0.4 * uniform() : 0, .poll = never};
    if (o.batch > n) o.batch = n > 0 ? n : 1;
    o.learning_rate = 0.02 * unit * (p.pass.loss == FLR_SQUARED_ERROR ? 0.3 : 1);
    o.alpha = ftrl || below(2) ? 0 : below(4) ? 0.1 : (1 + uniform()) / o.learning_rate; /* scales of any size */
    if (momentum && o.alpha > 1) o.alpha = 1;
    o.factor = below(4) ? 0 : 0.8 / (double)o.batch;
    /* without beta a gradient that is rounding alone makes a whole step */
    const flr_ftrl rule = {.learning_rate = 0.1 * unit, .beta = 0.5 + uniform(), .l1 = below(2) ? 0.3 * uniform() : 0, .l2 = below(2) ? uniform() : 0};
    double *W = normals(values, unit), *b = normals(k, 1);
    double *Wv = momentum ? normals(values, 0.1 * unit) : NULL, *bv = momentum ? normals(k, 0.1) : NULL;
    long double *z = plain(k * (d + 1) * 16), *root = plain(k * (d + 1) * 16), churn = 0;
    const double *table = ftrl ? random_table(W, b, z, root, &p, &rule, fresh) : NULL;
    int64_t *order = below(2) ? plain(n * 8) : NULL;
    for (int64_t i = 0; order && i < n; i++) {
        const int64_t at = below(i + 1);
        order[i] = order[at], order[at] = i;
    }
    p.pass.offset = NULL;
    flr_epoch_options plainly = o;
    plainly.order = order;
    long double *eW = widened(W, values), *eb = widened(b, k), *eWv = widened(Wv, values), *ebv = widened(bv, k);
    const examples all = EXAMPLES_OF(&p);
    const long double total = ftrl ? follow_leader(&churn, eW, eb, z, root, &all, &plainly, &rule) : descend(&churn, eW, eb, eWv, ebv, &all, &plainly);
    long double moved = 0, largest = 0;
    for (int64_t i = 0; i < values; i++) moved = fmaxl(moved, fabsl(eW[i] - (long double)W[i])), largest = fmaxl(largest, fmaxl(fabsl(eW[i]), fabsl((long double)W[i])));
    for (int64_t c = 0; c < k; c++) moved = fmaxl(moved, fabsl(eb[c] - (long double)b[c])), largest = fmaxl(largest, fabsl((long double)b[c]));
    if (ftrl) churn *= (long double)rule.learning_rate / (long double)rule.beta * (o.factor > 0 ? (long double)o.factor : 1);
    const long double loose = p.size == 4 ? 2e-4L : 1e-11L, allowed = loose * (moved + 0.01L * largest) + 16 * eps_of(p.size) * churn;

    BOTH_SIDES {
        if (!begin_case(side, "%s, batch %lld%s%s%s%s", p.text, (long long)o.batch, momentum ? " momentum" : "", o.alpha > 0 ? " alpha" : "",
                        order ? " order" : "", o.factor > 0 ? " factor" : ""))
            continue;
        arguments a = {.pass = guarded_csr_pass(&p), .options = o, .rule = rule, .W = W, .b = b, .W_velocity = Wv, .b_velocity = bv, .table = table,
                       .values = values, .table_values = table_values, .loss = guarded("loss_out", 8), .correct = guarded("correct_out", 8)};
        a.pass.W = NULL, a.pass.b = NULL;
        a.options.W = guarded("W", values * 8), a.options.b = guarded("b", k * 8);
        if (momentum) a.options.W_velocity = guarded("W_velocity", values * 8), a.options.b_velocity = guarded("b_velocity", k * 8);
        if (ftrl) a.new_table = guarded("ftrl_table", table_values * 8);
        a.options.order = guarded_copy("order", order, n * 8);
        const output outputs[] = {{a.loss, 8}, {a.correct, 8}, {a.options.W, values * 8}, {a.options.b, k * 8},
                                  {a.options.W_velocity, momentum ? values * 8 : 0}, {a.options.b_velocity, momentum ? k * 8 : 0},
                                  {a.new_table, ftrl ? table_values * 8 : 0}};
        call_driver(call, reset, &a, outputs, 7);
        check("loss", 0, (long double)*a.loss, total, loose * (fabsl(total) + (long double)n));
        for (int64_t i = 0; i < values; i++) check("W", i, (long double)a.options.W[i], eW[i], allowed);
        for (int64_t c = 0; c < k; c++) check("b", c, (long double)a.options.b[c], eb[c], allowed);
        for (int64_t i = 0; momentum && i < values; i++)
            check("W_velocity", i, (long double)a.options.W_velocity[i], eWv[i], allowed / (long double)o.learning_rate);
        end_case();
    }
}

static void one_evaluate(const sparse *p) {
    BOTH_SIDES {
        if (!begin_case(side, "%s", p->text)) continue;
        arguments a = {.pass = guarded_csr_pass(p), .loss = guarded("loss_out", 8), .correct = guarded("correct_out", 8)};
        const output outputs[] = {{a.loss, 8}, {a.correct, 8}};
        call_driver(call_evaluate, NULL, &a, outputs, 2);
        check_evaluation(&EXAMPLES_OF(p), *a.loss, *a.correct);
        end_case();
    }
}

static void run(const target *t, int which) {
    for (int64_t i = 0; more_problems(i, PROBLEMS); i++) {
        if (!block(i, 0, 0)) continue;
        const int64_t k = below(3) == 0 ? 1 : 1 + below(below(4) ? 20 : 130);
        const int64_t n = below(1 + MOST_PRODUCTS / k), d = 1 + below(1 + MOST_PRODUCTS / (k * (n + 1)));
        shape(n, k, d);
        const sparse p = random_sparse(n, k, d, t->size, 0);
        if (which == EVALUATE)
            one_evaluate(&p);
        else
            one_epoch(p, which == FTRL);
    }
}

const test csr_descent_tests[] = {{"flr_csr_epoch", run, 0}, {"flr_csr_epoch ftrl", run, FTRL}, {"flr_csr_evaluate", run, EVALUATE}, {0}};
