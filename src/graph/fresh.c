/* Runs that begin their sums: what a plan accumulates is written by its first term instead of being cleared before and added to.
   A training step's gradients are then neither zeroed nor read. */
#include <stdlib.h>
#include <string.h>
#include "graph/plan.h"

static int by_place(const void *a, const void *b) {
  const wok__range *x = a, *y = b;
  if (x->buffer != y->buffer) return (uintptr_t)x->buffer < (uintptr_t)y->buffer ? -1 : 1;
  if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
  return (x->step > y->step) - (x->step < y->step);
}

/* Is the buffer summed into? Few buffers are: sorted, equal ones stand together. */
static bool touches(const wok_plan *p, const wok_buffer *b) {
  int64_t lo = 0, hi = p->nsums;
  while (lo < hi) {
    int64_t m = (lo + hi) / 2;
    if ((uintptr_t)p->sums[m].buffer < (uintptr_t)b) lo = m + 1;
    else hi = m;
  }
  return lo < p->nsums && p->sums[lo].buffer == b;
}

/* Every accumulation with its range; the first on each range is marked, where ranges are equal or apart. */
wok_status wok__plan_find_fresh(wok_plan *p) {
  int64_t n = 0, kept = 0;
  for (int64_t s = 0; s < p->nsteps; s++) n += p->steps[s].node->op->id == WOK__OP_accumulate;
  if (n == 0) return WOK_OK;
  wok__range *r = p->sums = wok__new(p->arena, wok__range, n);
  if (!r) return wok__nomem(p->c, n * (int64_t)sizeof *r);
  for (int64_t s = 0, i = 0; s < p->nsteps; s++) {
    const wok__node *e = p->steps[s].node;
    if (e->op->id != WOK__OP_accumulate) continue;
    const wok__attr_buffer *a = e->attr;
    r[i++] = (wok__range){a->buffer, a->offset, wok__shape_count(&e->out[0].shape), s};
  }
  qsort(r, (size_t)n, sizeof *r, by_place);
  p->sums_apart = true;
  for (int64_t i = 0; i < n; i++) {
    wok__range *last = kept ? &r[kept - 1] : NULL;
    if (!last || last->buffer != r[i].buffer || last->offset + last->count <= r[i].offset) r[kept++] = r[i];
    else if (last->offset != r[i].offset || last->count != r[i].count) {
      p->sums_apart = false; /* they overlap: cleared as one */
      last->count = WOK__MAX(last->offset + last->count, r[i].offset + r[i].count) - last->offset;
    }
  }
  p->nsums = kept;
  for (int64_t s = 0; s < p->nsteps && p->sums_apart; s++) { /* anything else that knows the buffer may need its contents */
    const wok__node *e = p->steps[s].node;
    if (e->op->id != WOK__OP_load && e->op->id != WOK__OP_store && e->op->id != WOK__OP_store_rows) continue;
    p->sums_apart = !touches(p, ((const wok__attr_buffer *)e->attr)->buffer);
  }
  for (int64_t i = 0; i < kept && p->sums_apart; i++) {
    wok__step *e = &p->steps[r[i].step];
    if (e->kernel) e->fresh = 1; /* adds by itself: onto what is cleared just before */
    else p->steps[e->writer].fresh |= 1u << e->written;
  }
  return WOK_OK;
}

static void clear(const wok__range *r) {
  int64_t size = wok_dtype_size(r->buffer->dtype);
  memset((char *)r->buffer->data + r->offset * size, 0, (size_t)(r->count * size));
}

void wok__plan_clear_sums(const wok_plan *p) {
  for (int64_t i = 0; i < p->nsums; i++)
    if (!p->sums_apart || p->steps[p->sums[i].step].kernel) clear(&p->sums[i]);
}
