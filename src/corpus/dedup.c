/* wok_dedup: in the first pass each record becomes 128 bits and its number, in streams by the first bits; then, stream by stream, a table
   tells which were there before; in the second pass the records that stay are copied. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "corpus/normal.h"
#include "corpus/shuffle.h"

enum {
  LEAST_MEMORY = 8 << 20,
  LEAST_BLOCK = 4096,
  MOST_BLOCK = 1 << 20,
  MOST_BITS = 12,
  BATCH = 1 << 20,
  BATCH_RECORDS = 8192,
  LOOK_EVERY = 4096
};

typedef struct group { /* of equal records */
  uint64_t a, b;
  int64_t first; /* number of the first, + 1; 0: a free place */
  int64_t n[2];  /* records in train, in test */
} group;

typedef struct leak {
  int64_t record, other;
} leak;

typedef struct file {
  const wok__input *in;
  int split;
  int64_t begin;
} file; /* begin: the number of its first record */

typedef struct dedup {
  wok_ctx *c;
  const wok_dedup_opts *o;
  wok__inputs in[2]; /* train, test */
  wok__inputs all;   /* both, in the order in which they count as first */
  file *file;
  int64_t memory, region, block, buffer;
  int bits;
  uint64_t salt[2];
  wok__store *store;
  int64_t *count; /* records of each stream */
  int64_t records;
  uint8_t *gone; /* a bit for each record */
  leak *leak;
  int64_t nleaks, most_leaks;
  wok__task task;
  wok_dedup_info info;
} dedup;

static wok_dedup_split *split_info(dedup *d, int split) { return split ? &d->info.test : &d->info.train; }

/* ---- first pass ---- */

static wok_status add_key(dedup *d, uint64_t a, uint64_t b, int64_t record, int64_t *last) {
  int i = d->bits ? (int)(a >> (64 - d->bits)) : 0;
  uint8_t item[16 + WOK__NUMBER_BYTES];
  memcpy(item, &a, 8);
  memcpy(item + 8, &b, 8);
  int n = wok__number_put(item + 16, (uint64_t)(record - last[i] - 1));
  last[i] = record;
  d->count[i]++;
  return wok__store_add(d->store, wok__store_stream(d->store, i), item, 16 + n);
}

static wok_status hash_all(dedup *d, wok__reader *r, int64_t *last, wok__str *buf) {
  wok__hasher ha, hb;
  int input = -1;
  for (bool more = true;;) {
    wok__piece p;
    WOK__TRY(wok__reader_next(r, &p, &more));
    if (!more) break;
    for (; input < p.input; input++)
      d->file[input + 1].begin = p.record; /* files without records begin there too */
    if (p.first && p.last) {
      const uint8_t *z = p.p;
      int64_t n = p.n;
      if (d->o->field)
        wok__field_of(&z, &n, d->o->field, (uint8_t)(d->o->field_separator ? d->o->field_separator : '\t'));
      WOK__TRY(wok__normal_form(d->c, d->o->normal, &z, &n, buf));
      WOK__TRY(add_key(d, wok__hash64(z, n, d->salt[0]), wok__hash64(z, n, d->salt[1]), p.record, last));
    } else {
      if (p.first) wok__hasher_init(&ha, d->salt[0]), wok__hasher_init(&hb, d->salt[1]);
      wok__hasher_add(&ha, p.p, p.n);
      wok__hasher_add(&hb, p.p, p.n);
      if (p.last) WOK__TRY(add_key(d, wok__hasher_end(&ha), wok__hasher_end(&hb), p.record, last));
    }
    split_info(d, d->file[p.input].split)->records += p.last;
    d->records = p.record + p.last;
    if (!p.last || (p.record & (LOOK_EVERY - 1)) == 0)
      WOK__TRY(wok__task_at(&d->task, wok__reader_taken(r), "reading"));
  }
  for (; input + 1 < d->all.n; input++) d->file[input + 1].begin = d->records;
  return wok__store_end(d->store);
}

static wok_status first_pass(dedup *d) {
  int n = 1 << d->bits;
  wok__reader *r = NULL;
  wok__str buf;
  wok__str_init(&buf, INT64_MAX / 4);
  int64_t *last = wok__malloc(n * (int64_t)sizeof *last);
  d->count = wok__calloc(n, (int64_t)sizeof *d->count);
  wok_status s = last && d->count ? WOK_OK : wok__nomem(d->c, n * 16);
  for (int i = 0; s == WOK_OK && i < n; i++) last[i] = -1;
  if (s == WOK_OK)
    s = wok__store_new(d->c, &d->store,
                       &(wok__store_opts){.streams = n,
                                          .block = d->block,
                                          .memory = d->region,
                                          .dir = d->o->tmp ? d->o->tmp : "/var/tmp",
                                          .threaded = wok__ctx_threads(d->c) > 1});
  if (s == WOK_OK)
    s = wok__reader_open(
        d->c, &r, &d->all,
        &(wok__reader_opts){.how = d->o->records, .buffer = d->buffer, .ahead = wok__ctx_threads(d->c) > 1});
  if (s == WOK_OK) s = hash_all(d, r, last, &buf);
  wok__reader_close(r);
  wok__free(last);
  wok__str_free(&buf);
  return s;
}

/* ---- which were there before ---- */

static int split_of(const dedup *d, int64_t record) {
  int lo = 0, hi = d->all.n - 1; /* the last file that begins at or before it */
  while (lo < hi) {
    int mid = lo + (hi - lo + 1) / 2;
    if (d->file[mid].begin <= record)
      lo = mid;
    else
      hi = mid - 1;
  }
  return lo;
}

static void count_record(dedup *d, group *g, int64_t record) {
  int split = d->file[split_of(d, record)].split;
  wok_dedup_split *own = split_info(d, split), *other = split_info(d, !split);
  if (g->n[split]++ == 0) {
    own->distinct++;
    other->leaked += g->n[!split];
  }
  if (g->n[!split]) own->leaked++;
  if (g->first == record + 1) {
    own->kept++;
    return;
  }
  d->gone[record >> 3] |= (uint8_t)(1 << (record & 7));
  if (d->o->leaks && d->file[split_of(d, g->first - 1)].split != split) {
    if (d->nleaks < d->most_leaks) d->leak[d->nleaks] = (leak){record, g->first - 1};
    d->nleaks++;
  }
}

static wok_status look_through(dedup *d, int i, group *table, uint64_t mask) {
  wok__cursor k;
  wok__stream *t = wok__store_stream(d->store, i);
  wok__cursor_begin(&k, d->store, d->c, t, NULL);
  WOK__TRY(wok__cursor_seek(&k, 0));
  int64_t record = -1;
  for (int64_t j = 0; j < d->count[i]; j++) {
    uint64_t key[2], diff;
    WOK__TRY(wok__cursor_copy(&k, (uint8_t *)key, 16));
    WOK__TRY(wok__cursor_number(&k, &diff));
    record += (int64_t)diff + 1;
    uint64_t at = key[1] & mask; /* the first word chose the stream */
    while (table[at].first && (table[at].a != key[0] || table[at].b != key[1])) at = (at + 1) & mask;
    if (!table[at].first) table[at] = (group){.a = key[0], .b = key[1], .first = record + 1};
    count_record(d, &table[at], record);
  }
  wok__store_drop(d->store, t);
  return WOK_OK;
}

static wok_status too_many(dedup *d, int64_t need) {
  char n[32], m[32];
  wok__format_size(n, (int64_t)sizeof n, need);
  wok__format_size(m, (int64_t)sizeof m, d->memory);
  return wok__fail(d->c, WOK_LIMIT,
                   "%lld records take about %s of memory to compare, and the limit is %s: give more --memory",
                   (long long)d->records, n, m);
}

static uint64_t table_size(int64_t records) { /* at most two thirds full */
  uint64_t n = 16;
  while ((int64_t)(n / 3 * 2) < records) n *= 2;
  return n;
}

static wok_status find_repeated(dedup *d) {
  int64_t most = 0, bitmap = d->records / 8 + 1;
  for (int i = 0; i < 1 << d->bits; i++) most = WOK__MAX(most, d->count[i]);
  int64_t table = (int64_t)(table_size(most) * sizeof(group));
  int64_t held = wok__store_spilled(d->store) ? d->region - wok__store_free_bytes(d->store) : 0;
  int64_t need = table + bitmap + held + (wok__store_spilled(d->store) ? most * 18 : 0);
  if (need > d->memory && table + bitmap > d->memory / 2)
    return too_many(d, d->memory / 2 + 2 * (table + bitmap));
  wok__store_trim(d->store);
  d->most_leaks = d->o->leaks ? d->memory / 16 / (int64_t)sizeof *d->leak : 0;
  d->gone = wok__calloc(bitmap, 1);
  d->leak = d->o->leaks ? wok__malloc(d->most_leaks * (int64_t)sizeof *d->leak) : NULL;
  group *g = wok__malloc(table);
  wok_status s = d->gone && g && (d->leak || !d->o->leaks) ? WOK_OK : wok__nomem(d->c, table + bitmap);
  for (int i = 0; s == WOK_OK && i < 1 << d->bits; i++) {
    if (!d->count[i]) continue;
    uint64_t size = table_size(d->count[i]);
    memset(g, 0, size * sizeof *g);
    wok__stream *t = wok__store_stream(d->store, i);
    if (!wok__store_reserve(d->store, t)) s = too_many(d, 2 * d->memory);
    if (s == WOK_OK) s = wok__store_load(d->store, d->c, t);
    if (s == WOK_OK) s = look_through(d, i, g, size - 1);
    if (s == WOK_OK) s = wok__task_at(&d->task, d->task.done, "comparing");
  }
  wok__free(g);
  d->info.tmp_bytes = wok__store_written(d->store);
  wok__store_free(d->store, false);
  d->store = NULL;
  return s;
}

/* ---- second pass ---- */

typedef struct sink {
  wok__out *out;
  uint8_t *p;
  uint64_t *ends;
  int64_t n, bytes;
} sink;

static wok_status flush(sink *k) {
  if (k->n == 0) return WOK_OK;
  wok_status s = wok__out_run(k->out, k->p, k->ends, 1, k->n);
  k->n = k->bytes = 0;
  return s ? s : wok__out_wait(k->out);
}

static wok_status keep_piece(sink *k, const wok__piece *p, const char *end, int64_t nend) {
  if (!p->first || !p->last || p->n + nend > BATCH) {
    WOK__TRY(flush(k));
    return wok__out_piece(k->out, p->p, p->n, p->first, p->last, p->n);
  }
  if (k->bytes + p->n + nend > BATCH || k->n == BATCH_RECORDS) WOK__TRY(flush(k));
  memcpy(k->p + k->bytes, p->p, (size_t)p->n);
  memcpy(k->p + k->bytes + p->n, end, (size_t)nend);
  k->bytes += p->n + nend;
  k->ends[k->n++] = (uint64_t)k->bytes;
  return WOK_OK;
}

static wok_status open_sink(dedup *d, sink *k, const char *path, const uint8_t *header, int64_t nheader,
                            const char *end, int64_t nend) {
  k->p = wok__malloc(BATCH);
  k->ends = wok__malloc(BATCH_RECORDS * (int64_t)sizeof *k->ends);
  if (!k->p || !k->ends) return wok__nomem(d->c, BATCH);
  WOK__TRY(wok__out_new(d->c, &k->out,
                        &(wok__out_opts){.path = path,
                                         .packing = d->o->packing,
                                         .level = d->o->level,
                                         .total = d->records,
                                         .header = header,
                                         .nheader = nheader,
                                         .terminator = end,
                                         .nterminator = nend}));
  return wok__out_begin(k->out);
}

static wok_status copy_kept(dedup *d, wok__reader *r, sink *k, int64_t begin) {
  const char *paths[2] = {d->o->out, d->o->test_out};
  wok__piece p;
  bool more = true, open = false;
  const char *end = "";
  int64_t nend = 0;
  while (more) {
    WOK__TRY(wok__reader_next(r, &p, &more));
    if (!open) { /* now the header and the ends of lines are known */
      int64_t nheader;
      const uint8_t *header = wok__reader_header(r, &nheader);
      end = wok__reader_terminator(r, &nend);
      for (int i = 0; i < 2; i++)
        if (paths[i]) WOK__TRY(open_sink(d, &k[i], paths[i], header, nheader, end, nend));
      open = true;
    }
    if (!more) break;
    if (p.record >= d->records)
      return wok__fail(d->c, WOK_MISMATCH, "%s: was changed while it was being read",
                       d->all.list[p.input].shown);
    bool gone = d->gone[p.record >> 3] >> (p.record & 7) & 1;
    sink *to = &k[d->file[p.input].split];
    if (!gone && to->out) WOK__TRY(keep_piece(to, &p, end, nend));
    if ((p.record & (LOOK_EVERY - 1)) == 0)
      WOK__TRY(wok__task_at(&d->task, begin + wok__reader_taken(r), "writing"));
  }
  for (int i = 0; i < 2; i++)
    if (k[i].out) WOK__TRY(flush(&k[i]));
  int64_t files;
  for (int i = 0; i < 2; i++)
    if (k[i].out) WOK__TRY(wok__out_commit(k[i].out, &files));
  return WOK_OK;
}

static wok_status second_pass(dedup *d) {
  if (!d->o->out && !d->o->test_out) return WOK_OK;
  wok__reader *r;
  sink k[2] = {0};
  WOK__TRY(wok__reader_open(
      d->c, &r, &d->all,
      &(wok__reader_opts){.how = d->o->records, .buffer = d->buffer, .ahead = wok__ctx_threads(d->c) > 1}));
  wok_status s = copy_kept(d, r, k, d->task.done);
  for (int i = 0; i < 2; i++) {
    wok__out_free(k[i].out, false);
    wok__free(k[i].p);
    wok__free(k[i].ends);
  }
  wok__reader_close(r);
  return s;
}

/* ---- the table of leaks ---- */

static int by_record(const void *a, const void *b) {
  const leak *x = a, *y = b;
  return x->record < y->record ? -1 : x->record > y->record;
}

static wok_status write_leaks(dedup *d) {
  if (!d->o->leaks) return WOK_OK;
  int64_t n = d->info.listed = WOK__MIN(d->nleaks, d->most_leaks);
  if (n < d->nleaks)
    wok__log(d->c, WOK_LOG_WARN, "%s lists %lld of %lld records: more did not fit into memory", d->o->leaks,
             (long long)n, (long long)d->nleaks);
  if (n > 1) qsort(d->leak, (size_t)n, sizeof *d->leak, by_record);
  wok__writer *w;
  WOK__TRY(wok__writer_open(d->c, &w, d->o->leaks));
  wok_status s = wok__writer_add(w, "file\trecord\tother_file\tother_record\n", 36);
  for (int64_t i = 0; s == WOK_OK && i < n; i++) {
    const file *a = &d->file[split_of(d, d->leak[i].record)], *b = &d->file[split_of(d, d->leak[i].other)];
    const char *names[2] = {a->in->shown, b->in->shown};
    int64_t numbers[2] = {d->leak[i].record - a->begin + 1, d->leak[i].other - b->begin + 1};
    for (int j = 0; s == WOK_OK && j < 2; j++) {
      char text[32];
      int k = wok__snprintf(text, (int64_t)sizeof text, "\t%lld%c", (long long)numbers[j], j ? '\n' : '\t');
      s = wok__writer_add(w, names[j], (int64_t)strlen(names[j]));
      if (s == WOK_OK) s = wok__writer_add(w, text, k);
    }
  }
  if (s == WOK_OK) return wok__writer_commit(w);
  wok__writer_abort(w);
  return s;
}

/* ---- the whole ---- */

static wok_status find_files(dedup *d, const char *const *files, int n) {
  const wok_dedup_opts *o = d->o;
  WOK__TRY(wok__inputs_find(d->c, &d->in[0], files, n, NULL));
  if (o->ntest) WOK__TRY(wok__inputs_find(d->c, &d->in[1], o->test, o->ntest, NULL));
  int total = d->in[0].n + d->in[1].n;
  d->all.list = wok__calloc(total, (int64_t)sizeof *d->all.list);
  d->file = wok__calloc(total, (int64_t)sizeof *d->file);
  if (!d->all.list || !d->file) return wok__nomem(d->c, 0);
  bool twice = o->out || o->test_out;
  for (int k = 0; k < 2; k++) {
    int split = o->from_train ? !k : k; /* the split that keeps what both have comes first */
    split_info(d, split)->files = d->in[split].n;
    for (int i = 0; i < d->in[split].n; i++) {
      const wok__input *in = &d->in[split].list[i];
      if (twice && !in->regular)
        return wok__fail(d->c, WOK_INVALID,
                         "%s: is read twice, which a pipe does not allow: write it to a file first (packed "
                         "ones are read as they are)",
                         in->shown);
      d->file[d->all.n] = (file){.in = in, .split = split};
      d->all.list[d->all.n++] = *in;
    }
    d->all.bytes += d->in[split].bytes;
  }
  d->all.all_regular = d->in[0].all_regular && (d->in[1].n == 0 || d->in[1].all_regular);
  return WOK_OK;
}

static int log2_below(int64_t n) { return n < 1 ? 0 : 63 - __builtin_clzll((uint64_t)n); }

static void plan(dedup *d) {
  int64_t limit = wok__ctx_opts(d->c)->mem_limit;
  d->memory = WOK__MAX(d->o->memory ? d->o->memory
                       : limit      ? limit
                                    : wok__memory_free() / 2,
                       (int64_t)LEAST_MEMORY);
  d->buffer = WOK__MIN(d->memory / 8, INT64_C(5) << 20);
  d->region = d->memory / 2;
  d->block = WOK__MIN(WOK__MAX(INT64_C(1) << log2_below(d->memory / 4096), (int64_t)LEAST_BLOCK),
                      (int64_t)MOST_BLOCK);
  d->bits = WOK__MIN(log2_below(d->region / 4 / d->block), (int)MOST_BITS);
  /* small corpora do not need many streams: at worst a record for every byte makes a table of a few MB */
  if (d->all.all_regular) d->bits = WOK__MIN(d->bits, log2_below(d->all.bytes / (64 << 10) + 1) + 1);
}

static wok_status run(dedup *d, const char *const *files, int n) {
  WOK__TRY(find_files(d, files, n));
  plan(d);
  if (getrandom(d->salt, sizeof d->salt, 0) != (ssize_t)sizeof d->salt)
    d->salt[0] = (uint64_t)wok__unix_ms(), d->salt[1] = ~d->salt[0];
  wok__task_begin(&d->task, d->c, "dedup", "bytes",
                  d->all.all_regular ? d->all.bytes * (1 + (d->o->out || d->o->test_out)) : 0);
  WOK__TRY(first_pass(d));
  WOK__TRY(find_repeated(d));
  WOK__TRY(write_leaks(d));
  WOK__TRY(second_pass(d));
  return wok__task_end(&d->task, NULL);
}

static wok_status check_options(wok_ctx *c, const wok_dedup_opts *o) {
  WOK__TRY(wok__record_opts_check(c, &o->records));
  if (o->field < 0 || o->memory < 0 || o->ntest < 0)
    return wok__fail(c, WOK_INVALID, "fields, memory and files must not be negative");
  if (o->memory && o->memory < LEAST_MEMORY)
    return wok__fail(c, WOK_INVALID, "de-duplication takes at least 8 MiB of memory");
  if ((unsigned)o->normal > WOK_NORMAL_FOLD || (unsigned)o->packing > WOK_PACKING_ZSTD)
    return wok__fail(c, WOK_INVALID, "no such normal form or packing");
  if (!o->ntest && (o->test_out || o->leaks || o->from_train))
    return wok__fail(c, WOK_INVALID, "a test output or a table of leaks needs test files");
  if (o->out && o->test_out && strcmp(o->out, o->test_out) == 0)
    return wok__fail(c, WOK_INVALID, "%s: both outputs have this name", o->out);
  return WOK_OK;
}

wok_status wok_dedup(wok_ctx *c, const char *const *files, int nfiles, const wok_dedup_opts *o,
                     wok_dedup_info *info) {
  static const wok_dedup_opts defaults;
  if (!o) o = &defaults;
  double begun = wok__now();
  WOK__TRY(check_options(c, o));
  dedup *d = wok__calloc(1, (int64_t)sizeof *d);
  if (!d) return wok__nomem(c, (int64_t)sizeof *d);
  d->c = c;
  d->o = o;
  wok_status s = run(d, files, nfiles);
  d->info.memory = d->memory;
  d->info.seconds = wok__now() - begun;
  if (info && s == WOK_OK) *info = d->info;
  wok__store_free(d->store, false);
  wok__inputs_free(&d->in[0]);
  wok__inputs_free(&d->in[1]);
  wok__free(d->all.list);
  wok__free(d->file);
  wok__free(d->count);
  wok__free(d->gone);
  wok__free(d->leak);
  wok__free(d);
  return s;
}
