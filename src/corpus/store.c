#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "corpus/behind.h"
#include "corpus/store.h"

enum { JOURNAL_EVERY = 64 /* blocks */ };

struct wok__store {
  wok_ctx *c;
  wok__store_opts o;
  wok__stream *stream;
  uint8_t *region;      /* slots */
  int64_t slots, fresh; /* fresh: the first slot that was never used */
  int32_t *free;
  int64_t nfree;
  int resident; /* streams below this number may lie in memory whole */
  int fd;
  char *path;        /* of the file, for messages */
  wok__arena *names; /* the options' own copies */
  wok__behind *behind;
  int64_t under_way; /* writes */
  int32_t blocks;    /* of the file */
  uint32_t *owner;   /* of each; journalled up to `noted` */
  int32_t owner_cap, noted;
  wok__appender *journal;
};

/* ---- slots ---- */

static uint8_t *slot_at(const wok__store *s, int32_t slot) { return s->region + (int64_t)slot * s->o.block; }

static void collect(wok__store *s, bool wait) {
  for (int64_t slot; s->under_way > 0 && wok__behind_done(s->behind, &slot, wait); wait = false) {
    s->free[s->nfree++] = (int32_t)slot;
    s->under_way--;
  }
}

static bool any_slot(const wok__store *s) { return s->nfree > 0 || s->fresh < s->slots; }

static int32_t take_slot(wok__store *s) { return s->nfree > 0 ? s->free[--s->nfree] : (int32_t)s->fresh++; }

/* ---- the file ---- */

static wok_status open_file(wok__store *s) {
  if (s->fd >= 0) return WOK_OK;
  if (!s->o.name) {
#ifdef O_TMPFILE
    s->fd = open(s->o.dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (s->fd >= 0) return WOK_OK;
#endif
    s->fd = mkostemp(s->path, O_CLOEXEC); /* .../wok-XXXXXX */
    if (s->fd >= 0) (void)unlink(s->path);
  } else {
    s->fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC | (s->o.resume ? 0 : O_TRUNC), 0600);
  }
  if (s->fd < 0)
    return wok__fail_errno(s->c, errno, "%s: no temporary file can be made in this directory", s->o.dir);
  return WOK_OK;
}

static wok_status new_owner(wok__store *s, uint32_t stream) {
  if (s->blocks == s->owner_cap) {
    int64_t cap = s->owner_cap ? 2 * (int64_t)s->owner_cap : 1024;
    if (cap > INT32_MAX)
      return wok__fail(s->c, WOK_LIMIT, "%s: more than 2^31 blocks: give more --memory", s->path);
    uint32_t *p = wok__realloc(s->owner, cap * (int64_t)sizeof *p);
    if (!p) return wok__nomem(s->c, cap * (int64_t)sizeof *p);
    s->owner = p;
    s->owner_cap = (int32_t)cap;
  }
  s->owner[s->blocks++] = stream;
  return WOK_OK;
}

/* An entry must not claim a block that was not written. */
static wok_status note(wok__store *s, bool all) {
  if (!s->o.journal || s->blocks == s->noted || (!all && s->blocks - s->noted < JOURNAL_EVERY)) return WOK_OK;
  WOK__TRY(wok__behind_drain(s->behind));
  if (!s->journal) WOK__TRY(wok__appender_open(s->c, &s->journal, s->o.journal, (int64_t)s->noted * 4));
  WOK__TRY(wok__appender_add(s->journal, s->owner + s->noted, (int64_t)(s->blocks - s->noted) * 4));
  s->noted = s->blocks;
  return WOK_OK;
}

/* Block number i of the stream's chain goes to the file. */
static wok_status spill_block(wok__store *s, wok__stream *t, int32_t i) {
  int32_t slot = ~t->chain[i];
  if (i < t->old) { /* it is there from before */
    t->chain[i] = t->old_chain[i];
    s->free[s->nfree++] = slot;
    return WOK_OK;
  }
  WOK__TRY(open_file(s));
  t->chain[i] = s->blocks;
  WOK__TRY(new_owner(s, (uint32_t)(t - s->stream)));
  while (s->under_way >= WOK__BEHIND_MOST) collect(s, true);
  s->under_way++;
  wok_status st = wok__behind_write(s->behind, s->fd, s->path, (int64_t)t->chain[i] * s->o.block,
                                    slot_at(s, slot), s->o.block, slot);
  if (st == WOK_OK) st = note(s, false);
  collect(s, false);
  return st;
}

static wok_status spill_full(wok__store *s, wok__stream *t) {
  int32_t full = t->room > 0 ? t->n - 1 : t->n;
  t->spilled = true;
  for (int32_t i = 0; i < full; i++)
    if (t->chain[i] < 0) WOK__TRY(spill_block(s, t, i));
  return WOK_OK;
}

static wok_status make_room(wok__store *s) {
  collect(s, false);
  while (!any_slot(s)) {
    if (s->under_way > 0)
      collect(s, true);
    else if (s->resident > 0) {
      wok__stream *t = &s->stream[--s->resident];
      if (!t->dropped) WOK__TRY(spill_full(s, t));
    } else
      return wok__fail(s->c, WOK_LIMIT, "not enough memory for %d streams", s->o.streams);
  }
  return WOK_OK;
}

wok_status wok__store_grow(wok__store *s, wok__stream *t) {
  if (t->dropped) { /* bytes that nobody wants go round in one place */
    t->tail = s->region + s->slots * s->o.block;
    t->room = s->o.block;
    return WOK_OK;
  }
  if (t->n == t->cap) {
    int32_t cap = t->cap ? 2 * t->cap : 4;
    int32_t *p = wok__realloc(t->chain, cap * (int64_t)sizeof *p);
    if (!p) return wok__nomem(s->c, cap * (int64_t)sizeof *p);
    t->chain = p;
    t->cap = cap;
  }
  if (t->spilled && t->n > 0 && t->chain[t->n - 1] < 0) WOK__TRY(spill_block(s, t, t->n - 1));
  if (!any_slot(s)) {
    WOK__TRY(make_room(s));
    /* it may have been this one's turn */
    if (t->spilled && t->n > 0 && t->chain[t->n - 1] < 0) WOK__TRY(spill_block(s, t, t->n - 1));
  }
  int32_t slot = take_slot(s);
  t->chain[t->n++] = ~slot;
  t->tail = slot_at(s, slot);
  t->room = s->o.block;
  t->bytes += s->o.block;
  return WOK_OK;
}

/* ---- life ---- */

wok_status wok__store_new(wok_ctx *c, wok__store **out, const wok__store_opts *o) {
  *out = NULL;
  wok__store *s = wok__calloc(1, (int64_t)sizeof *s);
  if (!s) return wok__nomem(c, (int64_t)sizeof *s);
  s->c = c;
  s->o = *o;
  s->fd = -1;
  s->resident = o->spill ? 0 : o->streams;
  s->slots = WOK__MAX(o->memory / o->block, (int64_t)o->streams + 8);
  s->stream = wok__calloc(o->streams, (int64_t)sizeof *s->stream);
  s->free = wok__malloc(s->slots * (int64_t)sizeof *s->free);
  s->names = wok__arena_new(1024);
  s->o.dir = s->names ? wok__arena_strdup(s->names, o->dir) : NULL;
  if (o->journal) s->o.journal = s->names ? wok__arena_strdup(s->names, o->journal) : NULL;
  int64_t cap = (int64_t)strlen(o->dir) + (o->name ? (int64_t)strlen(o->name) : 16) + 2;
  s->path = wok__malloc(cap);
  wok_status st =
      s->stream && s->free && s->path && s->o.dir && (s->o.journal || !o->journal) && s->slots < INT32_MAX
          ? WOK_OK
          : wok__nomem(c, s->slots * 4);
  if (st == WOK_OK) {
    (void)wok__snprintf(s->path, cap, "%s/%s", o->dir, o->name ? o->name : "wok-XXXXXX");
    /* addresses only: pages are taken as they are touched. One block more for bytes that are dropped. */
    void *p = mmap(NULL, (size_t)((s->slots + 1) * o->block), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    s->region = p == MAP_FAILED ? NULL : p;
    if (!s->region) st = wok__nomem(c, (s->slots + 1) * o->block);
  }
  for (int i = 0; st == WOK_OK && i < o->streams; i++) s->stream[i].spilled = o->spill;
  if (st == WOK_OK) st = wok__behind_new(c, &s->behind, o->threaded);
  if (st) {
    wok__store_free(s, false);
    return st;
  }
  *out = s;
  return WOK_OK;
}

void wok__store_free(wok__store *s, bool keep_file) {
  if (!s) return;
  wok__behind_free(s->behind);
  wok__appender_close(s->journal);
  if (s->region) (void)munmap(s->region, (size_t)((s->slots + 1) * s->o.block));
  if (s->fd >= 0) (void)close(s->fd);
  if (s->o.name && s->path && !keep_file) (void)unlink(s->path);
  for (int i = 0; s->stream && i < s->o.streams; i++) {
    wok__free(s->stream[i].chain);
    wok__free(s->stream[i].old_chain);
  }
  wok__free(s->stream);
  wok__free(s->free);
  wok__free(s->owner);
  wok__free(s->path);
  wok__arena_free(s->names);
  wok__free(s);
}

wok__stream *wok__store_stream(wok__store *s, int stream) { return &s->stream[stream]; }
bool wok__store_spilled(const wok__store *s) { return s->blocks > 0; }
int64_t wok__store_written(const wok__store *s) { return wok__behind_bytes(s->behind); }
int64_t wok__store_file_bytes(const wok__store *s) { return (int64_t)s->blocks * s->o.block; }
int64_t wok__store_free_bytes(const wok__store *s) { return (s->nfree + s->slots - s->fresh) * s->o.block; }

void wok__store_drop(wok__store *s, wok__stream *t) {
  for (int32_t i = 0; i < t->n; i++)
    if (t->chain[i] < 0) s->free[s->nfree++] = ~t->chain[i];
  t->n = 0;
  t->bytes = t->room = 0;
  t->dropped = true;
}

wok_status wok__store_end(wok__store *s) {
  for (int i = 0; i < s->o.streams; i++) {
    wok__stream *t = &s->stream[i];
    if (t->spilled && !t->dropped && t->n > 0 && t->chain[t->n - 1] < 0) {
      if (t->room > 0) memset(t->tail, 0, (size_t)t->room); /* nobody's old bytes go to the disk */
      WOK__TRY(spill_block(s, t, t->n - 1));
    }
  }
  WOK__TRY(wok__behind_drain(s->behind));
  collect(s, false);
  return note(s, true);
}

void wok__store_trim(wok__store *s) {
  for (int64_t i = 0; i < s->nfree; i++)
    (void)madvise(slot_at(s, s->free[i]), (size_t)s->o.block, MADV_DONTNEED);
}

/* ---- going on after a kill ---- */

static wok_status read_journal(wok__store *s) {
  char *p;
  int64_t n;
  struct stat st;
  WOK__TRY(wok__read_file(s->c, s->o.journal, INT64_C(8) << 30, &p, &n));
  wok_status e = open_file(s);
  if (e == WOK_OK && fstat(s->fd, &st) != 0) e = wok__fail_errno(s->c, errno, "%s", s->path);
  /* half an entry, or one whose block did not reach the file, is as good as none */
  int64_t blocks = e ? 0 : WOK__MIN(n / 4, (int64_t)st.st_size / s->o.block);
  for (int64_t i = 0; e == WOK_OK && i < blocks; i++) {
    uint32_t stream;
    memcpy(&stream, p + 4 * i, 4);
    if (stream >= (uint32_t)s->o.streams)
      e = wok__fail(s->c, WOK_CORRUPT, "%s: damaged: begin anew without --resume", s->o.journal);
    if (e == WOK_OK) e = new_owner(s, stream);
    if (e == WOK_OK) s->stream[stream].old++;
  }
  s->noted = s->blocks;
  wok__free(p);
  return e;
}

static wok_status old_chains(wok__store *s) {
  for (int i = 0; i < s->o.streams; i++) {
    wok__stream *t = &s->stream[i];
    t->old_chain = wok__malloc(t->old * (int64_t)sizeof *t->old_chain);
    if (!t->old_chain) return wok__nomem(s->c, t->old * (int64_t)sizeof *t->old_chain);
    t->old = 0;
  }
  for (int32_t b = 0; b < s->blocks; b++) {
    wok__stream *t = &s->stream[s->owner[b]];
    t->old_chain[t->old++] = b;
  }
  return WOK_OK;
}

wok_status wok__store_reopen(wok__store *s, const int64_t *stream_bytes) {
  WOK__TRY(read_journal(s));
  WOK__TRY(old_chains(s));
  if (!stream_bytes)
    return WOK_OK; /* the streams come again, and blocks that are there are not written again */
  for (int i = 0; i < s->o.streams; i++) {
    wok__stream *t = &s->stream[i];
    int64_t blocks = (stream_bytes[i] + s->o.block - 1) / s->o.block;
    if (stream_bytes[i] < 0 || blocks > t->old)
      return wok__fail(s->c, WOK_CORRUPT, "%s: blocks of it are missing: begin anew without --resume",
                       s->path);
    t->chain = t->old_chain;
    t->old_chain = NULL;
    t->n = t->cap = (int32_t)blocks;
    t->old = 0;
    t->spilled = true;
    t->bytes = stream_bytes[i];
  }
  return WOK_OK;
}

/* ---- back into memory ---- */

bool wok__store_reserve(wok__store *s, wok__stream *t) {
  int64_t need = 0;
  for (int32_t i = 0; i < t->n; i++) need += t->chain[i] >= 0;
  if (need == 0) return true;
  if (need > s->nfree + s->slots - s->fresh) return false;
  t->old_chain = wok__realloc(t->old_chain, t->n * (int64_t)sizeof *t->old_chain);
  if (!t->old_chain) return false;
  memcpy(t->old_chain, t->chain, (size_t)t->n * sizeof *t->chain);
  for (int32_t i = 0; i < t->n; i++)
    if (t->chain[i] >= 0) t->chain[i] = ~take_slot(s);
  return true;
}

wok_status wok__store_load(wok__store *s, wok_ctx *c, wok__stream *t) {
  if (!t->spilled) return WOK_OK;
  for (int32_t i = 0; i < t->n; i++)
    if (t->old_chain[i] >= 0)
      WOK__TRY(wok__read_at(c, s->fd, s->path, (int64_t)t->old_chain[i] * s->o.block,
                            slot_at(s, ~t->chain[i]), s->o.block));
  return WOK_OK;
}

void wok__store_soon(wok__store *s, const wok__stream *t) {
  for (int32_t i = 0; i < t->n; i++)
    if (t->chain[i] >= 0)
      (void)posix_fadvise(s->fd, (off_t)t->chain[i] * s->o.block, (off_t)s->o.block, POSIX_FADV_WILLNEED);
}

void wok__store_punch(wok__store *s, int first, int end) {
#ifdef FALLOC_FL_PUNCH_HOLE
  if (s->fd < 0) return;
  for (int32_t b = 0; b < s->blocks; b++)
    if ((int)s->owner[b] >= first && (int)s->owner[b] < end)
      if (fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)b * s->o.block,
                    (off_t)s->o.block) != 0)
        return;
#endif
}

/* ---- reading ---- */

void wok__cursor_begin(wok__cursor *k, wok__store *s, wok_ctx *c, const wok__stream *t, uint8_t *buf) {
  *k = (wok__cursor){.s = s, .t = t, .c = c, .end = wok__stream_bytes(t), .buf = buf, .in_buf = -1};
}

wok_status wok__cursor_seek(wok__cursor *k, int64_t at) {
  int64_t block = k->s->o.block, off = at & (block - 1);
  k->at = at;
  k->n = 0;
  if (at >= k->end) return WOK_OK;
  int32_t b = k->t->chain[at / block];
  if (b < 0)
    k->p = slot_at(k->s, ~b) + off;
  else {
    if (k->in_buf != b) {
      k->in_buf = -1;
      WOK__TRY(wok__read_at(k->c, k->s->fd, k->s->path, (int64_t)b * block, k->buf, block));
      k->in_buf = b;
    }
    k->p = k->buf + off;
  }
  k->n = WOK__MIN(block - off, k->end - at);
  return WOK_OK;
}

static wok_status ends_early(wok__cursor *k) {
  return wok__fail(k->c, WOK_CORRUPT, "%s: damaged: was it changed meanwhile?", k->s->path);
}

static wok_status step(wok__cursor *k, int64_t n) {
  k->p += n, k->n -= n, k->at += n;
  return k->n > 0 ? WOK_OK : wok__cursor_seek(k, k->at);
}

wok_status wok__cursor_number(wok__cursor *k, uint64_t *v) {
  *v = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (k->n == 0) return ends_early(k);
    uint8_t b = *k->p;
    *v |= (uint64_t)(b & 127) << shift;
    WOK__TRY(step(k, 1));
    if (b < 128) return WOK_OK;
  }
  return ends_early(k);
}

wok_status wok__cursor_copy(wok__cursor *k, uint8_t *to, int64_t n) {
  while (n > 0) {
    if (k->n == 0) return ends_early(k);
    int64_t m = WOK__MIN(n, k->n);
    memcpy(to, k->p, (size_t)m);
    to += m, n -= m;
    WOK__TRY(step(k, m));
  }
  return WOK_OK;
}

wok_status wok__cursor_skip(wok__cursor *k, int64_t n) {
  if (n < 0 || n > k->end - k->at) return ends_early(k);
  return n < k->n ? step(k, n) : wok__cursor_seek(k, k->at + n);
}
