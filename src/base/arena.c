/* base/arena.c - many small things with one end. */
#include <string.h>
#include "base/base.h"

typedef struct chunk {
  struct chunk *next;
  int64_t size, used; /* of the bytes after this head */
} chunk;

typedef struct cleanup {
  struct cleanup *next;
  void (*fn)(void *);
  void *arg;
} cleanup;

struct wok__arena {
  chunk *top; /* the one being filled; the others are full or were made for one large thing */
  cleanup *last;
  int64_t grow;  /* size of the next chunk */
  int64_t bytes; /* held in all */
};

enum { FIRST_CHUNK = 64 << 10, LARGEST_CHUNK = 4 << 20, LEAST_CHUNK = 256 };

wok__arena *wok__arena_new(int64_t first_chunk) {
  if (first_chunk < 0) return NULL;
  wok__arena *a = wok__calloc(1, (int64_t)sizeof *a);
  if (!a) return NULL;
  a->grow = first_chunk == 0 ? FIRST_CHUNK : WOK__MAX(first_chunk, LEAST_CHUNK);
  a->bytes = (int64_t)sizeof *a;
  return a;
}

void wok__arena_free(wok__arena *a) {
  if (!a) return;
  for (cleanup *k = a->last; k; k = k->next) k->fn(k->arg); /* newest first: the list is a stack */
  for (chunk *k = a->top, *next; k; k = next) {
    next = k->next;
    wok__free(k);
  }
  wok__free(a);
}

/* Chunks come from calloc and are never used twice, so what they give is zero already, and large ones cost no memory
   until they are touched. */
static chunk *chunk_new(wok__arena *a, int64_t size) {
  int64_t bytes;
  if (!wok__add(size, (int64_t)sizeof(chunk), &bytes)) return NULL;
  chunk *k = wok__calloc(1, bytes);
  if (!k) return NULL;
  k->size = size;
  a->bytes += bytes;
  return k;
}

static void *take(chunk *k, int64_t n, int64_t align) {
  char *base = (char *)(k + 1);
  uintptr_t at = (uintptr_t)base + (uintptr_t)k->used;
  int64_t pad = (int64_t)(-at & (uintptr_t)(align - 1));
  if (pad > k->size - k->used || n > k->size - k->used - pad) return NULL;
  char *p = base + k->used + pad;
  k->used += pad + n;
  return p;
}

void *wok__arena_alloc(wok__arena *a, int64_t n, int64_t align) {
  if (align == 0) align = (int64_t) _Alignof(max_align_t);
  if (!a || n < 0 || align < 0 || (align & (align - 1)) != 0) return NULL;
  if (n == 0) n = 1; /* distinct things have distinct addresses */
  void *p = a->top ? take(a->top, n, align) : NULL;
  if (p) return p;
  int64_t need;
  if (!wok__add(n, align, &need)) return NULL;
  if (need > a->grow / 2 && a->top) {
    /* Large: a chunk of its own, put under the top so that the rest of the top is not wasted. */
    chunk *k = chunk_new(a, need);
    if (!k) return NULL;
    k->next = a->top->next;
    a->top->next = k;
    return take(k, n, align);
  }
  chunk *k = chunk_new(a, WOK__MAX(a->grow, need));
  if (!k) return NULL;
  if (a->grow < LARGEST_CHUNK) a->grow = WOK__MIN(a->grow * 2, LARGEST_CHUNK);
  k->next = a->top;
  a->top = k;
  return take(k, n, align);
}

void *wok__arena_array(wok__arena *a, int64_t n, int64_t size, int64_t align) {
  int64_t bytes;
  return wok__mul(n, size, &bytes) ? wok__arena_alloc(a, bytes, align) : NULL;
}

bool wok__arena_cleanup(wok__arena *a, void (*fn)(void *), void *arg) {
  cleanup *k = wok__new(a, cleanup, 1);
  if (!k) return false;
  *k = (cleanup){a->last, fn, arg};
  a->last = k;
  return true;
}

int64_t wok__arena_bytes(const wok__arena *a) { return a ? a->bytes : 0; }

char *wok__arena_strndup(wok__arena *a, const char *s, int64_t n) {
  int64_t bytes;
  if (!s || !wok__add(n, 1, &bytes)) return NULL;
  char *p = wok__arena_alloc(a, bytes, 1);
  if (p && n > 0) memcpy(p, s, (size_t)n);
  return p;
}

char *wok__arena_strdup(wok__arena *a, const char *s) {
  return s ? wok__arena_strndup(a, s, (int64_t)strlen(s)) : NULL;
}

char *wok__arena_printf(wok__arena *a, const char *fmt, ...) {
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  char *p = NULL;
  int n = wok__vsnprintf(NULL, 0, fmt, ap);
  if (n >= 0 && (p = wok__arena_alloc(a, (int64_t)n + 1, 1)) != NULL)
    (void)wok__vsnprintf(p, (int64_t)n + 1, fmt, again);
  va_end(again);
  va_end(ap);
  return p;
}
