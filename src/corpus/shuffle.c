/* wok_shuffle: options, plan, the first pass, and the order of events. */
#include <math.h>
#include <string.h>
#include "corpus/shuffle.h"

enum {
  LEAST_MEMORY = 1 << 20,
  LEAST_BLOCK = 4096,
  MOST_BLOCK = 1 << 20,
  MOST_BITS = 12,
  USUAL_BUCKET = 1 << 20, /* bytes: sorted and gathered within a cache */
  LOOK_EVERY = 4096       /* records */
};

/* ---- options ---- */

static wok_status check_options(wok_ctx *c, const char *out, const wok_shuffle_opts *o) {
  WOK__TRY(wok__record_opts_check(c, &o->records));
  bool standard = strcmp(out, "-") == 0;
  if ((o->shards != 0) + (o->shard_records != 0) + (o->shard_bytes != 0) > 1)
    return wok__fail(c, WOK_INVALID,
                     "shards: a number of them, records in each, or bytes in each: choose one");
  if (o->shards < 0 || o->shard_records < 0 || o->shard_bytes < 0 || o->head < 0 || o->held_records < 0 ||
      o->run_records < 0)
    return wok__fail(c, WOK_INVALID, "numbers of shards, records and bytes must not be negative");
  if (o->shards > 99999)
    return wok__fail(c, WOK_INVALID, "at most 99999 shards, not %lld", (long long)o->shards);
  if (!(o->head_percent >= 0 && o->head_percent <= 100) || !(o->held_percent >= 0 && o->held_percent <= 100))
    return wok__fail(c, WOK_INVALID, "a share of the records lies between 0 and 100 per cent");
  if ((o->head && o->head_percent > 0) || (o->held_records && o->held_percent > 0))
    return wok__fail(c, WOK_INVALID, "a number of records or a share of them: choose one");
  if (o->held && !(o->held_records || o->held_percent > 0))
    return wok__fail(c, WOK_INVALID, "how many records are to be held out for %s?", o->held);
  if (!o->held && (o->held_records || o->held_percent > 0))
    return wok__fail(c, WOK_INVALID, "records are to be held out, but for which file?");
  if (o->held && strcmp(o->held, out) == 0)
    return wok__fail(c, WOK_INVALID, "%s: the held-out file and the output are the same", out);
  if (standard && (o->shards || o->shard_records || o->shard_bytes))
    return wok__fail(c, WOK_INVALID, "shards need a file name, not standard output");
  if (standard && o->resume)
    return wok__fail(c, WOK_INVALID, "what went to standard output is gone: --resume needs a file");
  if ((unsigned)o->method > WOK_SHUFFLE_TWO_PASS || (unsigned)o->packing > WOK_PACKING_ZSTD)
    return wok__fail(c, WOK_INVALID, "no such method or packing");
  if (o->method == WOK_SHUFFLE_TWO_PASS && o->resume)
    return wok__fail(c, WOK_INVALID, "the two-pass method is for study and cannot resume");
  if (o->memory < 0 || (o->memory && o->memory < LEAST_MEMORY))
    return wok__fail(c, WOK_INVALID, "shuffling takes at least 1 MiB of memory");
  if (o->level < 0 || o->level > 19)
    return wok__fail(c, WOK_INVALID, "a level of packing lies between 1 and 19 (gzip: 9)");
  return WOK_OK;
}

/* ---- plan ---- */

static int64_t power_below(int64_t n) {
  return n < 1 ? 1 : INT64_C(1) << (63 - __builtin_clzll((uint64_t)n));
}
static int bits_of(int64_t n) {
  return n <= 1 ? 0 : 64 - __builtin_clzll((uint64_t)(n - 1));
} /* 2^bits >= n */

static int64_t parts_of_memory(const wok__shuffle *s) {
  const wok_shuffle_opts *o = s->o;
  return WOK__MAX(wok__out_memory(o->packing, s->path, s->threads),
                  o->held ? wok__out_memory(o->packing, o->held, s->threads) : 0);
}

static void plan(wok__shuffle *s, const wok__shuffle_test *t) {
  const wok_shuffle_opts *o = s->o;
  int64_t limit = wok__ctx_opts(s->c)->mem_limit;
  s->memory = WOK__MAX(o->memory ? o->memory : limit ? limit : wok__memory_free() / 2, (int64_t)LEAST_MEMORY);
  s->buffer = WOK__MIN(WOK__MAX(s->memory / 16, INT64_C(64) << 10), INT64_C(5) << 20);
  s->work = s->memory / 8;
  s->region = WOK__MAX(s->memory - s->memory / 32 - s->buffer - s->work - parts_of_memory(s), s->memory / 2);
  s->block = WOK__MIN(WOK__MAX(power_below(s->memory / 4096), (int64_t)LEAST_BLOCK), (int64_t)MOST_BLOCK);
  s->bits = WOK__MIN(bits_of(power_below(s->region / 4 / s->block)), (int)MOST_BITS);
  if (!s->in.packed) s->bits = WOK__MIN(s->bits, bits_of(s->in.bytes / USUAL_BUCKET + 1));
  s->key_mask = UINT64_MAX;
  s->checkpoint_bytes = WOK__MIN(WOK__MAX(4 * s->memory, INT64_C(4) << 20), INT64_C(1) << 30);
  if (t && t->key_mask) s->key_mask = t->key_mask;
  if (t && t->bits) s->bits = t->bits;
  if (t && t->block) s->block = t->block;
  if (t && t->checkpoint_bytes) s->checkpoint_bytes = t->checkpoint_bytes;
}

/* Bytes expected in the temporary file; -1: nobody knows (packed inputs, pipes, samples). */
static int64_t expected_tmp(const wok__shuffle *s) {
  if (s->in.packed || s->o->head)
    return -1; /* a sample of few needs none: streams that cannot hold the first are dropped */
  int64_t with_lengths = s->in.bytes + s->in.bytes / 32;
  if (s->o->method == WOK_SHUFFLE_SCATTER || s->o->method == WOK_SHUFFLE_TWO_PASS) return with_lengths;
  return WOK__MAX(with_lengths - (s->region - (s->block << s->bits) / 2), 0);
}

static const char *tmp_folder(const wok__shuffle *s, wok__arena *a) {
  if (s->o->tmp) return s->o->tmp;
  return strcmp(s->path, "-") == 0 ? "/var/tmp" : wok__folder_of(a, s->path);
}

static wok_status too_small(wok__shuffle *s, const char *dir, int64_t need, int64_t room, const char *what) {
  char n[32], r[32], m[32];
  wok__format_size(n, (int64_t)sizeof n, need);
  wok__format_size(r, (int64_t)sizeof r, room);
  wok__format_size(m, (int64_t)sizeof m, need - room);
  return wok__fail(s->c, WOK_NOSPACE,
                   "%s: %s needs %s there and %s are free: %s are missing; make room, give more --memory or "
                   "another --tmp (--force begins all the same)",
                   dir, what, n, r, m);
}

/* The output takes as much as the inputs (where packing is on either side, nobody knows: the inputs' size is the least). */
static wok_status check_disk(wok__shuffle *s) {
  wok__arena *a = wok__arena_new(1024);
  if (!a) return wok__nomem(s->c, 0);
  const char *tmp = tmp_folder(s, a), *out = strcmp(s->path, "-") == 0 ? NULL : wok__folder_of(a, s->path);
  bool whole = s->o->head == 0 && s->o->head_percent <= 0 && s->to_file &&
               wok__packing_by_name(s->o->packing, s->path) == WOK_PACKING_NONE;
  int64_t need_tmp = WOK__MAX(expected_tmp(s), 0), need_out = whole ? s->in.bytes : 0, room_tmp = 0,
          room_out = 0;
  uint64_t dev_tmp = 0, dev_out = 1;
  bool punch = false, other;
  wok_status st = WOK_OK;
  if (need_tmp) st = wok__disk_room(s->c, tmp, &room_tmp, &dev_tmp, &punch);
  if (st == WOK_OK && out && need_out) st = wok__disk_room(s->c, out, &room_out, &dev_out, &other);
  if (st == WOK_OK && need_tmp && need_out && dev_tmp == dev_out) {
    /* what was copied to the output is given back at every checkpoint */
    int64_t both = punch && s->resumable
                       ? WOK__MAX(need_tmp, need_out) + WOK__MIN(2 * s->checkpoint_bytes, need_tmp)
                       : need_tmp + need_out;
    if (both > room_out) st = too_small(s, out, both, room_out, "shuffling");
  } else if (st == WOK_OK && need_tmp > room_tmp)
    st = too_small(s, tmp, need_tmp, room_tmp, "the temporary data");
  else if (st == WOK_OK && need_out > room_out)
    st = too_small(s, out, need_out, room_out, "the output");
  wok__arena_free(a);
  return st;
}

/* ---- first pass ---- */

wok_status wok__scatter_begin(wok__shuffle *s, wok__store *store, wok__stream *t, int64_t *last,
                              uint64_t id) {
  (void)s;
  uint8_t n[WOK__NUMBER_BYTES];
  int k = wok__number_put(n, id - (uint64_t)*last - 1);
  *last = (int64_t)id;
  return wok__store_add(store, t, n, k);
}

wok_status wok__scatter_piece(wok__store *store, wok__stream *t, const uint8_t *p, int64_t n, bool more) {
  uint8_t head[WOK__NUMBER_BYTES];
  int k = wok__number_put(head, (uint64_t)n << 1 | more);
  WOK__TRY(wok__store_add(store, t, head, k));
  return wok__store_add(store, t, p, n);
}

/* Only the first `head` records of the order are wanted: streams that can hold none of them are dropped, now and as they come. */
static void drop_beyond_head(wok__shuffle *s) {
  int64_t sum = 0;
  for (int i = 0; i < 1 << s->bits; i++) {
    wok__stream *t = wok__store_stream(s->store, i);
    if (sum >= s->o->head && !t->dropped) wok__store_drop(s->store, t);
    sum += s->count[i].records;
  }
}

static wok_status does_not_fit(wok__shuffle *s) {
  char m[32];
  wok__format_size(m, (int64_t)sizeof m, s->memory);
  return wok__fail(s->c, WOK_LIMIT,
                   "the corpus does not fit into %s of memory: give more --memory, or another method", m);
}

static wok_status scatter_all(wok__shuffle *s, wok__reader *r, int64_t *last) {
  wok__stream *t = NULL;
  wok__hasher h;
  bool verify = !s->o->no_verify, more = true;
  int b = 0;
  for (wok__piece p;;) {
    WOK__TRY(wok__reader_next(r, &p, &more));
    if (!more) return WOK_OK;
    if (p.first) {
      uint64_t hi, lo;
      wok__shuffle_key(s, (uint64_t)p.record, &hi, &lo);
      b = s->bits ? (int)(hi >> (64 - s->bits)) : 0;
      t = wok__store_stream(s->store, b);
      WOK__TRY(wok__scatter_begin(s, s->store, t, &last[b], (uint64_t)p.record));
      s->count[b].records++;
      if (!p.last) wok__hasher_init(&h, 0);
    }
    WOK__TRY(wok__scatter_piece(s->store, t, p.p, p.n, !p.last));
    s->count[b].bytes += p.n;
    if (verify && p.first && p.last)
      wok__sums_add(&s->read, wok__hash64(p.p, p.n, 0));
    else if (verify) {
      wok__hasher_add(&h, p.p, p.n);
      if (p.last) wok__sums_add(&s->read, wok__hasher_end(&h));
    }
    s->records = p.record + p.last;
    if (p.last && (p.record & (LOOK_EVERY - 1)) != 0) continue;
    WOK__TRY(wok__task_at(&s->task, wok__reader_taken(r), "reading"));
    if (s->o->head) drop_beyond_head(s);
    if (s->o->method == WOK_SHUFFLE_MEMORY && wok__store_spilled(s->store)) return does_not_fit(s);
  }
}

static wok_status keep_ends(wok__shuffle *s, const wok__reader *r) {
  const uint8_t *h = wok__reader_header(r, &s->nheader);
  s->header = wok__malloc(s->nheader + 1);
  if (!s->header) return wok__nomem(s->c, s->nheader);
  memcpy(s->header, h, (size_t)s->nheader);
  const char *z = wok__reader_terminator(r, &s->nterminator);
  memcpy(s->terminator, z, (size_t)s->nterminator);
  return WOK_OK;
}

static wok_status first_pass(wok__shuffle *s) {
  int n = 1 << s->bits;
  wok__reader *r = NULL;
  int64_t *last = wok__malloc(n * (int64_t)sizeof *last);
  s->count = wok__calloc(n, (int64_t)sizeof *s->count);
  wok_status st = last && s->count ? WOK_OK : wok__nomem(s->c, n * 16);
  for (int i = 0; st == WOK_OK && i < n; i++) last[i] = -1;
  if (st == WOK_OK)
    st = wok__reader_open(
        s->c, &r, &s->in,
        &(wok__reader_opts){.how = s->o->records, .buffer = s->buffer, .ahead = s->threaded});
  if (st == WOK_OK) st = scatter_all(s, r, last);
  if (st == WOK_OK) {
    s->bytes = wok__reader_bytes(r);
    s->task.done = wok__reader_taken(r);
    st = keep_ends(s, r);
  }
  wok__reader_close(r);
  wok__free(last);
  if (st) return st;
  for (int i = 0; i < n; i++)
    if (wok__store_stream(s->store, i)->dropped) s->count[i] = (wok__counts){0};
  WOK__TRY(wok__store_end(s->store));
  if (s->o->method == WOK_SHUFFLE_MEMORY && wok__store_spilled(s->store)) return does_not_fit(s);
  return wok__resume_scattered(s);
}

/* ---- the whole ---- */

static int64_t share(int64_t n, double percent) { return (int64_t)llround((double)n * percent / 100); }

wok_status wok__shuffle_open_out(wok__shuffle *s) {
  const wok_shuffle_opts *o = s->o;
  s->want = o->head_percent > 0 ? share(s->records, o->head_percent)
            : o->head           ? WOK__MIN(o->head, s->records)
                                : s->records;
  int64_t held =
      o->held ? WOK__MIN(o->held_percent > 0 ? share(s->want, o->held_percent) : o->held_records, s->want)
              : 0;
  s->info.held_records = held;
  return wok__out_new(s->c, &s->out,
                      &(wok__out_opts){.path = s->path,
                                       .packing = o->packing,
                                       .level = o->level,
                                       .shards = o->shards,
                                       .shard_records = o->shard_records,
                                       .shard_bytes = o->shard_bytes,
                                       .held = o->held,
                                       .held_records = held,
                                       .total = s->want,
                                       .header = s->header,
                                       .nheader = s->nheader,
                                       .terminator = (const char *)s->terminator,
                                       .nterminator = s->nterminator,
                                       .threaded = s->threaded});
}

static wok_status open_store(wok__shuffle *s, bool resume, const int64_t *stream_bytes) {
  wok__arena *a = wok__arena_new(1024);
  if (!a) return wok__nomem(s->c, 0);
  const char *dir = s->dir ? s->dir : tmp_folder(s, a),
             *journal = s->resumable ? wok__path_join(a, s->dir, "journal") : NULL;
  wok_status st = dir ? WOK_OK : wok__nomem(s->c, 0);
  /* without a journal there is nothing of before, although there may be a file */
  bool there = resume && journal && wok__exists(journal);
  if (st == WOK_OK)
    st = wok__store_new(s->c, &s->store,
                        &(wok__store_opts){.streams = 1 << s->bits,
                                           .block = s->block,
                                           .memory = s->region,
                                           .dir = dir,
                                           .name = s->resumable ? "blocks" : NULL,
                                           .journal = journal,
                                           .resume = there,
                                           .threaded = s->threaded,
                                           .spill = s->o->method == WOK_SHUFFLE_SCATTER});
  if (st == WOK_OK && there) st = wok__store_reopen(s->store, stream_bytes);
  if (st == WOK_OK && !there && stream_bytes)
    st = wok__fail(s->c, WOK_CORRUPT, "%s: the journal is gone: begin anew without --resume", s->dir);
  wok__arena_free(a);
  return st;
}

static wok_status lost(wok__shuffle *s) {
  return wok__fail(s->c, WOK_CORRUPT,
                   "what was written is not what was read (%lld of %lld records): an input was changed "
                   "meanwhile, or temporary data was "
                   "damaged; nothing was put in place",
                   (long long)s->given, (long long)s->want);
}

static wok_status scatter_and_emit(wok__shuffle *s) {
  wok__left left;
  WOK__TRY(wok__resume_find(s, &left));
  s->info.resumed = left.phase > 0;
  wok_status st = open_store(s, left.phase > 0, left.stream_bytes);
  if (st == WOK_OK && left.phase == 0) st = wok__resume_begin(s);
  if (st == WOK_OK && left.phase < 2) st = first_pass(s);
  if (st == WOK_OK) st = wok__shuffle_open_out(s);
  if (st == WOK_OK)
    st = left.phase == 2 ? wok__out_resume(s->out, &left.place, left.pending) : wok__out_begin(s->out);
  if (st == WOK_OK) st = wok__shuffle_emit(s, left.next);
  wok__left_free(&left);
  if (st == WOK_OK) s->info.tmp_bytes = wok__store_written(s->store);
  return st;
}

static wok_status run(wok__shuffle *s) {
  WOK__TRY(wok__resume_prepare(s));
  wok__task_begin(&s->task, s->c, "shuffle", "bytes", s->in.packed ? 0 : 2 * s->in.bytes);
  WOK__TRY(s->o->method == WOK_SHUFFLE_TWO_PASS ? wok__shuffle_two_pass(s) : scatter_and_emit(s));
  bool all = s->want == s->records && !s->o->no_verify;
  if (s->given != s->want || (all && (s->read.a != s->written.a || s->read.b != s->written.b)))
    return lost(s);
  WOK__TRY(wok__out_commit(s->out, &s->info.files));
  return wok__task_end(&s->task, NULL);
}

static wok_status say_missing(wok__shuffle *s, wok_status st) {
  int64_t done = s->store ? wok__store_file_bytes(s->store) : 0,
          need = WOK__MAX(expected_tmp(s), 0) + s->in.bytes;
  char m[32];
  if (st != WOK_NOSPACE || s->in.packed || need <= done) return st;
  wok__format_size(m, (int64_t)sizeof m, need - done - s->since_checkpoint);
  return wok__fail_prefix(s->c, st, "about %s more are needed for temporary data and output", m);
}

wok_status wok__shuffle_with(wok_ctx *c, const char *const *files, int nfiles, const char *out,
                             const wok_shuffle_opts *o, const wok__shuffle_test *t, wok_shuffle_info *info) {
  static const wok_shuffle_opts defaults;
  if (!o) o = &defaults;
  double begun = wok__now();
  WOK__TRY(check_options(c, out, o));
  wok__shuffle *s = wok__calloc(1, (int64_t)sizeof *s);
  if (!s) return wok__nomem(c, (int64_t)sizeof *s);
  s->c = c;
  s->o = o;
  s->path = out;
  s->threads = wok__ctx_threads(c);
  s->threaded = s->threads > 1;
  s->lock.fd = -1;
  wok_status st = wok__inputs_find(c, &s->in, files, nfiles, o->files0_from);
  if (st == WOK_OK) {
    plan(s, t);
    s->to_file = strcmp(out, "-") != 0 && (!wok__exists(out) || wok__is_regular(out));
    s->resumable = s->to_file && s->in.all_regular && o->method != WOK_SHUFFLE_TWO_PASS;
    if (o->resume && !s->resumable)
      st = wok__fail(c, WOK_INVALID,
                     "only from files to a file can a run be resumed: a pipe cannot be read again");
  }
  if (st == WOK_OK && !o->force && !o->resume) st = check_disk(s);
  s->info.tmp_bytes = st == WOK_OK ? expected_tmp(s) : 0;
  if (st == WOK_OK && !o->dry_run) st = say_missing(s, run(s));
  bool keep = st != WOK_OK && o->resume && s->resumable;
  wok__out_free(s->out, keep);
  wok__store_free(s->store, keep);
  wok__resume_end(s, keep || st == WOK_LOCKED);
  s->info.records = s->records, s->info.bytes = s->bytes;
  s->info.out_records = s->given - s->info.held_records;
  s->info.memory = s->memory;
  s->info.buckets = INT64_C(1) << s->bits, s->info.block = s->block;
  s->info.seed = o->seed;
  s->info.seconds = wok__now() - begun;
  if (info && st == WOK_OK) *info = s->info;
  wok__inputs_free(&s->in);
  wok__free(s->count);
  wok__free(s->header);
  wok__free(s);
  return st;
}

wok_status wok_shuffle(wok_ctx *c, const char *const *files, int nfiles, const char *out,
                       const wok_shuffle_opts *o, wok_shuffle_info *info) {
  return wok__shuffle_with(c, files, nfiles, out, o, NULL, info);
}
