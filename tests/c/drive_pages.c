/* drive_pages.c -- what is released of a mapped file: its own pages, and none of its neighbours'. */
#include "drivers/csr.h"
#include "drivers/tile.h"
#include "harness.h"
#include "host.h"

#include <string.h>

enum { PROBLEMS = 300, PAGES = 24, OTHERS = 8, ROWS = 40 };

static void judge(int64_t page, char *middle, int64_t held, int64_t first, int64_t end, int release) {
    if (held != first && held != end) wrong_because("held is %lld", (long long)held);
    if (release != FLR_RELEASE && held != first) wrong_because("released without being told");
    for (int64_t i = 0; i < OTHERS * page; i++)
        if (middle[-1 - i] != 0x5a || middle[PAGES * page + i] != 0x5a) {
            wrong_because("memory of others is another, %lld bytes away", (long long)i);
            break;
        }
    for (int64_t i = 0; i < PAGES * page; i++)
        if ((unsigned char)middle[i] != i * 7 % 251) {
            wrong_because("the file is another at %lld", (long long)i);
            break;
        }
    memset(middle - OTHERS * page, 0x5a, (size_t)(OTHERS * page));
    memset(middle + PAGES * page, 0x5a, (size_t)(OTHERS * page));
}

static void one(int64_t page, char *middle) {
    static const flr_dtype dtypes[] = {FLR_F64, FLR_F32, FLR_F16, FLR_U8};
    const flr_dtype dtype = dtypes[below(4)];
    const int64_t size = dtype_size[dtype], room = PAGES * page, d = 1 + below(40), step = 1 + below(below(2) ? 3 : 200);
    const int64_t stride = d * size * step, n = 1 + below((room - d * size) / stride + 1);
    const int64_t spare = room - ((n - 1) * stride + d * size), at = below(3) ? spare : below(spare + 1);
    const int64_t first = below(n), end = below(2) ? n : first + below(n - first + 1);
    const int release = below(4) ? FLR_RELEASE : (int)below(3) - 1, last = below(4) > 0;
    const flr_matrix X = {middle + at, dtype, n, d, stride, size, release};
    if (!begin_case(0, "n %lld d %lld stride %lld at %lld rows %lld to %lld", (long long)n, (long long)d, (long long)stride,
                    (long long)at, (long long)first, (long long)end))
        return;
    judge(page, middle, flr_release_rows(&X, first, end, last), first, end, release);
    end_case();
}

/* values of a sparse matrix where the file begins, columns where it ends, places in memory */
static void one_csr(int64_t page, char *middle) {
    static int64_t places[ROWS + 1];
    const int64_t size = below(2) ? 4 : 8, index_size = below(2) ? 4 : 8, room = PAGES / 2 * page, n = 1 + below(ROWS);
    const int64_t skipped = below(20), most = (room / 8 - skipped) / n;
    places[0] = skipped;
    for (int64_t i = 0; i < n; i++) places[i + 1] = places[i] + below(most + 1);
    const int64_t first = below(n), end = below(2) ? n : first + below(n - first + 1);
    const int release = below(4) ? FLR_RELEASE : (int)below(3) - 1, last = below(4) > 0;
    const flr_csr X = {middle, size == 4 ? FLR_F32 : FLR_F64, middle + PAGES * page - places[n] * index_size, places,
                       index_size, 8, n, 100, release};
    if (!begin_case(0, "n %lld size %lld of columns %lld rows %lld to %lld", (long long)n, (long long)size,
                    (long long)index_size, (long long)first, (long long)end))
        return;
    judge(page, middle, flr_csr_release_rows(&X, first, end, last), first, end, release);
    end_case();
}

static void run(const target *t, int which) {
    const int64_t page = host_page();
    char *file = plain(PAGES * page);
    for (int64_t i = 0; i < PAGES * page; i++) file[i] = (char)(i * 7 % 251);
    char *middle = t->size == 4 ? host_file_between(file, PAGES * page, OTHERS * page) : NULL;
    if (middle == NULL) return;
    memset(middle - OTHERS * page, 0x5a, (size_t)(OTHERS * page));
    memset(middle + PAGES * page, 0x5a, (size_t)(OTHERS * page));
    for (int64_t i = 0; more_problems(i, PROBLEMS); i++)
        if (block(i, 0, 0)) (which ? one_csr : one)(page, middle);
}

const test pages_tests[] = {{"flr_release_rows", run, 0}, {"flr_csr_release_rows", run, 1}, {0}};
