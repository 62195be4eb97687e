/* The second pass: stream by stream, the records are sorted by their keys and handed to the output. Small streams are done side by
   side, each in a workplace of its own; one that does not fit is scattered again by further bits of the key, and one that consists of
   a few long records is copied record by record. */
#include <string.h>
#include "corpus/shuffle.h"

enum { SETS = 2, MOST_PLACES = 32, CHILD_BITS = 6, CELL = 4, COPY = 256 << 10 };

typedef struct entry {
  uint64_t key; /* the first half; after gathering, where the record ends */
  int64_t at;   /* in the stream: its first piece */
  uint64_t id;
} entry;

enum { PER_RECORD = 2 * (int)sizeof(entry) + 2 };

typedef struct place {
  wok__stream *t;
  int64_t records, bytes; /* bytes: with terminators */
  entry *e;               /* 2 * records */
  uint32_t *cell;
  uint8_t *out;
  int64_t cap_e, cap_cell, cap_out;
  wok__sums sums;
  wok_status status;
} place;

typedef struct emitter {
  wok__shuffle *s;
  wok__store *store;
  const wok__counts *count;
  int used; /* bits of the key that all records of a stream have in common, this store's included */
  place place[SETS][MOST_PLACES];
  int n; /* places in use in this round */
  int set;
  int punched; /* streams below this one were given back to the disk */
} emitter;

/* ---- sorting ---- */

static bool before(const wok__shuffle *s, const entry *a, const entry *b) {
  if (a->key != b->key) return a->key < b->key;
  uint64_t hi, x, y;
  wok__shuffle_key(s, a->id, &hi, &x);
  wok__shuffle_key(s, b->id, &hi, &y);
  return x != y ? x < y : a->id < b->id;
}

static int cell_bits(int64_t n) {
  int bits = 0;
  while ((n >> bits) > CELL) bits++;
  return bits;
}

/* Keys are uniform: a distribution by their next bits leaves a few records to a cell, which insertion puts in order. From e[0..n)
   to e[n..2n). */
static entry *sort_entries(const wok__shuffle *s, entry *e, uint32_t *cell, int64_t n, int used) {
  int bits = cell_bits(n), shift = WOK__MIN(used, 63);
  entry *to = e + n;
  int64_t cells = INT64_C(1) << bits;
#define CELL_OF(k) (bits ? (k) << shift >> (64 - bits) : 0)
  memset(cell, 0, (size_t)cells * sizeof *cell);
  for (int64_t i = 0; i < n; i++) cell[CELL_OF(e[i].key)]++;
  uint32_t sum = 0;
  for (int64_t i = 0; i < cells; i++) {
    uint32_t k = cell[i];
    cell[i] = sum;
    sum += k;
  }
  for (int64_t i = 0; i < n; i++) to[cell[CELL_OF(e[i].key)]++] = e[i];
#undef CELL_OF
  for (int64_t i = 1; i < n; i++) {
    if (!before(s, &to[i], &to[i - 1])) continue;
    entry x = to[i];
    int64_t j = i;
    for (; j > 0 && before(s, &x, &to[j - 1]); j--) to[j] = to[j - 1];
    to[j] = x;
  }
  return to;
}

/* ---- streams ---- */

static wok_status skip_record(wok__cursor *k) {
  for (uint64_t v = 1; v & 1;) {
    WOK__TRY(wok__cursor_number(k, &v));
    WOK__TRY(wok__cursor_skip(k, (int64_t)(v >> 1)));
  }
  return WOK_OK;
}

static wok_status index_stream(const wok__shuffle *s, wok__cursor *k, entry *e, int64_t n) {
  uint64_t id = UINT64_MAX, d, lo;
  WOK__TRY(wok__cursor_seek(k, 0));
  for (int64_t i = 0; i < n; i++) {
    WOK__TRY(wok__cursor_number(k, &d));
    id += d + 1;
    e[i].id = id;
    e[i].at = k->at;
    wok__shuffle_key(s, id, &e[i].key, &lo);
    WOK__TRY(skip_record(k));
  }
  return WOK_OK;
}

static wok_status damaged(wok__cursor *k) {
  return wok__fail(k->c, WOK_CORRUPT, "the temporary data is damaged: begin anew without --resume");
}

static wok_status gather(const wok__shuffle *s, wok__cursor *k, entry *e, place *p) {
  int64_t at = 0;
  for (int64_t i = 0; i < p->records; i++) {
    int64_t from = at;
    WOK__TRY(wok__cursor_seek(k, e[i].at));
    for (uint64_t v = 1; v & 1;) {
      WOK__TRY(wok__cursor_number(k, &v));
      int64_t n = (int64_t)(v >> 1);
      if (n > p->bytes - at) return damaged(k);
      WOK__TRY(wok__cursor_copy(k, p->out + at, n));
      at += n;
    }
    if (!s->o->no_verify) wok__sums_add(&p->sums, wok__hash64(p->out + from, at - from, 0));
    if (s->nterminator > p->bytes - at) return damaged(k);
    memcpy(p->out + at, s->terminator, (size_t)s->nterminator);
    at += s->nterminator;
    e[i].key = (uint64_t)at;
  }
  return at == p->bytes ? WOK_OK : damaged(k);
}

static wok_status do_place(emitter *m, place *p, wok_ctx *c) {
  wok__cursor k;
  p->sums = (wok__sums){0};
  WOK__TRY(wok__store_load(m->store, c, p->t));
  wok__cursor_begin(&k, m->store, c, p->t, NULL);
  WOK__TRY(index_stream(m->s, &k, p->e, p->records));
  return gather(m->s, &k, sort_entries(m->s, p->e, p->cell, p->records, m->used), p);
}

static void do_tile(void *arg, int64_t tile, int worker) {
  (void)worker;
  emitter *m = arg;
  place *p = &m->place[m->set][tile];
  p->status = do_place(m, p, NULL); /* a context serves one thread */
}

/* ---- workplaces ---- */

static bool grow(void *pp, int64_t *cap, int64_t need) {
  if (need <= *cap) return true;
  void **p = pp;
  wok__free(*p); /* the old contents are of no use */
  *p = wok__malloc(need);
  *cap = *p ? need : 0;
  return *p != NULL;
}

static int64_t place_bytes(const emitter *m, int i) {
  const wok__counts *n = &m->count[i];
  return n->records * (PER_RECORD + m->s->nterminator) + n->bytes;
}

static wok_status prepare(emitter *m, place *p, int i) {
  const wok__counts *n = &m->count[i];
  p->t = wok__store_stream(m->store, i);
  p->records = n->records;
  p->bytes = n->bytes + n->records * m->s->nterminator;
  int64_t cells = INT64_C(4) << cell_bits(n->records);
  if (!grow(&p->e, &p->cap_e, 2 * n->records * (int64_t)sizeof(entry)) ||
      !grow(&p->cell, &p->cap_cell, cells) || !grow(&p->out, &p->cap_out, p->bytes))
    return wok__nomem(m->s->c, place_bytes(m, i));
  return WOK_OK;
}

/* What may be taken now beside blocks: what was set aside, and what blocks leave free (while none are being filled). Two sets of
   workplaces are in use at a time: one is written while the other one sorts. */
static int64_t room_for_work(const emitter *m) {
  return (m->s->work + wok__store_free_bytes(m->store)) / SETS;
}

static wok_status use_places(emitter *m) {
  wok__shuffle *s = m->s;
  place *p = m->place[m->set];
  wok__pool_run(s->c, do_tile, m, m->n);
  WOK__TRY(wok__out_wait(s->out)); /* the other set is free again */
  for (int i = 0; i < m->n; i++) {
    if (p[i].status) WOK__TRY(do_place(m, &p[i], s->c)); /* once more, to say why */
    s->written.a += p[i].sums.a, s->written.b += p[i].sums.b;
    int64_t n = WOK__MIN(p[i].records, s->want - s->given);
    const entry *e = p[i].e + p[i].records;
    WOK__TRY(wok__out_run(s->out, p[i].out, &e->key, (int64_t)(sizeof(entry) / sizeof(uint64_t)), n));
    s->given += n;
    s->since_checkpoint += p[i].bytes;
    wok__store_drop(m->store, p[i].t);
    WOK__TRY(wok__task_at(&s->task, s->task.done + p[i].bytes, "writing"));
  }
  m->set = !m->set;
  m->n = 0;
  return WOK_OK;
}

/* ---- streams that do not fit ---- */

static wok_status copy_record(wok__shuffle *s, wok__cursor *k, const entry *e, uint8_t *buf) {
  int64_t whole = 0;
  wok__hasher h;
  wok__hasher_init(&h, 0);
  if (s->o->shard_bytes) { /* its length decides where it goes */
    WOK__TRY(wok__cursor_seek(k, e->at));
    for (uint64_t v = 1; v & 1; whole += (int64_t)(v >> 1)) {
      WOK__TRY(wok__cursor_number(k, &v));
      WOK__TRY(wok__cursor_skip(k, (int64_t)(v >> 1)));
    }
  }
  WOK__TRY(wok__cursor_seek(k, e->at));
  bool first = true;
  for (uint64_t v = 1; v & 1;) {
    WOK__TRY(wok__cursor_number(k, &v));
    int64_t n = (int64_t)(v >> 1);
    do {
      int64_t m = WOK__MIN(n, (int64_t)COPY);
      WOK__TRY(wok__cursor_copy(k, buf, m));
      n -= m;
      wok__hasher_add(&h, buf, m);
      WOK__TRY(wok__out_piece(s->out, buf, m, first, n == 0 && !(v & 1), whole));
      first = false;
      s->since_checkpoint += m;
      WOK__TRY(wok__task_at(&s->task, s->task.done + m, "writing"));
    } while (n > 0);
  }
  wok__sums_add(&s->written, wok__hasher_end(&h));
  s->given++;
  return WOK_OK;
}

/* Few long records: an index in memory, the records from where they are. */
static wok_status emit_long(emitter *m, int i) {
  wok__shuffle *s = m->s;
  wok__stream *t = wok__store_stream(m->store, i);
  int64_t n = m->count[i].records, bytes = n * PER_RECORD + COPY + s->block;
  entry *e = wok__malloc(2 * n * (int64_t)sizeof *e);
  uint32_t *cell = wok__malloc(INT64_C(4) << cell_bits(n));
  uint8_t *buf = wok__malloc(COPY), *block = wok__malloc(s->block);
  wok_status st = e && cell && buf && block ? wok__out_wait(s->out) : wok__nomem(s->c, bytes);
  wok__cursor k;
  wok__cursor_begin(&k, m->store, s->c, t, block);
  if (st == WOK_OK) st = index_stream(s, &k, e, n);
  entry *sorted = st == WOK_OK ? sort_entries(s, e, cell, n, m->used) : NULL;
  for (int64_t j = 0; st == WOK_OK && j < n && s->given < s->want; j++)
    st = copy_record(s, &k, &sorted[j], buf);
  wok__free(e);
  wok__free(cell);
  wok__free(buf);
  wok__free(block);
  wok__store_drop(m->store, t);
  return st;
}

static wok_status emit_store(wok__shuffle *s, wok__store *store, const wok__counts *count, int streams,
                             int used, int first, bool top);

static wok_status scatter_again(emitter *m, wok__cursor *k, wok__store *child, wok__counts *count,
                                int64_t *last, int64_t n) {
  uint64_t id = UINT64_MAX, d, hi, lo, v;
  WOK__TRY(wok__cursor_seek(k, 0));
  for (int64_t i = 0; i < n; i++) {
    WOK__TRY(wok__cursor_number(k, &d));
    id += d + 1;
    wok__shuffle_key(m->s, id, &hi, &lo);
    int b = (int)(hi << m->used >> (64 - CHILD_BITS));
    wok__stream *t = wok__store_stream(child, b);
    WOK__TRY(wok__scatter_begin(m->s, child, t, &last[b], id));
    count[b].records++;
    do {
      WOK__TRY(wok__cursor_number(k, &v));
      int64_t left = (int64_t)(v >> 1);
      count[b].bytes += left;
      do { /* in pieces as the blocks lie */
        int64_t now = WOK__MIN(left, k->n);
        if (now == 0 && left > 0) return damaged(k);
        WOK__TRY(wok__scatter_piece(child, t, k->p, now, now < left || (v & 1)));
        WOK__TRY(wok__cursor_skip(k, now));
        left -= now;
      } while (left > 0);
    } while (v & 1);
    if ((i & 4095) == 0) WOK__TRY(wok__task_at(&m->s->task, m->s->task.done, "sorting a large part"));
  }
  return wok__store_end(child);
}

static wok_status emit_split(emitter *m, int i) {
  enum { CHILDREN = 1 << CHILD_BITS };
  wok__shuffle *s = m->s;
  wok__stream *t = wok__store_stream(m->store, i);
  wok__store *child = NULL;
  wok__counts *count = wok__calloc(CHILDREN, (int64_t)sizeof *count);
  int64_t *last = wok__malloc(CHILDREN * (int64_t)sizeof *last);
  uint8_t *block = wok__malloc(s->block);
  wok_status st = count && last && block ? wok__out_wait(s->out) : wok__nomem(s->c, 0);
  wok__arena *a = wok__arena_new(512);
  const char *dir = s->dir ? s->dir : s->o->tmp ? s->o->tmp : a ? wok__folder_of(a, s->path) : NULL;
  if (strcmp(s->path, "-") == 0 && !s->o->tmp) dir = "/var/tmp";
  if (st == WOK_OK && dir) {
    for (int b = 0; b < CHILDREN; b++) last[b] = -1;
    wok__store_opts o = {.streams = CHILDREN,
                         .block = WOK__MIN(s->block, WOK__MAX(s->region / CHILDREN / 4, 4096)),
                         .memory = s->region / 2,
                         .dir = dir,
                         .threaded = s->threaded};
    while (o.block & (o.block - 1)) o.block &= o.block - 1;
    st = wok__store_new(s->c, &child, &o);
  }
  wok__cursor k;
  wok__cursor_begin(&k, m->store, s->c, t, block);
  if (st == WOK_OK) st = scatter_again(m, &k, child, count, last, m->count[i].records);
  wok__store_drop(m->store, t);
  if (st == WOK_OK) st = emit_store(s, child, count, CHILDREN, m->used + CHILD_BITS, 0, false);
  wok__store_free(child, false);
  wok__arena_free(a);
  wok__free(count);
  wok__free(last);
  wok__free(block);
  return st;
}

static wok_status emit_large(emitter *m, int i) {
  const wok__counts *n = &m->count[i];
  bool few = n->records <= 1 || n->bytes / n->records >= m->s->block || m->used + CHILD_BITS > 60;
  bool index_fits = n->records * PER_RECORD <= m->s->region / 2;
  return (few && index_fits) || m->used + CHILD_BITS > 60 ? emit_long(m, i) : emit_split(m, i);
}

/* ---- all of them ---- */

static wok_status checkpoint(emitter *m, int next, bool now) {
  wok__shuffle *s = m->s;
  if (!s->resumable || (!now && s->since_checkpoint < s->checkpoint_bytes)) return WOK_OK;
  s->since_checkpoint = 0;
  WOK__TRY(wok__resume_checkpoint(s, next));
  wok__store_punch(m->store, m->punched, next);
  m->punched = next;
  return WOK_OK;
}

/* Takes streams from i on into workplaces as long as they fit; returns the first that did not. */
static wok_status fill_places(emitter *m, int *next, int streams) {
  int64_t most = WOK__MIN(2 * m->s->threads, (int)MOST_PLACES), taken = 0, room = room_for_work(m);
  int i = *next;
  for (; i < streams && m->n < most; i++) {
    if (m->count[i].records == 0) continue;
    wok__stream *t = wok__store_stream(m->store, i);
    taken += place_bytes(m, i) + (t->spilled ? wok__stream_bytes(t) : 0);
    if (taken > room || !wok__store_reserve(m->store, t)) break;
    WOK__TRY(prepare(m, &m->place[m->set][m->n], i));
    m->n++;
  }
  *next = i;
  int64_t ahead = 0;
  for (int j = i; j < streams && ahead < most; j++) {
    if (m->count[j].records == 0) continue;
    wok__store_soon(m->store, wok__store_stream(m->store, j));
    ahead++;
  }
  return WOK_OK;
}

static wok_status emit_all(emitter *m, int streams, int first, bool top) {
  wok__shuffle *s = m->s;
  bool resident = true;
  for (int i = first; i < streams && s->given < s->want;) {
    WOK__TRY(fill_places(m, &i, streams));
    if (m->n > 0)
      WOK__TRY(use_places(m));
    else if (i < streams)
      WOK__TRY(emit_large(m, i++));
    if (!top || !wok__store_spilled(m->store)) continue;
    /* from here on nothing is needed that lies in memory alone */
    bool in_file = i == streams || wok__store_stream(m->store, i)->spilled;
    if (!in_file) continue;
    WOK__TRY(checkpoint(m, i, resident));
    resident = false;
  }
  return WOK_OK;
}

static wok_status emit_store(wok__shuffle *s, wok__store *store, const wok__counts *count, int streams,
                             int used, int first, bool top) {
  emitter *m = wok__calloc(1, (int64_t)sizeof *m);
  if (!m) return wok__nomem(s->c, (int64_t)sizeof *m);
  m->s = s;
  m->store = store;
  m->count = count;
  m->used = used;
  wok__store_trim(store);
  wok_status st = emit_all(m, streams, first, top), w = wok__out_wait(s->out);
  for (int k = 0; k < SETS; k++)
    for (int i = 0; i < MOST_PLACES; i++) {
      wok__free(m->place[k][i].e);
      wok__free(m->place[k][i].cell);
      wok__free(m->place[k][i].out);
    }
  wok__free(m);
  return st ? st : w;
}

wok_status wok__shuffle_emit(wok__shuffle *s, int first) {
  return emit_store(s, s->store, s->count, 1 << s->bits, s->bits, first, true);
}
