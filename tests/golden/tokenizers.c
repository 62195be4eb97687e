/* The peers' own expected ids (the archive tokenizers.tar.xz beside the tree; without it the test is skipped): suites of
   transformers.js, llama.cpp's pairs, SentencePiece's and BytePiece's golden files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wok/text.h>
#include "base/json.h"
#include "scratch.h"

static const char *archive(void) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/../shared/data/tokenizers.tar.xz", WOK_SOURCE_DIR);
  if (access(path, R_OK) == 0) return path;
  snprintf(path, sizeof path, "%s", getenv("WOK_TOKENIZERS") ? getenv("WOK_TOKENIZERS") : "");
  return access(path, R_OK) == 0 ? path : NULL;
}

typedef struct source { const char *name, *path, *bert; int lower; bool bos; } source;

static wok_tokenizer *open_source(scratch *s, const source *x) {
  wok_tokenizer *t;
  char path[512];
  snprintf(path, sizeof path, "%s/tokenizers/%s", s->dir, x->path);
  assert_works(s->c, wok_tokenizer_open_with(s->c, &t, path, &(wok_tokenizer_opts){.bert = x->bert, .lower = x->lower}));
  return t;
}

static bool equal_ids(scratch *s, const wok_tokenizer *t, const char *text, int64_t len, const wok_encode_opts *o, const json_t *want) {
  wok_encoding *e;
  int64_t n;
  assert_works(s->c, wok_tokenizer_encode(t, text, len, o, &e));
  const int32_t *ids = wok_encoding_ids(e, &n);
  bool same = n == (int64_t)json_array_size(want);
  for (int64_t i = 0; same && i < n; i++) same = ids[i] == json_integer_value(json_array_get(want, (size_t)i));
  wok_encoding_free(e);
  if (!same) print_error("other ids for \"%.*s\"\n", (int)len, text);
  return same;
}

static void suites(void **state) {
  scratch *s = *state;
  static const source all[] = {{"Xenova_bert_base_cased", "bert/vocab-bert-base-cased.txt", "bert-hf", -1, false},
                               {"google_bert_bert_base_cased", "bert/vocab-bert-base-cased.txt", "bert-hf", -1, false},
                               {"Xenova_bert_base_uncased", "bert/vocab-bert-base-uncased.txt", "bert-hf", 0, false},
                               {"Xenova_bert_base_multilingual_cased_ner_hrl", "bert/vocab-bert-base-multilingual-cased.txt", "bert-hf", -1, false},
                               {"Xenova_bge_base_zh_v1_5", "bert/vocab-bert-base-chinese.txt", "bert-hf", 1, false},
                               {"Xenova_bge_small_zh_v1_5", "bert/vocab-bert-base-chinese.txt", "bert-hf", -1, false},
                               {"Xenova_gpt2", "gpt2", NULL, 0, false},
                               {"openai_community_gpt2", "gpt2", NULL, 0, false},
                               {"Xenova_t5_small", "t5/tokenizer_t5-small_tokenizer.json", NULL, 0, false},
                               {"google_t5_t5_small", "t5/tokenizer_t5-small_tokenizer.json", NULL, 0, false},
                               {"Xenova_llama_tokenizer", "llama2/tokenizer.model", NULL, 0, true}};
  int64_t cases = 0, good = 0;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    wok_tokenizer *t = open_source(s, &all[i]);
    json_t *j, *one;
    char path[512];
    size_t k;
    snprintf(path, sizeof path, "%s/tokenizers/golden/%s.json", s->dir, all[i].name);
    char *text;
    int64_t n;
    assert_works(s->c, wok__read_file(s->c, path, 1 << 24, &text, &n));
    j = json_loadb(text, (size_t)n, JSON_ALLOW_NUL, NULL); /* a text holds U+0000 */
    assert_non_null(j);
    json_array_foreach(json_object_get(j, "cases"), k, one) {
      const json_t *z = json_object_get(one, "text"), *pair = json_object_get(one, "text_pair");
      wok_encode_opts o = {.bos = all[i].bos, .pair = json_string_value(pair), .pair_len = (int64_t)json_string_length(pair)};
      cases++;
      good += equal_ids(s, t, json_string_value(z), (int64_t)json_string_length(z), &o, json_object_get(one, "ids"));
    }
    json_decref(j);
    wok__free(text);
    wok_tokenizer_free(t);
  }
  print_message("suites: %lld of %lld\n", (long long)good, (long long)cases);
  assert_int_equal(cases, 234);
  assert_int_equal(good, cases);
}

static json_t *numbers(const char *z, int64_t n) {
  json_t *j = json_array();
  for (const char *end = z + n; z < end;) {
    char *stop;
    long v = strtol(z, &stop, 10);
    if (stop == z || stop > end) break;
    json_array_append_new(j, json_integer(v));
    z = stop;
  }
  return j;
}

static void llama_cpp(void **state) {
  scratch *s = *state;
  static const source all[] = {{"bert-bge", "bert/vocab-bert-base-uncased.txt", "bert-hf", 0, false}, {"gpt-2", "gpt2", NULL, 0, false}, {"llama-spm", "llama2/tokenizer.model", NULL, 0, false}};
  static const char mark[] = "\n__ggml_vocab_test__\n";
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    wok_tokenizer *t = open_source(s, &all[i]);
    char path[512], *in, *out;
    int64_t n, m, good = 0, cases = 0;
    snprintf(path, sizeof path, "%s/tokenizers/llamacpp/ggml-vocab-%s.gguf.inp", s->dir, all[i].name);
    assert_works(s->c, wok__read_file(s->c, path, 1 << 20, &in, &n));
    snprintf(path, sizeof path, "%s/tokenizers/llamacpp/ggml-vocab-%s.gguf.out", s->dir, all[i].name);
    assert_works(s->c, wok__read_file(s->c, path, 1 << 20, &out, &m));
    for (const char *z = in, *w = out; z < in + n;) {
      const char *end = memmem(z, (size_t)(in + n - z), mark, sizeof mark - 1), *feed = memchr(w, '\n', (size_t)(out + m - w));
      if (!end || !feed) break; /* what follows the last mark is no case */
      json_t *want = numbers(w, feed - w);
      cases++;
      good += equal_ids(s, t, z, end - z, &(wok_encode_opts){.no_special = true}, want);
      json_decref(want);
      z = end + sizeof mark - 1;
      w = feed + 1;
    }
    print_message("llama.cpp %s: %lld of %lld\n", all[i].name, (long long)good, (long long)cases);
    assert_true(cases >= 46);
    assert_int_equal(good, cases);
    wok__free(in);
    wok__free(out);
    wok_tokenizer_free(t);
  }
}

static void bytepiece(void **state) {
  scratch *s = *state;
  char path[512], line[1 << 16];
  snprintf(path, sizeof path, "%s/tokenizers/bytepiece/bytepiece_80k.model", s->dir);
  if (access(path, R_OK) != 0) {
    print_message("skipped: nothing here takes a zip apart\n");
    skip();
  }
  wok_tokenizer *t = open_source(s, &(source){.path = "bytepiece/bytepiece_80k.model"});
  snprintf(path, sizeof path, "%s/tokenizers/bytepiece/bytepiece_80k.jsonl", s->dir);
  FILE *f = fopen(path, "r");
  int64_t cases = 0;
  assert_non_null(f);
  while (fgets(line, sizeof line, f)) {
    json_t *j = json_loads(line, 0, NULL), *text = json_object_get(j, "text"), *ids = json_object_get(j, "ids");
    assert_true(equal_ids(s, t, json_string_value(text), (int64_t)json_string_length(text), NULL, ids));
    double sum = 0, want = json_real_value(json_object_get(j, "logprob"));
    for (size_t i = 0; i < json_array_size(ids); i++) sum += wok_tokenizer_score(t, (int32_t)json_integer_value(json_array_get(ids, i)));
    assert_true(sum > want - 1e-4 && sum < want + 1e-4);
    json_decref(j);
    cases++;
  }
  fclose(f);
  assert_int_equal(cases, 40);
  wok_tokenizer_free(t);
}

static void botchan(void **state) {
  scratch *s = *state;
  wok_tokenizer *t = open_source(s, &(source){.path = "sentencepiece/test_model.model"});
  char path[512], *text, *ids;
  int64_t n, m, cases = 0;
  snprintf(path, sizeof path, "%s/tokenizers/sentencepiece/botchan.txt", s->dir);
  assert_works(s->c, wok__read_file(s->c, path, 1 << 24, &text, &n));
  snprintf(path, sizeof path, "%s/tokenizers/sentencepiece/spm_test_model.botchan200.ids", s->dir);
  assert_works(s->c, wok__read_file(s->c, path, 1 << 24, &ids, &m));
  for (char *z = text, *w = ids; w < ids + m;) {
    char *feed = memchr(z, '\n', (size_t)(text + n - z)), *end = memchr(w, '\n', (size_t)(ids + m - w));
    if (!feed || !end) break;
    json_t *want = numbers(w, end - w);
    assert_true(equal_ids(s, t, z, feed - z, NULL, want));
    json_decref(want);
    z = feed + 1, w = end + 1;
    cases++;
  }
  assert_true(cases >= 199);
  wok__free(text);
  wok__free(ids);
  wok_tokenizer_free(t);
}

/* ---- 10,000 real lines of each corpus: the hashes are made by tokenizers_oracle.py ---- */

static bool unpack(scratch *s, const char *name) {
  char from[4096], command[9000];
  snprintf(from, sizeof from, "%.*s/%s.tar.xz", (int)(strrchr(archive(), '/') - archive()), archive(), name);
  if (access(from, R_OK) != 0) return false;
  snprintf(command, sizeof command, "cd '%s' && tar xJf '%s'", s->dir, from);
  return system(command) == 0;
}

static uint64_t hash_of_lines(scratch *s, const wok_tokenizer *t, const char *file) {
  char path[512], *text;
  int64_t n, lines = 0;
  wok__hasher h;
  wok__hasher_init(&h, 0);
  snprintf(path, sizeof path, "%s/%s", s->dir, file);
  assert_works(s->c, wok__read_file(s->c, path, 1 << 28, &text, &n));
  for (char *z = text, *end = text + n; z < end && lines < 10000;) {
    char *feed = memchr(z, '\n', (size_t)(end - z));
    int64_t k = (feed ? feed : end) - z;
    if (k > 0) {
      wok_encoding *e;
      int64_t m;
      const int32_t last = -1;
      assert_works(s->c, wok_tokenizer_encode(t, z, k, NULL, &e));
      const int32_t *ids = wok_encoding_ids(e, &m);
      wok__hasher_add(&h, ids, m * 4);
      wok__hasher_add(&h, &last, 4);
      wok_encoding_free(e);
      lines++;
    }
    z += k + 1;
  }
  wok__free(text);
  return wok__hasher_end(&h);
}

static void real_lines(void **state) {
  scratch *s = *state;
  static const struct { source from; uint64_t zh, en; } all[] = {
      {{"bert uncased", "bert/vocab-bert-base-uncased.txt", "bert-hf", 1, false}, UINT64_C(0x7645c8e208e0becf), UINT64_C(0x59e4d4df4a2ebd6d)},
      {{"bert chinese", "bert/vocab-bert-base-chinese.txt", "bert-hf", 1, false}, UINT64_C(0x1cbaa24267222b4e), UINT64_C(0x4afe64148656b27f)},
      {{"gpt2", "gpt2", NULL, 0, false}, UINT64_C(0xf0121efc622bcf4f), UINT64_C(0x45347da28e61ffc8)},
      {{"t5", "t5/tokenizer_t5-small_tokenizer.json", NULL, 0, false}, UINT64_C(0x9bd80a02c63586c0), UINT64_C(0x62b338e71ef0427c)},
      {{"spm test_model", "sentencepiece/test_model.model", NULL, 0, false}, UINT64_C(0xf476920de5704224), UINT64_C(0x0f45dbbda52462f7)},
      {{"spm test_ja_model", "sentencepiece/test_ja_model.model", NULL, 0, false}, UINT64_C(0xfc02521aeb4f36d6), UINT64_C(0xbfb51b0a8dd7d15b)},
      {{"llama2", "llama2/tokenizer.model", NULL, 0, false}, UINT64_C(0xcbff1b8efcc7192a), UINT64_C(0x00691f1f814bbbcc)}};
  if (!unpack(s, "zh") || !unpack(s, "en")) {
    print_message("skipped: zh.tar.xz and en.tar.xz are not beside tokenizers.tar.xz\n");
    skip();
  }
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    wok_tokenizer *t = open_source(s, &all[i].from);
    const uint64_t zh = hash_of_lines(s, t, "zh/afqmc/train.txt"), en = hash_of_lines(s, t, "en/tinyshakespeare.txt");
    print_message("%s: %016llx %016llx\n", all[i].from.name, (unsigned long long)zh, (unsigned long long)en);
    assert_true(zh == all[i].zh);
    assert_true(en == all[i].en);
    wok_tokenizer_free(t);
  }
}

static int unpacked(void **state) {
  if (scratch_setup(state)) return -1;
  char command[8192];
  snprintf(command, sizeof command, "cd '%s' && tar xJf '%s' && cd tokenizers/bytepiece && python3 -c 'import zipfile; zipfile.ZipFile(\"bytepiece_80k.zip\").extractall()' 2>/dev/null || true",
           ((scratch *)*state)->dir, archive());
  return system(command) != 0;
}

int main(void) {
  if (!archive()) {
    printf("skipped: tokenizers.tar.xz, the peers' vocabularies with their expected ids, is not beside the tree\n");
    return 77;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(suites), cmocka_unit_test(llama_cpp), cmocka_unit_test(bytepiece), cmocka_unit_test(botchan),
                                     cmocka_unit_test(real_lines)};
  return cmocka_run_group_tests(tests, unpacked, scratch_teardown) != 0;
}
