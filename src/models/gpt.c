/* The GPT family: a stack of blocks that see what lies before them, GPT-2, LLaMA and everything between.
   Parameters: embed/tokens, embed/positions; layer.N/attn/{norm, qkv, o}, layer.N/mlp/{norm, up | gate_up, down}; norm; head;
   biases end in ".bias". */
#include <math.h>
#include "graph/graph.h"
#include "models/models.h"

static wok_val *embed(wok__scope *s, const wok_model_config *cfg, const wok_batch *b, wok_val **table) {
  wok__scope_push(s, "embed");
  wok_val *x = wok__nn_embedding(s, "tokens", b->ids, cfg->vocab_size, cfg->hidden_size,
                                 cfg->initializer_range, table);
  if (cfg->learned_positions)
    x = wok_add(x, wok__nn_embedding(s, "positions", b->pos, cfg->max_position_embeddings, cfg->hidden_size,
                                     cfg->initializer_range, NULL));
  x = wok_named(x, "out");
  wok__scope_pop(s);
  return x;
}

static wok_val *block(wok__scope *s, const wok_model_config *cfg, const wok_batch *b, int64_t i, wok_val *x) {
  const wok_block l = wok__block_of(cfg, i);
  /* The sum of 2N branches keeps the variance of one (GPT-2's rule, spec 01). */
  double std = cfg->initializer_range, out_std = std / sqrt(2.0 * (double)cfg->num_hidden_layers);
  wok__attn_arg attn = {.block = &l, .hidden = cfg->hidden_size, .std = std, .out_std = out_std, .batch = b};
  if (b->cache) {
    attn.keys = b->cache->keys[i];
    attn.values = b->cache->values[i];
    attn.cache_rows = b->cache->slots * b->cache->capacity;
  }
  const wok__ffn_arg ffn = {.block = &l, .hidden = cfg->hidden_size, .std = std, .out_std = out_std};
  wok__scope_push(s, "layer.%lld", (long long)i);
  x = wok__nn_residual(s, "attn", x, cfg->hidden_size, &l, b->training, wok__nn_attention, &attn);
  x = wok__nn_residual(s, "mlp", x, cfg->hidden_size, &l, b->training, wok__nn_ffn, &ffn);
  wok__scope_pop(s);
  return x;
}

wok_outputs wok__gpt_forward(wok__scope *s, const wok_model_config *cfg, const wok_batch *b) {
  int64_t last = cfg->num_hidden_layers - 1, hidden = cfg->hidden_size;
  wok_outputs o;
  wok_val *table;
  o.embeddings = embed(s, cfg, b, &table);
  wok_val *x = wok__nn_dropout(o.embeddings, cfg->embedding_dropout, b->training);
  for (int64_t i = 0; i <= last; i++) x = block(s, cfg, b, i, x);
  /* What leaves a post-norm block is normal already. */
  const wok_block base = wok__block_of(cfg, -1), end = wok__block_of(cfg, last);
  if (!end.post_norm) x = wok__nn_norm(s, "norm", x, hidden, &base);
  o.hidden = wok_named(x, "hidden");
  if (b->logit_rows) x = wok_gather(x, b->logit_rows);
  if (cfg->tie_word_embeddings) {
    o.logits = wok_linear(x, table, NULL);
  } else {
    const wok__param_spec head = {.role = WOK_ROLE_HEAD,
                                  .shape = WOK_SHAPE(cfg->vocab_size, hidden),
                                  .fan_in = hidden,
                                  .fan_out = cfg->vocab_size,
                                  .init = {.dist = WOK__DIST_NORMAL, .value = cfg->initializer_range}};
    o.logits = wok_linear(x, wok__scope_param(s, "head", &head), NULL);
  }
  o.logits = wok_named(o.logits, "logits");
  return o;
}
