/* Kernels and places: every value of a plan gets a kernel that makes it and memory for exactly its lifetime. */
#include <stdlib.h>
#include <string.h>
#include "graph/plan.h"

enum { ALIGN = 64 };
static const int64_t FOR_EVER = INT64_MAX;

/* ---- free memory between blocks: segments sorted by offset; best fit ---- */
typedef struct segment { int64_t at, size; } segment;
typedef struct pool { segment *s; int64_t n, cap, end; bool failed; } pool;

static int64_t round_up(int64_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }

static int64_t pool_take(pool *p, int64_t bytes) {
  int64_t need = round_up(WOK__MAX(bytes, 1)), best = -1;
  for (int64_t i = 0; i < p->n; i++)
    if (p->s[i].size >= need && (best < 0 || p->s[i].size < p->s[best].size)) best = i;
  if (best < 0) { /* grow, using a free segment at the end if there is one */
    int64_t at = p->end;
    if (p->n && p->s[p->n - 1].at + p->s[p->n - 1].size == p->end) at = p->s[--p->n].at;
    p->end = at + need;
    return at;
  }
  int64_t at = p->s[best].at;
  p->s[best].at += need;
  p->s[best].size -= need;
  if (p->s[best].size == 0) memmove(&p->s[best], &p->s[best + 1], (size_t)(--p->n - best) * sizeof *p->s);
  return at;
}

static void pool_give(pool *p, int64_t at, int64_t bytes) {
  int64_t size = round_up(WOK__MAX(bytes, 1)), i = 0, hi = p->n;
  while (i < hi) {
    int64_t m = (i + hi) / 2;
    if (p->s[m].at < at) i = m + 1;
    else hi = m;
  }
  bool left = i > 0 && p->s[i - 1].at + p->s[i - 1].size == at, right = i < p->n && at + size == p->s[i].at;
  if (left) {
    p->s[i - 1].size += size;
    if (right) {
      p->s[i - 1].size += p->s[i].size;
      memmove(&p->s[i], &p->s[i + 1], (size_t)(--p->n - i) * sizeof *p->s);
    }
    return;
  }
  if (right) {
    p->s[i].at = at;
    p->s[i].size += size;
    return;
  }
  if (p->n == p->cap) {
    int64_t cap = p->cap ? 2 * p->cap : 64;
    segment *s = wok__realloc(p->s, cap * (int64_t)sizeof *s);
    if (!s) {
      p->failed = true;
      return;
    }
    p->s = s;
    p->cap = cap;
  }
  memmove(&p->s[i + 1], &p->s[i], (size_t)(p->n++ - i) * sizeof *p->s);
  p->s[i] = (segment){at, size};
}

/* ---- the work ---- */
typedef struct placer {
  wok_plan *p;
  wok__ir *ir;
  const int64_t *order;
  int64_t *pos;       /* by ir node: step */
  int64_t *place_of;  /* by value id: index in p->places, -1 */
  int64_t *uses;      /* by place: reads, results included */
  int64_t *last;      /* by place: last step that reads it (aliases not counted) */
  int64_t *root;      /* by place: the place whose memory it is (itself, if no alias) */
  const wok__ir_node **maker; /* by place */
  pool pool;
} placer;

static int64_t place_index(const placer *w, const wok_val *v) { return w->place_of[v->id]; }

static bool number_values(placer *w) {
  wok_plan *p = w->p;
  int64_t nvals = w->ir->g->nvals, n = 0;
  w->place_of = wok__new(w->ir->arena, int64_t, nvals ? nvals : 1);
  w->pos = wok__new(w->ir->arena, int64_t, w->ir->n);
  for (int64_t i = 0; i < w->ir->n; i++) n += w->ir->nodes[i].node->nout;
  w->uses = wok__new(w->ir->arena, int64_t, n);
  w->last = wok__new(w->ir->arena, int64_t, n);
  w->root = wok__new(w->ir->arena, int64_t, n);
  w->maker = wok__new(w->ir->arena, const wok__ir_node *, n);
  p->places = wok__new(p->arena, wok__place, n);
  if (!w->place_of || !w->pos || !w->uses || !w->last || !w->root || !w->maker || !p->places) return false;
  memset(w->place_of, 0xff, (size_t)nvals * sizeof *w->place_of);
  for (int64_t s = 0; s < w->ir->n; s++) {
    const wok__ir_node *n0 = &w->ir->nodes[w->order[s]];
    w->pos[w->order[s]] = s;
    for (int k = 0; k < n0->node->nout; k++) {
      int64_t i = p->nplaces++;
      w->place_of[n0->node->out[k].id] = i;
      w->root[i] = i;
      w->last[i] = s;
      w->maker[i] = n0;
    }
  }
  for (int64_t s = 0; s < w->ir->n; s++) {
    const wok__ir_node *n0 = &w->ir->nodes[w->order[s]];
    for (int k = 0; k < n0->node->nin; k++) {
      int64_t i = place_index(w, n0->in[k]);
      w->uses[i]++;
      w->last[i] = WOK__MAX(w->last[i], s);
    }
  }
  for (int i = 0; i < p->nresults; i++) {
    int64_t k = place_index(w, w->ir->results[i]);
    w->uses[k]++;
    w->last[k] = FOR_EVER;
  }
  return true;
}

/* An alias keeps its root's memory alive. In reverse order, so that chains settle. */
static void settle_aliases(placer *w) {
  int64_t at;
  for (int64_t s = 0; s < w->ir->n; s++) {
    const wok__ir_node *n = &w->ir->nodes[w->order[s]];
    if (wok__ir_alias(w->ir, n, &at)) w->root[place_index(w, &n->node->out[0])] = w->root[place_index(w, n->in[0])];
  }
  for (int64_t i = 0; i < w->p->nplaces; i++) w->last[w->root[i]] = WOK__MAX(w->last[w->root[i]], w->last[i]);
}

static wok_status choose_kernel(wok_plan *p, wok__step *t, wok__compute compute, bool reference) {
  const wok__node *n = t->node;
  wok__kdesc d = {.op = n->op->id, .nin = t->nin, .nout = t->nout, .in = t->in_arr, .out = t->out_arr, .attr = n->attr,
                  .compute = compute};
  int64_t bytes = 0;
  t->kernel = wok__kernel_find(p->c, &d, reference);
  if (t->kernel) {
    if (t->kernel->scratch) t->scratch_bytes = t->kernel->scratch(&d, wok__ctx_threads(p->c));
    if (t->kernel->prepare && !p->dry) WOK__TRY(t->kernel->prepare(p->c, &d, &t->prep, &bytes));
  } else if (wok__kdesc_dtype(&d) == WOK_BF16) {
    wok__kernel *between;
    wok_status s = wok__adapt(p->c, p->arena, &d, reference, !p->dry, &between, &t->prep, &bytes);
    t->kernel = between; /* also when preparing failed: it has to be released */
    if (s && s != WOK_NOTFOUND) return s;
    if (between) t->scratch_bytes = wok__adapt_scratch(t->prep);
  }
  p->prepared += bytes;
  if (t->kernel) return WOK_OK;
  return wok__fail(p->c, WOK_UNSUPPORTED, "no kernel for %s in %s (%s%s%s)", n->op->name, wok_dtype_name(wok__kdesc_dtype(&d)),
                   p->name, n->scope[0] ? ", " : "", n->scope);
}

static wok_status choose_kernels(placer *w, bool reference) {
  wok_plan *p = w->p;
  for (int64_t s = 0; s < p->nsteps; s++) {
    const wok__ir_node *n = &w->ir->nodes[w->order[s]];
    wok__step *t = &p->steps[s];
    int64_t at;
    *t = (wok__step){.node = n->node, .nin = n->node->nin, .nout = n->node->nout, .scratch = -1};
    t->in = wok__new(p->arena, const wok__place *, WOK__MAX(t->nin, 1));
    t->out = wok__new(p->arena, const wok__place *, t->nout);
    t->in_arr = wok__new(p->arena, wok__arr, WOK__MAX(t->nin, 1));
    t->out_arr = wok__new(p->arena, wok__arr, t->nout);
    if (!t->in || !t->out || !t->in_arr || !t->out_arr) return wok__nomem(p->c, 1 << 16);
    for (int k = 0; k < t->nin; k++) {
      t->in[k] = &p->places[place_index(w, n->in[k])];
      t->in_arr[k] = (wok__arr){wok__ir_dtype(w->ir, n->in[k]), n->in[k]->shape, NULL};
    }
    for (int k = 0; k < t->nout; k++) {
      int64_t i = place_index(w, &n->node->out[k]);
      t->out[k] = &p->places[i];
      t->out_arr[k] = (wok__arr){wok__ir_dtype(w->ir, &n->node->out[k]), n->node->out[k].shape, NULL};
      if (!w->uses[i]) t->unused |= 1u << k;
    }
    t->flops = n->node->op->flops ? n->node->op->flops(n->node) : 0;
    p->flops += t->flops;
    wok__opid id = n->node->op->id;
    if (id == WOK__OP_input || id == WOK__OP_load || id == WOK__OP_constant || wok__ir_alias(w->ir, n, &at)) continue;
    WOK__TRY(choose_kernel(p, t, wok__ir_compute(w->ir, n->node), reference));
  }
  return WOK_OK;
}

/* ---- effects written by the kernel that makes the value ---- */
static bool overlaps(const wok__ir_node *n, const wok__attr_buffer *a, int64_t count) {
  wok__opid id = n->node->op->id;
  if (id != WOK__OP_load && !(n->node->op->flags & WOK__OP_EFFECT)) return false;
  const wok__attr_buffer *b = n->node->attr;
  return b->buffer == a->buffer && b->offset < a->offset + count &&
         a->offset < b->offset + wok__shape_count(&n->node->out[0].shape);
}

static void write_directly(placer *w) {
  wok_plan *p = w->p;
  for (int64_t s = 0; s < p->nsteps; s++) {
    wok__step *e = &p->steps[s];
    wok__opid id = e->node->op->id;
    if (id != WOK__OP_store && id != WOK__OP_accumulate) continue;
    const wok__ir_node *en = &w->ir->nodes[w->order[s]];
    /* the value, or what it is another shape of, made for this effect alone */
    int64_t i = place_index(w, en->in[0]), at;
    bool alone = w->uses[i] == 1;
    while (alone && w->root[i] != i) {
      const wok__ir_node *m = w->maker[i];
      alone = wok__ir_alias(w->ir, m, &at) && at == 0 && wok__shape_count(&m->in[0]->shape) == wok__shape_count(&m->node->out[0].shape);
      i = place_index(w, m->in[0]);
      alone = alone && w->uses[i] == 1;
    }
    if (!alone) continue;
    const wok__ir_node *maker = w->maker[i];
    int64_t made = w->pos[maker - w->ir->nodes];
    wok__step *m = &p->steps[made];
    int k = 0;
    while (m->out[k] != &p->places[i]) k++;
    if (!m->kernel || (m->node->op->flags & WOK__OP_EFFECT)) continue;
    if (id == WOK__OP_accumulate && !(m->kernel->can_accumulate >> k & 1)) continue;
    const wok__attr_buffer *a = en->node->attr;
    int64_t count = wok__shape_count(&en->node->out[0].shape);
    if (m->out_arr[k].dtype != a->buffer->dtype) continue;
    /* between the making and the effect nobody may read the old contents or write there */
    bool clear = true;
    for (int64_t q = made; q < s && clear; q++) {
      const wok__ir_node *n = &w->ir->nodes[w->order[q]];
      clear = !((n->node->op->flags & WOK__OP_EFFECT) && overlaps(n, a, count));
      for (int j = 0; j < n->node->nin && clear; j++) clear = !overlaps(w->maker[w->root[place_index(w, n->in[j])]], a, count);
    }
    if (!clear) continue;
    p->places[i] = (wok__place){.where = WOK__AT_BUFFER, .buffer = a->buffer,
                                .offset = a->offset * wok_dtype_size(a->buffer->dtype)};
    if (id == WOK__OP_accumulate) m->accumulate |= 1u << k;
    e->kernel = NULL;
    e->writer = made;
    e->written = k;
    p->direct++;
  }
}

/* ---- memory ---- */
static int64_t new_block(placer *w, int64_t bytes, int64_t first, int64_t last, const wok_val *v) {
  wok_plan *p = w->p;
  if (p->nblocks == p->cap_blocks) {
    int64_t cap = p->cap_blocks ? 2 * p->cap_blocks : 256;
    wok__block *b = wok__realloc(p->blocks, cap * (int64_t)sizeof *b);
    if (!b) return -1;
    p->blocks = b;
    p->cap_blocks = cap;
  }
  p->blocks[p->nblocks] = (wok__block){.bytes = bytes, .first = first, .last = last, .v = v, .dtype = v ? wok__ir_dtype(w->ir, v) : WOK_U8};
  p->blocks[p->nblocks].offset = pool_take(&w->pool, bytes + 2 * p->zone) + p->zone;
  return p->nblocks++;
}

/* May out 0 of step s take the memory of one of its inputs? */
static int64_t block_to_overwrite(const placer *w, int64_t s) {
  const wok__step *t = &w->p->steps[s];
  const wok__ir_node *n = &w->ir->nodes[w->order[s]];
  const wok__op *op = t->node->op;
  for (int k = 0; k < t->nin && k < 32; k++) {
    if (!(op->inplace >> k & 1)) continue;
    int64_t i = place_index(w, n->in[k]), r = w->root[i];
    const wok__place *q = &w->p->places[r];
    if (q->where != WOK__AT_PLAN || w->last[r] != s) continue;
    const wok__block *b = &w->p->blocks[q->block];
    if (b->last != s || b->bytes != wok__bytes(t->out_arr[0].dtype, &t->out_arr[0].shape)) continue;
    if (t->in_arr[k].dtype != t->out_arr[0].dtype) continue;
    bool shared = false; /* another input in the same memory is safe only where reading is element by element */
    for (int j = 0; j < t->nin; j++)
      shared |= j != k && w->root[place_index(w, n->in[j])] == r && !(op->flags & WOK__OP_ELEMENTWISE);
    if (!shared) return q->block;
  }
  return -1;
}

static bool place_leaf(placer *w, const wok__ir_node *n, wok__place *q) {
  switch (n->node->op->id) {
  case WOK__OP_input: {
    const wok__attr_input *a = n->node->attr;
    *q = (wok__place){.where = WOK__AT_INPUT, .slot = a->slot};
    w->p->needs[a->slot] = true;
    w->p->input_vals[a->slot] = &n->node->out[0];
    return true;
  }
  case WOK__OP_constant: {
    const wok__attr_constant *a = n->node->attr;
    *q = (wok__place){.where = WOK__AT_CONST, .data = a->data};
    return true;
  }
  case WOK__OP_load:
  case WOK__OP_store:
  case WOK__OP_accumulate:
  case WOK__OP_store_rows: {
    const wok__attr_buffer *a = n->node->attr;
    *q = (wok__place){.where = WOK__AT_BUFFER, .buffer = a->buffer, .offset = a->offset * wok_dtype_size(a->buffer->dtype)};
    return true;
  }
  default: return false;
  }
}

/* Blocks that end with a step, as lists: head by step, next by block. */
typedef struct endings { int64_t *head, *next, cap; } endings;

static bool note_ending(const wok_plan *p, endings *e, int64_t block) {
  if (e->cap < p->cap_blocks) {
    int64_t *m = wok__realloc(e->next, p->cap_blocks * (int64_t)sizeof *m);
    if (!m) return false;
    e->next = m;
    e->cap = p->cap_blocks;
  }
  int64_t last = p->blocks[block].last;
  if (last == FOR_EVER) return true;
  e->next[block] = e->head[last];
  e->head[last] = block;
  return true;
}

static bool place_step(placer *w, int64_t s) {
  wok_plan *p = w->p;
  wok__step *t = &p->steps[s];
  const wok__ir_node *n = &w->ir->nodes[w->order[s]];
  int64_t at;
  for (int k = 0; k < t->nout; k++) {
    int64_t i = place_index(w, &n->node->out[k]);
    wok__place *q = &p->places[i];
    if (q->where != WOK__AT_NONE || place_leaf(w, n, q)) continue;
    if (wok__ir_alias(w->ir, n, &at)) {
      *q = p->places[place_index(w, n->in[0])];
      q->offset += at;
      continue;
    }
    *q = (wok__place){.where = WOK__AT_PLAN};
    q->block = k == 0 ? block_to_overwrite(w, s) : -1;
    if (q->block >= 0) {
      p->blocks[q->block].last = w->last[i];
      t->in_place = true;
    } else {
      q->block = new_block(w, wok__bytes(t->out_arr[k].dtype, &t->out_arr[k].shape), s, w->last[i], &n->node->out[k]);
      if (q->block < 0) return false;
    }
  }
  if (!t->kernel) return true;
  int64_t bytes = t->scratch_bytes;
  return bytes <= 0 || (t->scratch = new_block(w, bytes, s, s, NULL)) >= 0;
}

static wok_status place_values(placer *w) {
  wok_plan *p = w->p;
  endings e = {.head = wok__new(w->ir->arena, int64_t, p->nsteps + 1)};
  bool ok = e.head != NULL;
  if (ok) memset(e.head, 0xff, (size_t)(p->nsteps + 1) * sizeof *e.head);
  for (int64_t s = 0; s < p->nsteps && ok; s++) {
    int64_t from = p->nblocks;
    ok = place_step(w, s);
    for (int64_t b = from; b < p->nblocks && ok; b++) ok = note_ending(p, &e, b);
    for (int64_t b = e.head[s], next; b >= 0 && ok; b = next) {
      next = e.next[b];
      if (p->blocks[b].last == s) pool_give(&w->pool, p->blocks[b].offset - p->zone, p->blocks[b].bytes + 2 * p->zone);
      else ok = note_ending(p, &e, b); /* this step's result has taken it over */
    }
  }
  wok__free(e.next);
  if (!ok || w->pool.failed) return wok__nomem(p->c, p->nblocks * (int64_t)sizeof(wok__block));
  p->memory = w->pool.end;
  return WOK_OK;
}

wok_status wok__plan_place(wok_plan *p, wok__ir *ir, const int64_t *order, bool reference) {
  placer w = {.p = p, .ir = ir, .order = order};
  p->nsteps = ir->n;
  p->ninputs = ir->g->ninputs;
  int64_t inputs = WOK__MAX(p->ninputs, 1);
  p->steps = wok__new(p->arena, wok__step, ir->n);
  p->bound = wok__new(p->arena, const void *, inputs);
  p->needs = wok__new(p->arena, bool, inputs);
  p->input_vals = wok__new(p->arena, const wok_val *, inputs);
  p->nresults = ir->nresults;
  p->results = wok__new(p->arena, const wok__place *, ir->nresults);
  p->result_vals = wok__new(p->arena, const wok_val *, ir->nresults);
  if (!p->steps || !p->bound || !p->needs || !p->input_vals || !p->results || !p->result_vals || !number_values(&w))
    return wok__nomem(p->c, ir->n * (int64_t)sizeof(wok__step));
  settle_aliases(&w);
  WOK__TRY(choose_kernels(&w, reference));
  write_directly(&w);
  wok_status s = place_values(&w);
  wok__free(w.pool.s);
  WOK__TRY(s);
  for (int i = 0; i < ir->nresults; i++) {
    p->results[i] = &p->places[place_index(&w, ir->results[i])];
    p->result_vals[i] = ir->results[i];
  }
  return WOK_OK;
}
