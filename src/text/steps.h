/* text/steps.h - the stages of a tokenizer as Hugging Face's tokenizer.json names them: normalizers change the text,
   pre-tokenizers split it (and some change it), decoders turn tokens into text again. */
#ifndef WOK_TEXT_STEPS_H
#define WOK_TEXT_STEPS_H
#include "base/json.h"
#include "text/charsmap.h"
#include "text/pattern.h"
#include "text/work.h"

typedef struct wok__bytes { char *p; int64_t n; } wok__bytes;

typedef enum wok__behaviour { WOK__REMOVED, WOK__ISOLATED, WOK__WITH_PREVIOUS, WOK__WITH_NEXT, WOK__CONTIGUOUS } wok__behaviour;
typedef enum wok__scheme { WOK__FIRST, WOK__NEVER, WOK__ALWAYS } wok__scheme;
typedef enum wok__bert_mode { WOK__BERT_HF, WOK__BERT_GOOGLE, WOK__BERT_KERAS } wok__bert_mode;

/* What any of the stages may be given; each uses its own part. */
typedef struct wok__step {
  const struct wok__step_kind *kind;
  wok__bytes text, other; /* what is looked for, what stands for it */
  wok__pattern *pattern;
  wok__charsmap *charsmap;
  wok__behaviour behaviour;
  wok__scheme scheme;
  wok__bert_mode bert;
  bool invert, split, lowercase, clean, cjk, strip_accents, left, right, prefix_space, regex, trim, individual;
  bool dummy_prefix, extra_spaces, escape, suffix, cleanup; /* SentencePiece, WordPiece */
  int64_t count, start, stop;
  int form;             /* wok__form, or number of a scanner */
  struct wok__symbols *symbols; /* SentencePiece: user-defined symbols */
} wok__step;

typedef struct wok__step_kind {
  const char *name;
  /* Reads its options. Errors name the component and the option. */
  wok_status (*read)(wok_ctx *c, const char *where, const json_t *j, wok__step *s);
  bool (*run)(const wok__step *s, wok__enc *e); /* changes e->view (and e->split) */
  /* Pre-tokenizers that only look: the next piece from *i on; false at the end. */
  bool (*next)(const wok__step *s, const uint8_t *p, int64_t n, int64_t *i, wok__span *piece);
} wok__step_kind;

typedef struct wok__steps { wok__step *p; int64_t n, cap; } wok__steps;
/* Reads a component, or what its Sequence holds, and appends. null: nothing. `what`: "normalizer", "pre_tokenizer". */
wok_status wok__steps_read(wok_ctx *c, const char *where, const char *what, const json_t *j, wok__steps *s);
void wok__steps_free(wok__steps *s);
wok_status wok__step_text(wok_ctx *c, const char *where, const json_t *j, const char *key, wok__bytes *out);
wok_status wok__step_unknown(wok_ctx *c, const char *where, const char *what, const char *which);

extern const wok__step_kind wok__normalizers[], wok__pretokenizers[]; /* end with a NULL name */
/* Splits the pieces so far by where a function finds matches, as the behaviour says. */
typedef bool (*wok__finder)(const wok__step *s, wok__enc *e, const uint8_t *p, int64_t n, int64_t from, wok__span *match);
bool wok__split_by(const wok__step *s, wok__enc *e, wok__finder find);
extern const wok__step_kind *const wok__byte_level, *const wok__scan_kind; /* of pre-tokenizers */

#endif
