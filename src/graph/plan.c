/* Plans: compiling and running. After compiling, a run allocates nothing and decides nothing. */
#include <stdio.h>
#include <string.h>
#include "graph/plan.h"

/* ---- memory shared by plans ---- */
wok_status wok_workspace_new(wok_ctx *c, wok_workspace **out) {
  *out = wok__calloc(1, (int64_t)sizeof **out);
  if (!*out) return wok__nomem(c, (int64_t)sizeof **out);
  (*out)->c = c;
  return WOK_OK;
}

void wok_workspace_free(wok_workspace *w) {
  if (!w) return;
  if (w->data) wok__pages_free(w->data, w->bytes);
  wok__free(w);
}

typedef struct touch { char *p; int64_t n; } touch;
enum { TOUCH = 16 << 20 };
static void touch_tile(void *arg, int64_t tile, int worker) {
  (void)worker;
  const touch *t = arg;
  for (int64_t i = tile * TOUCH; i < WOK__MIN(t->n, (tile + 1) * TOUCH); i += 4096) t->p[i] = 0;
}

static wok_status workspace_fit(wok_workspace *w, int64_t bytes, const char *plan) {
  if (bytes <= w->bytes) return WOK_OK;
  char text[32];
  if (w->data) wok__pages_free(w->data, w->bytes);
  w->bytes = 0;
  w->data = wok__pages_alloc(bytes);
  if (!w->data) {
    wok__format_size(text, sizeof text, bytes);
    return wok__fail(w->c, WOK_NOMEM, "%s: no memory for %s of values", plan, text);
  }
  w->bytes = bytes;
  touch t = {w->data, bytes}; /* now, so that no run can fail for lack of memory later */
  wok__pool_run(w->c, touch_tile, &t, (bytes + TOUCH - 1) / TOUCH);
  return WOK_OK;
}

/* ---- compiling ---- */
static int64_t state_bytes(const wok__ir *ir) {
  wok_buffer *seen[256];
  int n = 0;
  int64_t bytes = 0;
  for (int64_t i = 0; i < ir->n; i++) {
    const wok__op *op = ir->nodes[i].node->op;
    if (op->id != WOK__OP_load && !(op->flags & WOK__OP_EFFECT)) continue;
    wok_buffer *b = ((const wok__attr_buffer *)ir->nodes[i].node->attr)->buffer;
    bool old = false;
    for (int k = 0; k < n && !old; k++) old = seen[k] == b;
    if (old || n == (int)WOK__COUNT(seen)) continue;
    seen[n++] = b;
    bytes += b->count * wok_dtype_size(b->dtype);
  }
  return bytes;
}

static wok_status parse_compute(wok_ctx *c, const char *name, wok__compute *out) {
  *out = WOK__COMPUTE_OWN;
  if (!name || wok__compute_of(name, out)) return WOK_OK;
  return wok__fail(c, WOK_INVALID, "there is no compute \"%.20s\": f32, bf16, bf16x3, bf16x6", name);
}

/* A region costs half a microsecond when the helpers are awake, ten when they sleep, and what they have computed lies in other
   caches than the next operator's. So light operators run on the calling thread; their tiles, and so their bits, are the same.
   Guessed low, since those that compute more for each byte are the ones that gain from threads. */
static bool too_little(const wok__step *t) {
  static const double bytes_per_s = 40e9, flops_per_s = 100e9, least_s = 50e-6;
  const wok__op *op = t->node->op;
  bool known = (op->flags & (WOK__OP_ELEMENTWISE | WOK__OP_EFFECT)) || t->flops > 0 || op->id == WOK__OP_sum_to || op->id == WOK__OP_broadcast_to;
  if (!known) return false;
  double bytes = 0;
  for (int k = 0; k < t->nin; k++) bytes += (double)wok__bytes(t->in_arr[k].dtype, &t->in_arr[k].shape);
  for (int k = 0; k < t->nout; k++) bytes += (double)wok__bytes(t->out_arr[k].dtype, &t->out_arr[k].shape);
  return bytes / bytes_per_s + t->flops / flops_per_s < least_s;
}

/* Everything but taking the memory. take: how many operators may run again in the backward pass so that their results need not
   be kept. */
static wok_status plan(wok_plan *p, wok_val *const *results, int n, const wok_plan_opts *o, int64_t take) {
  wok__ir ir;
  wok__compute compute;
  WOK__TRY(parse_compute(p->c, o->compute, &compute));
  wok_status s = wok__ir_build(p->c, &ir, results, n);
  int64_t *order = s ? NULL : wok__new(ir.arena, int64_t, ir.n);
  if (!s && !order) s = wok__nomem(p->c, ir.n * 8);
  if (!s) s = wok__ir_schedule(&ir, order);
  if (!s) s = wok__ir_precision(&ir, order, compute);
  if (!s && take > 0) {
    s = wok__ir_rebuild(&ir, order, take, &p->rebuilt);
    if (!s && !(order = wok__new(ir.arena, int64_t, ir.n))) s = wok__nomem(p->c, ir.n * 8);
    if (!s) s = wok__ir_schedule(&ir, order);
  }
  if (!s) s = wok__plan_place(p, &ir, order, o->reference);
  if (!s) p->state = state_bytes(&ir);
  if (!s) s = wok__plan_find_counted(p);
  if (!s) s = wok__plan_find_fresh(p);
  for (int64_t i = 0; i < p->nsteps && !s; i++) p->steps[i].alone = too_little(&p->steps[i]);
  wok__ir_free(&ir);
  return s;
}

static wok_status plan_new(wok_ctx *c, wok_plan **out, wok_val *const *results, int n, const wok_plan_opts *o, int64_t take) {
  wok_plan *p = wok__calloc(1, (int64_t)sizeof *p);
  *out = NULL;
  if (!p) return wok__nomem(c, (int64_t)sizeof *p);
  *p = (wok_plan){.c = c, .g = results[0]->g, .profile = o->profile, .dry = o->dry, .workspace = o->workspace,
                  .zone = o->debug ? WOK__DEBUG_ZONE : 0};
  snprintf(p->name, sizeof p->name, "%s", o->name ? o->name : "plan");
  wok_status s = (p->arena = wok__arena_new(1 << 18)) ? WOK_OK : wok__nomem(c, 1 << 18);
  if (!s) s = plan(p, results, n, o, take);
  if (!s && o->debug) s = wok__debug_begin(p);
  if (s) {
    wok_plan_free(p);
    return s;
  }
  p->nresults = n; /* links of accumulation chains stand behind them */
  *out = p;
  return WOK_OK;
}

/* What a plan's own memory may be; 0: as much as it likes. */
static int64_t own_limit(const wok_plan *p, const wok_plan_opts *o) {
  if (o->mem_limit > 0) return o->mem_limit;
  int64_t limit = wok__ctx_opts(p->c)->mem_limit;
  return limit > 0 ? WOK__MAX(limit - p->state, 1) : 0;
}

static wok_status too_large(const wok_plan *p, const wok_plan *least, int64_t limit) {
  char all[32], v[32], again[80] = "", s[32], l[32];
  wok__format_size(all, sizeof all, wok_plan_bytes(p) + p->state);
  wok__format_size(v, sizeof v, wok_plan_bytes(p));
  wok__format_size(s, sizeof s, p->state);
  wok__format_size(l, sizeof l, limit + p->state);
  if (least->rebuilt) {
    char b[32];
    wok__format_size(b, sizeof b, wok_plan_bytes(least));
    snprintf(again, sizeof again, " or, computing again what it can, %s", b);
  }
  return wok__fail(p->c, WOK_LIMIT, "%s needs %s (values %s%s, state %s); the memory limit is %s", p->name, all, v, again, s, l);
}

/* The fewest operators run again with which the plan fits; what planning would take with each number is found by planning. */
static wok_status fit_in(wok_plan **p, wok_val *const *results, int n, const wok_plan_opts *o, int64_t limit) {
  wok_ctx *c = (*p)->c;
  wok_plan_opts dry = *o;
  wok_plan *least, *trial;
  dry.dry = true;
  limit -= 2 * (*p)->prepared; /* which dry plans do not have, and operators that run again have once more */
  WOK__TRY(plan_new(c, &least, results, n, &dry, INT64_MAX));
  int64_t few = 0, enough = least->rebuilt;
  wok_status s = wok_plan_bytes(least) <= limit ? WOK_OK : too_large(*p, least, limit);
  wok_plan_free(least);
  while (!s && enough - few > 1) {
    int64_t middle = few + (enough - few) / 2;
    if ((s = plan_new(c, &trial, results, n, &dry, middle))) break;
    if (wok_plan_bytes(trial) <= limit) enough = middle;
    else few = middle;
    wok_plan_free(trial);
  }
  if (s) return s;
  wok_plan_free(*p);
  return plan_new(c, p, results, n, o, enough);
}

wok_status wok_compile(wok_ctx *c, wok_plan **out, wok_val *const *results, int n, const wok_plan_opts *opts) {
  *out = NULL;
  wok_plan_opts o = opts ? *opts : (wok_plan_opts){0};
  double began = wok__now();
  if (n <= 0) return wok__fail(c, WOK_INVALID, "compile: no results were asked for");
  wok_graph *g = results[0]->g;
  for (int i = 0; i < n; i++) {
    if (results[i]->g != g) return wok__fail(c, WOK_INVALID, "compile: result %d belongs to another graph", i);
    if (g->status || wok_is_poison(results[i])) return wok__fail(c, g->status ? g->status : WOK_INVALID, "%s", g->message);
  }
  wok_plan *p;
  WOK__TRY(plan_new(c, &p, results, n, &o, 0));
  int64_t limit = own_limit(p, &o);
  wok_status s = WOK_OK;
  if (limit > 0 && wok_plan_bytes(p) > limit) s = fit_in(&p, results, n, &o, limit);
  if (!s && !p->workspace && !(s = wok_workspace_new(c, &p->workspace))) p->own_workspace = true;
  if (!s) p->compile_s = wok__now() - began; /* taking the memory is the system's time */
  if (!s && !p->dry) s = workspace_fit(p->workspace, p->memory, p->name);
  if (s) {
    wok_plan_free(p);
    return s;
  }
  *out = p;
  return WOK_OK;
}

void wok_plan_free(wok_plan *p) {
  if (!p) return;
  for (int64_t i = 0; i < p->nsteps && p->steps; i++)
    if (p->steps[i].prep && p->steps[i].kernel && p->steps[i].kernel->release) p->steps[i].kernel->release(p->steps[i].prep);
  if (p->own_workspace) wok_workspace_free(p->workspace);
  wok__free(p->blocks);
  wok__arena_free(p->arena);
  wok__free(p);
}

/* ---- running ---- */
wok_status wok_plan_bind(wok_plan *p, const wok_val *input, const void *data) {
  if (wok_is_poison(input) || input->node->op->id != WOK__OP_input || input->g != p->g)
    return wok__fail(p->c, WOK_INVALID, "%s: bind takes an input of the plan's graph", p->name);
  int64_t slot = ((const wok__attr_input *)input->node->attr)->slot;
  if (slot < p->ninputs) p->bound[slot] = data; /* a later input cannot be in the plan */
  return WOK_OK;
}

static void *address(const wok_plan *p, const wok__place *q) {
  char *base = NULL;
  switch (q->where) {
  case WOK__AT_PLAN: base = (char *)p->workspace->data + p->blocks[q->block].offset; break;
  case WOK__AT_BUFFER: base = q->buffer->data; break;
  case WOK__AT_INPUT: base = (char *)(uintptr_t)p->bound[q->slot]; break;
  case WOK__AT_CONST: base = (char *)(uintptr_t)q->data; break;
  case WOK__AT_NONE: return NULL;
  }
  return base ? base + q->offset : NULL;
}

/* Addresses inside the plan's memory are made once; what is bound from outside may change with every run. */
static wok_status resolve_addresses(wok_plan *p) {
  bool moved = p->seen != p->workspace->data || !p->runs;
  for (int64_t i = 0; i < p->nsteps; i++) {
    wok__step *t = &p->steps[i];
    for (int k = 0; k < t->nin; k++)
      if (moved || t->in[k]->where != WOK__AT_PLAN) t->in_arr[k].data = address(p, t->in[k]);
    for (int k = 0; k < t->nout; k++)
      if (moved || t->out[k]->where != WOK__AT_PLAN) t->out_arr[k].data = address(p, t->out[k]);
    for (int k = 0; k < t->nout; k++)
      if (t->out[k]->where == WOK__AT_BUFFER && !t->out[k]->buffer->data)
        return wok__fail(p->c, WOK_INVALID, "%s: buffer %s has no memory", p->name, t->out[k]->buffer->name);
  }
  p->seen = p->workspace->data;
  return WOK_OK;
}

wok_status wok_plan_run(wok_plan *p, const wok_run_opts *o) {
  if (p->dry) return wok__fail(p->c, WOK_INVALID, "%s was planned without memory", p->name);
  for (int64_t i = 0; i < p->ninputs; i++)
    if (p->needs[i] && !p->bound[i])
      return wok__fail(p->c, WOK_INVALID, "%s: input %s was not bound", p->name, wok_val_name(p->input_vals[i]));
  if (p->recount) wok__plan_recount(p);
  WOK__TRY(resolve_addresses(p));
  if (o && o->fresh) wok__plan_clear_sums(p);
  bool fresh = o && o->fresh && p->sums_apart;
  wok__kcall call = {.c = p->c, .seed = o ? o->seed : wok_ctx_seed(p->c), .tick = o ? o->tick : 0};
  wok__fpstate fp;
  wok__compute_enter(&fp);
  wok_status s = WOK_OK;
  double t0 = wok__now();
  if (p->debug) wok__debug_fill(p);
  for (int64_t i = 0; i < p->nsteps && !s; i++) {
    wok__step *t = &p->steps[i];
    if (p->debug) wok__debug_before(p, i);
    if (!t->kernel) continue;
    call.nin = t->nin;
    call.nout = t->nout;
    call.in = t->in_arr;
    call.out = t->out_arr;
    call.attr = t->node->attr;
    call.prep = t->prep;
    call.scratch = t->scratch >= 0 ? (char *)p->workspace->data + p->blocks[t->scratch].offset : NULL;
    call.accumulate = fresh ? t->accumulate & ~t->fresh : t->accumulate;
    call.unused = t->unused;
    wok__pool_alone(p->c, t->alone);
    if (!p->profile) {
      t->kernel->run(&call);
      if (p->debug) s = wok__debug_after(p, i);
      continue;
    }
    double a = wok__now();
    t->kernel->run(&call);
    t->seconds += wok__now() - a;
    if (p->debug) s = wok__debug_after(p, i);
  }
  wok__pool_alone(p->c, false);
  p->seconds += wok__now() - t0;
  p->runs++;
  wok__compute_leave(&fp);
  return s;
}

const void *wok_plan_data(const wok_plan *p, int result) {
  return result < 0 || result >= p->nresults ? NULL : address(p, p->results[result]);
}
void wok_plan_profile(wok_plan *p, bool on) {
  p->profile = on;
  p->runs = 0; /* times and runs belong together; the addresses are made anew, which does no harm */
  p->seconds = 0;
  for (int64_t i = 0; i < p->nsteps; i++) p->steps[i].seconds = 0;
}
int64_t wok_plan_bytes(const wok_plan *p) { return p->memory + p->prepared; }
int64_t wok_plan_steps(const wok_plan *p) { return p->nsteps; }
double wok_plan_flops(const wok_plan *p) { return p->flops; }
