/* train/engine.c - from tokens to a step. */
#include <math.h>
#include "train/engine.h"
#include "train/settings.h"

int64_t wok__micro_tokens(const wok_train_opts *o) { return o->batch / o->accumulate * o->seq; }

double wok__flops_per_token(const wok_model *m, int64_t seq) {
  const wok_model_config *cfg = wok_model_get_config(m);
  return 6.0 * (double)wok_model_matmul_weights(m) +
         12.0 * (double)cfg->num_hidden_layers * (double)cfg->hidden_size * ((double)seq + 1) / 2;
}

static wok_status set_up(wok__engine *e, const wok_train_opts *o) {
  const wok_param *list;
  int64_t n = wok_model_params(e->m, &list), count = wok_model_param_count(e->m);
  wok__optim_opts opts = {.number = {o->beta1, o->beta2, o->eps}, .weight_decay = o->weight_decay, .clip = o->clip};
  WOK__TRY(wok__optim_new(e->c, &e->optim, list, n, wok_buffer_data(wok_model_buffer(e->m)), count, &opts));
  WOK__TRY(wok_buffer_new(e->c, &e->grads, "gradients", WOK_F32, count, wok__optim_grads(e->optim)));
  WOK__TRY(wok_workspace_new(e->c, &e->workspace));
  return wok__loss_new(e->c, &e->micro, e->m,
                       &(wok__loss_opts){.name = "training", .tokens = wok__micro_tokens(o), .grads = e->grads, .workspace = e->workspace,
                                         .compute = o->compute, .mem_limit = wok__plan_room(e->c, e->m, o)});
}

wok_status wok__engine_new(wok_ctx *c, wok__engine *e, wok_model *m, const wok_train_opts *o) {
  *e = (wok__engine){.c = c, .m = m, .accumulate = o->accumulate, .seed = o->seed};
  wok_status s = set_up(e, o);
  if (s) wok__engine_free(e);
  return s;
}

void wok__engine_free(wok__engine *e) {
  wok__loss_free(&e->micro);
  wok_workspace_free(e->workspace);
  wok_buffer_free(e->grads);
  wok__optim_free(e->optim);
  *e = (wok__engine){0};
}

wok_status wok__engine_step(wok__engine *e, wok__stream *s, double lr, wok__step_result *r) {
  uint64_t first = (uint64_t)(wok__optim_steps(e->optim) * e->accumulate);
  double nats = 0;
  *r = (wok__step_result){0};
  for (int64_t i = 0; i < e->accumulate; i++) {
    wok__loss_sum sum;
    WOK__TRY(wok__stream_next(s, &e->micro.batch));
    WOK__TRY(wok__loss_run(&e->micro, &(wok_run_opts){.seed = e->seed, .tick = first + (uint64_t)i, .fresh = i == 0}, &sum));
    nats += sum.nats;
    r->tokens += e->micro.batch.targets;
  }
  r->loss = nats / (double)r->tokens;
  if (!isfinite(r->loss)) return wok__fail(e->c, WOK_NONFINITE, "the loss is %s", isnan(r->loss) ? "not a number" : "infinite");
  wok__optim_report report;
  wok_status st = wok__optim_step(e->optim, 1 / (double)r->tokens, lr, &report);
  r->grad_norm = report.norm;
  return st;
}
