/* A host program under a locale with a decimal comma packs, trains, saves and opens again: byte for byte what the C locale gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <wok.h>
#include "scratch.h"
#include "test_base_locale.h"

static const char text[] = "it was the best of times, it was the worst of times, it was the age of wisdom, 3,5 times 2.5 is 8,75;\n"
                           "it was the age of foolishness, it was the epoch of belief.\n"
                           "\xe8\xb7\xaf\xe9\x81\xa5\xe7\x9f\xa5\xe9\xa9\xac\xe5\x8a\x9b,\xe6\x97\xa5\xe4\xb9\x85\xe8\xa7\x81\xe4\xba\xba\xe5\xbf\x83\n";
static const char *const assignments[] = {"num_hidden_layers=1",      "hidden_size=32",        "num_attention_heads=2", "max_position_embeddings=32",
                                          "attention_dropout=0.125", "norm_eps=1.5e-05", "norm=rms",              "initializer_range=0.0215"};

static void configure(wok_ctx *c, wok_model_config *cfg, int64_t vocab) {
  assert_works(c, wok_model_preset(c, cfg, "nano", "gpt2", vocab));
  for (size_t i = 0; i < sizeof assignments / sizeof *assignments; i++) assert_works(c, wok_model_set(c, cfg, assignments[i]));
  assert_works(c, wok_model_check(c, cfg));
}

/* Everything into the folder `name`; steps more than were made before. */
static void make(scratch *s, const char *name, int64_t steps, bool resume) {
  char data[600], run[600];
  snprintf(data, sizeof data, "%s/%s/data", s->dir, name);
  snprintf(run, sizeof run, "%s/%s/run", s->dir, name);
  assert_works(s->c, wok__mkdirs(s->c, scratch_at(s, name)));
  const char *corpus = scratch_puts(s, "corpus", text);
  wok_pack_opts p = {.documents = WOK_DOC_LINE, .hold_out = 33.5, .min_count = 1};
  if (!resume) assert_works(s->c, wok_pack(s->c, &corpus, 1, data, &p, NULL));
  wok_data *d;
  wok_model_config cfg;
  assert_works(s->c, wok_data_open(s->c, &d, data));
  configure(s->c, &cfg, wok_tokenizer_size(wok_data_tokenizer(d)));
  wok_train_opts o = {.steps = steps, .batch = 2, .seq = 16, .lr = 0.0125, .warmup = 1, .weight_decay = 0.5, .eval_every = 3, .seed = 5,
                      .schedule = WOK_SCHEDULE_CONSTANT, .resume = resume, .baselines = true};
  wok_train_result r;
  assert_works(s->c, wok_pretrain(s->c, &cfg, d, run, &o, &r));
  assert_int_equal(r.last.step, steps);
  wok_model_config_free(&cfg);
  wok_data_close(d);
}

static void same_file(scratch *s, const char *a, const char *b, const char *name) {
  char x[700], y[700];
  int64_t nx, ny;
  snprintf(x, sizeof x, "%s/%s/%s", s->dir, a, name);
  snprintf(y, sizeof y, "%s/%s/%s", s->dir, b, name);
  unsigned char *px = scratch_get(x, &nx), *py = scratch_get(y, &ny);
  if (nx != ny || memcmp(px, py, (size_t)nx) != 0) fail_msg("%s differs between %s and %s", name, a, b);
  free(px);
  free(py);
}

static const char *const files[] = {"data/train.wok",         "data/valid.wok",  "data/tokenizer.json",        "data/data.json",
                                    "run/config.json",        "run/tokenizer.json", "run/model.safetensors", "run/best/model.safetensors",
                                    "run/checkpoint/config.json", "run/checkpoint/optimizer.safetensors"};

static void compare(scratch *s, const char *a, const char *b) {
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) same_file(s, a, b, files[i]);
}

static void report(scratch *s, const char *run, const char *page) {
  char dir[600], path[600];
  snprintf(dir, sizeof dir, "%s/%s/run", s->dir, run);
  snprintf(path, sizeof path, "%s/%s/page.html", s->dir, page);
  assert_works(s->c, wok__mkdirs(s->c, scratch_at(s, page)));
  assert_works(s->c, wok_report_write(s->c, dir, path));
}

static void same_under_a_comma(void **state) {
  scratch *s = *state;
  make(s, "c", 3, false);
  make(s, "c-then-comma", 3, false);
  report(s, "c", "page-c");
  if (!comma_locale()) {
    print_message("no locale with a decimal comma here, and none could be made\n");
    skip();
  }
  char number[16];
  snprintf(number, sizeof number, "%.1f", 0.5);
  assert_string_equal(number, "0,5");
  make(s, "comma", 3, false);
  compare(s, "c", "comma");
  report(s, "c", "page-comma");
  same_file(s, "page-c", "page-comma", "page.html");
  /* what one wrote, the other goes on with */
  make(s, "c-then-comma", 6, true);
  (void)setlocale(LC_ALL, "C");
  make(s, "comma", 6, true);
  make(s, "c", 6, true);
  compare(s, "c", "comma");
  compare(s, "c", "c-then-comma");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(same_under_a_comma, scratch_setup, scratch_teardown)};
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
