/* Random choices and gradients through them: compositions of uniform numbers, selections and stop_grad. */
#include "ops/primitive.h"

wok_val *wok_random_bernoulli(wok_val *p, uint32_t stream) {
  if (wok_is_poison(p)) return p;
  wok_val *u = wok_random_uniform(p->g, p->dtype, p->shape, stream);
  return wok_cast(wok_less(u, p), p->dtype);
}

/* Uniform numbers of f32 may be 0, whose logarithm is not finite: half of the smallest other one stands for it. */
wok_val *wok_random_gumbel(wok_graph *g, wok_dtype t, wok_shape s, uint32_t stream) {
  wok_val *u = wok_random_uniform(g, t, s, stream);
  if (t == WOK_F32) u = wok_maximum(u, wok_full(g, t, WOK_SHAPE0, 0x1p-25));
  return wok_neg(wok_log(wok_neg(wok_log(u))));
}

/* b - b is exactly zero, so the value is exactly a's. */
wok_val *wok_straight_through(wok_val *a, wok_val *b) {
  return wok_add(wok_stop_grad(a), wok_sub(b, wok_stop_grad(b)));
}

/* 1 at the largest of the last axis (the first of equals), 0 elsewhere. */
static wok_val *one_hot_of_largest(wok_val *x) {
  wok_val *where, *number = wok_iota(x->g, WOK_I32, x->shape, -1);
  wok_top_k(x, 1, -1, &where);
  return wok_cast(wok_equal(number, where), x->dtype);
}

wok_val *wok_gumbel_softmax(wok_val *logits, double temperature, bool hard, uint32_t stream) {
  if (wok_is_poison(logits)) return logits;
  if (!(temperature > 0))
    return wok__poison(logits->g, WOK_INVALID, "gumbel_softmax: the temperature is %g, not positive", temperature);
  wok_val *noise = wok_random_gumbel(logits->g, logits->dtype, logits->shape, stream);
  wok_val *soft = wok_softmax(wok_scale(wok_add(logits, noise), 1 / temperature));
  if (!hard || wok_is_poison(soft)) return soft;
  return wok_straight_through(one_hot_of_largest(soft), soft);
}
