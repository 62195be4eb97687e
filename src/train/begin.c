/* train/begin.c - everything that happens before the first step of a run. */
#include <math.h>
#include <string.h>
#include "models/models.h"
#include "train/rundir.h"
#include "train/trainer.h"

/* ---- the directory ---- */
static wok_status run_is_there(wok__trainer *t) {
  wok__run_state s;
  char how_far[64] = "without a checkpoint yet";
  if (wok__checkpoint_find(t->c, t->dir, &s) == WOK_OK) {
    (void)wok__snprintf(how_far, (int64_t)sizeof how_far, "that stands at step %lld", (long long)s.step);
    wok__run_state_free(&s);
  }
  return wok__fail(t->c, WOK_MISMATCH, "%s holds a run %s: resume to go on with it, overwrite to replace it, or take another directory",
                   t->dir, how_far);
}

/* A run that never saved anything is begun again; but nothing that was saved is put at risk. */
static wok_status nothing_saved(wok__trainer *t) {
  wok__arena *a = wok__arena_new(0);
  int64_t *step = NULL, n = 0;
  wok_status s = a ? wok__old_checkpoints(t->c, a, t->dir, &step, &n) : wok__nomem(t->c, 1 << 16);
  if (s == WOK_OK && n > 0)
    s = wok__fail(t->c, WOK_CORRUPT, "%s has no checkpoint to resume, but older ones, the newest of step %lld: put it in the place of %s/" WOK__CHECKPOINT,
                  t->dir, (long long)step[n - 1], t->dir);
  wok__arena_free(a);
  return s;
}

static wok_status enter_directory(wok__trainer *t, const wok_train_opts *given) {
  const char *what;
  wok__place_kind kind = wok__run_place(t->dir, &what);
  if (kind == WOK__PLACE_OTHER)
    return wok__fail(t->c, WOK_MISMATCH, "%s holds %s: a run needs a directory of its own", t->dir, what);
  WOK__TRY(wok__mkdirs(t->c, t->dir));
  WOK__TRY(wok__lock_dir(t->c, &t->lock, t->dir));
  if (kind == WOK__PLACE_EMPTY) return WOK_OK;
  t->replaces = true;
  if (!given->resume) return given->overwrite ? WOK_OK : run_is_there(t);
  wok_status s = wok__checkpoint_find(t->c, t->dir, &t->state);
  if (s == WOK_NOTFOUND) return nothing_saved(t);
  t->resumed = s == WOK_OK;
  return s;
}

/* ---- the model ---- */
static wok_status check_config(wok__trainer *t, const wok_model_config *cfg) {
  const wok_tokenizer *tok = wok_data_tokenizer(t->data);
  WOK__TRY(wok_model_check(t->c, cfg));
  if (cfg->vocab_size == wok_tokenizer_size(tok)) return WOK_OK;
  return wok__fail(t->c, WOK_INVALID, "the model's vocabulary has %lld tokens, the data's tokenizer %lld: they must be the same",
                   (long long)cfg->vocab_size, (long long)wok_tokenizer_size(tok));
}

static wok_status settle(wok__trainer *t, const wok_model_config *cfg, const wok_train_opts *given) {
  wok__setting_facts facts = {cfg->hidden_size, cfg->max_position_embeddings, wok_ctx_seed(t->c)};
  WOK__TRY(wok__settings_resolve(t->c, &t->o, given, t->state.settings, &facts));
  if (cfg->learned_positions && t->o.seq < cfg->max_position_embeddings)
    wok__log(t->c, WOK_LOG_WARN, "positions from %lld on are not trained: seq is %lld, the model has %lld positions", (long long)t->o.seq,
             (long long)t->o.seq, (long long)cfg->max_position_embeddings);
  return WOK_OK;
}

static wok_status new_model(wok__trainer *t, const wok_model_config *cfg, const wok_train_opts *given) {
  int64_t bytes;
  if (!cfg) return wok__fail(t->c, WOK_INVALID, "a new run needs a model configuration");
  WOK__TRY(check_config(t, cfg));
  WOK__TRY(settle(t, cfg, given));
  WOK__TRY(wok__state_fits(t->c, cfg, &bytes));
  WOK__TRY(wok_model_new(t->c, &t->m, cfg, WOK_F32, t->o.seed));
  return wok__remember_tokenizer(t->m, wok_data_tokenizer(t->data));
}

static wok_status old_model(wok__trainer *t, const wok_model_config *cfg, const wok_train_opts *given) {
  wok_model_config stored;
  WOK__TRY(wok__checkpoint_config(t->c, t->dir, &stored));
  wok_status s = settle(t, &stored, given);
  if (s == WOK_OK) s = wok__resume_agrees(t, &stored, cfg);
  if (s == WOK_OK) s = check_config(t, &stored);
  wok_model_config_free(&stored);
  WOK__TRY(s);
  return wok__checkpoint_model(t->c, t->dir, &t->m);
}

/* ---- the machinery ---- */
static int64_t tokens_judged(const wok__trainer *t) {
  /* On a large held-out part an evaluation predicts an eighth of the tokens trained on since the last one: it runs forward
     only, so it takes a twentieth of the time. By time, how often it happens is what is adjusted. */
  int64_t by_time = INT64_C(1) << 17, least = INT64_C(1) << 15, every = t->o.eval_every;
  int64_t enough = every == 0 ? by_time : WOK__MAX(least, WOK__MAX(0, every) * t->o.batch * t->o.seq / 8);
  return t->valid.tokens > enough ? enough : 0;
}

static wok_status make_engine(wok__trainer *t) {
  bool judges = t->valid.tokens > 0;
  WOK__TRY(wok__need_fits(t->c, t->m, &t->o, judges, &t->need));
  WOK__TRY(wok__engine_new(t->c, &t->engine, t->m, &t->o));
  if (!judges) return WOK_OK;
  return wok__loss_new(t->c, &t->judge, t->m,
                       &(wok__loss_opts){.name = "evaluation", .tokens = wok__micro_tokens(&t->o), .workspace = t->engine.workspace,
                                         .compute = t->o.compute});
}

static wok_status restore(wok__trainer *t) {
  const wok_param *list;
  int64_t n = wok_model_params(t->m, &list);
  WOK__TRY(wok__checkpoint_optim(t->c, t->dir, list, n, t->engine.optim));
  wok__optim_set_steps(t->engine.optim, t->state.step);
  t->info = t->state.last;
  t->seconds_before = t->state.seconds;
  t->saved_step = t->state.step;
  /* What a crash between checkpoint and model may have left undone. */
  if (t->state.best_step == t->state.step && t->state.step > 0) WOK__TRY(wok__publish_best(t->c, t->dir));
  return wok__publish_model(t->c, t->dir);
}

/* A prompt that cannot be continued is found now, not after hours. */
static wok_status check_samples(wok__trainer *t) {
  const wok_tokenizer *tok = wok_data_tokenizer(t->data);
  int64_t positions = wok_model_get_config(t->m)->max_position_embeddings;
  for (int i = 0; i < t->o.nsamples; i++) {
    int64_t n;
    wok_status s = wok_encode(tok, t->o.samples[i], (int64_t)strlen(t->o.samples[i]), NULL, 0, &n);
    if (s) return wok__fail_prefix(t->c, s, "sample %d", i + 1);
    if (n + 1 > positions)
      return wok__fail(t->c, WOK_LIMIT, "sample %d has %lld tokens, the model has %lld positions: shorten it", i + 1, (long long)n,
                       (long long)positions);
  }
  return WOK_OK;
}

static void set_schedule(wok__trainer *t) {
  const wok_train_opts *o = &t->o;
  t->schedule = (wok__schedule){.shape = wok__schedule_word(o->schedule),
                                .peak = o->lr,
                                .end = WOK__MIN(o->min_lr, o->lr),
                                .steps = o->steps,
                                .warmup = o->warmup,
                                .seconds = o->minutes * 60};
}

/* ---- the log's beginning ---- */
static json_t *split_json(const wok_data *d, wok_split s) {
  wok_split_info i;
  wok_data_info(d, s, &i);
  return json_pack("{s:I, s:I, s:I, s:I}", "documents", (json_int_t)i.documents, "tokens", (json_int_t)i.tokens, "bytes",
                   (json_int_t)i.bytes, "chars", (json_int_t)i.chars);
}

static wok_status log_beginning(wok__trainer *t) {
  const wok_tokenizer *tok = wok_data_tokenizer(t->data);
  json_t *config = NULL;
  char hash[24];
  WOK__TRY(wok__config_to_json(t->c, &t->m->cfg, t->m->dtype, NULL, &config));
  (void)wok__snprintf(hash, (int64_t)sizeof hash, "%016llx", (unsigned long long)wok_data_hash(t->data));
  json_t *data = json_pack("{s:s, s:s, s:I, s:o, s:o}", "hash", hash, "tokenizer", wok_tokenizer_kind(tok), "vocab_size",
                           (json_int_t)wok_tokenizer_size(tok), "train", split_json(t->data, WOK_TRAIN), "valid",
                           split_json(t->data, WOK_VALID));
  return wok__runlog_line(
      t->log, "run",
      json_pack("{s:s, s:s, s:I, s:I, s:o, s:s, s:o, s:o, s:o, s:I, s:I, s:o}", "wok", wok_version(), "model_type",
                wok_model_type(&t->m->cfg), "parameters", (json_int_t)wok_model_param_count(t->m), "matmul_weights",
                (json_int_t)wok_model_matmul_weights(t->m), "flops_per_token", wok__json_number(t->flops_per_token), "unit",
                t->train_unit.name, "settings", wok__settings_json(&t->o), "config", config, "data", data, "state_bytes",
                (json_int_t)t->need.state, "plan_bytes", (json_int_t)t->need.plan, "machine", wok__json_machine(t->c)));
}

static wok_status open_log(wok__trainer *t, const wok_train_opts *given) {
  if (t->resumed) {
    WOK__TRY(wok__runlog_open(t->c, &t->log, t->dir, &t->state.log));
    return wok__runlog_line(t->log, "resume",
                            json_pack("{s:I, s:s, s:o, s:o}", "step", (json_int_t)t->state.step, "wok", wok_version(), "settings",
                                      wok__settings_json(&t->o), "machine", wok__json_machine(t->c)));
  }
  /* Only now, when everything else has worked, does an earlier run go. */
  if (t->replaces) WOK__TRY(wok__run_remove(t->c, t->dir));
  WOK__TRY(wok__runlog_open(t->c, &t->log, t->dir, NULL));
  WOK__TRY(log_beginning(t));
  if (!given->baselines || t->valid.tokens == 0) return WOK_OK;
  wok_baselines b;
  WOK__TRY(wok_data_baselines(t->data, &b));
  return wok__runlog_baselines(t->log, &b);
}

static wok_status remember_settings(wok__trainer *t) {
  json_decref(t->state.settings);
  t->state.settings = wok__settings_json(&t->o);
  if (!t->state.settings) return wok__nomem(t->c, 1024);
  t->state.data_hash = wok_data_hash(t->data);
  wok__kernel_set(t->c, t->state.kernels, (int64_t)sizeof t->state.kernels);
  (void)wok__snprintf(t->state.version, (int64_t)sizeof t->state.version, "%s", wok_version());
  return WOK_OK;
}

wok_status wok__trainer_begin(wok__trainer *t, const wok_model_config *cfg, const wok_train_opts *given) {
  t->saved_step = -1;
  t->train = wok__docs_of(t->c, t->data, WOK_TRAIN);
  t->valid = wok__docs_of(t->c, t->data, WOK_VALID);
  t->train_unit = wok__unit_of(t->data, WOK_TRAIN);
  t->valid_unit = wok__unit_of(t->data, WOK_VALID);
  WOK__TRY(enter_directory(t, given));
  WOK__TRY(t->resumed ? old_model(t, cfg, given) : new_model(t, cfg, given));
  WOK__TRY(check_samples(t));
  WOK__TRY(make_engine(t));
  WOK__TRY(wok__stream_open(&t->stream, &t->train, t->o.seed, t->o.seq, t->state.tokens));
  if (t->resumed) WOK__TRY(restore(t));
  WOK__TRY(remember_settings(t));
  t->eval_limit = tokens_judged(t);
  t->flops_per_token = wok__flops_per_token(t->m, t->o.seq);
  set_schedule(t);
  return open_log(t, given);
}

void wok__trainer_end(wok__trainer *t) {
  wok__runlog_close(t->log);
  wok__loss_free(&t->judge);
  wok__engine_free(&t->engine);
  wok_model_free(t->m);
  wok__run_state_free(&t->state);
  wok__unlock(&t->lock);
}
