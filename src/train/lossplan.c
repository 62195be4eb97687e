/* train/lossplan.c - one micro-batch as a plan. */
#include <string.h>
#include "train/lossplan.h"

/* What the graph is built from. */
typedef struct parts {
  wok_val *column[WOK__BATCH_COLUMN_COUNT], *pick;
  wok_val **result;
  int nresults;
} parts;

static wok_val *input(wok_graph *g, const char *name, int64_t tokens) { return wok_input(g, name, WOK_I32, WOK_SHAPE(tokens)); }

/* Rows whose largest logit is the label's. (Equal logits count as right: that happens to trained weights as good as never.) */
static wok_val *right_rows(wok_graph *g, wok_val *logits, wok_val *pick, int64_t tokens) {
  wok_val *most = wok_max_axis(logits, 1, false);
  wok_val *label = wok_gather(wok_reshape(logits, WOK_SHAPE(-1)), pick);
  return wok_select(wok_equal(most, label), wok_full(g, wok_val_dtype(most), WOK_SHAPE(tokens), 1),
                    wok_full(g, wok_val_dtype(most), WOK_SHAPE(tokens), 0));
}

static wok_status add_gradients(wok_ctx *c, wok_graph *g, wok_model *m, wok_val *rows, wok_buffer *grads, parts *p) {
  const wok_param *list;
  int n = (int)wok_model_params(m, &list);
  wok_val **x = wok__calloc(2 * (int64_t)n, (int64_t)sizeof(wok_val *)), **dx = x + n;
  if (!x) return wok__nomem(c, 16 * (int64_t)n);
  for (int i = 0; i < n; i++) x[i] = wok_model_param_at(g, m, i);
  wok_grad(wok_sum(rows), x, n, dx);
  for (int i = 0; i < n; i++) p->result[p->nresults++] = wok_accumulate(grads, list[i].offset, dx[i]);
  wok__free(x);
  return WOK_OK;
}

static wok_status build(wok_ctx *c, wok__loss *l, wok_model *m, const wok__loss_opts *o, parts *p) {
  int i = 0;
#define INPUT_COLUMN(name) p->column[i++] = input(l->g, #name, o->tokens);
  WOK__BATCH_COLUMNS(INPUT_COLUMN)
#undef INPUT_COLUMN
  i = 0;
  wok_batch b = {.training = o->grads != NULL};
  b.ids = p->column[i++];
  b.pos = p->column[i++];
  b.lo = p->column[i++];
  b.hi = p->column[i++];
  b.seq = p->column[i++];
  b.row = p->column[i++];
  wok_val *labels = p->column[i++];
  wok_outputs out = wok_model_forward(l->g, m, &b);
  if (!o->accuracy) {
    wok_val *rows = wok_xent(out.logits, labels);
    p->result[p->nresults++] = rows;
    return o->grads ? add_gradients(c, l->g, m, rows, o->grads, p) : WOK_OK;
  }
  /* The logits are needed as a whole, so the loss is not to be fused with the head: they would be computed twice. */
  wok_val *logits = wok_stop_grad(out.logits);
  p->pick = input(l->g, "pick", o->tokens);
  p->result[p->nresults++] = wok_xent(logits, labels);
  p->result[p->nresults++] = right_rows(l->g, logits, p->pick, o->tokens);
  return WOK_OK;
}

static wok_status bind(wok__loss *l, const parts *p) {
  int i = 0;
#define BIND_COLUMN(name) WOK__TRY(wok_plan_bind(l->plan, p->column[i++], l->batch.name));
  WOK__BATCH_COLUMNS(BIND_COLUMN)
#undef BIND_COLUMN
  return p->pick ? wok_plan_bind(l->plan, p->pick, l->pick) : WOK_OK;
}

static wok_status set_up(wok_ctx *c, wok__loss *l, wok_model *m, const wok__loss_opts *o, parts *p) {
  WOK__TRY(wok_graph_new(c, &l->g));
  WOK__TRY(build(c, l, m, o, p));
  WOK__TRY(wok_compile(c, &l->plan, p->result, p->nresults,
                       &(wok_plan_opts){.name = o->name, .workspace = o->workspace, .dry = o->dry, .compute = o->compute,
                                        .mem_limit = o->mem_limit}));
  if (o->dry) return WOK_OK;
  WOK__TRY(wok__batch_new(c, &l->batch, o->tokens));
  if (p->pick) {
    l->pick = wok__calloc(o->tokens, (int64_t)sizeof *l->pick);
    if (!l->pick) return wok__nomem(c, o->tokens * 4);
  }
  return bind(l, p);
}

wok_status wok__loss_new(wok_ctx *c, wok__loss *l, wok_model *m, const wok__loss_opts *o) {
  *l = (wok__loss){.vocab = wok_model_get_config(m)->vocab_size, .accuracy = o->accuracy};
  parts p = {.result = wok__calloc(2 + wok_model_params(m, NULL), (int64_t)sizeof(wok_val *))};
  wok_status s = p.result ? set_up(c, l, m, o, &p) : wok__nomem(c, 64);
  wok__free(p.result);
  if (s) wok__loss_free(l);
  return s;
}

void wok__loss_free(wok__loss *l) {
  wok_plan_free(l->plan);
  wok_graph_free(l->g);
  wok__batch_free(&l->batch);
  wok__free(l->pick);
  *l = (wok__loss){0};
}

wok_status wok__loss_run(wok__loss *l, const wok_run_opts *o, wok__loss_sum *sum) {
  const wok__batch *b = &l->batch;
  *sum = (wok__loss_sum){0};
  for (int64_t i = 0; l->accuracy && i < b->tokens; i++) l->pick[i] = (int32_t)(i * l->vocab + WOK__MAX(0, b->labels[i]));
  WOK__TRY(wok_plan_run(l->plan, o));
  const float *rows = wok_plan_data(l->plan, 0), *right = l->accuracy ? wok_plan_data(l->plan, 1) : NULL;
  for (int64_t i = 0; i < b->tokens; i++) {
    if (b->labels[i] < 0) continue;
    sum->nats += (double)rows[i];
    if (right) sum->right += right[i] > 0;
  }
  return WOK_OK;
}

wok_status wok__loss_measure(wok_ctx *c, wok_model *m, const wok__loss_opts *o, int64_t *bytes) {
  /* A context without a memory limit, so that what is too much gets a number, too. */
  wok_ctx_opts unlimited = *wok__ctx_opts(c);
  unlimited.mem_limit = 0;
  unlimited.log = NULL;
  unlimited.progress = NULL;
  wok_ctx *aside;
  wok__loss l;
  wok__loss_opts dry = *o;
  dry.dry = true;
  dry.workspace = NULL;
  if (wok_ctx_new(&aside, &unlimited) != WOK_OK) return wok__nomem(c, 0);
  wok_status s = wok__loss_new(aside, &l, m, &dry);
  if (s) (void)wok__fail(c, s, "%s", wok_errmsg(aside));
  else *bytes = wok_plan_bytes(l.plan);
  if (s == WOK_OK) wok__loss_free(&l);
  wok_ctx_free(aside);
  return s;
}
