/* kernels/oplist.h - the operators by name: one list from which the enum, the operator table and the generated tests come.
   An operator's entry is `const wok__op wok__op_NAME` in src/ops/. Backward operators of fused ones end in _bwd. */
#ifndef WOK_KERNELS_OPLIST_H
#define WOK_KERNELS_OPLIST_H

#define WOK__OP_LIST(X)                                                                                      \
  /* leaves */                                                                                               \
  X(input) X(full) X(constant) X(iota) X(random) X(load)                                                     \
  /* of the caller's own; the ends of a recomputed block */                                                 \
  X(custom) X(barrier) X(recompute)                                                     \
  /* effects */                                                                                              \
  X(store) X(accumulate) X(store_rows)                                                                       \
  /* element by element */                                                                                   \
  X(add) X(sub) X(mul) X(div) X(maximum) X(minimum)                                                          \
  X(neg) X(exp) X(log) X(sqrt) X(sin) X(cos) X(tanh) X(erf) X(abs) X(affine)                                 \
  X(less) X(less_equal) X(equal) X(select) X(cast) X(stop_grad)                                              \
  X(sigmoid) X(softplus) X(elu) X(leaky_relu) X(leaky_relu_slope)                                            \
  /* shape */                                                                                                \
  X(reshape) X(permute) X(broadcast_to) X(sum_to) X(slice) X(pad) X(concat) X(max_axis) X(cumsum)            \
  X(gather) X(scatter_add) X(take_along) X(put_along) X(sort)                                                \
  /* products */                                                                                             \
  X(matmul) X(linear) X(cholesky) X(triangular_solve) X(eigh) X(svd)                                         \
  /* images */                                                                                               \
  X(conv2d) X(conv2d_input) X(conv2d_weight) X(sum_pool2d) X(sum_unpool2d) X(max_pool2d)                     \
  X(resize2d) X(resize2d_transpose)                                                                          \
  /* fused */                                                                                                \
  X(softmax) X(softmax_bwd) X(log_softmax) X(log_softmax_bwd)                                                \
  X(layer_norm) X(layer_norm_bwd) X(rms_norm) X(rms_norm_bwd)                                                \
  X(group_norm) X(group_norm_bwd) X(batch_norm) X(batch_norm_bwd)                                            \
  X(activation) X(activation_bwd) X(gated) X(gated_bwd) X(dropout) X(rope)                                   \
  X(attention) X(attention_bwd) X(attention_mask)                                                            \
  X(xent) X(xent_bwd) X(linear_xent) X(linear_xent_bwd) X(linear_xent_both)

typedef enum wok__opid {
#define WOK__OP_ENUM(name) WOK__OP_##name,
  WOK__OP_LIST(WOK__OP_ENUM)
#undef WOK__OP_ENUM
      WOK__OP_COUNT
} wok__opid;
#endif
