/* problem.c -- random models and data for the drivers, their logits by plain loops, and what every driver is held to. */
#include "harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PRODUCTS = 120000, OUTPUTS = 7 };

static int64_t random_size(int64_t most) {
    const int64_t what = below(8);
    const int64_t size = what == 0 ? below(4) : what < 4 ? below(40) : what < 7 ? below(300) : below(3000);
    return size < most ? size : most;
}

problem random_problem(const target *t, int may) {
    static const flr_dtype singles[] = {FLR_F32, FLR_F32, FLR_F32, FLR_F16, FLR_BF16, FLR_U8, FLR_I8, FLR_U16, FLR_I16};
    static const flr_dtype doubles[] = {FLR_F64, FLR_F64, FLR_F64, FLR_I32, FLR_U32, FLR_I64, FLR_U64};
    problem p = {.size = t->size};
    const flr_dtype dtype = t->size == 4 ? singles[below(9)] : doubles[below(7)];
    const int64_t size = t->size;
    p.k = below(3) == 0 ? 1 + below(3) : below(5) ? 1 + below(70) : 1 + below(400);
    p.n = random_size(MOST_PRODUCTS / p.k);
    p.d = random_size(MOST_PRODUCTS / (p.k * (p.n + 1)) + 1);
    if (may & FEW_COLUMNS && p.d > 150) p.d = 150;
    shape(p.n, p.k, p.d);
    const int64_t n = p.n, d = p.d, k = p.k, ldw = (d + 15) / 16 * 16, own = dtype_size[dtype];

    const int which = (int)below(N_LAYOUTS);
    const layout l = layout_of(which, n, d, own);
    char *memory = plain(l.bytes), *data = memory - l.lowest;
    const int integers = dtype > FLR_BF16;
    p.X = plain(n * d * 8);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++) put_dtype(data + i * l.row_stride + j * l.col_stride, dtype, random_of(dtype));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++) p.X[i * d + j] = get_dtype(data + i * l.row_stride + j * l.col_stride, dtype);
    p.layout = l.name, p.X_lowest = l.lowest, p.X_bytes = l.bytes;

    const flr_loss loss = (flr_loss)below(FLR_N_LOSSES);
    const targets y = random_targets(loss, (below(3) ? LABELS_ONLY : PROBABILITIES_ONLY) | (below(2) ? WEIGHTED : 0), n, k, size);
    p.Y = y.Y;
    p.pass = (flr_pass){.X = {data, dtype, n, d, l.row_stride, l.col_stride, 0}, .loss = loss, .k = k, .ldw = ldw,
                        .label = y.y.label, .prob = y.y.prob, .weight = y.y.weight, .n_threads = 1};
    if (may & MAY_REFER && below(2) && flr_wants_reference(&p.pass)) p.pass.has_reference = 1, p.pass.reference = below(k);
    const int64_t rows = k - p.pass.has_reference;
    void *W = plain(rows * ldw * size), *b = plain(k * size), *offset = may & MAY_OFFSET && below(3) == 0 ? plain(n * k * size) : NULL;
    const double scale = 1 / (sqrt((double)(d > 0 ? d : 1)) * (integers ? 100 : 1));
    for (int64_t c = 0; c < rows; c++)
        for (int64_t j = 0; j < d; j++) put(W, c * ldw + j, size, scale * normal());
    for (int64_t c = 0; c < k; c++) put(b, c, size, normal());
    for (int64_t i = 0; offset && i < n * k; i++) put(offset, i, size, normal());
    p.pass.W = W, p.pass.b = b, p.pass.offset = offset;

    /* with a reference the last class stands in its place in W and b; its own logit is its intercept */
    p.Z = plain(n * k * 16), p.error = plain(n * 16);
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < k; c++) {
            const int64_t from = !p.pass.has_reference ? c : c == p.pass.reference ? k - 1 : c == k - 1 ? p.pass.reference : c;
            long double sum = (long double)get(b, from, size), absolute = fabsl(sum);
            for (int64_t j = 0; from < rows && j < d; j++) {
                const long double term = (long double)p.X[i * d + j] * (long double)get(W, from * ldw + j, size);
                sum += term, absolute += fabsl(term);
            }
            if (offset) sum += (long double)get(offset, i * k + c, size), absolute += fabsl(sum);
            const long double error = (6 + (long double)d / 8) * eps_of(size) * absolute;
            p.Z[i * k + c] = sum;
            if (error > p.error[i]) p.error[i] = error;
        }
    snprintf(p.text, sizeof p.text, "%s %s, %s %s%s%s%s", dtype_name[dtype], l.name, loss_name[loss],
             y.y.prob ? "probabilities" : "labels", y.y.weight ? " weighted" : "", offset ? " offset" : "",
             p.pass.has_reference ? " reference" : "");
    return p;
}

flr_pass guarded_pass(const problem *p) {
    flr_pass g = p->pass;
    const int64_t n = p->n, k = p->k, size = p->size;
    g.X.data = (const char *)guarded_copy("X", p->pass.X.data + p->X_lowest, p->X_bytes) - p->X_lowest;
    g.W = guarded_copy("W", p->pass.W, (k - g.has_reference) * g.ldw * size);
    g.b = guarded_copy("b", p->pass.b, k * size);
    g.offset = guarded_copy("offset", p->pass.offset, n * k * size);
    g.label = guarded_copy("label", p->pass.label, n * 4);
    g.prob = guarded_copy("prob", p->pass.prob, n * k * size);
    g.weight = guarded_copy("weight", p->pass.weight, n * 8);
    return g;
}

/* ---- what every driver is held to --------------------------------------------------------------------------------------- */
static void restore(const output *outputs, int n, void (*reset)(void *), void *context) {
    for (int i = 0; i < n; i++)
        if (outputs[i].bytes > 0) memset(outputs[i].data, 0xff, (size_t)outputs[i].bytes);
    if (reset) reset(context);
}

void call_driver(int (*call)(void *context, int n_threads), void (*reset)(void *context), void *context,
                 const output *outputs, int n_outputs) {
    static unsigned char *first[OUTPUTS];
    static int64_t capacity[OUTPUTS];
    if (n_outputs > OUTPUTS) abort();
    restore(outputs, n_outputs, reset, context);
    scratch_taken = 0, scratch_fails_at = -1;
    int status = call(context, 1);
    const int64_t allocations = scratch_taken;
    if (status != FLR_OK) wrong_because("the driver returned %d", status);
    for (int i = 0; i < n_outputs; i++) {
        if (capacity[i] < outputs[i].bytes) {
            first[i] = realloc(first[i], (size_t)(capacity[i] = outputs[i].bytes));
        }
        if (outputs[i].bytes) memcpy(first[i], outputs[i].data, (size_t)outputs[i].bytes);
    }
    /* a process has no threads at first, then one, then as many as it likes */
    static int64_t calls;
    threads_left = calls < 4 ? 0 : calls == 4 ? 1 : 1 << 20;
    calls++;
    for (int n_threads = 2; n_threads <= 3; n_threads++) {
        restore(outputs, n_outputs, reset, context);
        status = call(context, n_threads);
        if (status != FLR_OK) wrong_because("the driver returned %d on %d threads", status, n_threads);
        for (int i = 0; i < n_outputs; i++)
            if (outputs[i].bytes && memcmp(first[i], outputs[i].data, (size_t)outputs[i].bytes) != 0)
                wrong_because("output %d has other bits on %d threads", i, n_threads);
    }
    for (int64_t fails = 0; fails < allocations; fails++) {
        restore(outputs, n_outputs, reset, context);
        scratch_taken = 0, scratch_fails_at = fails;
        status = call(context, 1 + (int)(fails + calls) % 3);
        scratch_fails_at = -1;
        if (status != FLR_NO_MEMORY) wrong_because("allocation %lld failed, and the driver returned %d", (long long)fails, status);
        if (scratch_out != 0) wrong_because("allocation %lld failed, and %lld blocks leaked", (long long)fails, (long long)scratch_out);
    }
    restore(outputs, n_outputs, reset, context);
    status = call(context, 2);
    for (int i = 0; i < n_outputs; i++)
        if (outputs[i].bytes && memcmp(first[i], outputs[i].data, (size_t)outputs[i].bytes) != 0)
            wrong_because("output %d has other bits after a failed allocation", i);
    if (scratch_out != 0) wrong_because("%lld blocks of scratch leaked", (long long)scratch_out);
}
