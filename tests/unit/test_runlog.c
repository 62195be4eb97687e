/* The run log: lines, TensorBoard events, cutting back, reading what is damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include "scratch.h"
#include "train/history.h"
#include "train/runlog.h"
#include "train/tfevents.h"

/* ---- events: the bytes are printed by tests/golden/make_tfevents.py (TensorBoard's own writer) ---- */
static const char version_bytes[] = "1800000000000000a37f4b220900002040fc54d9411a0d627261696e2e4576656e743a322b353110";
static const char scalars_bytes[] = "3200000000000000241956ec0900005040fc54d94110ac022a240a110a0a747261696e2f6c6f737315000020400a0f0a08747261696e"
                                    "2f6c72156f12833a4b2df3ca";

static void assert_bytes(const wok__str *s, const char *hex) {
  assert_false(s->failed);
  assert_int_equal(s->len * 2, strlen(hex));
  for (int64_t i = 0; i < s->len; i++) {
    char two[3];
    snprintf(two, sizeof two, "%02x", (unsigned)(unsigned char)s->p[i]);
    if (memcmp(two, hex + 2 * i, 2) != 0) fail_msg("byte %d: %s, not %.2s", (int)i, two, hex + 2 * i);
  }
}

static void checksums(void **state) {
  (void)state;
  assert_int_equal(wok__crc32c("123456789", 9), 0xe3069283u); /* the check value of CRC-32C */
  assert_int_equal(wok__crc32c("", 0), 0);
  uint8_t zeros[32] = {0}; /* RFC 3720, B.4 */
  assert_int_equal(wok__crc32c(zeros, 32), 0x8a9136aau);
}

static void events_are_those_of_tensorboard(void **state) {
  (void)state;
  wok__str s;
  wok__str_init(&s, 1 << 16);
  wok__tfevents_version(&s, 1700000000.5);
  assert_bytes(&s, version_bytes);
  wok__str_clear(&s);
  const wok__scalar v[] = {{"train/loss", 2.5F}, {"train/lr", 0.001F}};
  wok__tfevents_scalars(&s, 1700000001.25, 300, v, 2);
  assert_bytes(&s, scalars_bytes);
  wok__str_free(&s);
}

/* ---- lines ---- */
static wok_step_info info_of(int64_t step) {
  return (wok_step_info){.step = step, .loss = 3.25 / (double)step, .bits = 0.1, .lr = 1e-3, .grad_norm = 0.5, .tokens = 64 * step,
                         .tokens_per_s = 1000};
}

static void write_run(wok__runlog *l, int64_t from, int64_t to) {
  for (int64_t i = from; i <= to; i++) {
    wok_step_info s = info_of(i);
    assert_int_equal(wok__runlog_step(l, &s, 0.5 * (double)i), WOK_OK);
  }
}

static void lines_come_back(void **state) {
  scratch *s = *state;
  wok__runlog *l;
  assert_works(s->c, wok__runlog_open(s->c, &l, s->dir, NULL));
  assert_works(s->c, wok__runlog_line(l, "run", json_pack("{s:s, s:I}", "model_type", "gpt2", "parameters", (json_int_t)1234)));
  assert_works(s->c, wok__runlog_baselines(l, &(wok_baselines){.unigram = 4.5, .trigram = NAN}));
  write_run(l, 1, 3);
  wok_step_info i = info_of(3);
  i.valid_loss = 1.5;
  i.valid_bits = 2.1;
  i.best_valid_bits = 2.1;
  assert_works(s->c, wok__runlog_eval(l, &i, 640, 0.1));
  assert_works(s->c, wok__runlog_sample(l, "a \"b\"\n\xff", "\xe5\xad\x90 \xe5")); /* broken UTF-8 becomes U+FFFD */
  assert_works(s->c, wok__runlog_end(l, "done", &i, 1.5, 1000));
  wok__runlog_close(l);

  wok__history h;
  assert_works(s->c, wok__history_read(s->c, &h, s->dir));
  assert_int_equal(h.damaged, 0);
  assert_int_equal(h.steps.n, 3);
  assert_true(wok__history_steps(&h)[1].loss == 3.25 / 2 && wok__history_steps(&h)[2].seconds == 1.5);
  assert_int_equal(h.evals.n, 1);
  assert_true(wok__history_evals(&h)[0].bits == 2.1 && wok__history_evals(&h)[0].tokens == 640);
  assert_true(wok__line_number(h.run, "parameters") == 1234);
  assert_true(wok__line_number(h.baselines, "unigram") == 4.5);
  assert_true(json_is_null(json_object_get(h.baselines, "trigram"))); /* JSON has no NaN */
  assert_string_equal(wok__line_word(h.end, "reason"), "done");
  const json_t *sample = json_array_get(h.samples, 0);
  assert_string_equal(wok__line_word(sample, "prompt"), "a \"b\"\n\xef\xbf\xbd");
  assert_string_equal(wok__line_word(sample, "text"), "\xe5\xad\x90 \xef\xbf\xbd");
  wok__history_free(&h);
}

static int64_t size_of(scratch *s, const char *name) {
  int64_t n;
  free(scratch_get(scratch_at(s, name), &n));
  return n;
}

/* A resumed run continues where its checkpoint was taken: nothing twice, nothing missing. */
static void cut_back(void **state) {
  scratch *s = *state;
  wok__runlog *l;
  wok__log_place place;
  assert_works(s->c, wok__runlog_open(s->c, &l, s->dir, NULL));
  assert_works(s->c, wok__runlog_line(l, "run", json_object()));
  write_run(l, 1, 5);
  assert_works(s->c, wok__runlog_sync(l, &place));
  write_run(l, 6, 9); /* lost with the crash */
  wok__runlog_close(l);
  FILE *f = fopen(scratch_at(s, WOK__LOG_NAME), "a");
  assert_non_null(f);
  fputs("{\"type\":\"step\",\"st", f);
  fclose(f);
  assert_int_equal(size_of(s, place.events) > place.events_bytes, 1);

  assert_works(s->c, wok__runlog_open(s->c, &l, s->dir, &place));
  assert_int_equal(size_of(s, WOK__LOG_NAME), place.log_bytes);
  assert_int_equal(size_of(s, place.events), place.events_bytes);
  assert_works(s->c, wok__runlog_line(l, "resume", json_object()));
  write_run(l, 6, 10);
  wok__runlog_close(l);
  wok__history h;
  assert_works(s->c, wok__history_read(s->c, &h, s->dir));
  assert_int_equal(h.steps.n, 10);
  for (int64_t i = 0; i < 10; i++) assert_true(wok__history_steps(&h)[i].step == (double)(i + 1));
  assert_int_equal(h.damaged, 0);
  assert_int_equal(h.resumes, 1);
  wok__history_free(&h);
}

static void every_cut_can_be_read(void **state) {
  scratch *s = *state;
  wok__runlog *l;
  assert_works(s->c, wok__runlog_open(s->c, &l, s->dir, NULL));
  assert_works(s->c, wok__runlog_line(l, "run", json_object()));
  write_run(l, 1, 4);
  wok__runlog_close(l);
  int64_t n, first = 0;
  unsigned char *whole = scratch_get(scratch_at(s, WOK__LOG_NAME), &n);
  while (whole[first] != '\n') first++;
  for (int64_t k = 0; k <= n; k++) {
    scratch_put(s, WOK__LOG_NAME, whole, k);
    wok__history h;
    wok_status st = wok__history_read(s->c, &h, s->dir);
    if (k < first) {
      assert_int_equal(st, WOK_FORMAT);
      continue;
    }
    assert_works(s->c, st);
    assert_true(h.damaged <= 1);
    int64_t lines = 0;
    for (int64_t i = 0; i < k; i++) lines += whole[i] == '\n';
    assert_true(h.steps.n >= lines - 1 && h.steps.n <= lines);
    wok__history_free(&h);
  }
  free(whole);
}

static void hostile_logs(void **state) {
  scratch *s = *state;
  wok__history h;
  assert_fails(s->c, wok__history_read(s->c, &h, s->dir), WOK_NOTFOUND, "is no run: it has no log.jsonl");
  scratch_puts(s, WOK__LOG_NAME, "");
  assert_fails(s->c, wok__history_read(s->c, &h, s->dir), WOK_FORMAT, "no line of it says what run this is");
  scratch_puts(s, WOK__LOG_NAME, "[]\n{\"type\":7}\n\n{\"type\":\"run\"}\nnonsense\n{\"type\":\"step\",\"step\":\"x\"}\n{\"type\":\"other\"}\n\xff\xfe\n");
  assert_works(s->c, wok__history_read(s->c, &h, s->dir));
  assert_int_equal(h.steps.n, 1); /* what it does not say is zero */
  assert_int_equal(h.damaged, 2);
  wok__history_free(&h);
}

static void both_ends_of_a_long_log(void **state) {
  scratch *s = *state;
  wok__runlog *l;
  assert_works(s->c, wok__runlog_open(s->c, &l, s->dir, NULL));
  assert_works(s->c, wok__runlog_line(l, "run", json_pack("{s:s}", "model_type", "llama")));
  write_run(l, 1, 6000);
  wok__runlog_close(l);
  wok__history h;
  assert_works(s->c, wok__history_ends(s->c, &h, s->dir));
  assert_string_equal(wok__line_word(h.run, "model_type"), "llama");
  assert_int_equal(h.damaged, 0);
  assert_true(h.steps.n > 100 && h.steps.n < 3000);
  assert_true(wok__history_steps(&h)[h.steps.n - 1].step == 6000);
  wok__history_free(&h);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(checksums), cmocka_unit_test(events_are_those_of_tensorboard),
      CASE(lines_come_back),       CASE(cut_back),
      CASE(every_cut_can_be_read), CASE(hostile_logs),
      CASE(both_ends_of_a_long_log),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
