/* The table of the reference kernels of the primitive operators, and what they share. */
#include "kernels/ref/ref.h"
#include <string.h>

static const wok__kernel rows[] = {
#define ROW(opname, type, f, bits, bytes)                                                                    \
  {.name = "ref",                                                                                            \
   .op = WOK__OP_##opname,                                                                                   \
   .dtype = WOK_##type,                                                                                      \
   .can_accumulate = bits,                                                                                   \
   .scratch = bytes,                                                                                         \
   .run = wok__ref_##f},
    WOK__REF_ROWS(ROW)
#undef ROW
};

const wok__kernel_table wok__kernels_ref_primitives = {rows, WOK__COUNT(rows)};

void wok__ref_copy(void *out, const void *in, int64_t bytes) {
  if (bytes > 0 && out != in) memmove(out, in, (size_t)bytes);
}

void wok__ref_clear(void *out, int64_t bytes) {
  if (bytes > 0) memset(out, 0, (size_t)bytes);
}

void wok__ref_fill(void *out, const void *element, int64_t size, int64_t n) {
  int64_t bytes = n * size, done = WOK__MIN(size, bytes);
  wok__ref_copy(out, element, done);
  for (; done < bytes; done *= 2) wok__ref_copy((char *)out + done, out, WOK__MIN(done, bytes - done));
}

wok__ref_axis wok__ref_at(const wok_shape *s, int64_t axis) {
  wok__ref_axis a = {1, s->dim[axis], 1};
  for (int i = 0; i < axis; i++) a.outer *= s->dim[i];
  for (int i = (int)axis + 1; i < s->ndim; i++) a.inner *= s->dim[i];
  return a;
}

void wok__ref_walk_begin(wok__ref_walk *w, const wok_shape *shape, const int64_t *steps) {
  *w = (wok__ref_walk){.naxes = 0};
  for (int i = 0; i < shape->ndim; i++) {
    int last = w->naxes - 1;
    if (shape->dim[i] == 1) continue;
    if (last >= 0 && w->step[last] == shape->dim[i] * steps[i]) {
      w->size[last] *= shape->dim[i];
      w->step[last] = steps[i];
      continue;
    }
    w->size[w->naxes] = shape->dim[i];
    w->step[w->naxes++] = steps[i];
  }
  if (w->naxes == 0) w->size[w->naxes++] = 1;
  w->run = w->size[w->naxes - 1];
  w->along = w->step[w->naxes - 1];
}

bool wok__ref_walk_next(wok__ref_walk *w) {
  for (int i = w->naxes - 2; i >= 0; i--) {
    w->place += w->step[i];
    if (++w->at[i] < w->size[i]) return true;
    w->place -= w->step[i] * w->size[i];
    w->at[i] = 0;
  }
  return false;
}

void wok__ref_broadcast_steps(const wok_shape *from, const wok_shape *to, int64_t *steps) {
  int64_t step = 1;
  int lead = to->ndim - from->ndim;
  for (int i = 0; i < lead; i++) steps[i] = 0;
  for (int i = from->ndim - 1; i >= 0; i--) {
    steps[lead + i] = from->dim[i] == 1 ? 0 : step;
    step *= from->dim[i];
  }
}
