/* base/mem.c - checked sizes, the heap, and page-mapped blocks. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/base.h"

bool wok__mul(int64_t a, int64_t b, int64_t *out) {
  int64_t r;
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &r)) return false;
  *out = r;
  return true;
}

bool wok__add(int64_t a, int64_t b, int64_t *out) {
  int64_t r;
  if (a < 0 || b < 0 || __builtin_add_overflow(a, b, &r)) return false;
  *out = r;
  return true;
}

/* No object may be larger than PTRDIFF_MAX; saying so here also keeps compilers from warning at every caller. */
static bool fits(int64_t n) { return n >= 0 && (uint64_t)n <= (uint64_t)PTRDIFF_MAX; }

void *wok__malloc(int64_t n) {
  if (!fits(n)) return NULL;
  return malloc(n > 0 ? (size_t)n : 1);
}

void *wok__calloc(int64_t n, int64_t size) {
  int64_t bytes;
  if (!wok__mul(n, size, &bytes) || !fits(bytes)) return NULL;
  return calloc(1, bytes > 0 ? (size_t)bytes : 1);
}

void *wok__realloc(void *p, int64_t n) {
  if (!fits(n)) return NULL;
  return realloc(p, n > 0 ? (size_t)n : 1);
}

void wok__free(void *p) { free(p); }

enum { HUGE_PAGE = 2 << 20 };

/* Small blocks end at an ordinary page: rounding them up to 2 MiB would let one touched byte cost 2 MiB of RAM. */
static bool mapped_size(int64_t n, int64_t *out) {
  int64_t page = n >= HUGE_PAGE ? HUGE_PAGE : (int64_t)sysconf(_SC_PAGESIZE);
  if (n < 0 || page <= 0 || !wok__add(n > 0 ? n : 1, page - 1, out)) return false;
  *out &= ~(page - 1);
  return *out <= PTRDIFF_MAX - HUGE_PAGE;
}

void *wok__pages_alloc(int64_t n) {
  int64_t bytes;
  if (!mapped_size(n, &bytes)) return NULL;
  /* mmap aligns to 4 KiB only: map 2 MiB more and give back what lies before and after the aligned part. */
  size_t want = (size_t)bytes + HUGE_PAGE;
  void *m = mmap(NULL, want, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (m == MAP_FAILED) return NULL;
  uintptr_t at = (uintptr_t)m, start = (at + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
  size_t before = start - at, after = HUGE_PAGE - before;
  if (before) (void)munmap(m, before);
  if (after) (void)munmap((void *)(start + (uintptr_t)bytes), after);
#ifdef MADV_HUGEPAGE
  if (bytes >= HUGE_PAGE)
    (void)madvise((void *)start, (size_t)bytes, MADV_HUGEPAGE); /* advice: refusal is no failure */
#endif
  return (void *)start;
}

void wok__pages_free(void *p, int64_t n) {
  int64_t bytes;
  if (p && mapped_size(n, &bytes)) (void)munmap(p, (size_t)bytes);
}
