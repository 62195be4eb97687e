/* train/evaluate.c - a model on one part of the data. */
#include <math.h>
#include <string.h>
#include "models/models.h"
#include "train/engine.h"

wok_status wok__evaluate(wok__loss *l, const wok__docs *d, int64_t seq, int64_t limit, wok__task *task, wok__score *score) {
  wok__sweep w;
  *score = (wok__score){0};
  wok__sweep_open(&w, d, seq);
  for (;;) {
    wok__loss_sum sum;
    WOK__TRY(wok__sweep_next(&w, &l->batch, limit));
    if (l->batch.targets == 0) return WOK_OK;
    WOK__TRY(wok__loss_run(l, &(wok_run_opts){0}, &sum));
    score->nats += sum.nats;
    score->right += sum.right;
    score->tokens += l->batch.targets;
    WOK__TRY(wok__task_at(task, strcmp(task->unit, "tokens") == 0 ? score->tokens : task->done, NULL));
  }
}

wok__unit wok__unit_of(const wok_data *d, wok_split s) {
  wok_split_info info;
  wok_data_info(d, s, &info);
  bool bytes = strcmp(wok_tokenizer_kind(wok_data_tokenizer(d)), "bytes") == 0;
  int64_t units = bytes ? info.bytes : info.chars;
  return (wok__unit){bytes ? "byte" : "character", units > 0 ? (double)info.tokens / (double)units / M_LN2 : 0};
}

/* ---- which tokenizer ---- */
static const char *const hash_key = "tokenizer_hash";

static void hash_text(const wok_tokenizer *t, char *z, int64_t cap) {
  (void)wok__snprintf(z, cap, "%016llx", (unsigned long long)wok_tokenizer_hash(t));
}

wok_status wok__remember_tokenizer(wok_model *m, const wok_tokenizer *t) {
  char z[24];
  hash_text(t, z, (int64_t)sizeof z);
  if (!m->kept) m->kept = json_object();
  return json_object_set_new(m->kept, hash_key, json_string(z)) == 0 ? WOK_OK : wok__nomem(m->c, 64);
}

wok_status wok__check_tokenizer(wok_ctx *c, const wok_model *m, const wok_tokenizer *t) {
  char z[24];
  hash_text(t, z, (int64_t)sizeof z);
  const char *trained = json_string_value(json_object_get(m->kept, hash_key));
  if (trained && strcmp(trained, z) != 0)
    return wok__fail(c, WOK_MISMATCH, "the data was packed with another tokenizer than the model was trained with: pack it with the model's");
  if (wok_tokenizer_size(t) != m->cfg.vocab_size)
    return wok__fail(c, WOK_MISMATCH, "the data's tokenizer has %lld tokens, the model's vocabulary has %lld", (long long)wok_tokenizer_size(t),
                     (long long)m->cfg.vocab_size);
  return WOK_OK;
}

/* ---- wok_eval ---- */
/* Logits of at most so many bytes exist at a time. */
static const int64_t most_logits = INT64_C(256) << 20;

static int64_t rows_at_once(const wok_model *m, int64_t batch, int64_t seq) {
  int64_t most = most_logits / (int64_t)sizeof(float) / m->cfg.vocab_size;
  return WOK__MAX(seq, WOK__MIN(batch * seq, most));
}

static wok_status evaluate(wok_model *m, wok_data *d, const wok_eval_opts *o, int64_t seq, int64_t rows, wok__score *score) {
  wok__docs docs = wok__docs_of(m->c, d, o->split);
  wok__loss l;
  wok__task task;
  WOK__TRY(wok__loss_new(m->c, &l, m, &(wok__loss_opts){.name = "evaluation", .tokens = rows, .accuracy = true, .compute = m->compute}));
  wok__task_begin(&task, m->c, "eval", "tokens", docs.tokens);
  wok_status s = wok__evaluate(&l, &docs, seq, 0, &task, score);
  if (s == WOK_OK) s = wok__task_end(&task, NULL);
  wok__loss_free(&l);
  return s;
}

wok_status wok_eval(wok_model *m, wok_data *d, const wok_eval_opts *opts, wok_eval_result *r) {
  wok_eval_opts o = opts ? *opts : (wok_eval_opts){.split = WOK_VALID};
  const wok_model_config *cfg = &m->cfg;
  wok_split_info info;
  wok__score score;
  double t0 = wok__now();
  *r = (wok_eval_result){0};
  int64_t seq = o.seq ? o.seq : WOK__MIN(cfg->max_position_embeddings, 1024), batch = o.batch ? o.batch : 8;
  if (m->dtype != WOK_F32) return wok__fail(m->c, WOK_UNSUPPORTED, "evaluation computes in f32; the model is %s", wok_dtype_name(m->dtype));
  if (seq < 1 || seq > cfg->max_position_embeddings)
    return wok__fail(m->c, WOK_INVALID, "seq must lie between 1 and the model's %lld positions, not %lld",
                     (long long)cfg->max_position_embeddings, (long long)seq);
  if (batch < 1 || batch > (INT64_C(1) << 27) / seq) return wok__fail(m->c, WOK_INVALID, "a batch of %lld", (long long)batch);
  if (seq > INT32_MAX / cfg->vocab_size)
    return wok__fail(m->c, WOK_LIMIT, "%lld logits of one sequence are more than 2^31: take a smaller seq than %lld",
                     (long long)seq * cfg->vocab_size, (long long)seq);
  WOK__TRY(wok__check_tokenizer(m->c, m, wok_data_tokenizer(d)));
  wok_data_info(d, o.split, &info);
  if (info.tokens == 0)
    return wok__fail(m->c, WOK_INVALID, "the data has no %s part", o.split == WOK_VALID ? "held-out" : "training");
  WOK__TRY(evaluate(m, d, &o, seq, rows_at_once(m, batch, seq), &score));
  if (!isfinite(score.nats)) return wok__fail(m->c, WOK_NONFINITE, "the model's loss on this data is not finite");
  wok__unit unit = wok__unit_of(d, o.split);
  double loss = score.nats / (double)score.tokens;
  *r = (wok_eval_result){.tokens = score.tokens,
                         .documents = info.documents,
                         .chars = info.chars,
                         .bytes = info.bytes,
                         .loss = loss,
                         .perplexity = exp(loss),
                         .bits = loss * unit.bits_per_nat,
                         .unit = unit.name,
                         .accuracy = (double)score.right / (double)score.tokens,
                         .seconds = wok__now() - t0};
  return WOK_OK;
}
