/* Whole files cut into words, line by line, and what that costs per character. */
#include <math.h>
#include <string.h>
#include "corpus/counter.h"
#include "text/segmenter.h"
#include "text/utf8.h"
#include "vocab/lines.h"

static const int64_t usual_memory = INT64_C(1) << 30;

typedef struct segmenting {
  wok_ctx *c;
  const wok_segmenter *s;
  const wok_segment_opts *o;
  wok_status (*write)(void *ud, const char *p, int64_t n);
  void *ud;
  wok_segment_info info;
  wok__strings *strings;
  int64_t *ends, cap;
  wok__str out;
} segmenting;

static bool is_space(const char *p, int64_t n) {
  for (int64_t i = 0; i < n;) {
    uint32_t cp;
    int k = wok__utf8_next((const uint8_t *)p + i, n - i, &cp);
    if (k <= 0 || !wok__is_space(cp)) return false;
    i += k;
  }
  return true;
}

static wok_status token(segmenting *k, const char *p, int64_t n, bool *first) {
  bool space = is_space(p, n);
  if (!space) {
    int64_t chars = wok__utf8_count((const uint8_t *)p, n);
    k->info.tokens++;
    k->info.chars += chars;
    k->info.single += chars == 1;
    if (k->strings && n <= WOK__RUN_KEY) WOK__TRY(wok__strings_add(k->strings, p, n, 1));
  } else if (!k->o->separator) {
    return WOK_OK;
  }
  if (!k->write) return WOK_OK;
  if (!*first) wok__str_puts(&k->out, k->o->separator ? k->o->separator : " ");
  *first = false;
  wok__str_add(&k->out, p, n);
  return WOK_OK;
}

static wok_status line(void *ud, const char *p, int64_t n) {
  segmenting *k = ud;
  int64_t ntokens;
  bool first = true;
  k->info.lines++;
  k->info.bytes += n;
  if (n > k->cap) {
    wok__free(k->ends);
    k->cap = 0;
    k->ends = wok__malloc(n * 8);
    if (!k->ends) return wok__nomem(k->c, n * 8);
    k->cap = n;
  }
  WOK__TRY(wok_segment(k->s, p, n, k->ends, k->cap, &ntokens));
  wok__str_clear(&k->out);
  for (int64_t i = 0, at = 0; i < ntokens; at = k->ends[i++]) WOK__TRY(token(k, p + at, k->ends[i] - at, &first));
  if (!k->write) return WOK_OK;
  wok__str_puts(&k->out, "\n");
  return k->out.failed ? wok__nomem(k->c, k->out.len) : k->write(k->ud, k->out.p, k->out.len);
}

/* H of the tokens, summed in the order of their bytes. */
static wok_status measure(segmenting *k, wok__runs *runs, int64_t memory) {
  double n = 0, nlogn = 0;
  WOK__TRY(wok__strings_flush(k->strings));
  WOK__TRY(wok__runs_merge(runs, memory / 8));
  for (;;) {
    const uint8_t *key;
    int64_t bytes;
    uint64_t count;
    WOK__TRY(wok__runs_next(runs, &key, &bytes, &count));
    if (!key) break;
    k->info.types++;
    n += (double)count;
    nlogn += (double)count * log((double)count);
  }
  k->info.word_bits = n > 0 ? (log(n) - nlogn / n) / log(2) : 0;
  return WOK_OK;
}

wok_status wok_segment_files(wok_ctx *c, const wok_segmenter *s, const char *const *files, int nfiles, const wok_segment_opts *o,
                             wok_status (*write)(void *ud, const char *p, int64_t n), void *ud, wok_segment_info *info) {
  static const wok_segment_opts none = {0};
  wok__fail_clear(c);
  segmenting k = {.c = c, .s = s, .o = o ? o : &none, .write = write, .ud = ud};
  int64_t memory = k.o->memory ? k.o->memory : wok__ctx_opts(c)->mem_limit ? wok__ctx_opts(c)->mem_limit : usual_memory;
  double t0 = wok__now();
  wok__runs *runs = NULL;
  wok_status st = WOK_OK;
  wok__str_init(&k.out, INT64_C(1) << 32);
  if (k.o->report) {
    st = wok__runs_new(c, &runs, k.o->tmp ? k.o->tmp : ".");
    if (st == WOK_OK) st = wok__strings_new(c, &k.strings, runs, memory / 2);
  }
  if (st == WOK_OK) st = wok__lines_each(c, files, nfiles, "segment", line, &k);
  if (st == WOK_OK && k.o->report) st = measure(&k, runs, memory);
  k.info.word_chars = k.info.tokens ? (double)k.info.chars / (double)k.info.tokens : 0;
  k.info.seconds = wok__now() - t0;
  if (info && st == WOK_OK) *info = k.info;
  wok__strings_free(k.strings);
  wok__runs_free(runs);
  wok__str_free(&k.out);
  wok__free(k.ends);
  return st;
}
