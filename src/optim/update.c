/* optim/update.c - the slabs of gradients and state, and the passes over them, chunk by chunk. */
#include <math.h>
#include "kernels/cpu/optim.h"
#include "optim/optim.h"

enum { CHUNK = 1 << 14 }; /* elements: four f32 streams of a chunk lie in 256 KB, inside the second-level cache */

struct wok__optim {
  wok_ctx *c;
  const wok__rule *rule;
  wok__optim_opts opts;
  float *params;
  uint16_t *bf16; /* or NULL */
  int64_t count, steps;
  wok__slab grads, state[WOK__RULE_STATES];
  struct chunk { int64_t offset, n; double decay; } *chunk;
  int64_t nchunks;
  int64_t *tile, ntiles; /* tile i is chunks tile[i] to tile[i + 1]: small tensors together, so that a thread has enough to do */
};

/* What a step hands to its tiles. */
struct pass {
  wok__optim *o;
  double grad_scale, lr;
  int64_t step;
};

static int64_t rows_of(const wok_param *p, int64_t *row) {
  *row = p->shape.ndim > 0 ? p->shape.dim[p->shape.ndim - 1] : 1;
  return *row > 0 ? p->count / *row : 0;
}

/* Rows of one chunk: as many whole ones as fit, at least one. */
static int64_t rows_at_once(int64_t row) { return WOK__MAX(1, CHUNK / WOK__MAX(1, row)); }

static int64_t chunks_of(const wok_param *p) {
  int64_t row, rows = rows_of(p, &row), step = rows_at_once(row);
  return (rows + step - 1) / step;
}

static wok_status cut_chunks(wok__optim *o, const wok_param *list, int64_t n) {
  int64_t total = 0;
  for (int64_t i = 0; i < n; i++) {
    int64_t end;
    if (list[i].offset < 0 || !wok__add(list[i].offset, list[i].count, &end) || end > o->count ||
        list[i].count != wok__shape_count(&list[i].shape))
      return wok__fail(o->c, WOK_INVALID, "parameter %s does not lie in the slab of %lld elements", list[i].name, (long long)o->count);
    total += chunks_of(&list[i]);
  }
  o->chunk = wok__calloc(WOK__MAX(total, 1), (int64_t)sizeof *o->chunk);
  if (!o->chunk) return wok__nomem(o->c, total * (int64_t)sizeof *o->chunk);
  for (int64_t i = 0; i < n; i++) {
    int64_t row, rows = rows_of(&list[i], &row), step = rows_at_once(row);
    double decay = o->opts.weight_decay * wok__group_of(list[i].role)->decay;
    for (int64_t r = 0; r < rows; r += step)
      o->chunk[o->nchunks++] = (struct chunk){list[i].offset + r * row, WOK__MIN(step, rows - r) * row, decay};
  }
  o->tile = wok__calloc(total + 1, (int64_t)sizeof *o->tile);
  if (!o->tile) return wok__nomem(o->c, (total + 1) * (int64_t)sizeof *o->tile);
  for (int64_t i = 0, sum = 0; i < o->nchunks; i++) {
    sum += o->chunk[i].n;
    if (sum < CHUNK / 2 && i + 1 < o->nchunks) continue;
    o->tile[++o->ntiles] = i + 1;
    sum = 0;
  }
  return WOK_OK;
}

static wok_status check_opts(wok_ctx *c, const wok__rule *r, const wok__optim_opts *o) {
  for (int i = 0; i < r->nnumber; i++) {
    const wok__hyper *h = &r->number[i];
    if (!(o->number[i] >= h->least && o->number[i] < h->below))
      return wok__fail(c, WOK_INVALID, "%s: %s must lie in [%g, %g), not %g", r->name, h->name, h->least, h->below, o->number[i]);
  }
  if (!(o->weight_decay >= 0 && o->weight_decay < 1e6)) /* also refuses NaN */
    return wok__fail(c, WOK_INVALID, "%s: the weight decay must be a number from 0 on, not %g", r->name, o->weight_decay);
  return WOK_OK;
}

static wok_status set_up(wok__optim *o, const wok_param *list, int64_t n) {
  WOK__TRY(check_opts(o->c, o->rule, &o->opts));
  WOK__TRY(cut_chunks(o, list, n));
  WOK__TRY(wok__slab_new(o->c, &o->grads, WOK_F32, o->count, "the gradients"));
  for (int i = 0; i < o->rule->nstate; i++) WOK__TRY(wok__slab_new(o->c, &o->state[i], WOK_F32, o->count, "the optimizer's state"));
  return WOK_OK;
}

wok_status wok__optim_new(wok_ctx *c, wok__optim **out, const wok_param *list, int64_t n, float *params, int64_t count,
                          const wok__optim_opts *opts) {
  *out = NULL;
  const char *name = opts->rule ? opts->rule : "adamw";
  const wok__rule *rule = wok__rule_find(name);
  if (!rule) return wok__fail(c, WOK_NOTFOUND, "there is no optimizer rule \"%s\"; there is: %s", name, wok__rule_at(0)->name);
  wok__optim *o = wok__calloc(1, (int64_t)sizeof *o);
  if (!o) return wok__nomem(c, (int64_t)sizeof *o);
  *o = (wok__optim){.c = c, .rule = rule, .opts = *opts, .params = params, .count = count};
  wok_status s = set_up(o, list, n);
  if (s) {
    wok__optim_free(o);
    return s;
  }
  *out = o;
  return WOK_OK;
}

void wok__optim_free(wok__optim *o) {
  if (!o) return;
  wok__slab_free(&o->grads);
  for (int i = 0; i < WOK__RULE_STATES; i++) wok__slab_free(&o->state[i]);
  wok__free(o->chunk);
  wok__free(o->tile);
  wok__free(o);
}

int64_t wok__optim_bytes(const wok__rule *r, int64_t count) { return (1 + r->nstate) * count * (int64_t)sizeof(float); }
float *wok__optim_grads(const wok__optim *o) { return o->grads.data; }
float *wok__optim_state(const wok__optim *o, int i) { return o->state[i].data; }
const wok__rule *wok__optim_rule(const wok__optim *o) { return o->rule; }
int64_t wok__optim_steps(const wok__optim *o) { return o->steps; }
void wok__optim_set_steps(wok__optim *o, int64_t steps) { o->steps = steps; }
void wok__optim_set_bf16(wok__optim *o, uint16_t *bf16) { o->bf16 = bf16; }

double wok__optim_norm(wok__optim *o) { return sqrt(wok__sumsq(o->c, o->grads.data, o->count, NULL)); }

static void update_chunk(const struct pass *pass, const struct chunk *k) {
  wok__optim *o = pass->o;
  wok__chunk call = {.param = o->params + k->offset,
                     .grad = (const float *)o->grads.data + k->offset,
                     .bf16 = o->bf16 ? o->bf16 + k->offset : NULL,
                     .n = k->n,
                     .step = pass->step,
                     .grad_scale = pass->grad_scale,
                     .lr = pass->lr,
                     .decay = k->decay,
                     .number = o->opts.number,
                     .isa = wok__ctx_isa(o->c)};
  for (int i = 0; i < o->rule->nstate; i++) call.state[i] = (float *)o->state[i].data + k->offset;
  o->rule->run(&call);
}

static void update_tile(void *arg, int64_t tile, int worker) {
  (void)worker;
  const struct pass *pass = arg;
  for (int64_t i = pass->o->tile[tile]; i < pass->o->tile[tile + 1]; i++) update_chunk(pass, &pass->o->chunk[i]);
}

wok_status wok__optim_step(wok__optim *o, double grad_scale, double lr, wok__optim_report *r) {
  double norm = wok__optim_norm(o) * fabs(grad_scale);
  *r = (wok__optim_report){norm, 1};
  if (!isfinite(norm)) return wok__fail(o->c, WOK_NONFINITE, "the norm of the gradient is %s", isnan(norm) ? "not a number" : "infinite");
  r->clip = wok__clip_factor(o->opts.form, o->opts.clip, norm);
  struct pass pass = {o, grad_scale * r->clip, lr, o->steps + 1};
  wok__pool_run(o->c, update_tile, &pass, o->ntiles);
  o->steps++;
  return WOK_OK;
}
