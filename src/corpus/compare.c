/* Do two lists of files hold the same records? */
#include <string.h>
#include "corpus/shuffle.h"

typedef struct summed {
  wok__sums sums;
  int64_t records, bytes;
} summed;

static wok_status sum_up(wok_ctx *c, const wok__inputs *in, const wok_record_opts *how, summed *to,
                         wok__task *task) {
  wok__reader *r;
  wok__hasher h;
  WOK__TRY(wok__reader_open(c, &r, in, &(wok__reader_opts){.how = *how, .ahead = wok__ctx_threads(c) > 1}));
  wok_status st = WOK_OK;
  int64_t before = task->done;
  for (bool more = true;;) {
    wok__piece p;
    st = wok__reader_next(r, &p, &more);
    if (st || !more) break;
    if (p.first) wok__hasher_init(&h, 0);
    if (p.first && p.last)
      wok__sums_add(&to->sums, wok__hash64(p.p, p.n, 0));
    else
      wok__hasher_add(&h, p.p, p.n);
    if (!p.first && p.last) wok__sums_add(&to->sums, wok__hasher_end(&h));
    to->records += p.last;
    to->bytes += p.n;
    if ((p.record & 1023) == 0 && (st = wok__task_at(task, before + wok__reader_taken(r), NULL)) != WOK_OK)
      break;
  }
  wok__reader_close(r);
  return st;
}

wok_status wok_corpus_compare(wok_ctx *c, const char *const *a, int na, const char *const *b, int nb,
                              const wok_record_opts *records, wok_same_records *result) {
  static const wok_record_opts lines;
  wok__inputs in[2];
  summed s[2] = {0};
  wok__task task;
  WOK__TRY(wok__inputs_find(c, &in[0], a, na, NULL));
  wok_status st = wok__inputs_find(c, &in[1], b, nb, NULL);
  if (st) {
    wok__inputs_free(&in[0]);
    return st;
  }
  wok__task_begin(&task, c, "check", "bytes",
                  in[0].all_regular && in[1].all_regular ? in[0].bytes + in[1].bytes : 0);
  for (int i = 0; st == WOK_OK && i < 2; i++)
    st = sum_up(c, &in[i], records ? records : &lines, &s[i], &task);
  wok__inputs_free(&in[0]);
  wok__inputs_free(&in[1]);
  if (st) return st;
  for (int i = 0; i < 2; i++) result->records[i] = s[i].records, result->bytes[i] = s[i].bytes;
  result->same = s[0].records == s[1].records && s[0].bytes == s[1].bytes && s[0].sums.a == s[1].sums.a &&
                 s[0].sums.b == s[1].sums.b;
  return wok__task_end(&task, NULL);
}
