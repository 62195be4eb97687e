/* wok/text.h - tokenizers: text to ids and back. */
#ifndef WOK_TEXT_H
#define WOK_TEXT_H
#include <wok/ctx.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef struct wok_tokenizer wok_tokenizer;

/* Opens a tokenizer.json, or a directory that holds one. Components this version does not know are refused by name. */
WOK_API wok_status wok_tokenizer_open(wok_ctx *c, wok_tokenizer **t, const char *path);
/* The same from text in memory; `where` names it in messages. */
WOK_API wok_status wok_tokenizer_parse(wok_ctx *c, wok_tokenizer **t, const char *json, int64_t n, const char *where);
/* Every byte is a token: vocabulary <|endoftext|>, <0x00> .. <0xFF>. */
WOK_API wok_status wok_tokenizer_bytes(wok_ctx *c, wok_tokenizer **t);
WOK_API wok_status wok_tokenizer_save(const wok_tokenizer *t, const char *path); /* tokenizer.json in Hugging Face's format */
WOK_API void wok_tokenizer_free(wok_tokenizer *t);

WOK_API const char *wok_tokenizer_kind(const wok_tokenizer *t); /* "chars", "bytes" */
WOK_API int64_t wok_tokenizer_size(const wok_tokenizer *t);     /* number of ids */
WOK_API int32_t wok_tokenizer_eod(const wok_tokenizer *t);      /* id of the end of a document, <|endoftext|> */
WOK_API uint64_t wok_tokenizer_hash(const wok_tokenizer *t);    /* of what encoding depends on */
/* The token's bytes as they appear in text (special tokens: their name); not NUL-terminated. */
WOK_API const char *wok_tokenizer_piece(const wok_tokenizer *t, int32_t id, int64_t *len);

/* Appends nothing, adds no special tokens. At most cap ids are written; *n is how many there are in all (so that a first call
   with cap 0 measures). Text that is not UTF-8: FORMAT with the byte's place, except for "bytes". */
WOK_API wok_status wok_encode(const wok_tokenizer *t, const char *text, int64_t len, int32_t *ids, int64_t cap, int64_t *n);
/* Bytes of the ids one after another; special tokens are left out. At most cap bytes are written; *n is the full length. */
WOK_API wok_status wok_decode(const wok_tokenizer *t, const int32_t *ids, int64_t n, char *text, int64_t cap, int64_t *len);
/* Streaming decode that never splits a code point: keeps unfinished bytes in the state. Returns bytes ready in out (cap >= 64),
   invalid sequences as U+FFFD; flush with id < 0. */
typedef struct wok_decoder { unsigned char part[4]; int npart; } wok_decoder;
WOK_API int64_t wok_decode_stream(const wok_tokenizer *t, wok_decoder *d, int32_t id, char *out, int64_t cap);

#ifdef __cplusplus
}
#endif
#endif
