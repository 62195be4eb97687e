/* train/memory.c - what a run would need, and what would fit instead. */
#include <stdlib.h>
#include "models/models.h"
#include "train/engine.h"
#include "train/settings.h"

/* The bound: the context's limit, otherwise the machine's memory. */
static int64_t bound(const wok_ctx *c, const char **what) {
  int64_t limit = wok__ctx_opts(c)->mem_limit;
  wok_machine m;
  *what = "the memory limit is";
  if (limit > 0) return limit;
  wok_machine_info(c, &m);
  *what = "this machine has";
  return m.memory > 0 ? m.memory : INT64_MAX;
}

typedef struct amount { char z[24]; } amount;
static amount size_of(int64_t bytes) {
  amount a;
  wok__format_size(a.z, (int64_t)sizeof a.z, bytes);
  return a;
}

wok_status wok__state_fits(wok_ctx *c, const wok_model_config *cfg, int64_t *bytes) {
  const char *what;
  int64_t n = wok_model_config_params(cfg), limit = bound(c, &what), copies = 4 + wok__optim_bytes(wok__rule_find("adamw"), 1);
  if (!wok__mul(n, copies, bytes)) *bytes = INT64_MAX;
  if (*bytes <= limit) return WOK_OK;
  char count[24];
  wok__format_count(count, (int64_t)sizeof count, n);
  return wok__fail(c, WOK_LIMIT, "a model of %s parameters needs %s for them, their gradients and two moments; %s %s: take a smaller model",
                   count, size_of(*bytes).z, what, size_of(limit).z);
}

static int64_t state_of(const wok_model *m) {
  int64_t count = wok_model_param_count(m);
  return count * 4 + wok__optim_bytes(wok__rule_find("adamw"), count);
}
static int64_t batches_of(const wok_train_opts *o) { return INT64_C(2) * WOK__BATCH_COLUMN_COUNT * wok__micro_tokens(o) * (int64_t)sizeof(int32_t); }

int64_t wok__plan_room(const wok_ctx *c, const wok_model *m, const wok_train_opts *o) {
  const char *what;
  return WOK__MAX(bound(c, &what) - state_of(m) - batches_of(o), 1);
}

/* What a run takes; room: of the training plan, which may compute again what it would rather keep; 0: as much as it likes. */
static wok_status need_of(wok_ctx *c, wok_model *m, const wok_train_opts *o, bool evaluates, int64_t room, wok__need *need) {
  int64_t tokens = wok__micro_tokens(o), judge = 0;
  wok_buffer *grads;
  WOK__TRY(wok_buffer_new(c, &grads, "gradients", WOK_F32, wok_model_param_count(m), NULL));
  wok__loss_opts lo = {.name = "training", .tokens = tokens, .grads = grads, .compute = o->compute, .mem_limit = room};
  wok_status s = wok__loss_measure(c, m, &lo, &need->plan);
  lo = (wok__loss_opts){.name = "evaluation", .tokens = tokens, .compute = o->compute};
  if (s == WOK_OK && evaluates) s = wok__loss_measure(c, m, &lo, &judge);
  wok_buffer_free(grads);
  need->plan = WOK__MAX(need->plan, judge) + batches_of(o);
  need->state = state_of(m);
  return s;
}

/* Does it fit, if need be by computing again? */
static wok_status fits_in(wok_ctx *c, wok_model *m, const wok_train_opts *o, bool evaluates, int64_t limit, wok__need *need, bool *fits) {
  WOK__TRY(need_of(c, m, o, evaluates, 0, need));
  *fits = need->state + need->plan <= limit;
  if (*fits || need->state >= limit) return WOK_OK;
  wok__need less;
  wok_status s = need_of(c, m, o, evaluates, wok__plan_room(c, m, o), &less);
  if (s == WOK_LIMIT) return WOK_OK;
  WOK__TRY(s);
  *fits = less.state + less.plan <= limit;
  if (*fits) *need = less;
  return WOK_OK;
}

/* The largest of the smaller runs that fits: more micro-batches, then one sequence at a time of half the length, and so on. */
static wok_status find_smaller(wok_ctx *c, wok_model *m, const wok_train_opts *o, int64_t limit, wok_train_opts *fits, wok__need *need) {
  bool yes;
  *fits = *o;
  for (int64_t k = o->accumulate + 1; k <= o->batch; k++) {
    if (o->batch % k != 0) continue;
    fits->accumulate = k;
    WOK__TRY(fits_in(c, m, fits, false, limit, need, &yes));
    if (yes) return WOK_OK;
  }
  for (fits->batch = fits->accumulate = 1; fits->seq > 1;) {
    fits->seq /= 2;
    WOK__TRY(fits_in(c, m, fits, false, limit, need, &yes));
    if (yes) return WOK_OK;
  }
  fits->seq = 0;
  return WOK_OK;
}

wok_status wok__need_fits(wok_ctx *c, wok_model *m, const wok_train_opts *o, bool evaluates, wok__need *need) {
  const char *what;
  int64_t limit = bound(c, &what);
  bool yes;
  WOK__TRY(fits_in(c, m, o, evaluates, limit, need, &yes));
  if (yes) return WOK_OK;
  int64_t all = need->state + need->plan;
  wok_train_opts fits;
  wok__need less;
  WOK__TRY(find_smaller(c, m, o, limit, &fits, &less));
  wok__str s;
  wok__str_init(&s, 512);
  if (fits.seq == o->seq && fits.batch == o->batch)
    wok__str_printf(&s, "batch %lld with accumulate %lld, or batch %lld, would fit (%s)", (long long)fits.batch,
                    (long long)fits.accumulate, (long long)(fits.batch / fits.accumulate), size_of(less.state + less.plan).z);
  else if (fits.seq > 0)
    wok__str_printf(&s, "batch 1 with seq %lld would fit (%s)", (long long)fits.seq, size_of(less.state + less.plan).z);
  else wok__str_puts(&s, "not even one token at a time would fit: take a smaller model");
  wok_status st = wok__fail(c, WOK_LIMIT, "batch %lld x seq %lld needs %s (state %s, values %s); %s %s: %s", (long long)o->batch,
                            (long long)o->seq, size_of(all).z, size_of(need->state).z, size_of(need->plan).z, what, size_of(limit).z,
                            s.p ? s.p : "take less");
  wok__str_free(&s);
  return st;
}

/* ---- the estimate ---- */
/* Documents of random tokens, as long as those of the data on average: what a step costs does not depend on what they say. */
typedef struct noise { int64_t vocab, length; } noise;
static wok_status noise_length(const wok__docs *d, int64_t document, int64_t *tokens) {
  (void)document;
  *tokens = ((const noise *)d->source)->length;
  return WOK_OK;
}
static wok_status noise_read(const wok__docs *d, int64_t document, int64_t start, int64_t n, int32_t *ids) {
  const noise *k = d->source;
  for (int64_t i = 0; i < n; i++)
    ids[i] = (int32_t)(wok__permute((uint64_t)(start + i), (uint64_t)k->length, 1, (uint64_t)document) % (uint64_t)k->vocab);
  return WOK_OK;
}

static const double probe_seconds = 2;
enum { PROBE_STEPS = 10 };

static wok_status probe(wok_ctx *c, wok_model *m, const wok_data *d, const wok_train_opts *o, double *tokens_per_s) {
  wok_split_info info;
  wok__engine e;
  wok__stream s;
  wok__step_result r;
  wok_data_info(d, WOK_TRAIN, &info);
  noise k = {wok_model_get_config(m)->vocab_size, info.tokens / WOK__MAX(1, info.documents)};
  wok__docs docs = {.c = c, .documents = 1 << 20, .length = noise_length, .read = noise_read, .source = &k};
  k.length = WOK__MAX(1, k.length);
  docs.tokens = docs.documents * k.length;
  WOK__TRY(wok__engine_new(c, &e, m, o));
  wok_status st = wok__stream_open(&s, &docs, 1, o->seq, 0);
  double t0 = 0, seconds = 0;
  int64_t tokens = 0;
  /* The first step warms up and is not counted. */
  for (int i = 0; st == WOK_OK && i <= PROBE_STEPS && (i < 2 || seconds < probe_seconds) && !wok_cancelled(c); i++) {
    if (i == 1) t0 = wok__now();
    st = wok__engine_step(&e, &s, 0, &r);
    if (i == 0) continue;
    tokens += r.tokens;
    seconds = wok__now() - t0;
  }
  if (st == WOK_OK && wok_cancelled(c)) st = wok__fail(c, WOK_INTERRUPTED, "interrupted");
  *tokens_per_s = seconds > 0 ? (double)tokens / seconds : 0;
  wok__engine_free(&e);
  return st;
}

static wok_status estimate(wok_ctx *c, wok_model *m, const wok_data *d, const wok_train_opts *o, bool probing, wok_train_estimate *e) {
  wok_split_info valid;
  wok__need need;
  wok_data_info(d, WOK_VALID, &valid);
  WOK__TRY(wok__need_fits(c, m, o, valid.tokens > 0, &need));
  e->matmul_weights = wok_model_matmul_weights(m);
  e->state_bytes = need.state;
  e->plan_bytes = need.plan;
  e->peak_bytes = need.state + need.plan;
  e->tokens_per_step = o->batch * o->seq;
  e->flops_per_token = wok__flops_per_token(m, o->seq);
  if (probing) {
    WOK__TRY(probe(c, m, d, o, &e->tokens_per_s));
    e->peak_bytes = WOK__MAX(e->peak_bytes, wok__peak_rss());
  }
  double steps = (double)o->steps * (double)e->tokens_per_step;
  if (o->steps > 0 && e->tokens_per_s > 0) e->seconds = steps / e->tokens_per_s;
  if (o->minutes > 0 && (e->seconds <= 0 || o->minutes * 60 < e->seconds)) e->seconds = o->minutes * 60;
  return WOK_OK;
}

wok_status wok_pretrain_estimate(wok_ctx *c, const wok_model_config *cfg, const wok_data *d, const wok_train_opts *given, bool probing,
                                 wok_train_estimate *e) {
  wok_train_opts o;
  *e = (wok_train_estimate){0};
  WOK__TRY(wok_model_check(c, cfg));
  wok__setting_facts facts = {cfg->hidden_size, cfg->max_position_embeddings, wok_ctx_seed(c)};
  WOK__TRY(wok__settings_resolve(c, &o, given, NULL, &facts));
  e->parameters = wok_model_config_params(cfg);
  WOK__TRY(wok__state_fits(c, cfg, &e->state_bytes));
  wok_model *m;
  /* Without a probe the parameters stay untouched pages. */
  WOK__TRY(probing ? wok_model_new(c, &m, cfg, WOK_F32, o.seed) : wok__model_make(c, &m, cfg, WOK_F32));
  wok_status s = estimate(c, m, d, &o, probing, e);
  wok_model_free(m);
  return s;
}
