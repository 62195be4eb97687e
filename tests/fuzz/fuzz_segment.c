/* Any bytes as a dictionary, as tables for unknown words in both formats, and as the text to cut: every byte of a text is in one
   token, and what is refused is refused with one line. */
#include <stdlib.h>
#include <string.h>
#include "text/segmenter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fails_well(wok_ctx *c) {
  if (!wok_errmsg(c)[0] || strchr(wok_errmsg(c), '\n')) abort();
}

static void cut(wok_segmenter *g, const char *text, int64_t len) {
  int64_t *ends = malloc((size_t)(len + 1) * sizeof *ends), n, measured;
  if (!ends) abort();
  for (int method = WOK_SEGMENT_UNIGRAM; method <= WOK_SEGMENT_SPACE; method++) {
    g->method = (wok_segment_method)method;
    if (wok_segment(g, text, len, ends, len, &n) != WOK_OK || n > len) abort();
    if (len > 0 && (n < 1 || ends[n - 1] != len)) abort();
    for (int64_t i = 1; i < n; i++)
      if (ends[i] <= ends[i - 1]) abort();
    if (wok_segment(g, text, len, NULL, 0, &measured) != WOK_OK || measured != n) abort();
  }
  free(ends);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char sample[] = "南京市长江大桥 C++3.14%\r\n\xff a1b";
  static const char *const tables[] = {"start", "trans", "emit"};
  static wok_ctx *c;
  if (!c && wok_ctx_new(&c, &(wok_ctx_opts){.threads = 1}) != WOK_OK) abort();
  const char *text = (const char *)data;
  int64_t n = (int64_t)size;
  wok_segmenter *g = calloc(1, sizeof *g);
  if (!g) abort();
  g->c = c;
  if (wok__trie_init(c, &g->dict) || wok__hmm_init(c, &g->hmm)) abort();
  if (wok__dict_parse(g, text, n, "dict") != WOK_OK) fails_well(c);
  if (g->words == 0) g->ln_total = 0;
  if (wok__hmm_parse(c, &g->hmm, text, n, "hmm") != WOK_OK) fails_well(c);
  for (int i = 0; i < 3; i++)
    if (wok__hmm_parse_python(c, &g->hmm, tables[i], text, n, "hmm.py") != WOK_OK) fails_well(c);
  for (int model = 0; model < 2; model++) {
    g->has_hmm = model;
    cut(g, sample, (int64_t)sizeof sample - 1);
    cut(g, text, n);
  }
  wok_segmenter_free(g);
  return 0;
}
