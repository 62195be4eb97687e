/* support/tiny.h - a small text, packed, and a small model, for tests that train. Include after scratch.h. */
#ifndef WOK_TEST_TINY_H
#define WOK_TEST_TINY_H
#include <wok/train.h>
#include "base/json.h"

/* Lines with some structure: a net learns them at once, and each is a document. */
static inline const char *tiny_text(scratch *s, const char *name, int lines, int salt) {
  wok__str t;
  wok__str_init(&t, 1 << 20);
  static const char *const who[] = {"ox", "cat", "hen", "frog"}, *const what[] = {"eats rice", "drinks tea", "sleeps in the sun"};
  for (int i = 0; i < lines; i++)
    wok__str_printf(&t, "the %s number %d %s and is content.\n", who[(i * 7 + salt) % 4], (i * i + salt) % 97, what[(i * 5 + i / 3) % 3]);
  const char *path = scratch_put(s, name, t.p, t.len);
  wok__str_free(&t);
  return path;
}

/* Packs such a text into DIR/name and opens it. */
static inline wok_data *tiny_data(scratch *s, const char *name, int lines, int salt) {
  char dir[512], text[64];
  snprintf(dir, sizeof dir, "%s", scratch_at(s, name));
  snprintf(text, sizeof text, "%s.txt", name);
  const char *files[] = {tiny_text(s, text, lines, salt)};
  assert_works(s->c, wok_pack(s->c, files, 1, dir, &(wok_pack_opts){.documents = WOK_DOC_LINE, .hold_out = 10}, NULL));
  wok_data *d;
  assert_works(s->c, wok_data_open(s->c, &d, dir));
  return d;
}

/* Dropout is on: what it drops must survive a resume, too. */
static inline wok_model_config tiny_config(scratch *s, const wok_data *d) {
  wok_model_config cfg;
  static const char *const options[] = {"hidden_size=32",       "num_hidden_layers=2", "num_attention_heads=2", "intermediate_size=64",
                                        "max_position_embeddings=32", "hidden_dropout=0.1", "attention_dropout=0.1", "embedding_dropout=0.1"};
  assert_works(s->c, wok_model_preset(s->c, &cfg, "nano", NULL, wok_tokenizer_size(wok_data_tokenizer(d))));
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) assert_works(s->c, wok_model_set(s->c, &cfg, options[i]));
  return cfg;
}

static inline wok_train_opts tiny_opts(int64_t steps) {
  return (wok_train_opts){.steps = steps, .batch = 4, .seq = 32, .warmup = 2, .eval_every = 5, .save_every = 5, .seed = 3};
}

static inline bool tiny_same_file(const char *a, const char *b) {
  int64_t na, nb;
  unsigned char *pa = scratch_get(a, &na), *pb = scratch_get(b, &nb);
  bool same = na == nb && memcmp(pa, pb, (size_t)na) == 0;
  free(pa);
  free(pb);
  return same;
}
#endif
