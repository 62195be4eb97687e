/* Training runs: they learn, they are the same whoever computes them, they stop and go on, they refuse what does not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <wok/infer.h>
#include "scratch.h"
#include "tiny.h"
#include "train/batch.h"
#include "train/engine.h"
#include "train/history.h"
#include "valgrind.h"

typedef struct seen {
  wok_ctx *c;
  int64_t stop_at, kill_at; /* steps; 0: never */
  int64_t steps, evals;
  double first, last;
} seen;

static void watch(void *ud, const wok_step_info *i) {
  seen *k = ud;
  k->steps++;
  k->evals += i->evaluated;
  if (k->steps == 1) k->first = i->loss;
  k->last = i->loss;
  if (k->stop_at && i->step == k->stop_at) wok_cancel(k->c);
  if (k->kill_at && i->step == k->kill_at) raise(SIGKILL);
}

static wok_status train(scratch *s, wok_data *d, const char *run, wok_train_opts o, seen *k, wok_train_result *r) {
  wok_model_config cfg = tiny_config(s, d);
  char dir[512];
  snprintf(dir, sizeof dir, "%s", scratch_at(s, run));
  if (k) {
    k->c = s->c;
    o.on_step = watch;
    o.ud = k;
  }
  wok_status st = wok_pretrain(s->c, &cfg, d, dir, &o, r);
  wok_model_config_free(&cfg);
  wok_cancel_clear(s->c);
  return st;
}

static bool same_in(scratch *s, const char *a, const char *b, const char *file) {
  char x[128], y[128];
  snprintf(x, sizeof x, "%.40s/%.80s", a, file);
  snprintf(y, sizeof y, "%.40s/%.80s", b, file);
  return tiny_same_file(scratch_at(s, x), scratch_at(s, y));
}

/* Everything that a step reports, but how long it took. */
static void same_history(scratch *s, const char *a, const char *b) {
  wok__history x, y;
  assert_works(s->c, wok__history_read(s->c, &x, scratch_at(s, a)));
  assert_works(s->c, wok__history_read(s->c, &y, scratch_at(s, b)));
  assert_int_equal(x.steps.n, y.steps.n);
  assert_int_equal(x.evals.n, y.evals.n);
  for (int64_t i = 0; i < x.steps.n; i++) {
    const wok__step_row *p = &wok__history_steps(&x)[i], *q = &wok__history_steps(&y)[i];
    if (p->step != q->step || p->loss != q->loss || p->bits != q->bits || p->lr != q->lr || p->grad_norm != q->grad_norm || p->tokens != q->tokens)
      fail_msg("step %g: loss %.17g, not %.17g", p->step, q->loss, p->loss);
  }
  for (int64_t i = 0; i < x.evals.n; i++) {
    const wok__eval_row *p = &wok__history_evals(&x)[i], *q = &wok__history_evals(&y)[i];
    assert_true(p->step == q->step && p->loss == q->loss && p->best_bits == q->best_bits);
  }
  wok__history_free(&x);
  wok__history_free(&y);
}

/* ---- learning ---- */
static void it_learns(void **state) {
  NOT_UNDER_VALGRIND("whole runs of training");
  scratch *s = *state;
  wok_data *d = tiny_data(s, "data", 300, 1);
  seen k = {0};
  wok_train_result r;
  const char *samples[] = {"the ox"};
  wok_train_opts o = tiny_opts(60);
  o.eval_every = 20;
  o.lr = 1e-2;
  o.samples = samples;
  o.nsamples = 1;
  o.baselines = true;
  assert_works(s->c, train(s, d, "run", o, &k, &r));
  assert_int_equal(k.steps, 60);
  assert_int_equal(k.evals, 3);
  assert_true(fabs(k.first - log((double)wok_tokenizer_size(wok_data_tokenizer(d)))) < 0.3); /* it begins knowing nothing */
  assert_true(k.last < 0.6 * k.first);
  assert_true(r.last.step == 60 && r.last.valid_bits > 0 && r.last.best_valid_bits <= r.last.valid_bits && r.last.tokens == 60 * 128);
  assert_true(r.last.tokens_per_s > 0 && r.last.gflops > 0 && r.peak_bytes > 0 && !r.resumed && !r.interrupted);

  /* the run directory is a model directory; evaluation of it is what the run said last */
  wok_model *m;
  wok_eval_result e[3];
  assert_works(s->c, wok_model_open(s->c, &m, scratch_at(s, "run")));
  for (int i = 0; i < 3; i++) {
    wok_eval_opts opts = {.split = WOK_VALID, .seq = 32, .batch = i == 0 ? 0 : i == 1 ? 1 : 3};
    assert_works(s->c, wok_eval(m, d, &opts, &e[i]));
    assert_true(fabs(e[i].loss - e[0].loss) < 1e-6 * e[0].loss); /* whatever the batch */
    assert_int_equal(e[i].tokens, e[0].tokens);
    assert_true(e[i].accuracy == e[0].accuracy);
  }
  wok_split_info info;
  wok_data_info(d, WOK_VALID, &info);
  assert_int_equal(e[0].tokens, info.tokens);
  assert_true(fabs(e[0].loss - r.last.valid_loss) < 1e-5 * e[0].loss);
  assert_true(fabs(e[0].bits - e[0].loss / log(2) * (double)info.tokens / (double)info.chars) < 1e-12);
  assert_true(e[0].accuracy > 0.2 && e[0].accuracy < 1);
  assert_true(fabs(e[0].perplexity - exp(e[0].loss)) < 1e-9);
  assert_string_equal(e[0].unit, "character");
  wok_model_free(m);
  assert_works(s->c, wok_model_open(s->c, &m, scratch_at(s, "run/best")));
  wok_model_free(m);

  wok__history h;
  assert_works(s->c, wok__history_read(s->c, &h, scratch_at(s, "run")));
  assert_int_equal(h.steps.n, 60);
  assert_int_equal(json_array_size(h.samples), 1);
  assert_true(wok__line_number(h.baselines, "bigram") > 0);
  assert_string_equal(wok__line_word(h.end, "reason"), "done");
  wok__history_free(&h);
  wok_run_summary *list;
  int64_t n;
  assert_works(s->c, wok_runs_list(s->c, s->dir, &list, &n));
  assert_int_equal(n, 1);
  assert_true(list[0].step == 60 && list[0].steps == 60 && list[0].best_bits == r.last.best_valid_bits);
  assert_string_equal(list[0].state, "done");
  assert_string_equal(list[0].model, "gpt2");
  wok_text_free((char *)list);
  wok_data_close(d);
}

/* The argmax of every row, by hand. */
static void accuracy_is_counted_right(void **state) {
  scratch *s = *state;
  wok_data *d = tiny_data(s, "data", 60, 1);
  assert_works(s->c, train(s, d, "run", tiny_opts(5), NULL, NULL));
  wok_model *m;
  wok_eval_result e;
  assert_works(s->c, wok_model_open(s->c, &m, scratch_at(s, "run")));
  assert_works(s->c, wok_eval(m, d, &(wok_eval_opts){.split = WOK_VALID, .seq = 32}, &e));
  wok__docs docs = wok__docs_of(s->c, d, WOK_VALID);
  wok__sweep w;
  wok__batch b;
  int64_t vocab = wok_tokenizer_size(wok_data_tokenizer(d)), right = 0, rows = 0;
  float *logits = malloc((size_t)(32 * vocab) * sizeof *logits);
  double nats = 0;
  assert_works(s->c, wok__batch_new(s->c, &b, 32));
  wok__sweep_open(&w, &docs, 32);
  for (;;) {
    assert_works(s->c, wok__sweep_next(&w, &b, 0));
    if (!b.targets) break;
    for (int64_t from = 0, to; from < b.targets; from = to) {
      for (to = from + 1; to < b.targets && b.seq[to] == b.seq[from]; to++) {
      }
      assert_works(s->c, wok_logits(m, b.ids + from, to - from, logits));
      for (int64_t r = from; r < to; r++, rows++) {
        const float *row = logits + (r - from) * vocab;
        int64_t best = 0;
        double sum = 0;
        for (int64_t v = 0; v < vocab; v++) {
          if (row[v] > row[best]) best = v;
          sum += exp((double)row[v]);
        }
        right += best == b.labels[r];
        nats += log(sum) - (double)row[b.labels[r]];
      }
    }
  }
  assert_int_equal(rows, e.tokens);
  assert_true(fabs(nats / (double)rows - e.loss) < 1e-5);
  assert_true(fabs((double)right / (double)rows - e.accuracy) < 1e-12);
  free(logits);
  wok__batch_free(&b);
  wok_model_free(m);
  wok_data_close(d);
}

/* ---- the same, whoever computes it ---- */
static void threads_do_not_matter(void **state) {
  NOT_UNDER_VALGRIND("whole runs of training");
  scratch *s = *state;
  wok_data *d = tiny_data(s, "data", 200, 2);
  assert_works(s->c, train(s, d, "one", tiny_opts(12), NULL, NULL));
  wok_data_close(d);
  wok_ctx *single = s->c;
  assert_works(single, wok_ctx_new(&s->c, &(wok_ctx_opts){.threads = 3}));
  assert_works(s->c, wok_data_open(s->c, &d, scratch_at(s, "data")));
  assert_works(s->c, train(s, d, "three", tiny_opts(12), NULL, NULL));
  wok_data_close(d);
  wok_ctx_free(s->c);
  s->c = single;
  assert_true(same_in(s, "one", "three", "model.safetensors"));
  assert_true(same_in(s, "one", "three", "checkpoint/optimizer.safetensors"));
  same_history(s, "one", "three");
}

/* Documents of 32 tokens: micro-batches then cut nothing, and the sums are the same up to their order. */
static void accumulation(void **state) {
  NOT_UNDER_VALGRIND("whole runs of training");
  scratch *s = *state;
  wok__str t;
  wok__str_init(&t, 1 << 20);
  for (int i = 0; i < 200; i++) wok__str_printf(&t, "%03d: a line of 31 characters %02d\n", i, (i * 37) % 100);
  const char *files[] = {scratch_put(s, "text", t.p, t.len)};
  wok__str_free(&t);
  char dir[512];
  snprintf(dir, sizeof dir, "%s", scratch_at(s, "data"));
  assert_works(s->c, wok_pack(s->c, files, 1, dir, &(wok_pack_opts){.documents = WOK_DOC_LINE, .hold_out = -1}, NULL));
  wok_data *d;
  assert_works(s->c, wok_data_open(s->c, &d, dir));
  wok_model_config cfg = tiny_config(s, d);
  for (int i = 0; i < 3; i++) /* dropout draws by micro-batch: without it */
    assert_works(s->c, wok_model_set(s->c, &cfg, (const char *[]){"hidden_dropout=0", "attention_dropout=0", "embedding_dropout=0"}[i]));
  wok_train_result r[2];
  for (int i = 0; i < 2; i++) {
    wok_train_opts o = tiny_opts(8);
    o.accumulate = i ? 4 : 1;
    snprintf(dir, sizeof dir, "%s", scratch_at(s, i ? "four" : "one"));
    assert_works(s->c, wok_pretrain(s->c, &cfg, d, dir, &o, &r[i]));
  }
  assert_true(fabs(r[0].last.loss - r[1].last.loss) < 1e-4 && fabs(r[0].last.grad_norm - r[1].last.grad_norm) < 1e-3);
  assert_int_equal(r[0].last.tokens, r[1].last.tokens);
  wok_model_config_free(&cfg);
  wok_data_close(d);
}

/* ---- stopping and going on ---- */
static void interrupted_and_resumed(void **state) {
  NOT_UNDER_VALGRIND("whole runs of training");
  scratch *s = *state;
  wok_data *d = tiny_data(s, "data", 100, 3);
  wok_train_opts o = tiny_opts(14);
  o.keep = 1;
  wok_train_result r;
  assert_works(s->c, train(s, d, "straight", o, NULL, NULL));
  /* in the middle, at an evaluation, and before the first checkpoint */
  const int64_t stops[] = {2, 7, 10};
  for (size_t i = 0; i < 3; i++) {
    seen k = {.stop_at = stops[i]};
    assert_fails(s->c, train(s, d, "stopped", o, &k, &r), WOK_INTERRUPTED, "everything is saved");
    assert_true(r.interrupted && r.last.step == stops[i]);
    o.resume = true;
  }
  assert_works(s->c, train(s, d, "stopped", o, NULL, &r));
  assert_true(r.resumed && !r.interrupted && r.last.step == 14);
  assert_true(same_in(s, "straight", "stopped", "model.safetensors"));
  assert_true(same_in(s, "straight", "stopped", "config.json"));
  assert_true(same_in(s, "straight", "stopped", "checkpoint/optimizer.safetensors"));
  assert_true(same_in(s, "straight", "stopped", "best/model.safetensors"));
  same_history(s, "straight", "stopped");
  /* the one before is kept, and only that */
  assert_true(wok__is_dir(scratch_at(s, "straight/checkpoint-10")) && !wok__is_dir(scratch_at(s, "straight/checkpoint-5")));
  wok_data_close(d);
}

/* A progress function that says no stops it in the same way. */
static bool no_more(void *ud, const wok_progress *p) {
  (void)p;
  return --*(int *)ud > 0;
}
static void stopped_by_progress(void **state) {
  scratch *s = *state;
  wok_data *d = tiny_data(s, "data", 60, 3);
  wok_data_close(d);
  int calls = 2;
  wok_ctx *plain = s->c;
  assert_works(plain, wok_ctx_new(&s->c, &(wok_ctx_opts){.threads = 1, .progress = no_more, .progress_ud = &calls}));
  calls = 1000000;
  assert_works(s->c, wok_data_open(s->c, &d, scratch_at(s, "data")));
  calls = 1;
  wok_train_result r;
  assert_fails(s->c, train(s, d, "run", tiny_opts(100000), NULL, &r), WOK_INTERRUPTED, "interrupted after step 1 of 100000");
  assert_true(wok__exists(scratch_at(s, "run/checkpoint/state.json")));
  wok_data_close(d);
  wok_ctx_free(s->c);
  s->c = plain;
}

static void killed_and_resumed(void **state) {
  NOT_UNDER_VALGRIND("whole runs of training");
  scratch *s = *state;
  wok_data *d = tiny_data(s, "data", 100, 4);
  wok_train_opts o = tiny_opts(12);
  wok_train_result r;
  assert_works(s->c, train(s, d, "straight", o, NULL, NULL));
  const int64_t kills[] = {3, 8, 11}; /* before the first checkpoint, after it, after the second */
  for (size_t i = 0; i < 3; i++) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
      seen k = {.kill_at = kills[i]};
      (void)train(s, d, "killed", o, &k, NULL);
      _exit(1);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
    o.resume = true;
  }
  assert_works(s->c, train(s, d, "killed", o, NULL, &r));
  assert_true(r.resumed);
  assert_true(same_in(s, "straight", "killed", "model.safetensors"));
  assert_true(same_in(s, "straight", "killed", "checkpoint/optimizer.safetensors"));
  same_history(s, "straight", "killed");
  wok_data_close(d);
}

static void a_finished_run_goes_on(void **state) {
  NOT_UNDER_VALGRIND("whole runs of training");
  scratch *s = *state;
  wok_data *d = tiny_data(s, "data", 60, 5);
  wok_train_opts o = tiny_opts(6);
  wok_train_result r;
  const char *samples[] = {"the hen"};
  o.samples = samples;
  o.nsamples = 1;
  assert_works(s->c, train(s, d, "run", o, NULL, NULL));
  o.resume = true;
  assert_works(s->c, train(s, d, "run", o, NULL, &r)); /* nothing to do */
  assert_true(r.last.step == 6 && r.resumed && r.last.loss > 0);
  o.steps = 9;
  /* the configuration, too, may be left to the checkpoint */
  assert_works(s->c, wok_pretrain(s->c, NULL, d, scratch_at(s, "run"), &o, &r));
  assert_int_equal(r.last.step, 9);
  wok__history h;
  assert_works(s->c, wok__history_read(s->c, &h, scratch_at(s, "run")));
  assert_int_equal(h.steps.n, 9);
  assert_int_equal(json_array_size(h.samples), 1); /* those of the first end went with its end */
  assert_int_equal(h.resumes, 1); /* the one that had nothing to do left nothing */
  wok__history_free(&h);
  wok_data_close(d);
}

/* ---- what is refused ---- */
static void directories(void **state) {
  scratch *s = *state;
  wok_data *d = tiny_data(s, "data", 60, 6);
  wok_train_opts o = tiny_opts(4);
  assert_fails(s->c, train(s, d, "data", o, NULL, NULL), WOK_MISMATCH, "holds packed data");
  assert_works(s->c, train(s, d, "run", o, NULL, NULL));
  assert_fails(s->c, train(s, d, "run", o, NULL, NULL), WOK_MISMATCH, "holds a run that stands at step 4: resume to go on");
  o.overwrite = true;
  assert_works(s->c, train(s, d, "run", o, NULL, NULL));
  assert_fails(s->c, train(s, d, "run/checkpoint", o, NULL, NULL), WOK_MISMATCH, "a model that is not of a run");
  wok__lock lock;
  assert_works(s->c, wok__lock_dir(s->c, &lock, scratch_at(s, "run")));
  assert_fails(s->c, train(s, d, "run", o, NULL, NULL), WOK_LOCKED, "run");
  wok__unlock(&lock);
  scratch_puts(s, "file", "x");
  assert_fails(s->c, train(s, d, "file/run", o, NULL, NULL), WOK_IO, "file");
  /* an overwriting run that cannot begin leaves the old one alone */
  o.seq = 33;
  assert_fails(s->c, train(s, d, "run", o, NULL, NULL), WOK_INVALID, "seq 33 is more than the model's 32 positions");
  assert_true(wok__exists(scratch_at(s, "run/checkpoint/state.json")));
  /* a run killed before its first checkpoint is begun again by resume; older checkpoints are not lost by it */
  wok_train_opts again = tiny_opts(4);
  again.resume = true;
  assert_works(s->c, wok__remove_tree(s->c, scratch_at(s, "run/checkpoint")));
  assert_works(s->c, train(s, d, "run", again, NULL, NULL));
  assert_int_equal(rename(scratch_at(s, "run/checkpoint"), scratch_at(s, "run/checkpoint-4")), 0);
  assert_fails(s->c, train(s, d, "run", again, NULL, NULL), WOK_CORRUPT, "the newest of step 4");
  wok_data_close(d);
}

static void resume_with_something_else(void **state) {
  NOT_UNDER_VALGRIND("whole runs of training");
  scratch *s = *state;
  wok_data *d = tiny_data(s, "data", 60, 7), *other = tiny_data(s, "other", 60, 8);
  wok_train_opts o = tiny_opts(4);
  assert_works(s->c, train(s, d, "run", o, NULL, NULL));
  o.resume = true;
  o.steps = 8;
  wok_train_opts changed = o;
  changed.batch = 8;
  changed.lr = 0.5;
  assert_fails(s->c, train(s, d, "run", changed, NULL, NULL), WOK_MISMATCH, "batch 4 there, 8 here; lr 0.006 there, 0.5 here");
  assert_fails(s->c, train(s, other, "run", o, NULL, NULL), WOK_MISMATCH, "the data (another pack");
  wok_model_config cfg = tiny_config(s, d);
  assert_works(s->c, wok_model_set(s->c, &cfg, "hidden_size=64"));
  assert_works(s->c, wok_model_set(s->c, &cfg, "layer.1/hidden_dropout=0.2"));
  assert_fails(s->c, wok_pretrain(s->c, &cfg, d, scratch_at(s, "run"), &o, NULL), WOK_MISMATCH, "hidden_size 32 there, 64 here");
  assert_non_null(strstr(wok_errmsg(s->c), "layer.1/hidden_dropout 0.1 there, 0.2 here"));
  wok_model_config_free(&cfg);
  /* other kernels sum in another order */
  wok_ctx *best = s->c;
  wok_data *same;
  assert_works(best, wok_ctx_new(&s->c, &(wok_ctx_opts){.threads = 1, .isa_cap = "generic"}));
  assert_works(s->c, wok_data_open(s->c, &same, scratch_at(s, "data")));
  wok_machine m;
  wok_machine_info(best, &m);
  if (strcmp(m.isa, "generic") != 0) assert_fails(s->c, train(s, same, "run", o, NULL, NULL), WOK_MISMATCH, "there, generic");
  wok_data_close(same);
  wok_ctx_free(s->c);
  s->c = best;
  assert_works(s->c, train(s, d, "run", o, NULL, NULL)); /* all that was for nothing: it still goes on */
  wok_data_close(d);
  wok_data_close(other);
}

static void bad_requests(void **state) {
  scratch *s = *state;
  wok_data *d = tiny_data(s, "data", 60, 9);
  wok_train_opts o = tiny_opts(4);
  assert_fails(s->c, wok_pretrain(s->c, NULL, d, scratch_at(s, "run"), &o, NULL), WOK_INVALID, "needs a model configuration");
  wok_model_config cfg = tiny_config(s, d);
  cfg.vocab_size += 5;
  assert_fails(s->c, wok_pretrain(s->c, &cfg, d, scratch_at(s, "run"), &o, NULL), WOK_INVALID, "the data's tokenizer");
  wok_model_config_free(&cfg);
  const char *samples[] = {"a prompt that is far longer than thirty-two characters"};
  o.samples = samples;
  o.nsamples = 1;
  assert_fails(s->c, train(s, d, "run", o, NULL, NULL), WOK_LIMIT, "the model has 32 positions: shorten it");
  wok_data_close(d);
}

/* A learning rate that blows everything up: what was saved before stays, and says the same again. */
static void not_finite(void **state) {
  scratch *s = *state;
  wok_data *d = tiny_data(s, "data", 60, 10);
  wok_train_opts wild = tiny_opts(200);
  wild.lr = wild.min_lr = 1e3;
  wild.clip = -1;
  wild.save_every = 1;
  wild.eval_every = -1;
  wild.weight_decay = 900;
  wok_train_result r;
  assert_fails(s->c, train(s, d, "wild", wild, NULL, &r), WOK_NONFINITE, "training stopped; ");
  assert_non_null(strstr(wok_errmsg(s->c), "step "));
  char want[64];
  if (r.last.step > 0) {
    snprintf(want, sizeof want, "the last good checkpoint is that of step %d", (int)r.last.step);
    assert_non_null(strstr(wok_errmsg(s->c), want));
    wok_train_opts on = {.resume = true};
    assert_fails(s->c, train(s, d, "wild", on, NULL, NULL), WOK_NONFINITE, want); /* it is whole, and ends the same way */
  }
  wok_run_summary *list;
  int64_t n;
  assert_works(s->c, wok_runs_list(s->c, scratch_at(s, "wild"), &list, &n));
  assert_string_equal(list[0].state, "stopped");
  wok_text_free((char *)list);
  wok_data_close(d);
}

/* ---- memory ---- */
static void memory_limits(void **state) {
  scratch *s = *state;
  wok_data *d = tiny_data(s, "data", 60, 11);
  wok_model_config cfg = tiny_config(s, d);
  wok_train_opts o = tiny_opts(4);
  o.batch = 64;
  wok_train_estimate e, probed;
  assert_works(s->c, wok_pretrain_estimate(s->c, &cfg, d, &o, false, &e));
  assert_int_equal(e.parameters, wok_model_config_params(&cfg));
  assert_int_equal(e.state_bytes, 16 * e.parameters);
  assert_int_equal(e.peak_bytes, e.state_bytes + e.plan_bytes);
  assert_int_equal(e.tokens_per_step, 64 * 32);
  assert_true(e.tokens_per_s == 0 && e.seconds == 0);
  double tied = (double)(wok_tokenizer_size(wok_data_tokenizer(d)) * 32 + 2 * (4 * 32 * 32 + 2 * 32 * 64));
  assert_true(e.matmul_weights == (int64_t)tied && e.flops_per_token == 6 * tied + 12.0 * 2 * 32 * 33 / 2);
  assert_works(s->c, wok_pretrain_estimate(s->c, &cfg, d, &o, true, &probed));
  assert_true(probed.tokens_per_s > 0 && fabs(probed.seconds - 4 * 64 * 32 / probed.tokens_per_s) < 1e-9);

  wok_ctx *free_ctx = s->c;
  wok_data *again;
  assert_works(free_ctx, wok_ctx_new(&s->c, &(wok_ctx_opts){.threads = 1, .mem_limit = e.state_bytes + e.plan_bytes / 3}));
  assert_works(s->c, wok_data_open(s->c, &again, scratch_at(s, "data")));
  assert_fails(s->c, train(s, again, "run", o, NULL, NULL), WOK_LIMIT, "batch 64 x seq 32 needs");
  int64_t batch = 0, pieces = 0;
  const char *fits = strstr(wok_errmsg(s->c), "batch 64 with accumulate ");
  assert_non_null(fits);
  assert_int_equal(sscanf(fits, "batch 64 with accumulate %ld, or batch %ld, would fit", &pieces, &batch), 2);
  assert_int_equal(pieces * batch, 64);
  assert_fails(s->c, wok_pretrain_estimate(s->c, &cfg, again, &o, false, &probed), WOK_LIMIT, "would fit");
  o.accumulate = pieces; /* what it says is true */
  assert_works(s->c, train(s, again, "run", o, NULL, NULL));
  wok_data_close(again);
  wok_ctx_free(s->c);

  assert_works(free_ctx, wok_ctx_new(&s->c, &(wok_ctx_opts){.threads = 1, .mem_limit = 100000}));
  assert_works(s->c, wok_data_open(s->c, &again, scratch_at(s, "data")));
  assert_fails(s->c, train(s, again, "small", o, NULL, NULL), WOK_LIMIT, "take a smaller model");
  wok_data_close(again);
  wok_ctx_free(s->c);
  s->c = free_ctx;

  /* absurd sizes are named before anything is allocated */
  assert_works(s->c, wok_model_set(s->c, &cfg, "hidden_size=32768"));
  assert_works(s->c, wok_model_set(s->c, &cfg, "num_hidden_layers=16"));
  assert_fails(s->c, wok_pretrain(s->c, &cfg, d, scratch_at(s, "absurd"), &o, NULL), WOK_LIMIT, "this machine has");
  wok_model_config_free(&cfg);
  wok_data_close(d);
}

/* ---- by time ---- */
static void by_time(void **state) {
  scratch *s = *state;
  wok_data *d = tiny_data(s, "data", 60, 12);
  wok_train_opts o = {.minutes = 0.02, .batch = 4, .seq = 32};
  wok_train_result r;
  seen k = {0};
  assert_works(s->c, train(s, d, "run", o, &k, &r));
  assert_true(r.seconds >= 1.2 && r.seconds < 10 && r.last.steps == 0 && r.last.step > 3);
  assert_true(r.last.valid_bits > 0 && k.evals >= 2);
  o.resume = true;
  assert_works(s->c, train(s, d, "run", o, NULL, &r)); /* its time is over */
  assert_true(r.resumed);
  wok_data_close(d);
}

static void other_tokenizer(void **state) {
  scratch *s = *state;
  wok_data *d = tiny_data(s, "data", 60, 13);
  assert_works(s->c, train(s, d, "run", tiny_opts(2), NULL, NULL));
  const char *files[] = {scratch_puts(s, "text", "quite other letters: ABCDEFGH\nAGAIN\nAND AGAIN ABCDEFGH\n")};
  char dir[512];
  snprintf(dir, sizeof dir, "%s", scratch_at(s, "other"));
  assert_works(s->c, wok_pack(s->c, files, 1, dir, &(wok_pack_opts){.hold_out = 20, .min_count = 1}, NULL));
  wok_data *other;
  wok_model *m;
  wok_eval_result e;
  assert_works(s->c, wok_data_open(s->c, &other, dir));
  assert_works(s->c, wok_model_open(s->c, &m, scratch_at(s, "run")));
  assert_fails(s->c, wok_eval(m, other, &(wok_eval_opts){.split = WOK_VALID}, &e), WOK_MISMATCH, "another tokenizer");
  assert_fails(s->c, wok_eval(m, d, &(wok_eval_opts){.split = WOK_VALID, .seq = 33}, &e), WOK_INVALID, "32 positions");
  wok_model_free(m);
  wok_data_close(other);
  wok_data_close(d);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(it_learns),           CASE(accuracy_is_counted_right), CASE(threads_do_not_matter), CASE(accumulation),
      CASE(interrupted_and_resumed), CASE(stopped_by_progress),   CASE(killed_and_resumed),    CASE(a_finished_run_goes_on),
      CASE(directories),         CASE(resume_with_something_else), CASE(bad_requests),         CASE(not_finite),
      CASE(memory_limits),       CASE(by_time),                   CASE(other_tokenizer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
