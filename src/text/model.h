/* text/model.h - models: a piece of text to ids. */
#ifndef WOK_TEXT_MODEL_H
#define WOK_TEXT_MODEL_H
#include "base/json.h"
#include "text/charsmap.h"
#include "text/byte_trie.h"
#include "text/vocab.h"
#include "text/work.h"

/* What a token is for. */
typedef enum wok__token_type {
  WOK__NORMAL = 1, WOK__UNKNOWN, WOK__CONTROL, WOK__USER, WOK__UNUSED, WOK__BYTE
} wok__token_type;

typedef struct wok__model wok__model;
typedef struct wok__model_kind {
  const char *name;
  /* Reads its part of the file; the vocabulary goes to v. */
  wok_status (*read)(wok_ctx *c, const char *where, const json_t *j, wok__vocab *v, wok__model **m);
  /* Encodes bytes [a, b) of e's view. */
  bool (*encode)(const wok__model *m, wok__enc *e, int64_t a, int64_t b);
  void (*free)(wok__model *m);
} wok__model_kind;

struct wok__model {
  const wok__model_kind *kind;
  const wok__vocab *vocab; /* the tokenizer's: strings as in the file */
  int32_t unk;             /* -1: none */
  bool byte_fallback, fuse_unk, raw; /* raw: the text is bytes, the strings of the vocabulary are their letters */
  int32_t byte[256];       /* ids of the bytes, -1 */
  uint8_t *type;           /* [vocab->n] wok__token_type, NULL: all normal */
};

extern const wok__model_kind wok__models[]; /* ends with a NULL name */
const wok__model_kind *wok__model_kind_of(const char *name);

/* {"string": id, ...} */
wok_status wok__vocab_read(wok_ctx *c, const char *where, const json_t *j, wok__vocab *v);
/* Ids of "<0x00>" .. "<0xFF>", where the vocabulary has them. */
void wok__byte_tokens(const wok__vocab *v, int32_t byte[256]);
/* An unknown character [a, b): its bytes, or the unknown token, joined to the one before where the model says so. */
bool wok__add_unknown(const wok__model *m, wok__enc *e, int64_t a, int64_t b, bool *after_unknown);

/* BPE whose text is bytes: letters of the vocabulary become bytes. Called once, before encoding. */
wok_status wok__bpe_set_raw(wok_ctx *c, wok__model *m, const wok__vocab *bytes);
extern const wok__model_kind wok__bpe, wok__sp_bpe, wok__unigram, wok__sp_unigram, wok__bytepiece, wok__wordpiece, wok__wordlevel;

/* Sums of log probabilities of the best segmentations, best first (Unigram models). */
bool wok__unigram_nbest(const wok__model *m, wok__enc *e, int64_t a, int64_t b, int64_t n);
double wok__unigram_score(const wok__model *m, int32_t id);

#endif
