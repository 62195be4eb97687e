/* Plans that watch themselves (wok_plan_opts.debug). Every byte of the plan's memory that belongs to no living value is all ones:
   red zones around each block, what is dead, what is not yet written. In floating point that is a NaN no arithmetic makes, though
   arithmetic passes it on. After each step is looked: has anything been written outside living values, is a result's element
   still all ones (not written, or made from what holds nothing), has any other value changed. The step that did it is named. */
#include <stdlib.h>
#include <string.h>
#include "graph/plan.h"

typedef struct wok__debug {
  int64_t *by_offset; /* blocks in ascending order of place */
  uint64_t *block;    /* of the present step: hashes of the living blocks */
  uint64_t *input;    /* and of its inputs outside the plan's memory */
} wok__debug;

static const uint8_t NOTHING = 0xff;

static bool living(const wok__block *b, int64_t step) { return b->first <= step && step <= b->last; }

/* ---- the plan itself ---- */
typedef struct order { const wok__block *b; int64_t i; } order;
static int by_offset(const void *a, const void *b) {
  const order *x = a, *y = b;
  if (x->b->offset != y->b->offset) return x->b->offset < y->b->offset ? -1 : 1;
  return (x->i > y->i) - (x->i < y->i);
}

/* Do two blocks that live at the same time share memory? In order of place only neighbours among the living can. */
static wok_status no_overlap(const wok_plan *p, const int64_t *sorted, int64_t *widest) {
  for (int64_t i = 0; i < p->nblocks; i++) {
    const wok__block *a = &p->blocks[sorted[i]];
    for (int64_t k = i + 1; k < p->nblocks; k++) {
      const wok__block *b = &p->blocks[sorted[k]];
      if (b->offset >= a->offset + a->bytes) break;
      if (a->bytes && b->bytes && a->first <= b->last && b->first <= a->last)
        return wok__fail(p->c, WOK_CORRUPT, "%s: the memory of %s and of %s overlaps in steps %lld to %lld", p->name,
                         a->v ? wok_val_name(a->v) : "scratch", b->v ? wok_val_name(b->v) : "scratch",
                         (long long)WOK__MAX(a->first, b->first), (long long)WOK__MIN(a->last, b->last));
    }
    *widest = WOK__MAX(*widest, a->offset + a->bytes);
  }
  return WOK_OK;
}

wok_status wok__debug_begin(wok_plan *p) {
  wok__debug *d = wok__new(p->arena, wok__debug, 1);
  int64_t inputs = 1, widest = 0;
  for (int64_t i = 0; i < p->nsteps; i++) inputs = WOK__MAX(inputs, p->steps[i].nin);
  order *o = wok__malloc((p->nblocks + 1) * (int64_t)sizeof *o);
  if (d) {
    d->by_offset = wok__new(p->arena, int64_t, p->nblocks + 1);
    d->block = wok__new(p->arena, uint64_t, p->nblocks + 1);
    d->input = wok__new(p->arena, uint64_t, inputs);
  }
  if (!o || !d || !d->by_offset || !d->block || !d->input) {
    wok__free(o);
    return wok__nomem(p->c, p->nblocks * 16);
  }
  for (int64_t i = 0; i < p->nblocks; i++) o[i] = (order){&p->blocks[i], i};
  qsort(o, (size_t)p->nblocks, sizeof *o, by_offset);
  for (int64_t i = 0; i < p->nblocks; i++) d->by_offset[i] = o[i].i;
  wok__free(o);
  p->debug = d;
  WOK__TRY(no_overlap(p, d->by_offset, &widest));
  if (widest > p->memory) return wok__fail(p->c, WOK_CORRUPT, "%s: a value lies past the end of the plan's memory", p->name);
  return WOK_OK;
}

/* ---- a run ---- */
static wok_status blame(const wok_plan *p, const wok__step *t, const char *what, const char *whom) {
  return wok__fail(p->c, WOK_CORRUPT, "%s: %s (%s%skernel %s) %s%s%s", p->name, wok_val_name(&t->node->out[0]), t->node->scope,
                   t->node->scope[0] ? ", " : "", t->kernel->name, what, whom[0] ? " " : "", whom);
}

void wok__debug_fill(const wok_plan *p) { memset(p->workspace->data, NOTHING, (size_t)p->memory); }

/* Is [from, to) of the memory untouched? -1, or where it is not. */
static int64_t touched(const uint8_t *memory, int64_t from, int64_t to) {
  if (from >= to) return -1;
  if (memory[from] == NOTHING && memcmp(memory + from, memory + from + 1, (size_t)(to - from - 1)) == 0) return -1;
  while (memory[from] == NOTHING) from++;
  return from;
}

static uint64_t hash_block(const wok_plan *p, int64_t i) {
  return wok__hash64((const char *)p->workspace->data + p->blocks[i].offset, p->blocks[i].bytes, 0);
}
static uint64_t hash_input(const wok__arr *a) { return wok__hash64(a->data, a->data ? wok__bytes(a->dtype, &a->shape) : 0, 0); }

/* Is it the step's to write: an output of its own, one made in place, scratch? */
static bool may_write(const wok__step *t, int64_t block) {
  for (int k = 0; k < t->nout; k++)
    if (t->out[k]->where == WOK__AT_PLAN && t->out[k]->block == block) return true;
  return t->scratch == block;
}
static bool stays(const wok__step *t, int input) { /* outside the plan's memory, and not in what the step writes there */
  const wok__place *a = t->in[input];
  if (a->where == WOK__AT_PLAN) return false;
  for (int k = 0; k < t->nout; k++)
    if (a->where == WOK__AT_BUFFER && t->out[k]->where == WOK__AT_BUFFER && a->buffer == t->out[k]->buffer) return false;
  return true;
}

void wok__debug_before(const wok_plan *p, int64_t step) {
  const wok__debug *d = p->debug;
  const wok__step *t = &p->steps[step];
  for (int64_t i = 0; i < p->nblocks; i++) {
    const wok__block *b = &p->blocks[i];
    if (b->last == step - 1) memset((char *)p->workspace->data + b->offset, NOTHING, (size_t)b->bytes);
    if (t->kernel && living(b, step) && !may_write(t, i)) d->block[i] = hash_block(p, i);
  }
  for (int k = 0; k < t->nin && t->kernel; k++)
    if (stays(t, k)) d->input[k] = hash_input(&t->in_arr[k]);
}

static wok_status check_outside(const wok_plan *p, int64_t step) {
  const wok__debug *d = p->debug;
  const wok__block *before = NULL;
  int64_t at = 0;
  for (int64_t i = 0; i <= p->nblocks; i++) {
    const wok__block *b = i < p->nblocks ? &p->blocks[d->by_offset[i]] : NULL;
    if (b && !living(b, step)) continue;
    int64_t bad = touched(p->workspace->data, at, b ? b->offset : p->memory);
    if (bad >= 0) {
      bool behind = before && bad - at < WOK__DEBUG_ZONE;
      const wok__block *near = behind ? before : b && b->offset - bad <= WOK__DEBUG_ZONE ? b : NULL;
      const char *what = !near ? "wrote into dead memory" : behind ? "wrote behind the end of" : "wrote before the beginning of";
      return blame(p, &p->steps[step], what, !near ? "" : near->v ? wok_val_name(near->v) : "its scratch");
    }
    if (!b) break;
    before = b;
    at = b->offset + b->bytes;
  }
  return WOK_OK;
}

static wok_status check_outputs(const wok_plan *p, const wok__step *t) {
  for (int k = 0; k < t->nout; k++) {
    const wok__arr *a = &t->out_arr[k];
    if (t->unused >> k & 1 || t->out[k]->where != WOK__AT_PLAN || !wok__is_float(a->dtype)) continue;
    int64_t size = wok_dtype_size(a->dtype), count = wok__shape_count(&a->shape);
    for (int64_t i = 0; i < count; i++)
      if (touched((const uint8_t *)a->data + i * size, 0, size) < 0) {
        char text[80];
        wok__snprintf(text, sizeof text, "(element %lld of output %d)", (long long)i, k);
        return blame(p, t, "left what it should have written, or read what holds nothing", text);
      }
  }
  return WOK_OK;
}

wok_status wok__debug_after(const wok_plan *p, int64_t step) {
  const wok__step *t = &p->steps[step];
  WOK__TRY(check_outside(p, step));
  WOK__TRY(check_outputs(p, t));
  for (int64_t i = 0; i < p->nblocks; i++) {
    const wok__block *b = &p->blocks[i];
    if (living(b, step) && !may_write(t, i) && p->debug->block[i] != hash_block(p, i))
      return blame(p, t, "changed", b->v ? wok_val_name(b->v) : "another's scratch");
  }
  for (int k = 0; k < t->nin; k++)
    if (stays(t, k) && p->debug->input[k] != hash_input(&t->in_arr[k]))
      return blame(p, t, "changed", wok_val_name(t->node->in[k]));
  return WOK_OK;
}
