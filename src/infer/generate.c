/* Generation: prompts are run through the model in chunks, then one token per prompt and step, all prompts together. */
#include <stdio.h>
#include <string.h>
#include "infer/session.h"

enum { PREFILL = 512, TEXT_MAX = 64 << 20 };

typedef struct sequence {
  int32_t *ids; /* end mark, prompt, new tokens */
  int64_t n, prompt, room;
  wok__str text;
  wok_decoder decoder;
  const char *stop; /* NULL: still going */
  int32_t next;     /* drawn, not yet run */
} sequence;

typedef struct job {
  wok_ctx *c;
  wok_model *m;
  const wok_tokenizer *t;
  wok_generate_opts o;
  sequence *seq;
  int n;
  int64_t positions, vocab;
  wok__session *session;
  wok__sampler *sampler;
  char *out; /* what one token can say */
  int64_t out_room;
  wok__token *run;
  int *who; /* sequences of the tokens that want logits */
  wok_generate_stats stats;
} job;

static wok_status read_prompt(job *j, int i, const char *prompt) {
  sequence *s = &j->seq[i];
  int64_t len = (int64_t)strlen(prompt), n = 0;
  wok__str_init(&s->text, TEXT_MAX);
  wok_status st = wok_encode(j->t, prompt, len, NULL, 0, &n);
  if (st) return wok__fail_prefix(j->c, st, "prompt %d", i + 1);
  if (n + 1 > j->positions)
    return wok__fail(j->c, WOK_LIMIT,
                     "prompt %d has %lld tokens, the model has %lld positions (one is the document's start): shorten the prompt",
                     i + 1, (long long)n, (long long)j->positions);
  s->prompt = n + 1;
  s->room = WOK__MIN(s->prompt + j->o.max_tokens, j->positions + 1);
  s->ids = wok__malloc(s->room * (int64_t)sizeof *s->ids);
  if (!s->ids) return wok__nomem(j->c, s->room * (int64_t)sizeof *s->ids);
  s->ids[0] = wok_tokenizer_eod(j->t);
  if (s->ids[0] < 0) return wok__fail(j->c, WOK_UNSUPPORTED, "the tokenizer has no token that ends a document: there is nothing to begin with");
  WOK__TRY(wok_encode(j->t, prompt, len, s->ids + 1, n, &n));
  s->n = s->prompt;
  return WOK_OK;
}

static void hand_over(job *j, int i, int32_t id) {
  sequence *s = &j->seq[i];
  char *out = j->out;
  int64_t len = wok_decode_stream(j->t, &s->decoder, id, out, j->out_room);
  wok__str_add(&s->text, out, len);
  if (j->o.on_text && (id >= 0 || len) && !j->o.on_text(j->o.ud, i, id, out, len) && !s->stop) s->stop = "caller";
}

/* The model has spoken: draw the next token of sequence i. */
static void draw(job *j, int i, const float *row) {
  sequence *s = &j->seq[i];
  int32_t id = wok__sample(j->sampler, (float *)(uintptr_t)row, s->ids + 1, s->n - 1, (uint64_t)i);
  if (id == wok_tokenizer_eod(j->t) && !j->o.ignore_eod) {
    s->stop = "eod";
    return;
  }
  s->ids[s->n++] = s->next = id;
  j->stats.new_tokens++;
  hand_over(j, i, id);
  if (s->stop) return;
  if (s->n - s->prompt >= j->o.max_tokens) s->stop = "length";
  else if (s->n > j->positions) s->stop = "positions";
}

static wok_status run(job *j, int64_t n, int64_t rows) {
  const float *logits;
  WOK__TRY(wok__session_run(j->session, j->run, n, &logits));
  for (int64_t r = 0; r < rows; r++) {
    const float *row = logits + r * j->vocab;
    for (int64_t k = 0; k < j->vocab; k++)
      if (!(row[k] - row[k] == 0))
        return wok__fail(j->c, WOK_NONFINITE, "prompt %d: the model's logits are not finite: its weights are damaged or have diverged",
                         j->who[r] + 1);
    draw(j, j->who[r], row);
  }
  return WOK_OK;
}

static wok_status prefill(job *j) {
  int64_t n = 0, rows = 0;
  for (int i = 0; i < j->n; i++)
    for (int64_t k = 0; k < j->seq[i].prompt; k++) {
      bool last = k + 1 == j->seq[i].prompt;
      j->run[n++] = (wok__token){j->seq[i].ids[k], i, (int32_t)k, last};
      if (last) j->who[rows++] = i;
      if (n < PREFILL && !(last && i + 1 == j->n)) continue;
      if (wok_cancelled(j->c)) return wok__fail(j->c, WOK_INTERRUPTED, "interrupted");
      WOK__TRY(run(j, n, rows));
      j->stats.prompt_tokens += n;
      n = rows = 0;
    }
  return WOK_OK;
}

static wok_status decode(job *j) {
  for (;;) {
    int64_t n = 0;
    for (int i = 0; i < j->n; i++) {
      sequence *s = &j->seq[i];
      if (s->stop) continue;
      j->who[n] = i;
      j->run[n++] = (wok__token){s->next, i, (int32_t)(s->n - 1), true};
    }
    if (!n) return WOK_OK;
    if (wok_cancelled(j->c)) return wok__fail(j->c, WOK_INTERRUPTED, "interrupted");
    WOK__TRY(run(j, n, n));
  }
}

static wok_status work(job *j, const char *const *prompts) {
  int64_t longest = 0, tokens = 0;
  j->seq = wok__calloc(j->n, (int64_t)sizeof *j->seq);
  j->run = wok__calloc(WOK__MAX(j->n, PREFILL), (int64_t)sizeof *j->run);
  j->who = wok__calloc(WOK__MAX(j->n, PREFILL), (int64_t)sizeof *j->who);
  j->out_room = wok_decode_room(j->t);
  j->out = wok__malloc(j->out_room);
  if (!j->seq || !j->run || !j->who || !j->out) return wok__nomem(j->c, j->n * (int64_t)sizeof *j->seq);
  for (int i = 0; i < j->n; i++) {
    WOK__TRY(read_prompt(j, i, prompts[i]));
    longest = WOK__MAX(longest, j->seq[i].room);
    tokens += j->seq[i].prompt;
  }
  WOK__TRY(wok__sampler_new(j->c, &j->sampler, &j->o, j->vocab));
  const wok__session_opts o = {.slots = j->n, .capacity = WOK__MIN(longest, j->positions), .chunk = WOK__MIN(tokens, (int64_t)PREFILL)};
  WOK__TRY(wok__session_new(j->m, &j->session, &o));
  j->stats.cache_bytes = wok__session_cache_bytes(j->session);
  double t0 = wok__now();
  WOK__TRY(prefill(j));
  double t1 = wok__now();
  WOK__TRY(decode(j));
  j->stats.prefill_s = t1 - t0;
  j->stats.decode_s = wok__now() - t1;
  return WOK_OK;
}

static wok_status results_of(job *j, wok_generated *r) {
  for (int i = 0; i < j->n; i++) {
    sequence *s = &j->seq[i];
    hand_over(j, i, -1);
    wok__str_add(&s->text, "", 0);
    r[i].n = s->n - s->prompt;
    r[i].ids = wok__malloc(WOK__MAX(r[i].n, 1) * (int64_t)sizeof *r[i].ids);
    r[i].text = wok__malloc(s->text.len + 1);
    r[i].stop = s->stop;
    if (!r[i].ids || !r[i].text || s->text.failed) return wok__nomem(j->c, s->text.len);
    memcpy(r[i].ids, s->ids + s->prompt, (size_t)r[i].n * sizeof *r[i].ids);
    if (s->text.len) memcpy(r[i].text, s->text.p, (size_t)s->text.len);
    r[i].text[s->text.len] = 0;
    r[i].text_len = s->text.len;
  }
  return WOK_OK;
}

wok_status wok_generate(wok_model *m, const wok_tokenizer *t, const char *const *prompts, int n, const wok_generate_opts *opts,
                        wok_generated *results, wok_generate_stats *stats) {
  const wok_model_config *cfg = wok_model_get_config(m);
  job j = {.c = wok__model_ctx(m), .m = m, .t = t, .n = n, .positions = cfg->max_position_embeddings, .vocab = cfg->vocab_size};
  if (opts) j.o = *opts;
  if (j.o.max_tokens <= 0) j.o.max_tokens = 128;
  memset(results, 0, (size_t)WOK__MAX(n, 0) * sizeof *results);
  if (n <= 0) return wok__fail(j.c, WOK_INVALID, "no prompts were given");
  if (wok_tokenizer_size(t) != cfg->vocab_size)
    return wok__fail(j.c, WOK_MISMATCH, "the tokenizer has %lld tokens, the model's vocabulary has %lld: they do not belong together",
                     (long long)wok_tokenizer_size(t), (long long)cfg->vocab_size);
  wok_status s = work(&j, prompts);
  if (!s) s = results_of(&j, results);
  if (s) wok_generated_free(results, n);
  if (stats) *stats = j.stats;
  for (int i = 0; i < n && j.seq; i++) {
    wok__free(j.seq[i].ids);
    wok__str_free(&j.seq[i].text);
  }
  wok__free(j.seq);
  wok__free(j.run);
  wok__free(j.out);
  wok__free(j.who);
  wok__session_free(j.session);
  wok__sampler_free(j.sampler);
  return s;
}

void wok_generated_free(wok_generated *r, int n) {
  for (int i = 0; i < n; i++) {
    wok__free(r[i].ids);
    wok__free(r[i].text);
    r[i] = (wok_generated){0};
  }
}
