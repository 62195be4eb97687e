/* The options of a run: defaults, what is given, what is stored, what must stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include "scratch.h"
#include "train/settings.h"

static const wok__setting_facts facts = {128, 512, 0};

static wok_train_opts resolve(scratch *s, wok_train_opts given, const json_t *stored) {
  wok_train_opts o;
  assert_works(s->c, wok__settings_resolve(s->c, &o, &given, stored, &facts));
  return o;
}

static void defaults(void **state) {
  scratch *s = *state;
  wok_train_opts o = resolve(s, (wok_train_opts){0}, NULL);
  assert_int_equal(o.steps, 1000);
  assert_int_equal(o.batch, 8);
  assert_int_equal(o.seq, 256);
  assert_int_equal(o.accumulate, 1);
  assert_true(o.lr == 3e-3 && o.min_lr == o.lr / 10);
  assert_int_equal(o.warmup, 50);
  assert_int_equal(o.eval_every, 50);
  assert_int_equal(o.save_every, 50);
  assert_true(o.beta1 == 0.9 && o.beta2 == 0.95 && o.eps == 1e-8 && o.weight_decay == 0.1 && o.clip == 1);
  assert_string_equal(o.compute, "f32");
  assert_string_equal(wok__schedule_word(o.schedule), "cosine");
  /* the learning rate falls with the width and never exceeds 1e-3 above 512 */
  wok__setting_facts wide = {768, 1024, 7}, thin = {512, 64, 0};
  assert_works(s->c, wok__settings_resolve(s->c, &o, NULL, NULL, &wide));
  assert_true(o.lr == 1e-3 && o.seed == 7);
  assert_works(s->c, wok__settings_resolve(s->c, &o, NULL, NULL, &thin));
  assert_true(fabs(o.lr - 1.5e-3) < 1e-15);
  assert_int_equal(o.seq, 64);
  o = resolve(s, (wok_train_opts){.steps = 3}, NULL);
  assert_int_equal(o.warmup, 1);
  assert_int_equal(o.eval_every, 1);
  o = resolve(s, (wok_train_opts){.steps = 100000}, NULL);
  assert_int_equal(o.warmup, 500);
  /* by time: no bound in steps, and whatever was by steps is by time */
  o = resolve(s, (wok_train_opts){.minutes = 3}, NULL);
  assert_true(o.steps == 0 && o.warmup == 0 && o.eval_every == 0 && o.save_every == 0);
}

static void negative_is_off(void **state) {
  scratch *s = *state;
  wok_train_opts o = resolve(s, (wok_train_opts){.weight_decay = -1, .clip = -1, .min_lr = -1, .beta1 = -1, .eval_every = -7, .save_every = 5}, NULL);
  assert_true(o.weight_decay == 0 && o.clip == 0 && o.min_lr == 0 && o.beta1 == 0);
  assert_int_equal(o.eval_every, -1);
  assert_int_equal(o.save_every, 5);
}

static void refused(void **state) {
  scratch *s = *state;
  static const struct { wok_train_opts o; wok_status status; const char *says; } bad[] = {
      {{.batch = -2}, WOK_INVALID, "batch must lie between 1 and 1048576, not -2"},
      {{.steps = -1}, WOK_INVALID, "steps must lie"},
      {{.lr = -1e-3}, WOK_INVALID, "lr must lie"},
      {{.lr = NAN}, WOK_INVALID, "lr must lie"},
      {{.beta2 = 1}, WOK_INVALID, "beta2 must lie"},
      {{.minutes = -2}, WOK_INVALID, "minutes must lie"},
      {{.batch = 8, .accumulate = 3}, WOK_INVALID, "batch must be a multiple of accumulate"},
      {{.seq = 513}, WOK_INVALID, "seq 513 is more than the model's 512 positions"},
      {{.batch = 1 << 20, .seq = 512}, WOK_INVALID, "use accumulate"},
      {{.compute = "bf12"}, WOK_INVALID, "compute \"bf12\""},
      {{.schedule = (wok_schedule)9}, WOK_INVALID, "schedule"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    wok_train_opts o;
    assert_fails(s->c, wok__settings_resolve(s->c, &o, &bad[i].o, NULL, &facts), bad[i].status, bad[i].says);
  }
}

/* What is not given on resume is what it was, not what the default would be now. */
static void stored_before_default(void **state) {
  scratch *s = *state;
  wok_train_opts first = resolve(s, (wok_train_opts){.steps = 200, .batch = 4, .lr = 5e-4, .schedule = WOK_SCHEDULE_LINEAR, .weight_decay = -1,
                                                     .seed = UINT64_C(0xfedcba9876543210)}, NULL);
  json_t *stored = wok__settings_json(&first);
  wok_train_opts o = resolve(s, (wok_train_opts){0}, stored);
  json_t *again = wok__settings_json(&o);
  assert_true(json_equal(stored, again));
  assert_true(o.seed == UINT64_C(0xfedcba9876543210) && o.schedule == WOK_SCHEDULE_LINEAR && o.weight_decay == 0);
  /* a longer run keeps the rise and all the rest */
  o = resolve(s, (wok_train_opts){.steps = 4000}, stored);
  assert_int_equal(o.steps, 4000);
  assert_int_equal(o.warmup, 10);
  wok__str text;
  wok__str_init(&text, 4096);
  assert_int_equal(wok__settings_differ(&o, stored, &text), 0);
  /* from steps to minutes: the bound is replaced as a whole */
  o = resolve(s, (wok_train_opts){.minutes = 2}, stored);
  assert_true(o.steps == 0 && o.minutes == 2);
  /* what must not change is listed with both values */
  o = resolve(s, (wok_train_opts){.batch = 8, .lr = 1e-3, .seed = 1, .eval_every = 3}, stored);
  assert_int_equal(wok__settings_differ(&o, stored, &text), 3);
  assert_string_equal(text.p, "batch 4 there, 8 here; lr 0.0005 there, 0.001 here; seed 0xfedcba9876543210 there, 0x1 here");
  wok__str_free(&text);
  json_decref(stored);
  json_decref(again);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
int main(void) {
  const struct CMUnitTest tests[] = {CASE(defaults), CASE(negative_is_off), CASE(refused), CASE(stored_before_default)};
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
