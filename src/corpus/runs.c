/* Sorted runs and their merge: a heap of one reader per run, each with its own buffer. */
#include <string.h>
#include "corpus/runs.h"

enum { BUFFER = 64 << 10, FEWEST_READERS = 8, MOST_READERS = 4096, NUMBER = 10 /* bytes of the longest */ };

typedef struct run {
  int fd; /* -1: in the spool */
  const char *name;
  int64_t begin, end;
} run;

typedef struct reader {
  run r;
  int64_t at;  /* place in the file of what comes after the buffer */
  int64_t fill, pos;
  int64_t len; /* of the key; -1: this run is over */
  uint64_t count;
  uint64_t front; /* the key's first eight bytes: decides most comparisons */
  uint8_t key[WOK__RUN_KEY];
  uint8_t buf[BUFFER];
} reader;

struct wok__runs {
  wok_ctx *c;
  char *dir;
  wok__spool *spool;
  run *run;
  int64_t nrun, cap;
  int64_t file_bytes; /* of runs that lie in files of others */
  wok__run_sink sink;
  reader **reader; /* heap, the smallest key first */
  int64_t nreader, allocated;
  int64_t len;     /* of the key that was handed out */
  uint8_t key[WOK__RUN_KEY];
};

/* ---- writing ---- */

static int put_number(uint8_t *p, uint64_t v) {
  int n = 0;
  for (; v >= 0x80; v >>= 7) p[n++] = (uint8_t)(v | 0x80);
  p[n++] = (uint8_t)v;
  return n;
}

wok_status wok__run_put(wok__run_sink *s, const uint8_t *key, int64_t n, uint64_t count) {
  uint8_t out[3 * NUMBER + WOK__RUN_KEY];
  int64_t shared = 0, most = WOK__MIN(n, s->last_len);
  while (shared < most && key[shared] == s->last[shared]) shared++;
  int64_t at = put_number(out, (uint64_t)shared);
  at += put_number(out + at, (uint64_t)(n - shared));
  memcpy(out + at, key + shared, (size_t)(n - shared));
  at += n - shared;
  at += put_number(out + at, count);
  memcpy(s->last + shared, key + shared, (size_t)(n - shared));
  s->last_len = n;
  return s->add(s->ud, out, at);
}

static wok_status to_spool(void *ud, const void *p, int64_t n) {
  wok__runs *r = ud;
  r->run[r->nrun - 1].end += n;
  return wok__spool_add(r->spool, p, n);
}

static void readers_free(wok__runs *r) {
  for (int64_t i = 0; i < r->allocated; i++) wok__free(r->reader[i]);
  wok__free(r->reader);
  r->reader = NULL;
  r->nreader = r->allocated = 0;
}

wok_status wok__runs_new(wok_ctx *c, wok__runs **out, const char *dir) {
  wok__runs *r = *out = wok__calloc(1, (int64_t)sizeof *r);
  int64_t n = (int64_t)strlen(dir) + 1;
  if (r) r->dir = wok__malloc(n);
  if (!r || !r->dir) {
    wok__runs_free(r);
    *out = NULL;
    return wok__nomem(c, (int64_t)sizeof *r);
  }
  memcpy(r->dir, dir, (size_t)n);
  r->c = c;
  r->sink = (wok__run_sink){.add = to_spool, .ud = r};
  return WOK_OK;
}

void wok__runs_free(wok__runs *r) {
  if (!r) return;
  readers_free(r);
  wok__spool_free(r->spool);
  wok__free(r->run);
  wok__free(r->dir);
  wok__free(r);
}

int64_t wok__runs_count(const wok__runs *r) { return r->nrun; }
int64_t wok__runs_bytes(const wok__runs *r) { return r->file_bytes + (r->spool ? wok__spool_size(r->spool) : 0); }

static wok_status add_run(wok__runs *r, run add) {
  if (r->nrun == r->cap) {
    int64_t cap = r->cap ? 2 * r->cap : 16;
    run *more = wok__realloc(r->run, cap * (int64_t)sizeof *more);
    if (!more) return wok__nomem(r->c, cap * (int64_t)sizeof *more);
    r->run = more;
    r->cap = cap;
  }
  r->run[r->nrun++] = add;
  return WOK_OK;
}

wok_status wok__runs_begin(wok__runs *r) {
  if (!r->spool) WOK__TRY(wok__spool_new(r->c, &r->spool, r->dir));
  int64_t at = wok__spool_size(r->spool);
  r->sink.last_len = 0;
  return add_run(r, (run){.fd = -1, .name = r->dir, .begin = at, .end = at});
}

wok_status wok__runs_put(wok__runs *r, const uint8_t *key, int64_t n, uint64_t count) {
  return wok__run_put(&r->sink, key, n, count);
}

wok_status wok__runs_add_file(wok__runs *r, int fd, const char *name, int64_t begin, int64_t end) {
  WOK__TRY(add_run(r, (run){.fd = fd, .name = name, .begin = begin, .end = end}));
  r->file_bytes += end - begin;
  return WOK_OK;
}

/* ---- reading one run ---- */

static wok_status damaged(wok__runs *r, const reader *d) {
  return wok__fail(r->c, WOK_CORRUPT, "%s: counts are damaged near byte %lld: count again", d->r.name,
                   (long long)(d->at - d->fill + d->pos));
}

/* So that `want` bytes (fewer than BUFFER) are in the buffer, or all that are left. */
static wok_status fill(wok__runs *r, reader *d, int64_t want) {
  int64_t left = d->fill - d->pos, got;
  if (left >= want) return WOK_OK;
  memmove(d->buf, d->buf + d->pos, (size_t)left);
  d->pos = 0;
  d->fill = left;
  int64_t n = WOK__MIN((int64_t)BUFFER - left, d->r.end - d->at);
  if (n <= 0) return WOK_OK;
  WOK__TRY(d->r.fd < 0 ? wok__spool_read(r->spool, d->at, d->buf + left, n, &got)
                       : wok__read_fully(r->c, d->r.fd, d->r.name, d->at, d->buf + left, n, &got));
  d->at += got;
  d->fill += got;
  if (got < n) return damaged(r, d);
  return WOK_OK;
}

static bool get_number(reader *d, uint64_t *v) {
  *v = 0;
  for (int shift = 0; shift < 64 && d->pos < d->fill; shift += 7) {
    uint8_t b = d->buf[d->pos++];
    uint64_t part = b & 0x7f;
    if (shift == 63 && part > 1) return false;
    *v |= part << shift;
    if (!(b & 0x80)) return true;
  }
  return false;
}

static uint64_t front_of(const uint8_t *key, int64_t n) {
  uint64_t v = 0;
  memcpy(&v, key, (size_t)WOK__MIN(n, (int64_t)8));
  return __builtin_bswap64(v);
}

static wok_status advance(wok__runs *r, reader *d) {
  WOK__TRY(fill(r, d, 3 * NUMBER + WOK__RUN_KEY));
  if (d->pos == d->fill) return d->len = -1, WOK_OK;
  uint64_t shared, more;
  int64_t before = WOK__MAX(d->len, (int64_t)0);
  bool first = d->len < 0;
  if (!get_number(d, &shared) || !get_number(d, &more) || shared > (uint64_t)before || more > WOK__RUN_KEY ||
      shared + more > WOK__RUN_KEY || (int64_t)more > d->fill - d->pos)
    return damaged(r, d);
  /* ascending: what follows the shared bytes is greater than what stood there, or longer */
  const uint8_t *tail = d->buf + d->pos;
  int64_t old = before - (int64_t)shared, same = WOK__MIN(old, (int64_t)more);
  int order = memcmp(tail, d->key + shared, (size_t)same);
  if (!first && (order < 0 || (order == 0 && (int64_t)more <= old))) return damaged(r, d);
  memcpy(d->key + shared, tail, (size_t)more);
  d->pos += (int64_t)more;
  d->len = (int64_t)(shared + more);
  if (!get_number(d, &d->count)) return damaged(r, d);
  d->front = front_of(d->key, d->len);
  return WOK_OK;
}

/* ---- merging ---- */

static bool before(const reader *a, const reader *b) {
  if (a->front != b->front) return a->front < b->front;
  int64_t n = WOK__MIN(a->len, b->len);
  int order = memcmp(a->key, b->key, (size_t)n);
  return order < 0 || (order == 0 && a->len < b->len);
}

static void sink_down(wok__runs *r, int64_t i) {
  reader **h = r->reader, *d = h[i];
  for (int64_t k; (k = 2 * i + 1) < r->nreader; i = k) {
    if (k + 1 < r->nreader && before(h[k + 1], h[k])) k++;
    if (!before(h[k], d)) break;
    h[i] = h[k];
  }
  h[i] = d;
}

static wok_status open_readers(wok__runs *r, int64_t first, int64_t n) {
  readers_free(r);
  r->reader = wok__calloc(WOK__MAX(n, (int64_t)1), (int64_t)sizeof *r->reader);
  if (!r->reader) return wok__nomem(r->c, n * (int64_t)sizeof *r->reader);
  for (int64_t i = 0; i < n; i++) {
    reader *d = r->reader[r->allocated] = wok__malloc((int64_t)sizeof *d);
    if (!d) return wok__nomem(r->c, (int64_t)sizeof *d);
    r->allocated++;
    d->r = r->run[first + i];
    d->at = d->r.begin;
    d->fill = d->pos = 0;
    d->len = -1;
    WOK__TRY(advance(r, d));
    if (d->len < 0) { /* an empty run */
      r->allocated--;
      wok__free(d);
    }
  }
  r->nreader = r->allocated;
  for (int64_t i = r->nreader / 2 - 1; i >= 0; i--) sink_down(r, i);
  return WOK_OK;
}

/* After its key was taken, the front reader moves on; one that is over leaves the heap (and stays allocated behind it). */
static wok_status turn(wok__runs *r) {
  reader *d = r->reader[0];
  WOK__TRY(advance(r, d));
  if (d->len < 0) {
    r->reader[0] = r->reader[--r->nreader];
    r->reader[r->nreader] = d;
  }
  if (r->nreader > 0) sink_down(r, 0);
  return WOK_OK;
}

wok_status wok__runs_next(wok__runs *r, const uint8_t **key, int64_t *n, uint64_t *count) {
  *key = NULL;
  *n = 0;
  *count = 0;
  if (r->nreader == 0) return WOK_OK;
  reader *d = r->reader[0];
  r->len = d->len;
  memcpy(r->key, d->key, (size_t)d->len);
  uint64_t front = d->front;
  do {
    if (__builtin_add_overflow(*count, r->reader[0]->count, count))
      return wok__fail(r->c, WOK_LIMIT, "a count beyond 64 bits");
    WOK__TRY(turn(r));
  } while (r->nreader > 0 && r->reader[0]->front == front && r->reader[0]->len == r->len &&
           memcmp(r->reader[0]->key, r->key, (size_t)r->len) == 0);
  *key = r->key;
  *n = r->len;
  return WOK_OK;
}

static wok_status merge_group(wok__runs *r, wok__runs *into, int64_t first, int64_t n) {
  const uint8_t *key;
  int64_t len;
  uint64_t count;
  WOK__TRY(open_readers(r, first, n));
  WOK__TRY(wok__runs_begin(into));
  for (;;) {
    WOK__TRY(wok__runs_next(r, &key, &len, &count));
    if (!key) return WOK_OK;
    WOK__TRY(wok__runs_put(into, key, len, count));
  }
}

/* One level: groups of at most `readers` runs become one run each, in a new file that replaces the old one. */
static wok_status merge_level(wok__runs *r, int64_t readers) {
  wok__runs *into;
  WOK__TRY(wok__runs_new(r->c, &into, r->dir));
  wok_status s = WOK_OK;
  for (int64_t i = 0; s == WOK_OK && i < r->nrun; i += readers)
    s = merge_group(r, into, i, WOK__MIN(readers, r->nrun - i));
  if (s == WOK_OK) { /* r takes what into has, and the other way round */
    wok__spool *spool = r->spool;
    run *runs = r->run;
    readers_free(r);
    r->spool = into->spool, r->run = into->run, r->nrun = into->nrun, r->cap = into->cap;
    into->spool = spool, into->run = runs;
    r->file_bytes = 0;
    for (int64_t i = 0; i < r->nrun; i++) r->run[i].name = r->dir;
  }
  wok__runs_free(into);
  return s;
}

wok_status wok__runs_merge(wok__runs *r, int64_t memory) {
  int64_t readers = memory / (int64_t)sizeof(reader);
  readers = WOK__MIN(WOK__MAX(readers, (int64_t)FEWEST_READERS), (int64_t)MOST_READERS);
  while (r->nrun > readers) WOK__TRY(merge_level(r, readers));
  return open_readers(r, 0, r->nrun);
}
