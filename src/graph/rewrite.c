/* What happens between differentiation and scheduling: only what the results need, known numbers folded (fold.c), equal values once, sums in an accumulation
   as a chain of accumulations, sums of padded parts as one concatenation, the loss head's forward and backward as one operator. Values are immutable; a rewrite only says
   which value stands for which. */
#include <string.h>
#include "graph/plan.h"

wok_val *wok__ir_resolve(const wok__ir *ir, wok_val *v) {
  while (v->id < ir->nrep && ir->rep[v->id]) v = ir->rep[v->id];
  return v;
}

static bool grow(void *table, int64_t *have, int64_t want, int64_t size) {
  char **t = table;
  char *p = wok__realloc(*t, want * size);
  if (!p) return false;
  memset(p + *have * size, 0, (size_t)((want - *have) * size));
  *t = p;
  *have = want;
  return true;
}

bool wok__ir_fit(wok__ir *ir) {
  int64_t vals = ir->g->nvals + 256, nodes = ir->g->nnodes + 256, rep = ir->nrep, moved = ir->nmoved;
  if (ir->nrep < ir->g->nvals &&
      (!grow(&ir->low, &rep, vals, (int64_t)sizeof *ir->low) || !grow(&ir->rep, &ir->nrep, vals, (int64_t)sizeof(wok_val *)))) return false;
  return ir->nmoved >= ir->g->nnodes || (grow(&ir->inputs, &moved, nodes, (int64_t)sizeof(wok_val **)) &&
                                         grow(&ir->moved, &ir->nmoved, nodes, (int64_t)sizeof *ir->moved));
}

static wok_val **inputs_of(const wok__ir *ir, const wok__node *n) {
  return n->id < ir->nmoved && ir->inputs[n->id] ? ir->inputs[n->id] : n->in;
}

/* Nodes that the results need, in order of building. */
wok_status wok__ir_collect(wok__ir *ir) {
  int64_t total = ir->g->nnodes, nstack = 0, cap = 64, count = 0;
  bool *mark = wok__calloc(total ? total : 1, (int64_t)sizeof *mark);
  wok__node **stack = wok__malloc(cap * (int64_t)sizeof *stack);
  bool ok = mark && stack;
  for (int i = 0; i < ir->nresults && ok; i++) {
    wok__node *root = wok__ir_resolve(ir, ir->results[i])->node;
    if (mark[root->id]) continue;
    mark[root->id] = true;
    stack[nstack++] = root;
    while (nstack && ok) {
      wok__node *n = stack[--nstack];
      count++;
      for (int k = 0; k < n->nin && ok; k++) {
        wok__node *from = wok__ir_resolve(ir, inputs_of(ir, n)[k])->node;
        if (mark[from->id]) continue;
        mark[from->id] = true;
        if (nstack == cap) {
          wok__node **p = wok__realloc(stack, 2 * cap * (int64_t)sizeof *p);
          if (!(ok = p != NULL)) break;
          stack = p;
          cap *= 2;
        }
        stack[nstack++] = from;
      }
    }
  }
  wok__free(stack);
  ir->n = 0;
  if (ok) {
    ir->nodes = wok__new(ir->arena, wok__ir_node, count ? count : 1);
    ir->index = wok__new(ir->arena, int64_t, total ? total : 1);
    ok = ir->nodes && ir->index;
  }
  for (int64_t i = 0; i < total && ok; i++) {
    ir->index[i] = -1;
    if (!mark[i]) continue;
    wok__node *n = ir->g->nodes[i];
    wok__ir_node *r = &ir->nodes[ir->n];
    r->node = n;
    r->priority = i < ir->nmoved && ir->moved[i] ? ir->moved[i] - 1 : i;
    if (!(r->in = wok__new(ir->arena, wok_val *, n->nin ? n->nin : 1))) ok = false;
    else
      for (int k = 0; k < n->nin; k++) r->in[k] = wok__ir_resolve(ir, inputs_of(ir, n)[k]);
    ir->index[i] = ir->n++;
  }
  wok__free(mark);
  return ok ? WOK_OK : wok__nomem(ir->c, count * (int64_t)sizeof(wok__ir_node));
}

/* ---- equal values once ---- */
static wok_status common_subexpressions(wok__ir *ir) {
  wok__map *seen = wok__map_new();
  wok__str key;
  wok__str_init(&key, 1 << 20);
  bool ok = seen != NULL;
  for (int64_t i = 0; i < ir->n && ok; i++) {
    wok__node *n = ir->nodes[i].node;
    if (n->op->flags & WOK__OP_EFFECT) continue;
    wok__str_clear(&key);
    wok__str_add(&key, &n->op->id, (int64_t)sizeof n->op->id);
    wok__str_add(&key, n->attr, n->op->attr_size);
    for (int k = 0; k < n->nin; k++) {
      const wok_val *v = wok__ir_resolve(ir, n->in[k]);
      wok__str_add(&key, &v->id, (int64_t)sizeof v->id);
    }
    for (int k = 0; k < n->nout; k++) { /* what shape inference did not take from attributes (leaves, reshapes) */
      wok__str_add(&key, &n->out[k].dtype, (int64_t)sizeof n->out[k].dtype);
      wok__str_add(&key, n->out[k].shape.dim, n->out[k].shape.ndim * (int64_t)sizeof(int64_t));
      wok__str_add(&key, &n->out[k].shape.ndim, (int64_t)sizeof(int));
    }
    int64_t first;
    if (key.failed) ok = false;
    else if (wok__map_get(seen, key.p, key.len, &first)) {
      for (int k = 0; k < n->nout; k++) ir->rep[n->out[k].id] = &ir->nodes[first].node->out[k];
    } else ok = wok__map_put(seen, key.p, key.len, i);
  }
  wok__map_free(seen);
  wok__str_free(&key);
  return ok ? WOK_OK : wok__nomem(ir->c, ir->n * 64);
}

/* ---- the loss head: logits once for loss and gradients ---- */
static bool is_op(const wok_val *v, wok__opid id) { return v->node->op->id == id; }

/* Does v need the node? Values built before the node cannot. A cotangent of ordinary training is a handful of nodes; after
   `budget` looks the answer is yes, which only forgoes the join. */
static bool needs_node(const wok__ir *ir, wok_val *v, const wok__node *n, int *budget) {
  if (v->node == n || --*budget < 0) return true;
  if (v->node->id < n->id) return false;
  for (int i = 0; i < v->node->nin; i++)
    if (needs_node(ir, wok__ir_resolve(ir, v->node->in[i]), n, budget)) return true;
  return false;
}

static wok_status join_loss_heads(wok__ir *ir) {
  int64_t n = ir->n;
  for (int64_t i = 0; i < n; i++) {
    wok__node *b = ir->nodes[i].node;
    if (b->op->id != WOK__OP_linear_xent_bwd) continue;
    wok_val *dloss = wok__ir_resolve(ir, b->in[0]), *lse = wok__ir_resolve(ir, b->in[4]);
    if (!is_op(lse, WOK__OP_linear_xent) || lse->out != 1) continue;
    wok__node *f = lse->node;
    bool same = f->nin == b->nin - 2;
    for (int k = 0; k < 3 && same; k++) same = wok__ir_resolve(ir, f->in[k]) == wok__ir_resolve(ir, b->in[1 + k]);
    if (same && f->nin == 4) same = wok__ir_resolve(ir, f->in[3]) == wok__ir_resolve(ir, b->in[5]);
    /* a cotangent that itself follows from the loss (a second gradient, a loss of losses) cannot be known before it;
       nor can a second backward share the joined operator */
    int budget = 1000;
    if (!same || ir->rep[f->out[0].id] || needs_node(ir, dloss, f, &budget)) continue;
    wok_val *in[5] = {dloss};
    for (int k = 0; k < f->nin; k++) in[1 + k] = wok__ir_resolve(ir, f->in[k]);
    wok__node *both;
    const char *scope = wok__graph_scope_swap(ir->g, f->scope);
    wok__emit(ir->g, WOK__OP_linear_xent_both, in, f->nin + 1, f->attr, &both);
    wok__graph_scope_swap(ir->g, scope);
    if (!both) return wok__fail(ir->c, ir->g->status, "%s", ir->g->message);
    if (!wok__ir_fit(ir)) return wok__nomem(ir->c, 1 << 16);
    ir->moved[both->id] = b->id + 1;
    for (int k = 0; k < 2; k++) ir->rep[f->out[k].id] = &both->out[k];
    for (int k = 0; k < b->nout && 2 + k < both->nout; k++) ir->rep[b->out[k].id] = &both->out[2 + k];
  }
  return WOK_OK;
}

/* How often each value is read, results included; by value id. */
static int64_t *count_uses(const wok__ir *ir) {
  int64_t *uses = wok__calloc(ir->g->nvals ? ir->g->nvals : 1, (int64_t)sizeof *uses);
  for (int64_t i = 0; i < ir->n && uses; i++)
    for (int k = 0; k < ir->nodes[i].node->nin; k++) uses[ir->nodes[i].in[k]->id]++;
  for (int i = 0; i < ir->nresults && uses; i++) uses[ir->results[i]->id]++;
  return uses;
}

/* ---- pad(a) + pad(b) + ... = concat(a, b, ...): the cotangent of a value that was cut into slices ---- */
enum { PARTS = 16 };
typedef struct parts { wok_val *v[PARTS]; int n; int64_t nuses; const int64_t *uses; } parts;

static bool gather_pads(const wok__ir *ir, wok_val *v, bool root, parts *p) {
  if (v->id >= p->nuses || (!root && p->uses[v->id] != 1)) return false;
  if (is_op(v, WOK__OP_add))
    return gather_pads(ir, wok__ir_resolve(ir, v->node->in[0]), false, p) && gather_pads(ir, wok__ir_resolve(ir, v->node->in[1]), false, p);
  if (!is_op(v, WOK__OP_pad) || p->n == PARTS) return false;
  const wok__attr_pad *a = v->node->attr;
  int i = p->n++;
  for (; i > 0 && ((const wok__attr_pad *)p->v[i - 1]->node->attr)->before > a->before; i--) p->v[i] = p->v[i - 1];
  p->v[i] = v;
  return true;
}

/* In order of their places the parts follow each other without gap or overlap along one axis. */
static bool parts_fit(const parts *p, int64_t *axis) {
  int64_t at = 0;
  for (int i = 0; i < p->n; i++) {
    const wok__attr_pad *a = p->v[i]->node->attr;
    if (i == 0) *axis = a->axis;
    int64_t size = p->v[i]->node->in[0]->shape.dim[a->axis];
    if (a->axis != *axis || a->before != at || (i == p->n - 1 && a->after != 0)) return false;
    at += size;
  }
  return p->n > 1;
}

static wok_status join_pads(wok__ir *ir) {
  int64_t nuses = ir->g->nvals, *uses = count_uses(ir), axis;
  if (!uses) return wok__nomem(ir->c, nuses * 8);
  wok_status s = WOK_OK;
  for (int64_t i = ir->n - 1; i >= 0 && !s; i--) { /* from the outermost sum inwards */
    wok__node *n = ir->nodes[i].node;
    parts p = {.nuses = nuses, .uses = uses};
    if (n->op->id != WOK__OP_add || ir->rep[n->out[0].id] || !gather_pads(ir, &n->out[0], true, &p) || !parts_fit(&p, &axis)) continue;
    wok_val *in[PARTS];
    for (int k = 0; k < p.n; k++) in[k] = wok__ir_resolve(ir, p.v[k]->node->in[0]);
    const char *scope = wok__graph_scope_swap(ir->g, n->scope);
    wok_val *joined = wok_concat(in, p.n, (int)axis);
    wok__graph_scope_swap(ir->g, scope);
    if (wok_is_poison(joined) || !wok__ir_fit(ir)) s = wok__nomem(ir->c, 1 << 16);
    else {
      ir->moved[joined->node->id] = n->id + 1;
      ir->rep[n->out[0].id] = joined;
    }
  }
  wok__free(uses);
  return s;
}

/* ---- accumulate(a + b) = accumulate(a), accumulate(b): no full-size sum of a tied parameter's gradients exists ---- */
static wok_status split_accumulations(wok__ir *ir) {
  int64_t nuses = ir->g->nvals, *uses = count_uses(ir);
  if (!uses) return wok__nomem(ir->c, nuses * 8);
  wok_status s = WOK_OK;
  int64_t n = ir->n;
  for (int64_t i = 0; i < n && s == WOK_OK; i++) {
    wok__node *e = ir->nodes[i].node;
    if (e->op->id != WOK__OP_accumulate) continue;
    const wok__attr_buffer *a = e->attr;
    /* sums lean to the left: peel the right operands off, then write them from left to right */
    wok_val *chain[64], *v = wok__ir_resolve(ir, e->in[0]);
    int count = 0;
    while (is_op(v, WOK__OP_add) && v->id < nuses && uses[v->id] == 1 && count < 63) {
      chain[count++] = wok__ir_resolve(ir, v->node->in[1]);
      v = wok__ir_resolve(ir, v->node->in[0]);
    }
    if (!count) continue;
    chain[count++] = v;
    wok_val *last = NULL;
    const char *scope = wok__graph_scope_swap(ir->g, e->scope);
    while (count && !wok_is_poison(last = wok_accumulate(a->buffer, a->offset, chain[count - 1]))) {
      if (!wok__ir_fit(ir)) break;
      ir->moved[last->node->id] = e->id + 1;
      count--;
      if (count) { /* keeps the chain alive: results end in its last link, earlier ones are results of their own */
        wok_val **r = wok__new(ir->arena, wok_val *, ir->nresults + 1);
        if (!r) break;
        memcpy(r, ir->results, (size_t)ir->nresults * sizeof *r);
        r[ir->nresults++] = last;
        ir->results = r;
      }
    }
    wok__graph_scope_swap(ir->g, scope);
    if (count) s = wok__nomem(ir->c, 1 << 16);
    else ir->rep[e->out[0].id] = last;
  }
  wok__free(uses);
  return s;
}

wok_status wok__ir_build(wok_ctx *c, wok__ir *ir, wok_val *const *results, int n) {
  *ir = (wok__ir){.c = c, .g = results[0]->g, .nresults = n};
  ir->arena = wok__arena_new(1 << 18);
  if (!ir->arena || !(ir->results = wok__new(ir->arena, wok_val *, n)) || !wok__ir_fit(ir)) return wok__nomem(c, 1 << 18);
  memcpy(ir->results, results, (size_t)n * sizeof *results);
  wok_status (*const passes[])(wok__ir *) = {wok__ir_fold, common_subexpressions, join_loss_heads, join_pads, split_accumulations};
  WOK__TRY(wok__ir_collect(ir));
  for (int64_t i = 0; i < WOK__COUNT(passes); i++) {
    WOK__TRY(passes[i](ir));
    for (int k = 0; k < ir->nresults; k++) ir->results[k] = wok__ir_resolve(ir, ir->results[k]);
    WOK__TRY(wok__ir_collect(ir));
  }
  return WOK_OK;
}

void wok__ir_free(wok__ir *ir) {
  wok__arena_free(ir->arena);
  wok__free(ir->rep);
  wok__free(ir->low);
  wok__free(ir->inputs);
  wok__free(ir->moved);
}
