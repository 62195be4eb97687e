/* Tokens through a model with a cache. */
#include "infer/session.h"

enum { IDS, POS, LO, HI, CACHE_ROW, LOGIT_ROWS, INPUTS };
static const char *const input_names[INPUTS] = {"ids", "pos", "lo", "hi", "cache_row", "logit_rows"};

enum { TOKENS, ROWS }; /* counts */

/* A plan for up to `tokens` tokens of which up to `rows` want logits. */
typedef struct stage {
  wok_graph *g;
  wok_plan *plan;
  int64_t tokens, rows;
  int32_t *in[INPUTS];
} stage;

struct wok__session {
  wok_ctx *c;
  wok_model *m;
  wok_cache *cache;
  int64_t capacity, slots;
  wok_workspace *workspace;
  stage prompt, next; /* many tokens at once; one for each slot, all with logits */
};

wok_status wok__session_new(wok_model *m, wok__session **out, const wok__session_opts *o) {
  wok_ctx *c = wok__model_ctx(m);
  wok__session *s = *out = wok__calloc(1, (int64_t)sizeof *s);
  if (!s) return wok__nomem(c, (int64_t)sizeof *s);
  *s = (wok__session){.c = c, .m = m, .capacity = o->capacity, .slots = o->slots};
  s->prompt.tokens = WOK__MAX(o->chunk, o->slots);
  s->prompt.rows = WOK__MAX(o->rows, o->slots);
  s->next.tokens = s->next.rows = o->slots;
  wok_status e = wok_workspace_new(c, &s->workspace);
  if (!e) e = wok_cache_new(m, &s->cache, o->slots, o->capacity);
  if (e) {
    wok__session_free(s);
    *out = NULL;
  }
  return e;
}

static void stage_free(stage *t) {
  wok_plan_free(t->plan);
  wok_graph_free(t->g);
  for (int i = 0; i < INPUTS; i++) wok__free(t->in[i]);
}

void wok__session_free(wok__session *s) {
  if (!s) return;
  stage_free(&s->prompt);
  stage_free(&s->next);
  wok_cache_free(s->cache);
  wok_workspace_free(s->workspace);
  wok__free(s);
}

int64_t wok__session_cache_bytes(const wok__session *s) { return wok_cache_bytes(s->cache); }

static wok_status make_plan(wok__session *s, stage *t, const char *name) {
  WOK__TRY(wok_graph_new(s->c, &t->g));
  wok_val *v[INPUTS];
  for (int i = 0; i < INPUTS; i++) {
    int64_t n = i == LOGIT_ROWS ? t->rows : t->tokens;
    if (!(t->in[i] = wok__calloc(n, (int64_t)sizeof **t->in))) return wok__nomem(s->c, n * (int64_t)sizeof **t->in);
    v[i] = wok_input_counted(t->g, input_names[i], WOK_I32, WOK_SHAPE(n), i == LOGIT_ROWS ? ROWS : TOKENS);
  }
  wok_batch b = {.ids = v[IDS], .pos = v[POS], .lo = v[LO], .hi = v[HI], .cache = s->cache, .cache_row = v[CACHE_ROW],
                 .logit_rows = v[LOGIT_ROWS]};
  wok_val *logits = wok_model_forward(t->g, s->m, &b).logits;
  WOK__TRY(wok_compile(s->c, &t->plan, &logits, 1, &(wok_plan_opts){.name = name, .workspace = s->workspace, .compute = s->m->compute}));
  for (int i = 0; i < INPUTS; i++) WOK__TRY(wok_plan_bind(t->plan, v[i], t->in[i]));
  return WOK_OK;
}

wok_status wok__session_run(wok__session *s, const wok__token *tokens, int64_t n, const float **logits) {
  int64_t rows = 0;
  for (int64_t i = 0; i < n; i++) rows += tokens[i].logits;
  stage *t = n <= s->slots && rows == n ? &s->next : &s->prompt;
  if (n > t->tokens || rows > t->rows)
    return wok__fail(s->c, WOK_INVALID, "generate: %lld tokens with %lld logits at once; at most %lld with %lld", (long long)n,
                     (long long)rows, (long long)t->tokens, (long long)t->rows);
  if (!t->plan) WOK__TRY(make_plan(s, t, t == &s->next ? "next token" : "prompt"));
  t->in[LOGIT_ROWS][0] = 0; /* a row nobody looks at, when none is wanted */
  for (int64_t i = 0, r = 0; i < n; i++) {
    const wok__token *k = &tokens[i];
    int32_t base = (int32_t)(k->slot * s->capacity);
    t->in[IDS][i] = k->id;
    t->in[POS][i] = k->pos;
    t->in[LO][i] = base;
    t->in[HI][i] = base + k->pos + 1;
    t->in[CACHE_ROW][i] = base + k->pos;
    if (k->logits) t->in[LOGIT_ROWS][r++] = (int32_t)i;
  }
  WOK__TRY(wok_plan_count(t->plan, TOKENS, n));
  WOK__TRY(wok_plan_count(t->plan, ROWS, WOK__MAX(rows, 1)));
  WOK__TRY(wok_plan_run(t->plan, NULL));
  *logits = rows ? wok_plan_data(t->plan, 0) : NULL;
  return WOK_OK;
}
