/* Files cut into records. A filler (a thread of its own, or the caller when there is none) puts decompressed bytes into chunks;
   the cutter finds the ends of records in them. What is left of a record at the end of a chunk is copied before the next one,
   into room kept there, so that records come whole; only what is longer than that room comes in pieces. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include "corpus/reader.h"

enum {
  CHUNKS = 3,
  USUAL_BUFFER = 5 << 20,
  LEAST_BUFFER = 1 << 14,
  MOST_SEPARATOR = 4096,
  MOST_HEADER = 16 << 20
};

typedef struct chunk {
  uint8_t *buf; /* room, then the bytes */
  int64_t n;
  int input;
  bool begins, ends; /* the first, the last of its input */
  bool none;         /* all inputs are read */
  wok_status status;
  int64_t taken;
} chunk;

struct wok__reader {
  wok_ctx *c;
  const wok__inputs *in;
  wok__reader_opts o;
  uint8_t sep[MOST_SEPARATOR];
  int64_t nsep;
  int64_t room, size; /* before a chunk; of a chunk */

  /* the filler's */
  wok_ctx *own; /* its messages; a context serves one thread */
  wok__bytes *src;
  int next;
  int64_t taken_before;

  /* between the two */
  chunk ring[CHUNKS];
  int chunks;       /* in use: one without a thread is not enough, the tail goes from one to the next */
  int filled, head; /* how many wait to be cut; where */
  bool threaded, quit;
  atomic_bool stop;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;

  /* the cutter's */
  chunk *k; /* being cut; NULL: none */
  uint8_t *at, *end;
  int64_t looked;  /* bytes from `at` on that hold no separator */
  int64_t lines;   /* separators seen of this record */
  bool inside;     /* a piece of this record was given out */
  int64_t missing; /* bytes of a record of known length still to come, -1: not known yet */
  bool done;
  int64_t record, in_file, bytes, taken;
  wok__str header;
  const char *terminator;
  int64_t nterminator;
};

/* ---- filling ---- */

static void produce(wok__reader *r, chunk *k) {
  *k = (chunk){.buf = k->buf, .taken = r->taken_before};
  while (!r->src) {
    if (r->next == r->in->n) {
      k->none = true;
      return;
    }
    k->status = wok__bytes_open(r->own, &r->src, r->in->list[r->next].path, &r->stop);
    k->begins = true;
    if (k->status) return;
  }
  k->input = r->next;
  k->status = wok__bytes_read(r->src, k->buf + r->room, r->size, &k->n);
  k->ends = k->n < r->size;
  k->taken = r->taken_before + wok__bytes_taken(r->src);
  if (!k->ends) return;
  r->taken_before = k->taken;
  wok__bytes_close(r->src);
  r->src = NULL;
  r->next++;
}

static void *fill_chunks(void *arg) {
  wok__reader *r = arg;
  (void)pthread_mutex_lock(&r->lock);
  for (int tail = 0;; tail = (tail + 1) % CHUNKS) {
    while (r->filled == r->chunks - 1 && !r->quit) (void)pthread_cond_wait(&r->changed, &r->lock);
    if (r->quit) break;
    (void)pthread_mutex_unlock(&r->lock);
    chunk *k = &r->ring[tail];
    produce(r, k);
    (void)pthread_mutex_lock(&r->lock);
    r->filled++;
    (void)pthread_cond_broadcast(&r->changed);
    if (k->none || k->status) break;
  }
  (void)pthread_mutex_unlock(&r->lock);
  return NULL;
}

/* Wakes now and then to see whether it is to stop: a pipe may have nothing to say for long. */
static wok_status wait_filled(wok__reader *r) {
  wok_status s = WOK_OK;
  (void)pthread_mutex_lock(&r->lock);
  while (r->filled == 0 && s == WOK_OK) {
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += 200000000;
    if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
    (void)pthread_cond_timedwait(&r->changed, &r->lock, &t);
    if (r->filled == 0 && wok_cancelled(r->c)) s = wok__fail(r->c, WOK_INTERRUPTED, "interrupted");
  }
  (void)pthread_mutex_unlock(&r->lock);
  return s;
}

/* The next chunk becomes the current one; what was left of the last stands before it. */
static wok_status advance(wok__reader *r) {
  chunk *k = &r->ring[r->head];
  if (r->threaded)
    WOK__TRY(wait_filled(r));
  else
    produce(r, k);
  if (k->status == WOK_INTERRUPTED) return wok__fail(r->c, WOK_INTERRUPTED, "interrupted");
  if (k->status) return wok__fail(r->c, k->status, "%s", wok_errmsg(r->own));
  int64_t left = r->end - r->at;
  uint8_t *start = k->buf + r->room;
  if (left > 0) memcpy(start - left, r->at, (size_t)left);
  r->at = start - left;
  r->end = start + k->n;
  r->k = k;
  r->taken = k->taken;
  r->head = (r->head + 1) % r->chunks;
  if (!r->threaded) return WOK_OK;
  (void)pthread_mutex_lock(
      &r->lock); /* the chunk before this one is free now; this one stays ours until the next call */
  r->filled--;
  (void)pthread_cond_broadcast(&r->changed);
  (void)pthread_mutex_unlock(&r->lock);
  return WOK_OK;
}

/* ---- byte order marks ---- */

static wok_status byte_order(wok__reader *r) {
  static const struct {
    const char *name;
    uint8_t mark[4];
    int n;
  } marks[] = {
      {NULL, {0xef, 0xbb, 0xbf}, 3}, {"UTF-32", {0xff, 0xfe, 0, 0}, 4}, {"UTF-32", {0, 0, 0xfe, 0xff}, 4},
      {"UTF-16", {0xff, 0xfe}, 2},   {"UTF-16", {0xfe, 0xff}, 2},
  };
  const wok_record_opts *h = &r->o.how;
  if (h->keep_bom || h->fixed_bytes || h->prefix_bytes) return WOK_OK;
  const char *name = r->in->list[r->k->input].shown;
  for (int64_t i = 0; i < WOK__COUNT(marks); i++) {
    if (r->end - r->at < marks[i].n || memcmp(r->at, marks[i].mark, (size_t)marks[i].n) != 0) continue;
    if (marks[i].name)
      return wok__fail(
          r->c, WOK_FORMAT,
          "%s: begins like %s text: convert it to UTF-8, or take its bytes as they are (--keep-bom)", name,
          marks[i].name);
    wok__log(r->c, WOK_LOG_WARN, "%s: the byte order mark at its start is left out", name);
    r->at += marks[i].n;
    return WOK_OK;
  }
  return WOK_OK;
}

/* ---- cutting ---- */

/* The end of the record that begins (or goes on) at r->at, and where the next one begins; false: not in these bytes. */
static bool find_separator(wok__reader *r, uint8_t **end, uint8_t **next) {
  uint8_t *from = r->at + r->looked;
  for (;;) {
    uint8_t *z = r->nsep == 1 ? memchr(from, r->sep[0], (size_t)(r->end - from))
                              : memmem(from, (size_t)(r->end - from), r->sep, (size_t)r->nsep);
    if (!z) {
      r->looked = WOK__MAX(r->end - r->at - (r->nsep - 1), from - r->at);
      return false;
    }
    from = z + r->nsep;
    if (++r->lines < r->o.how.lines) continue;
    *end = z;
    *next = from;
    return true;
  }
}

static wok_status odd_end(wok__reader *r, const char *what) {
  return wok__fail(r->c, WOK_CORRUPT,
                   "%s: ends in the middle of %s (record %lld): it is cut short, or its records are others",
                   r->in->list[r->k->input].shown, what, (long long)r->in_file + 1);
}

/* The length of a record that says so itself, prefix included. */
static wok_status known_length(wok__reader *r, bool *known) {
  int prefix = r->o.how.prefix_bytes;
  *known = true;
  if (r->missing >= 0) return WOK_OK;
  r->missing = r->o.how.fixed_bytes;
  if (!prefix) return WOK_OK;
  *known = r->end - r->at >= prefix;
  r->missing = -1;
  if (!*known) return WOK_OK;
  uint64_t n = 0;
  for (int i = prefix; i-- > 0;) n = n << 8 | r->at[i];
  if (n > INT64_MAX - 8)
    return wok__fail(r->c, WOK_CORRUPT, "%s: record %lld says that it has %llu bytes",
                     r->in->list[r->k->input].shown, (long long)r->in_file + 1, (unsigned long long)n);
  r->missing = (int64_t)n + prefix;
  return WOK_OK;
}

static bool by_length(const wok__reader *r) { return r->o.how.fixed_bytes || r->o.how.prefix_bytes; }

/* What is certainly no end yet may be given out as a piece: a separator, or a carriage return before it, may have begun. */
static int64_t certain(const wok__reader *r) {
  return by_length(r) ? r->end - r->at : WOK__MAX(r->end - r->at - r->nsep - 1, 0);
}

/* One record or piece from the current chunk; *found false: the next chunk is needed. */
static wok_status cut(wok__reader *r, wok__piece *p, bool *found) {
  uint8_t *end, *next;
  bool whole = false, over = r->k->ends;
  *found = true;
  if (by_length(r)) {
    bool known = false;
    if (r->at < r->end || r->inside) WOK__TRY(known_length(r, &known));
    if (known && r->missing <= r->end - r->at)
      end = next = r->at + r->missing, whole = true;
    else if (over && (r->at < r->end || r->inside))
      return odd_end(r, known ? "a record" : "a length");
  } else {
    whole = find_separator(r, &end, &next);
    if (!whole && over && (r->at < r->end || r->inside)) {
      end = next = r->end, whole = true;
      /* several lines to a record, and the last has fewer: its separator is no content */
      if (r->o.how.lines > 1 && end - r->at >= r->nsep && memcmp(end - r->nsep, r->sep, (size_t)r->nsep) == 0)
        end -= r->nsep;
    }
  }
  if (whole) {
    *p = (wok__piece){.p = r->at, .n = end - r->at, .first = !r->inside, .last = true};
    r->at = next;
    r->looked = r->lines = 0;
    r->inside = false;
    r->missing = -1;
    return WOK_OK;
  }
  if (r->end - r->at <= r->room) { /* it fits before the next chunk */
    *found = false;
    return WOK_OK;
  }
  int64_t n = certain(r);
  *p = (wok__piece){.p = r->at, .n = n, .first = !r->inside};
  r->at += n;
  r->looked = WOK__MAX(r->looked - n, 0);
  if (r->missing >= 0) r->missing -= n;
  r->inside = true;
  return WOK_OK;
}

static wok_status next_piece(wok__reader *r, wok__piece *p, bool *more) {
  for (*more = true;;) {
    bool found = false;
    if (r->k) WOK__TRY(cut(r, p, &found));
    if (found) {
      p->input = r->k->input;
      return WOK_OK;
    }
    WOK__TRY(advance(r));
    if (r->k->none) {
      *more = false;
      r->done = true;
      return WOK_OK;
    }
    if (!r->k->begins) continue;
    r->in_file = 0;
    WOK__TRY(byte_order(r));
  }
}

/* ---- lines, headers, numbers ---- */

static void trim_return(wok__reader *r, wok__piece *p) {
  bool had = p->last && p->n > 0 && p->p[p->n - 1] == '\r';
  if (r->o.how.crlf != WOK_CRLF_KEEP) p->n -= had;
  if (r->terminator || !p->last) return;
  bool both = had && r->o.how.crlf == WOK_CRLF_UNIFY;
  r->terminator = both ? "\r\n" : (const char *)r->sep;
  r->nterminator = both ? 2 : r->nsep;
}

static wok_status keep_header(wok__reader *r, const wok__piece *p) {
  wok__str_add(&r->header, p->p, p->n);
  if (p->last) wok__str_add(&r->header, r->terminator, r->nterminator);
  if (!r->header.failed) return WOK_OK;
  return wok__fail(r->c, WOK_LIMIT, "%s: its header is over %d MB: is --header %lld meant?",
                   r->in->list[p->input].shown, (int)(MOST_HEADER / 1000000), (long long)r->o.how.header);
}

wok_status wok__reader_next(wok__reader *r, wok__piece *p, bool *more) {
  const wok_record_opts *h = &r->o.how;
  for (*more = false; !r->done;) {
    WOK__TRY(next_piece(r, p, more));
    if (!*more) break;
    if (h->crlf != WOK_CRLF_KEEP || !r->terminator) trim_return(r, p);
    r->bytes += p->n + (p->last ? r->nterminator : 0);
    p->record = r->record;
    p->in_file = r->in_file;
    r->in_file += p->last;
    if (p->in_file < h->header && (p->input == 0 || h->header_each)) {
      if (p->input == 0) WOK__TRY(keep_header(r, p));
      continue;
    }
    if (h->skip_empty && p->first && p->last && p->n == 0) continue;
    r->record += p->last;
    return WOK_OK;
  }
  return WOK_OK;
}

int64_t wok__reader_taken(const wok__reader *r) { return r->taken; }
int64_t wok__reader_bytes(const wok__reader *r) { return r->bytes; }

const uint8_t *wok__reader_header(const wok__reader *r, int64_t *n) {
  *n = r->header.len;
  return (const uint8_t *)(r->header.p ? r->header.p : "");
}

const char *wok__reader_terminator(const wok__reader *r, int64_t *n) {
  *n = r->terminator ? r->nterminator : r->nsep;
  return r->terminator ? r->terminator : (const char *)r->sep;
}

/* ---- open and close ---- */

wok_status wok__record_opts_check(wok_ctx *c, const wok_record_opts *o) {
  int64_t n = o->separator ? o->separator_bytes ? o->separator_bytes : (int64_t)strlen(o->separator) : 1;
  bool by_len = o->fixed_bytes || o->prefix_bytes;
  if (n < 1 || n > MOST_SEPARATOR)
    return wok__fail(c, WOK_INVALID, "a separator has 1 to %d bytes, not %lld", (int)MOST_SEPARATOR,
                     (long long)n);
  if (o->lines < 0 || o->fixed_bytes < 0 || o->header < 0)
    return wok__fail(c, WOK_INVALID, "lines, bytes and header of records must not be negative");
  if (o->prefix_bytes != 0 && o->prefix_bytes != 1 && o->prefix_bytes != 2 && o->prefix_bytes != 4 &&
      o->prefix_bytes != 8)
    return wok__fail(c, WOK_INVALID, "a length before each record has 1, 2, 4 or 8 bytes, not %d",
                     o->prefix_bytes);
  if ((o->fixed_bytes && o->prefix_bytes) || (by_len && (o->separator || o->lines)))
    return wok__fail(
        c, WOK_INVALID,
        "records end at a separator, or have a fixed size, or begin with their length: choose one");
  if ((unsigned)o->crlf > WOK_CRLF_UNIFY) return wok__fail(c, WOK_INVALID, "crlf: keep, strip or unify");
  if (o->crlf && (by_len || o->lines > 1 || n != 1 || (o->separator && o->separator[0] != '\n')))
    return wok__fail(c, WOK_INVALID, "carriage returns can be treated only where a record is one line");
  return WOK_OK;
}

/* Signals are for the host's threads. */
static bool start_thread(wok__reader *r) {
  sigset_t all, old;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &old);
  bool ok = pthread_create(&r->thread, NULL, fill_chunks, r) == 0;
  (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
  return ok;
}

static wok_status allocate(wok__reader *r) {
  int64_t buffer = WOK__MAX(r->o.buffer ? r->o.buffer : USUAL_BUFFER, LEAST_BUFFER);
  r->chunks = r->o.ahead ? CHUNKS : 2;
  r->room = buffer / 5;
  r->size = (buffer - r->chunks * r->room) / r->chunks;
  for (int i = 0; i < r->chunks; i++) {
    r->ring[i].buf = wok__malloc(r->room + r->size);
    if (!r->ring[i].buf) return wok__nomem(r->c, r->room + r->size);
  }
  return wok_ctx_new(&r->own, &(wok_ctx_opts){.threads = 1});
}

wok_status wok__reader_open(wok_ctx *c, wok__reader **out, const wok__inputs *in, const wok__reader_opts *o) {
  *out = NULL;
  WOK__TRY(wok__record_opts_check(c, &o->how));
  wok__reader *r = wok__calloc(1, (int64_t)sizeof *r);
  if (!r) return wok__nomem(c, (int64_t)sizeof *r);
  r->c = c;
  r->in = in;
  r->o = *o;
  r->missing = -1;
  atomic_init(&r->stop, false);
  const wok_record_opts *h = &o->how;
  r->nsep = h->separator ? h->separator_bytes ? h->separator_bytes : (int64_t)strlen(h->separator) : 1;
  memcpy(r->sep, h->separator ? h->separator : "\n", (size_t)r->nsep);
  if (by_length(r)) r->nsep = 0;
  wok__str_init(&r->header, MOST_HEADER);
  (void)pthread_mutex_init(&r->lock, NULL);
  (void)pthread_cond_init(&r->changed, NULL);
  wok_status s = allocate(r);
  if (s) {
    wok__reader_close(r);
    return s;
  }
  r->threaded = o->ahead && start_thread(r); /* without a thread it works as well */
  *out = r;
  return WOK_OK;
}

void wok__reader_close(wok__reader *r) {
  if (!r) return;
  if (r->threaded) {
    atomic_store_explicit(&r->stop, true, memory_order_relaxed);
    (void)pthread_mutex_lock(&r->lock);
    r->quit = true;
    (void)pthread_cond_broadcast(&r->changed);
    (void)pthread_mutex_unlock(&r->lock);
    (void)pthread_join(r->thread, NULL);
  }
  wok__bytes_close(r->src);
  for (int i = 0; i < CHUNKS; i++) wok__free(r->ring[i].buf);
  wok_ctx_free(r->own);
  wok__str_free(&r->header);
  (void)pthread_mutex_destroy(&r->lock);
  (void)pthread_cond_destroy(&r->changed);
  wok__free(r);
}
