/* wok/text.h - tokenizers: text to ids and back. */
#ifndef WOK_TEXT_H
#define WOK_TEXT_H
#include <wok/ctx.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef struct wok_tokenizer wok_tokenizer;

/* Opens a vocabulary: a model directory, or one file of it.
     tokenizer.json          Hugging Face's format, every component of version 1.0; an unknown one is refused by name
     vocab.txt               BERT's WordPiece
     tokenizer.model, spiece.model, *.model   SentencePiece (unigram, BPE), or BytePiece
     vocab.json + merges.txt, *.tiktoken      byte-level BPE
   In a directory the first of tokenizer.json, vocab.txt, the .model files and vocab.json is taken; what
   tokenizer_config.json says (lower case, bos, eos) is respected for the others than tokenizer.json.
   Errors: NOTFOUND, FORMAT, CORRUPT, UNSUPPORTED, LIMIT. */
WOK_API wok_status wok_tokenizer_open(wok_ctx *c, wok_tokenizer **t, const char *path);
typedef struct wok_tokenizer_opts {
  const char *bert; /* vocab.txt: "bert" (NULL; Google's code), "bert-hf" (Hugging Face's BertTokenizer), "bert4keras" */
  int lower;        /* vocab.txt: 1 lower case and no accents, -1 neither, 0: as tokenizer_config.json says, or else -1 where
                       the vocabulary has tokens in capital letters */
} wok_tokenizer_opts;
WOK_API wok_status wok_tokenizer_open_with(wok_ctx *c, wok_tokenizer **t, const char *path, const wok_tokenizer_opts *o);
/* The same from text in memory; `where` names it in messages. */
WOK_API wok_status wok_tokenizer_parse(wok_ctx *c, wok_tokenizer **t, const char *json, int64_t n, const char *where);
/* Every byte is a token: vocabulary <|endoftext|>, <0x00> .. <0xFF>. */
WOK_API wok_status wok_tokenizer_bytes(wok_ctx *c, wok_tokenizer **t);
WOK_API wok_status wok_tokenizer_save(const wok_tokenizer *t, const char *path); /* tokenizer.json in Hugging Face's format */
WOK_API void wok_tokenizer_free(wok_tokenizer *t);

/* "chars", "bytes", or the model: "BPE", "Unigram", "WordPiece", "WordLevel", "SentencePieceBPE", "SentencePieceUnigram", "BytePiece" */
WOK_API const char *wok_tokenizer_kind(const wok_tokenizer *t);
WOK_API int64_t wok_tokenizer_size(const wok_tokenizer *t);     /* number of ids */
WOK_API int32_t wok_tokenizer_eod(const wok_tokenizer *t);      /* id of the end of a document (<|endoftext|>, </s>, [SEP] ...); -1: it has none */
WOK_API uint64_t wok_tokenizer_hash(const wok_tokenizer *t);    /* of what encoding depends on */
WOK_API int32_t wok_tokenizer_id(const wok_tokenizer *t, const char *token, int64_t len); /* -1: not in the vocabulary; len < 0: strlen */
WOK_API bool wok_tokenizer_is_special(const wok_tokenizer *t, int32_t id);
/* The token's bytes as they appear in text (special tokens: their name); not NUL-terminated. */
WOK_API const char *wok_tokenizer_piece(const wok_tokenizer *t, int32_t id, int64_t *len);
/* The token as the vocabulary writes it ("##ing", U+0120 "world", U+2581 "a", "<0xE9>"): UTF-8 in every format but BytePiece's. */
WOK_API const char *wok_tokenizer_token(const wok_tokenizer *t, int32_t id, int64_t *len);
/* Natural logarithm of the token's probability in unigram models, 0 in others. */
WOK_API double wok_tokenizer_score(const wok_tokenizer *t, int32_t id);

/* Adds no special tokens, and takes no text for one. At most cap ids are written; *n is how many there are in all (so that a
   first call with cap 0 counts). Text that is not UTF-8: "chars" refuses it (FORMAT with the byte's place); "bytes", byte-level
   BPE and BytePiece keep every byte; "bert" drops bad bytes; the others put U+FFFD for each. Any number of threads may encode
   with one tokenizer as long as each has a context of its own for messages: the tokenizer's is used here. */
WOK_API wok_status wok_encode(const wok_tokenizer *t, const char *text, int64_t len, int32_t *ids, int64_t cap, int64_t *n);

typedef enum wok_truncation { WOK_TRUNCATE_LONGEST_FIRST, WOK_TRUNCATE_ONLY_FIRST, WOK_TRUNCATE_ONLY_SECOND } wok_truncation;
typedef struct wok_encode_opts {
  const char *pair; /* a second text, NULL: none */
  int64_t pair_len;
  bool no_special;  /* without the tokens of the tokenizer's template ([CLS], [SEP], <s> ...) */
  bool plain;       /* names of special tokens in the text are ordinary text */
  bool offsets;     /* keep which bytes of the text each token is */
  int64_t max_length; /* tokens, template included; 0: no limit */
  wok_truncation truncation; /* longest first: tokens go from the longer of both texts */
  bool truncate_left;        /* from the beginning, not from the end */
  bool bos, eos, reverse;    /* SentencePiece's extra options */
  /* Unigram, BytePiece: sample = draw a segmentation with its probability to the power alpha (among the nbest best ones if
     nbest > 1); without sample the nbest-th best. BPE: sample = leave out each merge with probability alpha. */
  bool sample;
  double alpha;
  int64_t nbest;
  uint64_t seed; /* of the draws: the same seed and place in a batch, the same draw */
} wok_encode_opts;

typedef struct wok_encoding wok_encoding;
WOK_API wok_status wok_tokenizer_encode(const wok_tokenizer *t, const char *text, int64_t len, const wok_encode_opts *o, wok_encoding **e);
/* n texts on all threads of the context; out[i] is text i's, whatever the number of threads. pairs, pair_lens: NULL: none
   (o->pair is not looked at). On failure all are freed and NULL; the message names the first text that failed. */
WOK_API wok_status wok_tokenizer_encode_batch(const wok_tokenizer *t, const char *const *texts, const int64_t *lens, const char *const *pairs,
                                              const int64_t *pair_lens, int64_t n, const wok_encode_opts *o, wok_encoding **out);
WOK_API void wok_encoding_free(wok_encoding *e); /* NULL is allowed */
WOK_API const int32_t *wok_encoding_ids(const wok_encoding *e, int64_t *n);
WOK_API const int32_t *wok_encoding_types(const wok_encoding *e);    /* [n] segment ids */
WOK_API const int8_t *wok_encoding_sequences(const wok_encoding *e); /* [n] 0: of the text, 1: of the pair, -1: of the template */
/* [n][2] bytes [a, b) of that text; (0, 0) for tokens of the template. NULL without opts.offsets. */
WOK_API const int64_t (*wok_encoding_offsets(const wok_encoding *e))[2];
WOK_API int64_t wok_encoding_cut(const wok_encoding *e); /* tokens lost by truncation */
/* Offsets in bytes of text[0, len) to offsets in characters (code points; a bad byte is one), in place. n pairs. */
WOK_API void wok_offsets_to_chars(const char *text, int64_t len, int64_t (*offsets)[2], int64_t n);

/* Text of the ids; special tokens are left out. At most cap bytes are written; *len is the full length. Byte-level tokenizers
   give their bytes, UTF-8 or not. */
WOK_API wok_status wok_decode(const wok_tokenizer *t, const int32_t *ids, int64_t n, char *text, int64_t cap, int64_t *len);
/* The same with the names of special tokens kept. */
WOK_API wok_status wok_decode_special(const wok_tokenizer *t, const int32_t *ids, int64_t n, char *text, int64_t cap, int64_t *len);
/* Streaming decode that never splits a code point: keeps what is unfinished in the state. Returns bytes ready in out
   (cap >= wok_decode_room(t)), invalid sequences as U+FFFD; flush with id < 0. A state begins as zeros. */
typedef struct wok_decoder {
  unsigned char part[4];
  int npart;
  int32_t held[16]; /* tokens before, and tokens whose text is not out yet */
  int nbefore, nheld;
} wok_decoder;
WOK_API int64_t wok_decode_stream(const wok_tokenizer *t, wok_decoder *d, int32_t id, char *out, int64_t cap);
WOK_API int64_t wok_decode_room(const wok_tokenizer *t); /* 64 for "chars" and "bytes" */

#ifdef __cplusplus
}
#endif
#endif
