/* Tokens through a model with a cache. */
#include <stdio.h>
#include <string.h>
#include "infer/session.h"

enum { IDS, POS, LO, HI, CACHE_ROW, LOGIT_ROWS, INPUTS };
static const char *const input_names[INPUTS] = {"ids", "pos", "lo", "hi", "cache_row", "logit_rows"};

struct wok__session {
  wok_ctx *c;
  wok_model *m;
  wok_cache *cache;
  int64_t capacity;
  wok_workspace *workspace;
  wok_graph *g;
  wok_plan *plan;
  int64_t n, rows; /* what the plan was made for */
  int32_t *in[INPUTS];
  int64_t room;
};

wok_status wok__session_new(wok_model *m, wok__session **out, int64_t slots, int64_t capacity) {
  wok_ctx *c = wok__model_ctx(m);
  wok__session *s = *out = wok__calloc(1, (int64_t)sizeof *s);
  if (!s) return wok__nomem(c, (int64_t)sizeof *s);
  s->c = c;
  s->m = m;
  s->capacity = capacity;
  wok_status e = wok_workspace_new(c, &s->workspace);
  if (!e) e = wok_cache_new(m, &s->cache, slots, capacity);
  if (e) {
    wok__session_free(s);
    *out = NULL;
  }
  return e;
}

static void drop_plan(wok__session *s) {
  wok_plan_free(s->plan);
  wok_graph_free(s->g);
  s->plan = NULL;
  s->g = NULL;
}

void wok__session_free(wok__session *s) {
  if (!s) return;
  drop_plan(s);
  wok_cache_free(s->cache);
  wok_workspace_free(s->workspace);
  for (int i = 0; i < INPUTS; i++) wok__free(s->in[i]);
  wok__free(s);
}

int64_t wok__session_cache_bytes(const wok__session *s) { return wok_cache_bytes(s->cache); }

static wok_status room_for(wok__session *s, int64_t n) {
  if (n <= s->room) return WOK_OK;
  for (int i = 0; i < INPUTS; i++) {
    int32_t *p = wok__realloc(s->in[i], n * (int64_t)sizeof *p);
    if (!p) return wok__nomem(s->c, n * (int64_t)sizeof *p);
    s->in[i] = p;
  }
  s->room = n;
  return WOK_OK;
}

static wok_status make_plan(wok__session *s, int64_t n, int64_t rows) {
  drop_plan(s);
  WOK__TRY(wok_graph_new(s->c, &s->g));
  wok_val *v[INPUTS];
  for (int i = 0; i < INPUTS; i++)
    v[i] = wok_input(s->g, input_names[i], WOK_I32, WOK_SHAPE(i == LOGIT_ROWS ? WOK__MAX(rows, 1) : n));
  wok_batch b = {.ids = v[IDS], .pos = v[POS], .lo = v[LO], .hi = v[HI], .cache = s->cache, .cache_row = v[CACHE_ROW],
                 .logit_rows = v[LOGIT_ROWS]};
  wok_val *logits = wok_model_forward(s->g, s->m, &b).logits;
  WOK__TRY(wok_compile(s->c, &s->plan, &logits, 1, &(wok_plan_opts){.name = "generate", .workspace = s->workspace}));
  for (int i = 0; i < INPUTS; i++) WOK__TRY(wok_plan_bind(s->plan, v[i], s->in[i]));
  s->n = n;
  s->rows = rows;
  return WOK_OK;
}

wok_status wok__session_run(wok__session *s, const wok__token *t, int64_t n, const float **logits) {
  int64_t rows = 0;
  for (int64_t i = 0; i < n; i++) rows += t[i].logits;
  bool fits = s->plan && s->n == n && s->rows == rows && n <= s->room;
  WOK__TRY(room_for(s, n));
  s->in[LOGIT_ROWS][0] = 0; /* a row nobody looks at, when none is wanted */
  for (int64_t i = 0, r = 0; i < n; i++) {
    int32_t base = (int32_t)(t[i].slot * s->capacity);
    s->in[IDS][i] = t[i].id;
    s->in[POS][i] = t[i].pos;
    s->in[LO][i] = base;
    s->in[HI][i] = base + t[i].pos + 1;
    s->in[CACHE_ROW][i] = base + t[i].pos;
    if (t[i].logits) s->in[LOGIT_ROWS][r++] = (int32_t)i;
  }
  if (!fits) WOK__TRY(make_plan(s, n, rows));
  WOK__TRY(wok_plan_run(s->plan, NULL));
  *logits = rows ? wok_plan_data(s->plan, 0) : NULL;
  return WOK_OK;
}
