/* train/trainer.c - the run: steps, evaluations, checkpoints, until it is done or told to stop. */
#include <math.h>
#include <string.h>
#include <wok/infer.h>
#include "train/rundir.h"
#include "train/trainer.h"

static const double rate_memory = 0.95;       /* of the smoothed speed, per step */
static const double judge_share = 0.05;       /* of the time, when evaluation is by time */
static const double judgements = 10;          /* at most so many evenly spread over the run then */
enum { SAMPLE_TOKENS = 120 };
static const double sample_temperature = 0.8;

/* Seconds of training, earlier sessions included. */
static double trained_for(const wok__trainer *t) { return t->seconds_before + (wok__now() - t->begun); }

static bool finished(const wok__trainer *t) {
  if (t->o.steps > 0 && t->state.step >= t->o.steps) return true;
  return t->o.minutes > 0 && trained_for(t) >= t->o.minutes * 60;
}

/* ---- a step ---- */
static wok_status not_finite(wok__trainer *t, wok_status s) {
  char saved[128] = "nothing had been saved yet", line[256];
  if (t->saved_step >= 0)
    (void)wok__snprintf(saved, (int64_t)sizeof saved, "the last good checkpoint is that of step %lld", (long long)t->saved_step);
  (void)wok__snprintf(line, (int64_t)sizeof line, "%s", wok_errmsg(t->c));
  (void)wok__runlog_end(t->log, "nonfinite", &t->info, trained_for(t), wok__peak_rss());
  return wok__fail(t->c, s, "%s: step %lld: %s, so training stopped; %s. A lower learning rate or a longer warm-up may help", t->dir,
                   (long long)t->state.step + 1, line, saved);
}

static void keep_time(wok__trainer *t, int64_t tokens, double seconds) {
  t->rate_tokens = rate_memory * t->rate_tokens + (double)tokens;
  t->rate_seconds = rate_memory * t->rate_seconds + seconds;
  wok_step_info *i = &t->info;
  i->tokens_per_s = t->rate_seconds > 0 ? t->rate_tokens / t->rate_seconds : 0;
  i->gflops = i->tokens_per_s * t->flops_per_token * 1e-9;
  i->seconds = wok__now() - t->begun;
}

/* By what was done in this session, evaluations and checkpoints included. */
static double time_left(const wok__trainer *t, int64_t steps_here) {
  double left = -1;
  if (t->o.steps > 0 && steps_here > 0) left = (double)(t->o.steps - t->state.step) * t->info.seconds / (double)steps_here;
  if (t->o.minutes > 0) {
    double by_time = WOK__MAX(0, t->o.minutes * 60 - trained_for(t));
    left = left < 0 ? by_time : WOK__MIN(left, by_time);
  }
  return left;
}

static wok_status step(wok__trainer *t, int64_t *steps_here) {
  wok__step_result r;
  double from = wok__now(), lr = wok__schedule_lr(&t->schedule, t->state.step + 1, trained_for(t));
  wok_status s = wok__engine_step(&t->engine, &t->stream, lr, &r);
  if (s == WOK_NONFINITE) return not_finite(t, s);
  if (s) return s;
  (*steps_here)++;
  t->state.step++;
  t->state.tokens += r.tokens;
  wok_step_info *i = &t->info;
  i->step = t->state.step;
  i->steps = t->o.steps;
  i->loss = r.loss;
  i->bits = r.loss * t->train_unit.bits_per_nat;
  i->lr = lr;
  i->grad_norm = r.grad_norm;
  i->tokens = t->state.tokens;
  i->evaluated = false;
  keep_time(t, r.tokens, wok__now() - from);
  i->eta = time_left(t, *steps_here);
  t->untold = true;
  return wok__runlog_step(t->log, i, trained_for(t));
}

/* ---- evaluation ---- */
static bool judge_due(const wok__trainer *t, bool ending) {
  int64_t at = t->state.step, every = t->o.eval_every;
  if (!t->judge.plan || at == 0 || t->state.evaluated_step == at) return false;
  if (ending) return true;
  if (every != 0) return every > 0 && at % every == 0;
  double interval = WOK__MAX(t->o.minutes * 60 / judgements, t->judge_cost / judge_share);
  return trained_for(t) - t->judged_at >= interval;
}

static wok_status judge(wok__trainer *t) {
  wok__score score;
  double from = wok__now();
  WOK__TRY(wok__evaluate(&t->judge, &t->valid, t->o.seq, t->eval_limit, &t->task, &score));
  wok__run_state *st = &t->state;
  wok_step_info *i = &t->info;
  i->valid_loss = score.nats / (double)score.tokens;
  i->valid_bits = i->valid_loss * t->valid_unit.bits_per_nat;
  i->evaluated = true;
  st->evaluated_step = st->step;
  if (st->best_step == 0 || i->valid_loss < st->best_loss) {
    st->best_step = st->step;
    st->best_loss = i->valid_loss;
    st->best_bits = i->valid_bits;
  }
  i->best_valid_bits = st->best_bits;
  t->judge_cost = wok__now() - from;
  t->judged_at = trained_for(t);
  i->seconds = wok__now() - t->begun;
  return wok__runlog_eval(t->log, i, score.tokens, t->judge_cost);
}

/* ---- saving ---- */
static bool save_due(const wok__trainer *t, bool ending, bool judged) {
  int64_t at = t->state.step, every = t->o.save_every;
  if (t->saved_step == at && !judged) return false;
  if (ending || t->stopping) return true;
  if (every != 0) return every > 0 && at % every == 0 && at > 0;
  return t->state.evaluated_step == at && at > 0;
}

static wok_status save(wok__trainer *t) {
  WOK__TRY(wok__runlog_sync(t->log, &t->state.log));
  t->state.seconds = trained_for(t);
  t->state.last = t->info;
  WOK__TRY(wok__checkpoint_write(t->c, t->dir, t->m, wok_data_tokenizer(t->data), t->engine.optim, &t->state, t->o.keep));
  t->saved_step = t->state.step;
  if (t->state.best_step == t->state.step && t->state.step > 0) WOK__TRY(wok__publish_best(t->c, t->dir));
  return wok__publish_model(t->c, t->dir);
}

static wok_status save_best_alone(wok__trainer *t) { return wok__save_best(t->c, t->dir, t->m, wok_data_tokenizer(t->data)); }

static wok_status explain_save(wok__trainer *t, wok_status s) {
  if (s == WOK_OK || t->saved_step < 0) return s;
  return wok__fail_prefix(t->c, s, "step %lld could not be saved (the checkpoint of step %lld is as it was)", (long long)t->state.step,
                          (long long)t->saved_step);
}

/* ---- the end ---- */
static void continue_prompts(wok__trainer *t) {
  int n = t->o.nsamples;
  if (n <= 0) return;
  wok_generated *g = wok__calloc(n, (int64_t)sizeof *g);
  wok_generate_opts o = {.max_tokens = WOK__MIN(SAMPLE_TOKENS, t->o.seq), .temperature = sample_temperature, .seed = t->o.seed};
  wok_status s = g ? wok_generate(t->m, wok_data_tokenizer(t->data), t->o.samples, n, &o, g, NULL) : wok__nomem(t->c, 64);
  for (int i = 0; s == WOK_OK && i < n; i++) s = wok__runlog_sample(t->log, t->o.samples[i], g[i].text);
  if (g) wok_generated_free(g, n);
  wok__free(g);
  /* The model is trained and saved: a sample less is no failure. */
  if (s) wok__log(t->c, WOK_LOG_WARN, "the samples were left out: %s", wok_errmsg(t->c));
  wok__fail_clear(t->c);
}

static wok_status finish(wok__trainer *t) {
  continue_prompts(t);
  WOK__TRY(wok__runlog_end(t->log, "done", &t->info, trained_for(t), wok__peak_rss()));
  (void)wok__task_end(&t->task, NULL);
  return wok__runlog_sync(t->log, NULL);
}

static wok_status interrupted(wok__trainer *t) {
  char of[32] = "";
  if (t->o.steps > 0) (void)wok__snprintf(of, (int64_t)sizeof of, " of %lld", (long long)t->o.steps);
  WOK__TRY(wok__runlog_end(t->log, "interrupted", &t->info, trained_for(t), wok__peak_rss()));
  WOK__TRY(wok__runlog_sync(t->log, NULL));
  return wok__fail(t->c, WOK_INTERRUPTED, "interrupted after step %lld%s; everything is saved in %s: resume to go on from here",
                   (long long)t->state.step, of, t->dir);
}

static void tell(wok__trainer *t) {
  if (t->untold && t->o.on_step) t->o.on_step(t->o.ud, &t->info);
  t->untold = false;
  if (wok_cancelled(t->c)) t->stopping = true;
}

/* One round: what is due after the step before, then the next step. */
static wok_status drive(wok__trainer *t) {
  int64_t steps_here = 0;
  for (;;) {
    bool ending = finished(t), judged = false;
    if (!t->stopping && judge_due(t, ending)) {
      wok_status s = judge(t);
      if (s == WOK_INTERRUPTED) t->stopping = true;
      else if (s) return s;
      else t->untold = judged = true;
    }
    tell(t);
    if (save_due(t, ending, judged)) WOK__TRY(explain_save(t, save(t)));
    else if (judged && t->state.best_step == t->state.step) WOK__TRY(explain_save(t, save_best_alone(t)));
    if (ending && !judge_due(t, true)) return finish(t);
    if (t->stopping) return interrupted(t);
    WOK__TRY(step(t, &steps_here));
    wok_status s = wok__task_at(&t->task, t->state.step, NULL);
    if (s) t->stopping = true;
  }
}

wok_status wok_pretrain(wok_ctx *c, const wok_model_config *cfg, wok_data *d, const char *dir, const wok_train_opts *given,
                        wok_train_result *result) {
  wok_train_opts none = {0};
  wok__trainer t = {.c = c, .dir = dir, .data = d, .lock = {.fd = -1}};
  wok_train_result unwanted;
  if (!result) result = &unwanted;
  *result = (wok_train_result){0};
  wok_status s = wok__trainer_begin(&t, cfg, given ? given : &none);
  if (s == WOK_OK) {
    t.begun = wok__now();
    t.judged_at = t.seconds_before;
    wok__task_begin(&t.task, c, "pretrain", "steps", t.o.steps);
    s = drive(&t);
    result->last = t.info;
    result->seconds = trained_for(&t);
    result->peak_bytes = wok__peak_rss();
  }
  result->resumed = t.resumed;
  result->interrupted = s == WOK_INTERRUPTED;
  wok__trainer_end(&t);
  return s;
}
