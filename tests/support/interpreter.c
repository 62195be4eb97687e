/* support/interpreter.c - see interpreter.h */
#include "interpreter.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kernels/kernel.h"

static void *copy_of(const void *p, int64_t bytes) {
  void *m = malloc((size_t)bytes + 1); /* plus one: an empty value has an address, too */
  if (m && bytes) memcpy(m, p, (size_t)bytes);
  return m;
}

static int buffer_index(interpreter *it, wok_buffer *b) {
  for (int i = 0; i < it->nbuffers; i++)
    if (it->buffers[i].b == b) return i;
  if (it->nbuffers == INTERPRETER_BUFFERS) return -1;
  int64_t bytes = b->count * wok_dtype_size(b->dtype);
  it->buffers[it->nbuffers].b = b;
  it->buffers[it->nbuffers].before = copy_of(b->data, bytes);
  it->buffers[it->nbuffers].after = copy_of(b->data, bytes);
  return it->nbuffers++;
}

static bool run_kernel(interpreter *it, const wok__node *n, void *const *out_data) {
  wok__arr in[64], out[16];
  if (n->nin > (int)WOK__COUNT(in) || n->nout > (int)WOK__COUNT(out)) return false;
  for (int i = 0; i < n->nin; i++) in[i] = (wok__arr){n->in[i]->dtype, n->in[i]->shape, NULL};
  for (int i = 0; i < n->nout; i++) out[i] = (wok__arr){n->out[i].dtype, n->out[i].shape, NULL};
  wok__kdesc d = {.op = n->op->id, .nin = n->nin, .nout = n->nout, .in = in, .out = out, .attr = n->attr};
  const wok__kernel *kernel = wok__kernel_find(it->c, &d, true);
  if (!kernel) return false;
  void *prep = NULL;
  int64_t bytes = 0;
  if (kernel->prepare && kernel->prepare(it->c, &d, &prep, &bytes)) return false;
  bytes = kernel->scratch ? kernel->scratch(&d, wok_ctx_threads(it->c)) : 0;
  void *scratch = bytes > 0 ? aligned_alloc(64, (size_t)((bytes + 63) / 64 * 64)) : NULL;
  for (int i = 0; i < n->nin; i++) in[i].data = it->data[n->in[i]->id];
  for (int i = 0; i < n->nout; i++) out[i].data = out_data[i];
  wok__kcall call = {.c = it->c, .nin = n->nin, .nout = n->nout, .in = in, .out = out, .attr = n->attr,
                     .prep = prep, .scratch = scratch, .seed = it->run.seed, .tick = it->run.tick};
  kernel->run(&call);
  if (prep && kernel->release) kernel->release(prep);
  free(scratch);
  return true;
}

static bool run_node(interpreter *it, const wok__node *n) {
  void *out[16];
  for (int i = 0; i < n->nout; i++) { /* bytes no kernel would leave by chance */
    int64_t bytes = wok__bytes(n->out[i].dtype, &n->out[i].shape);
    out[i] = it->data[n->out[i].id] = malloc((size_t)bytes + 1);
    memset(out[i], 0xa5, (size_t)bytes + 1);
  }
  int64_t bytes = wok__bytes(n->out[0].dtype, &n->out[0].shape);
  const void *from = NULL;
  if (n->op->flags & WOK__OP_ALIAS) from = it->data[n->in[0]->id];
  else if (n->op->id == WOK__OP_input) from = it->bound[((const wok__attr_input *)n->attr)->slot];
  else if (n->op->id == WOK__OP_constant) from = ((const wok__attr_constant *)n->attr)->data;
  else if (n->op->id == WOK__OP_load || n->op->flags & WOK__OP_EFFECT) {
    const wok__attr_buffer *a = n->attr;
    int b = buffer_index(it, a->buffer);
    if (b < 0) return false;
    int64_t at = a->offset * wok_dtype_size(a->buffer->dtype);
    if (n->op->flags & WOK__OP_EFFECT) {
      char *range = it->buffers[b].after + at;
      if (!run_kernel(it, n, (void *[]){range})) return false;
      from = range;
    } else from = it->buffers[b].before + at; /* as they were when the run began */
  }
  if (!from) return run_kernel(it, n, out);
  if (bytes) memcpy(out[0], from, (size_t)bytes);
  return true;
}

bool interpreter_go(interpreter *it) {
  if (it->nvals < it->g->nvals) {
    void **p = realloc(it->data, (size_t)it->g->nvals * sizeof *p);
    if (!p) return false;
    memset(p + it->nvals, 0, (size_t)(it->g->nvals - it->nvals) * sizeof *p);
    it->data = p;
    it->nvals = it->g->nvals;
  }
  wok__fpstate fp;
  wok__compute_enter(&fp);
  for (; it->next < it->g->nnodes && !it->error[0]; it->next++) {
    const wok__node *n = it->g->nodes[it->next];
    if (!run_node(it, n)) snprintf(it->error, sizeof it->error, "the interpreter cannot run %s", wok_val_name(&n->out[0]));
  }
  wok__compute_leave(&fp);
  return !it->error[0];
}

const void *interpreter_data(const interpreter *it, const wok_val *v) { return it->data[v->id]; }

const void *interpreter_buffer(const interpreter *it, const wok_buffer *b) {
  for (int i = 0; i < it->nbuffers; i++)
    if (it->buffers[i].b == b) return it->buffers[i].after;
  return NULL;
}

void interpreter_free(interpreter *it) {
  for (int64_t i = 0; i < it->nvals; i++) free(it->data[i]);
  free(it->data);
  for (int i = 0; i < it->nbuffers; i++) {
    free(it->buffers[i].before);
    free(it->buffers[i].after);
  }
  *it = (interpreter){0};
}
