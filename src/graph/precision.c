/* Precision, after differentiation and rewriting (DESIGN 6): which operators compute in bf16, and which of their values are
   stored so. Products round their factors anyway, so a value that only feeds products loses nothing by being stored rounded.
   Stored in bf16 are
   - results of products, wherever everything that reads them can read bf16 (norms' backward and residual additions among it),
   - results of maps (activations, rotations, norms ...) that only feed products, other such maps, or sums over rows,
   and their reshapes and pieces. The residual stream, its gradient, statistics, losses, the plan's results, what effects write
   and everything that a second wok_grad went through stay as they are; the latter also compute in their own type. */
#include "graph/plan.h"

typedef enum role {
  OTHER,   /* reads and writes its own types */
  PRODUCT, /* computes in bf16 */
  MAP,     /* its result may be bf16 if it ends in products */
  MOVE,    /* its result is stored as what it moves (in 0; concat: all) */
  READER,  /* reads bf16, its result stays */
  SUM,     /* the same, and is no reason against storing what it reads: it adds up in f32 */
} role;

static const uint8_t roles[WOK__OP_COUNT] = {
#define AS(role, op) [WOK__OP_##op] = role
    AS(PRODUCT, linear), AS(PRODUCT, matmul), AS(PRODUCT, attention), AS(PRODUCT, attention_bwd), AS(PRODUCT, linear_xent),
    AS(PRODUCT, linear_xent_bwd), AS(PRODUCT, linear_xent_both),
    AS(MAP, activation), AS(MAP, activation_bwd), AS(MAP, gated), AS(MAP, gated_bwd), AS(MAP, rope), AS(MAP, dropout),
    AS(MAP, affine), AS(MAP, add), AS(MAP, mul), AS(MAP, layer_norm), AS(MAP, rms_norm), AS(MAP, softmax), AS(MAP, softmax_bwd),
    AS(MOVE, reshape), AS(MOVE, stop_grad), AS(MOVE, barrier), AS(MOVE, recompute), AS(MOVE, permute), AS(MOVE, slice),
    AS(MOVE, concat), AS(MOVE, gather),
    AS(READER, layer_norm_bwd), AS(READER, rms_norm_bwd),
    AS(SUM, sum_to),
#undef AS
};

/* Casts between the two types are where values that are bf16 in the graph itself (a model's weights, a cache) come and go: from
   bf16 the value stays as it is where it may; to bf16 it is rounded as a product's factor would be. */
static role role_of(const wok__node *n) {
  if (n->op->id != WOK__OP_cast) return (role)roles[n->op->id];
  wok_dtype from = n->in[0]->dtype, to = n->out[0].dtype;
  return from == WOK_BF16 && to == WOK_F32 ? MOVE : from == WOK_F32 && to == WOK_BF16 ? PRODUCT : OTHER;
}

/* Outputs that may be rounded, by bit; 0: the first. Losses, weights' gradients and by-products are not among them. */
static uint32_t rounded_outputs(const wok__op *op) {
  switch (op->id) {
  case WOK__OP_attention_bwd: return 7;
  case WOK__OP_gated_bwd: return 3;
  case WOK__OP_linear_xent: return 0;
  case WOK__OP_linear_xent_both: return 4;
  default: return 1;
  }
}

/* Inputs that a product reads in bf16: its factors, and attention's result, from which its backward forms sums of products. */
static uint32_t bf16_inputs(const wok__op *op) { return wok__factors(op->id) | (op->id == WOK__OP_attention_bwd ? 1u << 8 : 0); }

/* What the readers of a value allow. */
typedef struct readers {
  bool can;     /* all can read bf16 */
  bool only;    /* all lead to products, or to sums over rows */
  bool product; /* some leads to a product */
} readers;

static bool end_in_products(const readers *r) { return r->only && r->product; }

typedef struct decider {
  wok__ir *ir;
  const int64_t *order;
  readers *of;  /* by value id */
} decider;

wok__compute wok__ir_compute(const wok__ir *ir, const wok__node *n) {
  return roles[n->op->id] == PRODUCT && !n->exact ? ir->compute : WOK__COMPUTE_OWN;
}

/* Goes through the readers of every value, last ones first. */
static void ask_readers(decider *d) {
  for (int64_t s = d->ir->n - 1; s >= 0; s--) {
    const wok__ir_node *n = &d->ir->nodes[d->order[s]];
    const wok__op *op = n->node->op;
    const readers *out = &d->of[n->node->out[0].id];
    readers allow = {.can = true};
    switch (n->node->exact ? OTHER : role_of(n->node)) {
    case OTHER: allow.can = false; break;
    case PRODUCT: allow.only = allow.product = true; break;
    case SUM: allow.only = true; break;
    case MAP: allow.only = allow.product = end_in_products(out); break;
    case MOVE: allow = *out; break;
    case READER: break;
    }
    uint32_t inputs = wok__ir_compute(d->ir, n->node) ? bf16_inputs(op) : UINT32_MAX;
    for (int k = 0; k < n->node->nin; k++) {
      if (op->flags & WOK__OP_ALIAS && k > 0) continue; /* stands there for the order only */
      readers *r = &d->of[n->in[k]->id];
      r->can &= allow.can && (k >= 32 || inputs >> k & 1);
      r->only &= allow.only;
      r->product |= allow.product;
    }
  }
}

static bool store_low(const decider *d, const wok__ir_node *n, int k) {
  const wok_val *v = &n->node->out[k];
  const wok__op *op = n->node->op;
  const readers *r = &d->of[v->id];
  if (v->dtype != WOK_F32 || n->node->exact || !r->can || !(rounded_outputs(op) >> k & 1) || (op->saved && k >= op->saved)) return false;
  switch (role_of(n->node)) {
  case PRODUCT: return true;
  case MAP: return end_in_products(r);
  case MOVE:
    for (int i = 0; i < (op->id == WOK__OP_concat ? n->node->nin : 1); i++)
      if (wok__ir_dtype(d->ir, n->in[i]) != WOK_BF16) return false;
    return true;
  default: return false;
  }
}

wok_status wok__ir_precision(wok__ir *ir, const int64_t *order, wok__compute mode) {
  ir->compute = mode;
  if (mode != WOK__COMPUTE_BF16) return WOK_OK;
  int64_t nvals = ir->g->nvals;
  decider d = {.ir = ir, .order = order, .of = wok__new(ir->arena, readers, nvals)};
  if (!d.of || !wok__ir_fit(ir)) return wok__nomem(ir->c, nvals * 4);
  for (int64_t i = 0; i < nvals; i++) d.of[i] = (readers){.can = true, .only = true};
  for (int i = 0; i < ir->nresults; i++) d.of[ir->results[i]->id] = (readers){0};
  ask_readers(&d);
  for (int64_t s = 0; s < ir->n; s++) {
    const wok__ir_node *n = &ir->nodes[order[s]];
    for (int k = 0; k < n->node->nout; k++) ir->low[n->node->out[k].id] = store_low(&d, n, k);
  }
  return WOK_OK;
}
