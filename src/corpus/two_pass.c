/* The method of kexue.fm 8662, for study: runs of n records are shuffled in memory; then, row by row, the next record of every run is
   taken in an order drawn for the row. Records of one run never stand close together, so it is not uniform. A run lies in the
   temporary file as its records in order, each after its length; all runs are read side by side through small buffers. */
#include <string.h>
#include "corpus/shuffle.h"

enum { USUAL_RUN = 100000, MOST_RUNS = 4096, LEAST_READ = 4096 };

typedef struct run {
  int64_t records, begin;
} run;

typedef struct two_pass {
  wok__shuffle *s;
  wok__store *spool; /* one stream: all runs, one after another */
  run *run;
  int nruns;
  int64_t of_run; /* records */
  wok__str text;  /* of the run being filled */
  int64_t *ends;
  int64_t in_run, first; /* records; number of the first of them */
  wok__rng rng;
} two_pass;

static wok_status add_record(two_pass *t, const uint8_t *p, int64_t n) {
  uint8_t head[WOK__NUMBER_BYTES];
  wok__stream *to = wok__store_stream(t->spool, 0);
  WOK__TRY(wok__store_add(t->spool, to, head, wok__number_put(head, (uint64_t)n)));
  return wok__store_add(t->spool, to, p, n);
}

/* Fisher and Yates, over the ends of records: each is where one ends and the one before began. */
static wok_status end_run(two_pass *t) {
  if (t->in_run == 0) return WOK_OK;
  wok__shuffle *s = t->s;
  if (t->nruns == MOST_RUNS)
    return wok__fail(s->c, WOK_LIMIT,
                     "the two-pass method goes up to %d runs here: give longer runs (--run-records)",
                     (int)MOST_RUNS);
  int64_t *order = wok__malloc(t->in_run * (int64_t)sizeof *order);
  if (!order) return wok__nomem(s->c, t->in_run * (int64_t)sizeof *order);
  for (int64_t i = 0; i < t->in_run; i++) {
    int64_t j = (int64_t)wok__rng_below(&t->rng, (uint64_t)i + 1);
    order[i] = order[j];
    order[j] = i;
  }
  t->run[t->nruns++] = (run){t->in_run, wok__stream_bytes(wok__store_stream(t->spool, 0))};
  wok_status st = WOK_OK;
  for (int64_t i = 0; st == WOK_OK && i < t->in_run; i++) {
    int64_t k = order[i], from = k ? t->ends[k - 1] : 0;
    st = add_record(t, (const uint8_t *)t->text.p + from, t->ends[k] - from);
  }
  wok__free(order);
  wok__str_clear(&t->text);
  t->in_run = 0;
  return st;
}

static wok_status fill_runs(two_pass *t, wok__reader *r) {
  wok__shuffle *s = t->s;
  for (bool more = true;;) {
    wok__piece p;
    WOK__TRY(wok__reader_next(r, &p, &more));
    if (!more) return end_run(t);
    wok__str_add(&t->text, p.p, p.n);
    if (t->text.failed)
      return wok__fail(s->c, WOK_LIMIT,
                       "a run does not fit into memory: give shorter runs (--run-records) or more --memory");
    if (!p.last) continue;
    int64_t from = t->in_run ? t->ends[t->in_run - 1] : 0;
    wok__sums_add(&s->read, wok__hash64(t->text.p ? t->text.p + from : "", t->text.len - from, 0));
    t->ends[t->in_run++] = t->text.len;
    s->records = p.record + 1;
    if ((s->records & 1023) == 0) WOK__TRY(wok__task_at(&s->task, wok__reader_taken(r), "reading"));
    if (t->in_run == t->of_run) WOK__TRY(end_run(t));
  }
}

static wok_status take(two_pass *t, wok__cursor *k, wok__str *z) {
  wok__shuffle *s = t->s;
  uint64_t n;
  WOK__TRY(wok__cursor_number(k, &n));
  wok__str_clear(z);
  for (uint8_t part[512]; n > 0;) {
    int64_t m = (int64_t)WOK__MIN(n, sizeof part);
    WOK__TRY(wok__cursor_copy(k, part, m));
    wok__str_add(z, part, m);
    n -= (uint64_t)m;
  }
  if (z->failed) return wok__nomem(s->c, 0);
  wok__sums_add(&s->written, wok__hash64(z->p ? z->p : "", z->len, 0));
  s->given++;
  if ((s->given & 1023) == 0)
    WOK__TRY(wok__task_at(&s->task, s->task.done + 1024 * (s->bytes / WOK__MAX(s->records, 1)), "writing"));
  return wok__out_piece(s->out, (const uint8_t *)(z->p ? z->p : ""), z->len, true, true, z->len);
}

static wok_status merge(two_pass *t) {
  wok__shuffle *s = t->s;
  const wok__stream *stream = wok__store_stream(t->spool, 0);
  wok__cursor *k = wok__calloc(t->nruns, (int64_t)sizeof *k);
  uint8_t *buf = wok__malloc(t->nruns * s->block);
  int *order = wok__malloc(t->nruns * (int64_t)sizeof *order);
  wok__str z;
  wok__str_init(&z, INT64_MAX / 2);
  wok_status st = k && buf && order ? WOK_OK : wok__nomem(s->c, t->nruns * s->block);
  for (int i = 0; st == WOK_OK && i < t->nruns; i++) {
    wok__cursor_begin(&k[i], t->spool, s->c, stream, buf + i * s->block);
    st = wok__cursor_seek(&k[i], t->run[i].begin);
  }
  for (int64_t row = 0; st == WOK_OK && s->given < s->want; row++) {
    for (int i = 0; i < t->nruns; i++) {
      int j = (int)wok__rng_below(&t->rng, (uint64_t)i + 1);
      order[i] = order[j];
      order[j] = i;
    }
    for (int i = 0; st == WOK_OK && i < t->nruns && s->given < s->want; i++)
      if (row < t->run[order[i]].records) st = take(t, &k[order[i]], &z);
  }
  wok__str_free(&z);
  wok__free(k);
  wok__free(buf);
  wok__free(order);
  return st;
}

static wok_status both_passes(two_pass *t) {
  wok__shuffle *s = t->s;
  wok__reader *r;
  wok__arena *a = wok__arena_new(512);
  const char *dir = s->dir ? s->dir : s->o->tmp ? s->o->tmp : "/var/tmp";
  wok_status st = a ? wok__store_new(s->c, &t->spool,
                                     &(wok__store_opts){.streams = 1,
                                                        .block = s->block,
                                                        .memory = 16 * s->block,
                                                        .dir = dir,
                                                        .threaded = s->threaded,
                                                        .spill = true})
                    : wok__nomem(s->c, 0);
  wok__arena_free(a);
  if (st == WOK_OK)
    st = wok__reader_open(
        s->c, &r, &s->in,
        &(wok__reader_opts){.how = s->o->records, .buffer = s->buffer, .ahead = s->threaded});
  if (st) return st;
  st = fill_runs(t, r);
  s->bytes = wok__reader_bytes(r);
  const uint8_t *h = wok__reader_header(r, &s->nheader);
  s->header = wok__malloc(s->nheader + 1);
  if (s->header)
    memcpy(s->header, h, (size_t)s->nheader);
  else
    st = st ? st : wok__nomem(s->c, s->nheader);
  const char *z = wok__reader_terminator(r, &s->nterminator);
  memcpy(s->terminator, z, (size_t)s->nterminator);
  wok__reader_close(r);
  if (st == WOK_OK) st = wok__store_end(t->spool);
  if (st == WOK_OK) st = wok__shuffle_open_out(s);
  if (st == WOK_OK) st = wok__out_begin(s->out);
  if (st == WOK_OK) st = merge(t);
  if (st == WOK_OK) s->info.tmp_bytes = wok__store_written(t->spool);
  return st;
}

wok_status wok__shuffle_two_pass(wok__shuffle *s) {
  two_pass t = {.s = s, .of_run = s->o->run_records ? s->o->run_records : USUAL_RUN};
  s->block = LEAST_READ;
  while (s->block < (1 << 20) && s->block * MOST_RUNS * 2 <= s->memory) s->block *= 2;
  wok__str_init(&t.text, s->memory);
  wok__rng_init(&t.rng, s->o->seed, 0x72756e73u /* "runs" */);
  t.run = wok__malloc(MOST_RUNS * (int64_t)sizeof *t.run);
  t.ends = wok__malloc(t.of_run * (int64_t)sizeof *t.ends);
  wok_status st = t.run && t.ends ? both_passes(&t) : wok__nomem(s->c, t.of_run * (int64_t)sizeof *t.ends);
  wok__store_free(t.spool, false);
  wok__str_free(&t.text);
  wok__free(t.run);
  wok__free(t.ends);
  return st;
}
