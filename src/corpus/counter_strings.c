/* Counting strings: a hash table that grows until memory is full, then goes out as a sorted run. */
#include <stdlib.h>
#include <string.h>
#include "corpus/counter.h"

enum { FIRST_SLOTS = 1 << 12, FIRST_BYTES = 64 << 10 };

typedef struct slot {
  uint64_t hash; /* while sorting: the string's first eight bytes */
  int64_t at;    /* of its length (two bytes) and itself in `bytes` */
  uint64_t count; /* 0: empty */
} slot;

struct wok__strings {
  wok_ctx *c;
  wok__runs *runs;
  int64_t memory;
  slot *slot;
  int64_t slots, used;
  uint8_t *bytes;
  int64_t fill, cap;
};

wok_status wok__strings_new(wok_ctx *c, wok__strings **out, wok__runs *runs, int64_t memory) {
  wok__strings *s = *out = wok__calloc(1, (int64_t)sizeof *s);
  if (!s) return wok__nomem(c, (int64_t)sizeof *s);
  *s = (wok__strings){.c = c, .runs = runs, .memory = memory, .slots = FIRST_SLOTS, .cap = FIRST_BYTES};
  s->slot = wok__calloc(s->slots, (int64_t)sizeof *s->slot);
  s->bytes = wok__malloc(s->cap);
  if (s->slot && s->bytes) return WOK_OK;
  wok__strings_free(s);
  *out = NULL;
  return wok__nomem(c, FIRST_BYTES);
}

void wok__strings_free(wok__strings *s) {
  if (!s) return;
  wok__free(s->slot);
  wok__free(s->bytes);
  wok__free(s);
}

static int64_t length(const wok__strings *s, int64_t at) { return s->bytes[at] | (int64_t)s->bytes[at + 1] << 8; }

static slot *find(const wok__strings *s, uint64_t hash, const void *p, int64_t n) {
  for (int64_t i = (int64_t)(hash & (uint64_t)(s->slots - 1));; i = (i + 1) & (s->slots - 1)) {
    slot *e = &s->slot[i];
    if (e->count == 0) return e;
    if (e->hash == hash && length(s, e->at) == n && memcmp(s->bytes + e->at + 2, p, (size_t)n) == 0) return e;
  }
}

/* A table of the double size and what sorting it takes beside it. */
static bool fits(const wok__strings *s, int64_t slots, int64_t bytes) {
  return slots * (int64_t)sizeof(slot) + bytes <= s->memory;
}

static wok_status grow_slots(wok__strings *s) {
  slot *old = s->slot, *more = wok__calloc(2 * s->slots, (int64_t)sizeof *more);
  if (!more) return wok__nomem(s->c, 2 * s->slots * (int64_t)sizeof *more);
  int64_t n = s->slots;
  s->slot = more;
  s->slots *= 2;
  for (int64_t i = 0; i < n; i++) {
    if (old[i].count == 0) continue;
    int64_t at = (int64_t)(old[i].hash & (uint64_t)(s->slots - 1));
    while (more[at].count) at = (at + 1) & (s->slots - 1);
    more[at] = old[i];
  }
  wok__free(old);
  return WOK_OK;
}

static wok_status grow_bytes(wok__strings *s) {
  uint8_t *more = wok__realloc(s->bytes, s->cap + s->cap / 2);
  if (!more) return wok__nomem(s->c, s->cap + s->cap / 2);
  s->bytes = more;
  s->cap += s->cap / 2;
  return WOK_OK;
}

/* Room for one more string of n bytes: by growing, or by putting a run aside. */
static wok_status room(wok__strings *s, int64_t n) {
  if (s->used * 5 >= s->slots * 3) {
    if (fits(s, 4 * s->slots, s->cap)) WOK__TRY(grow_slots(s));
    else WOK__TRY(wok__strings_flush(s));
  }
  while (s->fill + n + 2 > s->cap) {
    if (s->used > 0 && !fits(s, s->slots, 2 * s->cap + s->cap / 2)) WOK__TRY(wok__strings_flush(s));
    else WOK__TRY(grow_bytes(s));
  }
  return WOK_OK;
}

wok_status wok__strings_add(wok__strings *s, const void *p, int64_t n, uint64_t count) {
  if (n < 0 || n > WOK__RUN_KEY) return wok__fail(s->c, WOK_LIMIT, "a string of %lld bytes; at most %d are counted", (long long)n, (int)WOK__RUN_KEY);
  if (count == 0) return WOK_OK;
  uint64_t hash = wok__hash64(p, n, 0);
  slot *e = find(s, hash, p, n);
  if (e->count == 0) {
    WOK__TRY(room(s, n));
    e = find(s, hash, p, n);
    s->bytes[s->fill] = (uint8_t)n;
    s->bytes[s->fill + 1] = (uint8_t)(n >> 8);
    memcpy(s->bytes + s->fill + 2, p, (size_t)n);
    *e = (slot){.hash = hash, .at = s->fill};
    s->fill += n + 2;
    s->used++;
  }
  if (__builtin_add_overflow(e->count, count, &e->count)) return wok__fail(s->c, WOK_LIMIT, "a count beyond 64 bits");
  return WOK_OK;
}

static uint64_t front_of(const uint8_t *p, int64_t n) {
  uint64_t v = 0;
  memcpy(&v, p, (size_t)WOK__MIN(n, (int64_t)8));
  return __builtin_bswap64(v);
}

static int by_bytes(const void *a, const void *b, void *ud) {
  const slot *x = a, *y = b;
  if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
  const wok__strings *s = ud;
  int64_t n = length(s, x->at), m = length(s, y->at);
  int order = memcmp(s->bytes + x->at + 2, s->bytes + y->at + 2, (size_t)WOK__MIN(n, m));
  return order ? order : (n > m) - (n < m);
}

wok_status wok__strings_flush(wok__strings *s) {
  if (s->used == 0) return WOK_OK;
  int64_t n = 0;
  for (int64_t i = 0; i < s->slots; i++) {
    if (s->slot[i].count == 0) continue;
    s->slot[n] = s->slot[i];
    const uint8_t *p = s->bytes + s->slot[n].at;
    s->slot[n].hash = front_of(p + 2, length(s, s->slot[n].at));
    n++;
  }
  qsort_r(s->slot, (size_t)n, sizeof *s->slot, by_bytes, s);
  WOK__TRY(wok__runs_begin(s->runs));
  for (int64_t i = 0; i < n; i++)
    WOK__TRY(wok__runs_put(s->runs, s->bytes + s->slot[i].at + 2, length(s, s->slot[i].at), s->slot[i].count));
  memset(s->slot, 0, (size_t)(s->slots * (int64_t)sizeof *s->slot));
  s->used = s->fill = 0;
  return WOK_OK;
}
