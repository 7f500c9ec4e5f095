/* products.c -- logits and gradients of a tile: rows of each type that has products, and packed ones for many classes. */
#include "harness.h"

#include <math.h>
#include <string.h>

typedef struct {
    int64_t m, k, d, ldw, ldx, own; /* own: bytes of a value of x */
    flr_dtype type;
    char *x;          /* (m, ldx) */
    double *values;   /* (m, d) */
    void *W, *b, *R;  /* (k, ldw), (k + 1,), (m, k) */
} tile;

static tile random_tile(const target *t, flr_dtype type, int64_t m, int64_t k, int64_t d) {
    tile a = {m, k, d, (d + 15) / 16 * 16, d + below(3), dtype_size[type], type, NULL, NULL, NULL, NULL, NULL};
    a.x = plain(m * a.ldx * a.own);
    a.values = plain(m * d * 8);
    a.W = plain(k * a.ldw * t->size), a.b = plain((k + 4) * t->size), a.R = plain(m * k * t->size);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < d; j++) {
            char *p = a.x + (i * a.ldx + j) * a.own;
            put_dtype(p, type, random_of(type));
            a.values[i * d + j] = get_dtype(p, type);
        }
    for (int64_t c = 0; c < k; c++)
        for (int64_t j = 0; j < d; j++) put(a.W, c * a.ldw + j, t->size, normal());
    for (int64_t c = 0; c < k + 4; c++) put(a.b, c, t->size, normal());
    for (int64_t i = 0; i < m * k; i++) put(a.R, i, t->size, normal());
    return a;
}

/* Pointers to the rows of guarded memory that ends with the last: in order, or from a random one on (rows of a batch). */
static const void *const *guarded_rows(const tile *a) {
    char *x = (char *)guarded_copy("x", a->x, ((a->m - 1) * a->ldx + a->d) * a->own);
    const void **rows = guarded("rows of x", a->m * (int64_t)sizeof *rows);
    for (int64_t i = 0; i < a->m; i++) rows[i] = x + i * a->ldx * a->own;
    return rows;
}

/* what is prefetched meanwhile: the rows themselves, all or some, in one piece or apart; or nothing */
static const flr_ahead *random_ahead(flr_ahead *ahead, const tile *a, const void *const *rows, int64_t how) {
    const int64_t first = how % 7 % a->m;
    *ahead = (flr_ahead){(const char *const *)rows, a->m, a->d * a->own, how % 2 ? a->ldx * a->own : 0, first, a->m - first};
    if (how % 5 == 4) ahead->n = 0;
    return how % 3 ? ahead : NULL;
}

static void expect_logits(long double *Z, long double *allowed, const target *t, const tile *a) {
    for (int64_t i = 0; i < a->m; i++)
        for (int64_t c = 0; c < a->k; c++) {
            long double sum = (long double)get(a->b, c, t->size), absolute = fabsl(sum);
            for (int64_t j = 0; j < a->d; j++) {
                const long double term = (long double)a->values[i * a->d + j] * (long double)get(a->W, c * a->ldw + j, t->size);
                sum += term, absolute += fabsl(term);
            }
            Z[i * a->k + c] = sum;
            allowed[i * a->k + c] = (4 + (long double)a->d / 8) * eps_of(t->size) * absolute;
        }
}

/* of sums that began with G */
static void expect_gradient(long double *G, long double *allowed, const target *t, const tile *a) {
    for (int64_t c = 0; c < a->k; c++)
        for (int64_t j = 0; j < a->d; j++) {
            long double sum = G[c * a->d + j], absolute = fabsl(sum);
            for (int64_t i = 0; i < a->m; i++) {
                const long double term = (long double)a->values[i * a->d + j] * (long double)get(a->R, i * a->k + c, t->size);
                sum += term, absolute += fabsl(term);
            }
            G[c * a->d + j] = sum;
            allowed[c * a->d + j] = (4 + (long double)a->m / 4) * eps_of(t->size) * absolute;
        }
}

/* ---- few classes ---------------------------------------------------------------------------------------------------- */
static void one_forward(const target *t, int type, int64_t m, int64_t k, int64_t d) {
    const int64_t size = t->size, values = m * k * 16;
    const tile a = random_tile(t, type, m, k, d);
    long double *Z = plain(values), *allowed = plain(values);
    expect_logits(Z, allowed, t, &a);
    const int64_t head = below(2) * below(16), ldz = k + below(3), how = below(1000);
    BOTH_SIDES {
        if (!begin_case(side, "head %lld ldz %lld", (long long)head, (long long)ldz)) continue;
        flr_ahead ahead;
        const void *const *x = guarded_rows(&a);
        void *out = guarded("Z_out", m * ldz * size);
        const void *W = guarded_copy("W", a.W, k * a.ldw * size), *b = guarded_copy("b", a.b, ldz * size);
        t->kernels->products[type].forward(out, ldz, x, W, a.ldw, b, m, d, k, head, random_ahead(&ahead, &a, x, how));
        for (int64_t i = 0; i < m; i++) {
            for (int64_t c = 0; c < k; c++)
                check("Z_out", i * ldz + c, (long double)get(out, i * ldz + c, size), Z[i * k + c], allowed[i * k + c]);
            for (int64_t c = k; c < ldz; c++)
                check("Z_out (b alone)", i * ldz + c, (long double)get(out, i * ldz + c, size), (long double)get(a.b, c, size), 0);
        }
        end_case();
    }
}

static void one_backward(const target *t, int type, int64_t m, int64_t k, int64_t d) {
    const int64_t size = t->size, ldg = d + below(4), ldr = k + below(3), head = below(2) * below(16), how = below(1000);
    const int fresh = (int)below(2);
    const tile a = random_tile(t, type, m, k, d);
    void *before = plain(k * ldg * size), *R = plain(m * ldr * size);
    long double *G = plain(k * d * 16), *allowed = plain(k * d * 16);
    for (int64_t c = 0; c < k * ldg; c++) put(before, c, size, normal());
    for (int64_t i = 0; i < m; i++)
        for (int64_t c = 0; c < ldr; c++) put(R, i * ldr + c, size, c < k ? get(a.R, i * k + c, size) : NAN);
    for (int64_t c = 0; c < k; c++)
        for (int64_t j = 0; j < d; j++) G[c * d + j] = fresh ? 0 : (long double)get(before, c * ldg + j, size);
    expect_gradient(G, allowed, t, &a);
    BOTH_SIDES {
        if (!begin_case(side, "head %lld ldg %lld ldr %lld%s", (long long)head, (long long)ldg, (long long)ldr,
                        fresh ? " fresh" : ""))
            continue;
        flr_ahead ahead;
        const void *const *x = guarded_rows(&a);
        /* the last row has d columns alone, and R's k */
        void *out = guarded("G", ((k - 1) * ldg + d) * size);
        memcpy(out, before, (size_t)(((k - 1) * ldg + d) * size));
        const void *r = guarded_copy("R", R, ((m - 1) * ldr + k) * size);
        t->kernels->products[type].backward(out, ldg, r, ldr, x, m, d, k, head, fresh, random_ahead(&ahead, &a, x, how));
        for (int64_t c = 0; c < k; c++) {
            for (int64_t j = 0; j < d; j++)
                check("G", c * ldg + j, (long double)get(out, c * ldg + j, size), G[c * d + j], allowed[c * d + j]);
            for (int64_t j = d; c < k - 1 && j < ldg; j++)
                check("G behind d", c * ldg + j, (long double)get(out, c * ldg + j, size),
                      (long double)get(before, c * ldg + j, size), 0);
        }
        end_case();
    }
}

static void run_forward(const target *t, int type) {
    if (t->kernels->products[type].forward) for_shapes(t, type, one_forward);
}
static void run_backward(const target *t, int type) {
    if (t->kernels->products[type].backward) for_shapes(t, type, one_backward);
}

const test product_tests[] = {
    {"forward.f32", run_forward, FLR_F32},   {"forward.f64", run_forward, FLR_F64},   {"forward.f16", run_forward, FLR_F16},
    {"forward.bf16", run_forward, FLR_BF16}, {"forward.u8", run_forward, FLR_U8},     {"forward.i8", run_forward, FLR_I8},
    {"backward.f32", run_backward, FLR_F32}, {"backward.f64", run_backward, FLR_F64}, {"backward.f16", run_backward, FLR_F16},
    {"backward.bf16", run_backward, FLR_BF16}, {"backward.u8", run_backward, FLR_U8}, {"backward.i8", run_backward, FLR_I8},
    {0}};

/* ---- many classes ------------------------------------------------------------------------------------------------------ */
static void one_many_forward(const target *t, int which, int64_t m, int64_t k, int64_t d) {
    const int64_t size = t->size, values = m * k * 16, head = below(2) * below(16), how = below(1000);
    const flr_many *many = &t->kernels->many;
    const tile a = random_tile(t, flr_real_of(size), m, k, d);
    long double *Z = plain(values), *allowed = plain(values);
    (void)which;
    expect_logits(Z, allowed, t, &a);
    BOTH_SIDES {
        if (!begin_case(side, "head %lld", (long long)head)) continue;
        flr_ahead ahead;
        const void *const *x = guarded_rows(&a);
        void *out = guarded("Z_out", m * k * size), *packed = guarded("packed", many->packed_size(k, d) * size);
        const void *W = guarded_copy("W", a.W, k * a.ldw * size), *b = guarded_copy("b", a.b, k * size);
        const int64_t panels = (k + t->kernels->panel_classes - 1) / t->kernels->panel_classes;
        for (int64_t panel = panels - 1; panel >= 0; panel--) many->pack(packed, W, a.ldw, k, d, panel);
        many->forward(out, x, packed, W, a.ldw, b, m, d, k, head, random_ahead(&ahead, &a, x, how));
        for (int64_t i = 0; i < m * k; i++) check("Z_out", i, (long double)get(out, i, size), Z[i], allowed[i]);
        end_case();
    }
}

static void one_many_backward(const target *t, int which, int64_t m, int64_t k, int64_t d) {
    const int64_t size = t->size, how = below(1000);
    const flr_many *many = &t->kernels->many;
    const int64_t sums_bytes = many->sums_size(k, d) * size;
    const tile a = random_tile(t, flr_real_of(size), m, k, d);
    long double *G = plain(k * d * 16), *allowed = plain(k * d * 16);
    (void)which;
    expect_gradient(G, allowed, t, &a);
    BOTH_SIDES {
        if (!begin_case(side, "twice and flushed")) continue;
        flr_ahead ahead;
        const void *const *x = guarded_rows(&a);
        void *sums = guarded("sums", sums_bytes);
        double *out = guarded("G", k * d * 8);
        const void *R = guarded_copy("R", a.R, m * k * size);
        memset(sums, 0, (size_t)sums_bytes);
        for (int64_t i = 0; i < k * d; i++) out[i] = 1;
        for (int twice = 0; twice < 2; twice++)
            many->backward(sums, R, x, guarded("scratch", many->backward_size(m, k) * size), m, d, k,
                           random_ahead(&ahead, &a, x, how));
        many->flush(out, sums, k, d);
        for (int64_t i = 0; i < k * d; i++)
            check("G", i, (long double)out[i], 1 + 2 * G[i], 4 * allowed[i] + 4 * eps_of(8));
        many->flush(out, sums, k, d); /* of zeros */
        for (int64_t i = 0; i < k * d; i++)
            check("G flushed again", i, (long double)out[i], 1 + 2 * G[i], 4 * allowed[i] + 4 * eps_of(8));
        end_case();
    }
}

/* the upper triangle of X'X; the columns behind d are read, and come to nothing */
static void one_many_gram(const target *t, int which, int64_t m, int64_t k, int64_t d) {
    const int64_t size = t->size, columns = k <= 130 ? k : d % 300 + 1, ldx = (columns + 7 + 15) / 16 * 16 + 16 * below(2);
    const flr_many *many = &t->kernels->many;
    const int64_t sums_bytes = many->sums_size(columns, columns) * size;
    void *X = plain(m * ldx * size);
    (void)which;
    for (int64_t i = 0; i < m * ldx; i++) put(X, i, size, normal());
    BOTH_SIDES {
        if (!begin_case(side, "%lld columns", (long long)columns)) continue;
        const void *x = guarded_copy("X", X, m * ldx * size);
        void *sums = guarded("sums", sums_bytes), *scratch = guarded("scratch", many->backward_size(m, columns) * size);
        double *G = guarded("G", columns * columns * 8);
        memset(sums, 0, (size_t)sums_bytes);
        memset(G, 0, (size_t)(columns * columns * 8));
        many->gram(sums, x, ldx, scratch, m, columns);
        many->flush_gram(G, sums, columns);
        for (int64_t a = 0; a < columns; a++)
            for (int64_t b = a; b < columns; b++) {
                double sum = 0, absolute = 0;
                for (int64_t i = 0; i < m; i++) {
                    const double term = get(X, i * ldx + a, size) * get(X, i * ldx + b, size);
                    sum += term, absolute += fabs(term);
                }
                check("G", a * columns + b, (long double)G[a * columns + b], (long double)sum,
                      (8 + (long double)m) * eps_of(size) * (long double)absolute);
            }
        end_case();
    }
}

static void run_many_forward(const target *t, int which) { for_shapes(t, which, one_many_forward); }
static void run_many_backward(const target *t, int which) { for_shapes(t, which, one_many_backward); }
static void run_many_gram(const target *t, int which) { for_shapes(t, which, one_many_gram); }

const test many_tests[] = {
    {"many.forward", run_many_forward, 0}, {"many.backward", run_many_backward, 0}, {"many.gram", run_many_gram, 0}, {0}};
