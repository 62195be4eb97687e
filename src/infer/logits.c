/* Scores of one sequence, without cache: what other programs are compared with. */
#include <string.h>
#include "infer/session.h"

static wok_status check(wok_ctx *c, const wok_model_config *cfg, const int32_t *ids, int64_t n) {
  if (n <= 0) return wok__fail(c, WOK_INVALID, "no ids");
  if (n > cfg->max_position_embeddings)
    return wok__fail(c, WOK_LIMIT, "%lld ids, the model has %lld positions", (long long)n,
                     (long long)cfg->max_position_embeddings);
  for (int64_t i = 0; i < n; i++)
    if (ids[i] < 0 || ids[i] >= cfg->vocab_size)
      return wok__fail(c, WOK_INVALID, "id %d at place %lld is outside the vocabulary of %lld", ids[i], (long long)i,
                       (long long)cfg->vocab_size);
  return WOK_OK;
}

static wok_status run(wok_ctx *c, wok_graph *g, wok_model *m, const int32_t *ids, int32_t *scratch, int64_t n, float *out) {
  enum { IDS, POS, LO, HI, COUNT };
  static const char *const names[COUNT] = {"ids", "pos", "lo", "hi"};
  wok_val *v[COUNT];
  for (int i = 0; i < COUNT; i++) v[i] = wok_input(g, names[i], WOK_I32, WOK_SHAPE(n));
  for (int64_t i = 0; i < n; i++) {
    scratch[i] = (int32_t)i;
    scratch[n + i] = 0;
    scratch[2 * n + i] = (int32_t)i + 1;
  }
  wok_batch b = {.ids = v[IDS], .pos = v[POS], .lo = v[LO], .hi = v[HI]};
  wok_val *logits = wok_cast(wok_model_forward(g, m, &b).logits, WOK_F32);
  wok_plan *p;
  WOK__TRY(wok_compile(c, &p, &logits, 1, &(wok_plan_opts){.name = "logits", .compute = m->compute}));
  wok_status s = wok_plan_bind(p, v[IDS], ids);
  for (int i = POS; i < COUNT && !s; i++) s = wok_plan_bind(p, v[i], scratch + (i - POS) * n);
  if (!s) s = wok_plan_run(p, NULL);
  if (!s) memcpy(out, wok_plan_data(p, 0), (size_t)(n * wok_model_get_config(m)->vocab_size) * sizeof *out);
  wok_plan_free(p);
  return s;
}

wok_status wok_logits(wok_model *m, const int32_t *ids, int64_t n, float *logits) {
  wok_ctx *c = wok__model_ctx(m);
  WOK__TRY(check(c, wok_model_get_config(m), ids, n));
  wok_graph *g;
  WOK__TRY(wok_graph_new(c, &g));
  int32_t *scratch = wok__malloc(3 * n * (int64_t)sizeof *scratch);
  wok_status s = scratch ? run(c, g, m, ids, scratch, n, logits) : wok__nomem(c, 3 * n * (int64_t)sizeof *scratch);
  wok__free(scratch);
  wok_graph_free(g);
  return s;
}
