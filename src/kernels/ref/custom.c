/* Operators of the caller's own: the caller's function. */
#include "kernels/ref/ref.h"

void wok__ref_custom(const wok__kcall *k) {
  enum { INPUTS = 16 }; /* as many as the operator takes */
  const wok_custom_op *op = ((const wok__attr_custom *)k->attr)->op;
  const void *in[INPUTS];
  wok_dtype types[INPUTS];
  wok_shape shapes[INPUTS];
  for (int i = 0; i < k->nin; i++) {
    in[i] = k->in[i].data;
    types[i] = k->in[i].dtype;
    shapes[i] = k->in[i].shape;
  }
  op->run(op->ud, k->nin, in, types, shapes, k->out[0].data);
}
