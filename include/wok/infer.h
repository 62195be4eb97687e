/* wok/infer.h - using a model: generation with a KV cache, logits. */
#ifndef WOK_INFER_H
#define WOK_INFER_H
#include <wok/model.h>
#include <wok/text.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef struct wok_generate_opts {
  int64_t max_tokens;        /* new tokens per prompt; 0: 128 */
  bool greedy;
  double temperature;        /* 0: 1 */
  int64_t top_k;             /* 0: off */
  double top_p;              /* 0: off */
  double repetition_penalty; /* 0: 1 (as in CTRL: positive logits divided, negative multiplied) */
  int64_t repetition_window; /* last so many tokens; 0: all */
  uint64_t seed;             /* 0: the context's. The draws of a prompt depend on (seed, its index, position) alone */
  bool ignore_eod;           /* go on past the end of a document */
  /* Called for every new token of prompt i with the text that became ready (UTF-8, never a split code point; may be empty);
     return false to stop that prompt. */
  bool (*on_text)(void *ud, int i, int32_t id, const char *text, int64_t len);
  void *ud;
} wok_generate_opts;
typedef struct wok_generated {
  int32_t *ids;      /* new tokens */
  int64_t n;
  char *text;        /* NUL-terminated; a model of bytes may put NULs into it, too */
  int64_t text_len;
  const char *stop;  /* "eod", "length", "positions", "caller" */
} wok_generated;
/* Many prompts at once. Each begins with the end mark as its first context, as documents do in training. A prompt longer than
   the model's positions: LIMIT (says both numbers). results: n of them, freed with wok_generated_free. stats may be NULL. */
typedef struct wok_generate_stats { int64_t prompt_tokens, new_tokens; double prefill_s, decode_s; int64_t cache_bytes; } wok_generate_stats;
WOK_API wok_status wok_generate(wok_model *m, const wok_tokenizer *t, const char *const *prompts, int n,
                                const wok_generate_opts *o, wok_generated *results, wok_generate_stats *stats);
WOK_API void wok_generated_free(wok_generated *r, int n);

/* logits [n, vocab] (f32, row i: after ids[0..i]) of one sequence without cache; the caller gives n * vocab floats. */
WOK_API wok_status wok_logits(wok_model *m, const int32_t *ids, int64_t n, float *logits);

#ifdef __cplusplus
}
#endif
#endif
