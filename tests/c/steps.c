/* steps.c -- the learning rule's step, by parts of a gradient or one row, and what steps changed in a row's logits. */
#include "harness.h"

#include <math.h>
#include <string.h>

static void fill(void *p, int64_t n, int64_t size) {
    for (int64_t i = 0; i < n; i++) put(p, i, size, normal());
}

static void one_step(const target *t, int which, int64_t m, int64_t k, int64_t d) {
    const int64_t size = t->size, ldw = (d + 15) / 16 * 16, n_parts = m % 5, stride = k * d;
    const int row = m % 4 == 3, momentum = m % 3 == 1, with = (int)below(4), folded = n_parts > 2 && below(2);
    const int64_t c0 = below(k), c1 = c0 + 1 + below(k - c0), j0 = below(d), j1 = j0 + 1 + below(d - j0);
    double *W = plain(k * d * 8), *v = plain(k * d * 8), *g = plain(k * 8), *scale = plain(d * 8), *shift = plain(d * 8);
    void *parts = plain(4 * k * d * size), *r = plain(k * size), *x = plain(d * size);
    (void)which;
    fill(W, k * d, 8), fill(v, k * d, 8), fill(g, k, 8), fill(scale, d, 8), fill(shift, d, 8);
    fill(parts, 4 * k * d, size), fill(r, k, size), fill(x, d, size);
    BOTH_SIDES {
        if (!begin_case(side, "%s%s%s%s, %lld parts, classes %lld to %lld, columns %lld to %lld", row ? "row" : "batch",
                        momentum ? " momentum" : "", with & 1 ? " scale" : "", with & 2 ? " shift" : "", (long long)n_parts,
                        (long long)c0, (long long)c1, (long long)j0, (long long)j1))
            continue;
        flr_step s = {.W = memcpy(guarded("W", k * d * 8), W, (size_t)(k * d * 8)), .ldw = ldw,
                      .W_real = guarded("W_real", k * ldw * size), .g = guarded_copy("g", g, k * 8),
                      .n_parts = row ? 0 : n_parts, .part_stride = stride, .folded = folded, .factor = 0.7, .alpha = 0.1,
                      .learning_rate = 0.3, .momentum = momentum ? 0.9 : 0, .k = k, .d = d};
        if (momentum) s.velocity = memcpy(guarded("velocity", k * d * 8), v, (size_t)(k * d * 8));
        if (row) s.r = guarded_copy("r", r, k * size), s.x = guarded_copy("x", x, d * size);
        if (!row) s.G = guarded_copy("G", parts, n_parts * stride * size);
        if (with & 1) s.scale = guarded_copy("scale", scale, d * 8);
        if (with & 2) s.shift = guarded_copy("shift", shift, d * 8);
        double *b_shift = guarded("b_shift_out", k * 8);
        memset(s.W_real, 0, (size_t)(k * ldw * size));
        t->kernels->step(&s, c0, c1, j0, j1, b_shift);
        for (int64_t c = 0; c < k; c++) {
            long double total = 0, total_allowed = 0;
            for (int64_t j = 0; j < d; j++) {
                const int64_t at = c * d + j;
                long double w = (long double)W[at], G = 0, absolute = 0, error = 0;
                if (c >= c0 && c < c1 && j >= j0 && j < j1) {
                    for (int64_t q = 0; !row && q < (folded ? 2 : n_parts); q++) {
                        G += (long double)get(parts, q * stride + at, size);
                        absolute += fabsl((long double)get(parts, q * stride + at, size));
                    }
                    if (row) G = (long double)get(r, c, size) * (long double)get(x, j, size);
                    error = row ? 0 : eps_of(size) * absolute;
                    const long double s_j = with & 1 ? (long double)scale[j] : 1;
                    const long double moved = with & 2 ? (long double)g[c] * (long double)shift[j] : 0;
                    const long double old = momentum ? 0.9L * (long double)v[at] : 0;
                    const long double velocity = old + 0.7L * ((G - moved) * s_j) + 0.1L * w;
                    error = 0.3L * error * fabsl(s_j);
                    error += 16 * eps_of(8) * (fabsl(w) + fabsl(old) + fabsl(G * s_j) + fabsl(moved * s_j));
                    if (momentum) check("velocity", at, (long double)s.velocity[at], velocity, 4 * error);
                    w -= 0.3L * velocity;
                    check("W_real", c * ldw + j, (long double)get(s.W_real, c * ldw + j, size), w * s_j,
                          (error + eps_of(size) * fabsl(w)) * fabsl(s_j) + tiny_of(size));
                    if (with & 2) total += w * s_j * (long double)shift[j];
                    if (with & 2)
                        total_allowed += (error + eps_of(8) * (long double)d * fabsl(w)) * fabsl(s_j * (long double)shift[j]);
                } else {
                    check("W_real elsewhere", c * ldw + j, (long double)get(s.W_real, c * ldw + j, size), 0, 0);
                }
                check("W", at, (long double)s.W[at], w, error);
            }
            if (with & 2 && c >= c0 && c < c1) check("b_shift_out", c, (long double)b_shift[c], total, total_allowed);
        }
        end_case();
    }
}

static void one_subtract(const target *t, int which, int64_t m, int64_t k, int64_t d) {
    const int64_t size = t->size;
    void *z = plain(k * size), *rates = plain(m * k * size), *inner = plain(m * size);
    (void)which, (void)d;
    fill(z, k, size), fill(rates, m * k, size), fill(inner, m, size);
    BOTH_SIDES {
        if (!begin_case(side, "m steps")) continue;
        void *out = memcpy(guarded("z", k * size), z, (size_t)(k * size));
        const void *by = guarded_copy("rates", rates, m * k * size);
        t->kernels->subtract_steps(out, by, guarded_copy("inner", inner, m * size), m, k);
        for (int64_t c = 0; c < k; c++) {
            long double value = (long double)get(z, c, size), absolute = fabsl(value);
            for (int64_t l = 0; l < m; l++) {
                const long double term = ((long double)get(inner, l, size) + 1) * (long double)get(rates, l * k + c, size);
                value -= term, absolute += (fabsl((long double)get(inner, l, size)) + 1) * fabsl((long double)get(rates, l * k + c, size));
            }
            check("z", c, (long double)get(out, c, size), value, (4 + (long double)m) * eps_of(size) * absolute);
        }
        end_case();
    }
}

static void run_step(const target *t, int which) { for_shapes(t, which, one_step); }
static void run_subtract(const target *t, int which) { for_shapes(t, which, one_subtract); }

const test step_tests[] = {{"step", run_step, 0}, {"subtract_steps", run_subtract, 0}, {0}};
