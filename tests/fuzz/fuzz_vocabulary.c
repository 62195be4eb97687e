/* Any bytes as a vocabulary in the other formats: vocab.txt, SentencePiece's .model, BytePiece, .tiktoken, merges.txt. The first
   byte says which. What is accepted encodes a text, and what is refused says so in one line. */
#include <stdlib.h>
#include <string.h>
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static wok_status describe(wok_ctx *c, json_t **root, uint8_t which, char *p, int64_t n) {
  static const char *const modes[] = {"bert", "bert-hf", "bert4keras"};
  static const char vocab[] = "{\"a\":0,\"b\":1,\"ab\":2,\"<|endoftext|>\":3}";
  const wok__vocab_config config = {.bos = 1, .eos = which & 8 ? 1 : -1};
  switch (which % 5) {
  case 0: return wok__read_vocab_txt(c, root, "fuzz", p, n, &(wok_tokenizer_opts){.bert = modes[which / 5 % 3]}, &config);
  case 1: return wok__read_sentencepiece(c, root, "fuzz", (const uint8_t *)p, n, &config);
  case 2: return wok__read_bytepiece(c, root, "fuzz", p, n);
  case 3: return wok__read_tiktoken(c, root, "fuzz", p, n);
  default: return wok__read_gpt2(c, root, "fuzz", vocab, (int64_t)sizeof vocab - 1, p, n, &config);
  }
}

static void use(const wok_tokenizer *t, const char *text, int64_t n) {
  wok_encoding *e;
  int64_t k, got;
  for (int i = 0; i < 2; i++) {
    if (wok_tokenizer_encode(t, text, n, &(wok_encode_opts){.offsets = true, .sample = i, .alpha = 0.5, .nbest = i * 3}, &e) != WOK_OK) continue;
    const int32_t *ids = wok_encoding_ids(e, &k);
    for (int64_t j = 0; j < k; j++)
      if (ids[j] < 0 || ids[j] >= wok_tokenizer_size(t)) abort();
    if (wok_decode(t, ids, k, NULL, 0, &got) != WOK_OK) abort();
    wok_encoding_free(e);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static wok_ctx *c;
  if (!c && wok_ctx_new(&c, &(wok_ctx_opts){.threads = 1}) != WOK_OK) abort();
  if (size < 1) return 0;
  int64_t n = (int64_t)size - 1;
  char *copy = malloc(size + 1);
  if (!copy) abort();
  memcpy(copy, data + 1, (size_t)n);
  copy[n] = 0;
  json_t *root;
  wok_tokenizer *t = NULL;
  wok_status s = describe(c, &root, data[0], copy, n);
  if (s == WOK_OK) s = wok__tokenizer_of(c, &t, root, "fuzz");
  if (s == WOK_OK) {
    static const char text[] = "ab [MASK] \xe4\xb8\xad\xff <s>\n Ab";
    use(t, text, (int64_t)sizeof text);
    use(t, (const char *)data, (int64_t)size);
    wok_tokenizer_free(t);
  } else if (t || !wok_errmsg(c)[0] || strchr(wok_errmsg(c), '\n')) {
    abort();
  }
  free(copy);
  return 0;
}
