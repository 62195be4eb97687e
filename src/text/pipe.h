/* text/pipe.h - a tokenizer as a pipeline: added tokens are cut out, the rest is normalised, split, encoded by a model, and put
   into a template; decoders go back. Everything here is fixed once it is read, so any number of threads may use it. */
#ifndef WOK_TEXT_PIPE_H
#define WOK_TEXT_PIPE_H
#include "text/model.h"
#include "text/steps.h"

/* ---- added tokens ---- */
typedef struct wok__added {
  int32_t id;
  wok__bytes content;
  bool single_word, lstrip, rstrip, normalized, special;
} wok__added;

typedef struct wok__finds { wok__byte_trie trie; bool first[256]; bool any; } wok__finds; /* values: number of an added token */

/* ---- templates ---- */
typedef enum wok__part { WOK__PART_A, WOK__PART_B, WOK__PART_TOKEN } wok__part;
typedef struct wok__slot { wok__part part; int32_t id, type; } wok__slot;
typedef struct wok__template { wok__slot *slot; int64_t n; } wok__template;

/* ---- decoders ---- */
typedef struct wok__strings { wok__str text; wok__spans parts; } wok__strings;
typedef struct wok__pipe wok__pipe;
typedef struct wok__decoder_kind wok__decoder_kind;
typedef struct wok__decode_step {
  const wok__decoder_kind *kind;
  wok__bytes text, other; /* prefix, suffix, replacement, pattern ... */
  wok__pattern *pattern;
  int64_t start, stop;
  bool cleanup, prefix, extra_spaces;
} wok__decode_step;

typedef enum wok__bad_bytes { WOK__BAD_REPLACE, WOK__BAD_DROP, WOK__BAD_KEEP } wok__bad_bytes;

struct wok__pipe {
  wok__vocab vocab; /* strings as in the file, added tokens included */
  wok__vocab bytes; /* byte-level: the model's tokens as bytes */
  uint8_t *special; /* [vocab.n] */
  wok__added *added;
  int64_t nadded;
  wok__finds raw, raw_plain;       /* found in the text as it came; plain: without special ones */
  wok__finds normal, normal_plain; /* found in the normalised text */
  wok__steps normalizers, pre;
  wok__model *model;
  wok__template one, two;
  int64_t one_extra, two_extra; /* tokens that the template adds */
  bool trim;                    /* offsets without the blanks of the tokens */
  wok__decode_step *decoders;
  int64_t ndecoders;
  bool joined;      /* decoding is putting bytes one after another */
  bool decoder_given;
  wok__bad_bytes bad;
  bool text_is_text; /* names of special tokens in a text are never taken for them */
  bool first_on_tie; /* cutting a pair: of two equally long ones the first gives way */
  int32_t eod, bos, eos;
  int64_t longest; /* bytes of a token */
  char kind[32];
  /* what it was made of: the text of a tokenizer.json, or the tree that stands for another format */
  char *source;
  int64_t nsource;
  json_t *root;
};

struct wok__decoder_kind {
  const char *name;
  wok_status (*read)(wok_ctx *c, const char *where, const json_t *j, wok__decode_step *s);
  bool (*run)(const wok__pipe *p, const wok__decode_step *s, const int32_t *ids, wok__strings *in, wok__strings *out);
};

/* pipe.c: version and keys; taking the tree apart. */
wok_status wok__check_root(wok_ctx *c, const char *where, const json_t *root);
wok_status wok__pipe_read(wok_ctx *c, const char *where, const json_t *root, wok__pipe **p, uint64_t *hash);
void wok__pipe_free(wok__pipe *p);

/* added.c */
wok_status wok__added_read(wok_ctx *c, const char *where, const json_t *list, wok__pipe *p);
wok_status wok__added_index(wok_ctx *c, wok__pipe *p); /* after the normalizers are known */
/* The next added token in the view from `from` on; false: none. */
bool wok__added_find(const wok__pipe *p, const wok__finds *f, const wok__view *v, int64_t from, const wok__added **a, wok__span *m);

/* post.c */
wok_status wok__post_read(wok_ctx *c, const char *where, const json_t *j, wok__pipe *p);

/* decode.c */
wok_status wok__decoders_read(wok_ctx *c, const char *where, const json_t *j, wok__pipe *p);
void wok__decoders_free(wok__pipe *p);
wok_status wok__pipe_decode(const wok__pipe *p, wok_ctx *c, const int32_t *ids, int64_t n, bool keep_special, wok__str *out);
/* The bytes that a token stands for in text, where it does so alone. */
const char *wok__pipe_piece(const wok__pipe *p, int64_t id, int64_t *n);

/* encode.c: ids of one text without a template, appended to e. plain: names of special tokens are text. */
bool wok__pipe_encode(const wok__pipe *p, wok__enc *e, const uint8_t *text, int64_t n, bool plain);
bool wok__run_normalizers(const wok__pipe *p, wok__enc *e);

#endif
