/* Checkpoints: what damages them is named, what was whole stays whole, copies and leftovers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "scratch.h"
#include "tiny.h"
#include "train/checkpoint.h"
#include "train/rundir.h"
#include "valgrind.h"

static wok_data *some_run(scratch *s, int64_t steps, int keep) {
  wok_data *d = tiny_data(s, "data", 60, 1);
  wok_model_config cfg = tiny_config(s, d);
  wok_train_opts o = tiny_opts(steps);
  o.keep = keep;
  char dir[512];
  snprintf(dir, sizeof dir, "%s", scratch_at(s, "run"));
  assert_works(s->c, wok_pretrain(s->c, &cfg, d, dir, &o, NULL));
  wok_model_config_free(&cfg);
  return d;
}

static const char *at(scratch *s, const char *name) {
  char path[128];
  snprintf(path, sizeof path, "run/%.100s", name);
  return scratch_at(s, path);
}

static wok_status find(scratch *s) {
  wok__run_state st;
  wok_status status = wok__checkpoint_find(s->c, scratch_at(s, "run"), &st);
  if (status == WOK_OK) wok__run_state_free(&st);
  return status;
}

static void overwrite(const char *path, const unsigned char *p, int64_t n) {
  assert_int_equal(unlink(path), 0); /* hard links of it must not follow */
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(p, 1, (size_t)n, f), (size_t)n);
  assert_int_equal(fclose(f), 0);
}

static const char *const files[] = {"checkpoint/state.json", "checkpoint/config.json", "checkpoint/model.safetensors",
                                    "checkpoint/optimizer.safetensors"};

static bool one_line_that_names(const wok_ctx *c, const char *what) {
  const char *m = wok_errmsg(c);
  return m[0] && !strchr(m, '\n') && strstr(m, what);
}

static void truncated_at_any_byte(void **state) {
  scratch *s = *state;
  wok_data *d = some_run(s, 10, 1);
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    int64_t n;
    unsigned char *whole = scratch_get(at(s, files[i]), &n);
    /* every byte of what is text, and of the headers; the numbers in larger steps */
    for (int64_t k = 0; k < n; k += under_valgrind() ? 61 : k < 1500 || k + 20 > n ? 1 : 487) {
      overwrite(at(s, files[i]), whole, k);
      wok_status st = find(s);
      if (i == 0 && k == n - 1) { /* only the last newline is missing: nothing is lost */
        assert_works(s->c, st);
        continue;
      }
      if (st != WOK_CORRUPT && st != WOK_FORMAT && st != WOK_INVALID) fail_msg("%s cut to %d bytes: status %d", files[i], (int)k, (int)st);
      if (!one_line_that_names(s->c, files[i]) || !strstr(wok_errmsg(s->c), "checkpoint-5 is whole"))
        fail_msg("%s cut to %d bytes: %s", files[i], (int)k, wok_errmsg(s->c));
    }
    /* gone altogether */
    assert_int_equal(unlink(at(s, files[i])), 0);
    assert_fails(s->c, find(s), WOK_CORRUPT, "checkpoint-5 is whole");
    overwrite(scratch_put(s, "run/spare", whole, n), whole, n);
    assert_int_equal(rename(at(s, "spare"), at(s, files[i])), 0);
    assert_works(s->c, find(s));
    free(whole);
  }
  wok_data_close(d);
}

static void any_bit_that_flips(void **state) {
  scratch *s = *state;
  wok_data *d = some_run(s, 5, 0);
  for (size_t i = 1; i < sizeof files / sizeof *files; i++) {
    int64_t n;
    unsigned char *bytes = scratch_get(at(s, files[i]), &n);
    for (int64_t k = 0; k < n; k += 1 + n / 50) {
      bytes[k] ^= (unsigned char)(1 << k % 8);
      overwrite(at(s, files[i]), bytes, n);
      bytes[k] ^= (unsigned char)(1 << k % 8);
      assert_fails(s->c, find(s), WOK_CORRUPT, "damaged");
      assert_true(one_line_that_names(s->c, "there is no older checkpoint that is whole"));
    }
    overwrite(at(s, files[i]), bytes, n);
    free(bytes);
  }
  assert_works(s->c, find(s));
  wok_data_close(d);
}

/* A resume that is refused changes nothing; with the older checkpoint in its place the run goes on. */
static void refused_resume_loses_nothing(void **state) {
  NOT_UNDER_VALGRIND("whole runs of training");
  scratch *s = *state;
  wok_data *d = some_run(s, 10, 1);
  wok_train_opts o = {.resume = true, .steps = 12};
  int64_t n, log_bytes, m;
  unsigned char *whole = scratch_get(at(s, "checkpoint/model.safetensors"), &n);
  free(scratch_get(at(s, "log.jsonl"), &log_bytes));
  overwrite(at(s, "checkpoint/model.safetensors"), whole, n / 2);
  assert_fails(s->c, wok_pretrain(s->c, NULL, d, scratch_at(s, "run"), &o, NULL), WOK_CORRUPT, "checkpoint-5 is whole: put it in the place");
  free(scratch_get(at(s, "log.jsonl"), &m));
  assert_int_equal(m, log_bytes);
  unsigned char *root = scratch_get(at(s, "model.safetensors"), &m);
  assert_true(m == n && memcmp(root, whole, (size_t)n) == 0); /* the run's model was another name of the file, and still is whole */
  free(root);
  free(whole);
  assert_works(s->c, wok__remove_tree(s->c, at(s, "checkpoint")));
  assert_int_equal(rename(at(s, "checkpoint-5"), at(s, "checkpoint")), 0);
  wok_train_result r;
  assert_works(s->c, wok_pretrain(s->c, NULL, d, scratch_at(s, "run"), &o, &r));
  assert_int_equal(r.last.step, 12);
  wok_data_close(d);
}

/* What a kill may leave behind between any two system calls. */
static void leftovers(void **state) {
  NOT_UNDER_VALGRIND("whole runs of training");
  scratch *s = *state;
  wok_data *d = some_run(s, 10, 2);
  assert_works(s->c, wok__mkdirs(s->c, at(s, "checkpoint.new")));
  scratch_puts(s, "run/checkpoint.new/model.safetensors", "half");
  assert_works(s->c, wok__mkdirs(s->c, at(s, "best.new")));
  assert_works(s->c, wok__mkdirs(s->c, at(s, "checkpoint-10.new")));
  assert_works(s->c, wok__mkdirs(s->c, at(s, "checkpoint.old-77")));
  assert_works(s->c, wok__mkdirs(s->c, at(s, "notes"))); /* the user's */
  assert_works(s->c, find(s));
  const char *const gone[] = {"checkpoint.new", "best.new", "checkpoint-10.new", "checkpoint.old-77"};
  for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) assert_false(wok__exists(at(s, gone[i])));
  assert_true(wok__exists(at(s, "notes")) && wok__exists(at(s, "checkpoint-5/state.json")));
  /* on a file system without an exchange of names: moved aside, the new one not yet in place */
  assert_int_equal(rename(at(s, "checkpoint"), at(s, "checkpoint.old-77")), 0);
  assert_works(s->c, wok__mkdirs(s->c, at(s, "checkpoint.new")));
  assert_works(s->c, find(s));
  assert_true(wok__exists(at(s, "checkpoint/state.json")) && !wok__exists(at(s, "checkpoint.new")));
  /* removing a run takes what is its own, and leaves the rest */
  assert_works(s->c, wok__run_remove(s->c, scratch_at(s, "run")));
  assert_true(wok__exists(at(s, "notes")) && !wok__exists(at(s, "checkpoint")) && !wok__exists(at(s, "log.jsonl")) &&
              !wok__exists(at(s, "checkpoint-5")) && !wok__exists(at(s, "best")) && !wok__exists(at(s, "model.safetensors")));
  wok_data_close(d);
}

static void hostile_states(void **state) {
  scratch *s = *state;
  wok_data *d = some_run(s, 5, 0);
  int64_t n;
  unsigned char *whole = scratch_get(at(s, "checkpoint/state.json"), &n);
  static const struct { const char *from, *to, *says; wok_status status; } change[] = {
      {"\"version\": 1", "\"version\": 2", "version 2; this wok reads version 1", WOK_UNSUPPORTED},
      {"\"step\": 5", "\"step\": -5", "step must be", WOK_OK},
      {"\"step\": 5", "\"step\": \"x\"", "step must be", WOK_OK},
      {"\"best_step\": 5", "\"best_step\": 6", "best_step must be", WOK_OK},
      {"\"events\": \"events", "\"events\": \"../events", "is no name of an event file", WOK_OK},
      {"\"events\": \"events.out.tfevents.", "\"events\": \"events.out.tfevents./", "is no name of an event file", WOK_OK},
      {"\"settings\": {", "\"setting\": {", "settings are missing", WOK_OK},
      {"\"hash\":", "\"hush\":", "the hash of config.json is missing", WOK_OK},
      {"\"data\": \"", "\"data\": \"zz", "data must be a hash", WOK_OK},
  };
  for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
    char text[8192];
    const char *place = strstr((const char *)whole, change[i].from);
    assert_non_null(place);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(place - (const char *)whole), (const char *)whole, change[i].to, place + strlen(change[i].from));
    scratch_puts(s, "run/checkpoint/state.json", text);
    wok_status st = find(s);
    if (st == WOK_OK || (change[i].status && st != change[i].status) || !one_line_that_names(s->c, change[i].says))
      fail_msg("%s: status %d, %s", change[i].to, (int)st, wok_errmsg(s->c));
  }
  scratch_put(s, "run/checkpoint/state.json", whole, n);
  assert_works(s->c, find(s));
  free(whole);
  wok_data_close(d);
}

static void copies(void **state) {
  NOT_UNDER_VALGRIND("whole runs of training");
  scratch *s = *state;
  char from[512], to[512];
  snprintf(from, sizeof from, "%s", scratch_puts(s, "a", "one"));
  snprintf(to, sizeof to, "%s", scratch_puts(s, "b", "two"));
  assert_works(s->c, wok__copy_file(s->c, from, to));
  assert_true(tiny_same_file(from, to));
  assert_works(s->c, wok__copy_file(s->c, from, to)); /* a link of itself: no litter */
  assert_false(wok__exists(scratch_at(s, "b.link")));
  struct stat x, y;
  assert_true(stat(from, &x) == 0 && stat(to, &y) == 0 && x.st_ino == y.st_ino);
  assert_fails(s->c, wok__copy_file(s->c, scratch_at(s, "none"), to), WOK_NOTFOUND, "none");
  assert_true(tiny_same_file(from, to));
}

static void kept_ones(void **state) {
  NOT_UNDER_VALGRIND("whole runs of training");
  scratch *s = *state;
  wok_data *d = some_run(s, 20, 2); /* saved at 5, 10, ... */
  const char *const there[] = {"checkpoint-10", "checkpoint-15"}, *const gone[] = {"checkpoint-5", "checkpoint-20"};
  for (int i = 0; i < 2; i++) assert_true(wok__is_dir(at(s, there[i])));
  for (int i = 0; i < 2; i++) assert_false(wok__exists(at(s, gone[i])));
  wok__run_state st;
  assert_works(s->c, wok__checkpoint_find(s->c, scratch_at(s, "run"), &st));
  assert_int_equal(st.step, 20);
  assert_int_equal(st.tokens, 20 * 128);
  assert_true(st.best_step > 0 && st.best_bits > 0 && st.seconds > 0 && st.evaluated_step == 20);
  assert_true(st.data_hash == wok_data_hash(d));
  wok__run_state_free(&st);
  /* each is a model directory of its own */
  wok_model *m;
  wok_eval_result e;
  assert_works(s->c, wok_model_open(s->c, &m, at(s, "checkpoint-15")));
  assert_works(s->c, wok_eval(m, d, &(wok_eval_opts){.split = WOK_VALID, .seq = 32}, &e));
  wok_model_free(m);
  wok_data_close(d);
}

/* ---- bad luck while writing ---- */
static wok_status go_on(scratch *s, wok_data *d, const char *run, wok_train_opts o) {
  wok_model_config cfg = tiny_config(s, d);
  char dir[512];
  snprintf(dir, sizeof dir, "%s", scratch_at(s, run));
  wok_status st = wok_pretrain(s->c, &cfg, d, dir, &o, NULL);
  wok_model_config_free(&cfg);
  return st;
}

static void killed_at_any_moment(void **state) {
  NOT_UNDER_VALGRIND("whole runs of training");
  scratch *s = *state;
  wok_data *d = some_run(s, 40, 0);
  wok_train_opts o = tiny_opts(40);
  o.save_every = o.eval_every = 2; /* most of the time goes into writing */
  o.keep = 1;
  o.resume = true;
  assert_works(s->c, wok__mkdirs(s->c, scratch_at(s, "killed")));
  int64_t step = 0;
  for (int i = 0; i < 12; i++) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(go_on(s, d, "killed", o) == WOK_OK ? 0 : 1);
    struct timespec pause = {0, 1000000L * (20 + i * 13 + i * i * 7 % 50)};
    nanosleep(&pause, NULL);
    kill(child, SIGKILL);
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    wok__run_state st;
    wok_status found = wok__checkpoint_find(s->c, scratch_at(s, "killed"), &st);
    if (found == WOK_NOTFOUND) {
      assert_int_equal(step, 0); /* what was there is not lost */
      continue;
    }
    assert_works(s->c, found);
    assert_true(st.step >= step);
    step = st.step;
    wok__run_state_free(&st);
  }
  assert_works(s->c, go_on(s, d, "killed", o));
  assert_true(tiny_same_file(scratch_at(s, "run/model.safetensors"), scratch_at(s, "killed/model.safetensors")));
  assert_true(tiny_same_file(scratch_at(s, "run/checkpoint/optimizer.safetensors"), scratch_at(s, "killed/checkpoint/optimizer.safetensors")));
  wok_data_close(d);
}

/* No room for the second checkpoint: a limit on the size of files acts as a full disk does. */
static void a_full_disk(void **state) {
  NOT_UNDER_VALGRIND("whole runs of training");
  scratch *s = *state;
  wok_data *d = some_run(s, 10, 0);
  int64_t n;
  free(scratch_get(at(s, "checkpoint/optimizer.safetensors"), &n));
  assert_works(s->c, go_on(s, d, "full", tiny_opts(5)));
  wok_train_opts o = tiny_opts(10);
  o.resume = true;
  int message[2];
  assert_int_equal(pipe(message), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    struct rlimit small = {(rlim_t)n - 1000, (rlim_t)n - 1000};
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &small) != 0) _exit(99);
    wok_status st = go_on(s, d, "full", o);
    const char *m = wok_errmsg(s->c);
    if (write(message[1], m, strlen(m)) < 0) _exit(98);
    _exit((int)st);
  }
  close(message[1]);
  char said[1024] = "";
  int how;
  if (read(message[0], said, sizeof said - 1) < 0) said[0] = '\0';
  close(message[0]);
  assert_int_equal(waitpid(child, &how, 0), child);
  assert_int_equal(WEXITSTATUS(how), WOK_NOSPACE);
  if (!strstr(said, "step 10 could not be saved (the checkpoint of step 5 is as it was): ")) fail_msg("%s", said);
  wok__run_state st;
  assert_works(s->c, wok__checkpoint_find(s->c, scratch_at(s, "full"), &st));
  assert_int_equal(st.step, 5);
  wok__run_state_free(&st);
  assert_works(s->c, go_on(s, d, "full", o)); /* with room it goes on */
  assert_works(s->c, wok__checkpoint_find(s->c, scratch_at(s, "full"), &st));
  assert_int_equal(st.step, 10);
  wok__run_state_free(&st);
  wok_data_close(d);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(truncated_at_any_byte), CASE(any_bit_that_flips), CASE(refused_resume_loses_nothing), CASE(leftovers), CASE(hostile_states),
      CASE(copies),                CASE(kept_ones),          CASE(killed_at_any_moment),          CASE(a_full_disk),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
