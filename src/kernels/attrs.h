/* kernels/attrs.h - typed attributes of the operators, shared by their entries (src/ops) and their kernels.
   Attributes are zeroed before they are filled, so that equal attributes are equal bytes. Operators not listed have none. */
#ifndef WOK_KERNELS_ATTRS_H
#define WOK_KERNELS_ATTRS_H
#include <wok/graph.h>

enum { WOK__RANDOM_UNIFORM, WOK__RANDOM_NORMAL };

/* What the inputs do not say about the result: its shape (reshape, broadcast_to, sum_to), its type (cast), both (leaves).
   Sizes past ndim are zero. */
typedef struct { int64_t dtype, ndim, dim[WOK_MAX_DIMS]; } wok__attr_result;

typedef struct { char name[64]; int64_t slot; wok__attr_result result; } wok__attr_input; /* slot: number of the input in its graph */
typedef struct { double value; wok__attr_result result; } wok__attr_full;
typedef struct { const void *data; wok__attr_result result; } wok__attr_constant; /* in the graph's arena */
typedef struct { int64_t axis; wok__attr_result result; } wok__attr_iota;
typedef struct { const wok_custom_op *op; } wok__attr_custom;             /* in the graph's arena */
typedef struct { wok_block_fn fn; void *ud; int64_t n; uint32_t stream; uint32_t pad; } wok__attr_recompute;
typedef struct { int64_t axis; } wok__attr_axis;                          /* max_axis (out keeps the axis with size 1) */
typedef struct { int64_t axis; int64_t reverse; } wok__attr_cumsum;
typedef struct { int32_t kind; uint32_t stream; wok__attr_result result; } wok__attr_random;
typedef struct { wok_buffer *buffer; int64_t offset; } wok__attr_buffer;  /* store, accumulate; offset in elements */
typedef struct { wok__attr_buffer at; wok__attr_result result; } wok__attr_range; /* load, store_rows: the range's shape */
typedef struct { double scale, offset; } wok__attr_affine;                /* scale * x + offset */
typedef struct { int32_t axes[WOK_MAX_DIMS]; } wok__attr_permute;
typedef struct { int64_t axis, start, stop; } wok__attr_slice;
typedef struct { int64_t axis, before, after; } wok__attr_pad;
typedef struct { int64_t axis; } wok__attr_concat;
typedef struct { int64_t rows; } wok__attr_scatter;
typedef struct { int32_t ta, tb; } wok__attr_matmul;
typedef struct { double eps; } wok__attr_norm;
typedef struct { int32_t act; int32_t pad; } wok__attr_act;
typedef struct { double p; uint32_t stream; uint32_t pad; } wok__attr_dropout;
typedef struct { int32_t interleaved; int32_t inverse; } wok__attr_rope;  /* inverse: rotate by -pos (the VJP) */
typedef struct { double scale, dropout; uint32_t stream; uint32_t pad; } wok__attr_attention;
typedef struct { wok__attr_attention a; int64_t heads, keys; int32_t dtype; int32_t pad; } wok__attr_attention_mask;

/* Images. The pads are top, bottom, left, right; arrays of two are rows, columns. size is what the inputs of a transpose do not
   say about its result: rows and columns of x (conv2d_input, sum_unpool2d, resize2d_transpose) or of w (conv2d_weight); of
   resize2d those of its result; zero otherwise. */
typedef struct { int64_t stride[2], dilation[2], pad[4], groups, size[2]; } wok__attr_conv2d;
typedef struct { int64_t window[2], stride[2], pad[4], size[2]; } wok__attr_pool2d;
typedef struct { int64_t kind, size[2]; } wok__attr_resize2d;             /* kind: wok_resize */
typedef struct { double eps; int64_t groups; } wok__attr_group_norm;
typedef struct { double value; } wok__attr_number;                        /* leaky_relu and its slope, elu */
typedef struct { int64_t axis, size; } wok__attr_along;                   /* size: of the axis in put_along's result; take_along: 0 */
typedef struct { int64_t axis, keep, descending; } wok__attr_sort;        /* keep: how many of the axis, from the front */
typedef struct { int64_t upper, transposed; } wok__attr_triangular;

/* Inputs and outputs of the fused operators (T rows, C columns):
 *   softmax(x) -> y                       softmax_bwd(dy, y) -> dx       (log_softmax the same; y is an ordinary output, so
 *                                         no by-product is needed)
 *   layer_norm(x, gain[, bias]) -> y, mean[rows], rstd[rows]
 *   layer_norm_bwd(dy, x, gain, mean, rstd) -> dx, dgain, dbias
 *   group_norm(x [N,C,...], gain [C][, bias]) -> y, mean [N groups], rstd [N groups]
 *   group_norm_bwd(dy, x, gain, mean, rstd) -> dx, dgain, dbias
 *   batch_norm(x [N,C,...], gain [C][, bias]) -> y, mean [C], var [C]   (ordinary outputs all three)
 *   batch_norm_bwd(dy, x, gain, mean, var) -> dx, dgain, dbias          (mean and var are inputs like the others)
 *   rms_norm(x, gain) -> y, rstd          rms_norm_bwd(dy, x, gain, rstd) -> dx, dgain
 *   activation(x) -> y                    activation_bwd(dy, x) -> dx
 *   gated(gate, up) -> y                  gated_bwd(dy, gate, up) -> dgate, dup
 *   dropout(x) -> y                       (its VJP is dropout of dy with the same stream)
 *   rope(x, pos, freq) -> y               (its VJP is rope with inverse flipped)
 *   linear(x [...,I], w [O,I][, b [O]]) -> y [...,O]   (its VJP is matmul and sum_to)
 *   attention(q, k, v, lo, hi, seq, row[, BIAS]) -> o, lse [Tq, H]
 *   attention_bwd(do, q, k, v, lo, hi, seq, row, o, lse[, BIAS]) -> dq, dk, dv, dtable, dslope
 *                                         BIAS: pos_q i32 [Tq], pos_k i32 [Tk], bucket i32 [2R+1], table [B, H], slope [H]: all
 *                                         five or none. To score (i, j) of head h after scaling, with d = pos_k[j] - pos_q[i],
 *                                         comes table[bucket[R + min(max(d, -R), R)]][h], unless bucket and table are empty
 *                                         ([0], [0, H]), and -slope[h] |d|, unless slope is empty ([0]). Gradients have the
 *                                         shapes of what they belong to; without BIAS both are [0].
 *   attention_mask(lo, hi, seq, row) -> m [heads, Tq, keys] of attr.dtype: the factor 0 or 1/(1-p) by which attention's
 *                                         dropout multiplies each probability, 0 outside [lo, hi) (for `expand`; no gradient)
 *   xent(logits, labels) -> loss [T], lse [T]          xent_bwd(dloss [T], logits, labels, lse) -> dlogits
 *   linear_xent(x, w, labels[, b]) -> loss [T], lse [T]
 *   linear_xent_bwd(dloss, x, w, labels, lse[, b]) -> dx, dw[, db]
 *   linear_xent_both(dloss, x, w, labels[, b]) -> loss, lse, dx, dw[, db]   (made by a rewrite: logits computed once)
 * lse is the natural log of the sum of exponentials (of the masked, scaled scores); -inf for a row that sees nothing.
 * mean, rstd and lse are by-products: only backward operators read them, and `expand` recomputes them from the primal inputs
 * (attention_bwd's expand recomputes o as well). Absent optional inputs are left out, so nin tells. layer_norm without bias:
 * dbias is still an output of layer_norm_bwd (its VJP caller ignores it). */
#endif
