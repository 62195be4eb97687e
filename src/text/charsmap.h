/* text/charsmap.h - SentencePiece's precompiled character maps: a Darts-clone trie and the replacements (spec 05 E.6.2). */
#ifndef WOK_TEXT_CHARSMAP_H
#define WOK_TEXT_CHARSMAP_H
#include "base/base.h"

typedef struct wok__charsmap wok__charsmap;
/* Copies the blob. Errors: CORRUPT. */
wok_status wok__charsmap_new(wok_ctx *c, wok__charsmap **m, const char *where, const uint8_t *blob, int64_t n);
void wok__charsmap_free(wok__charsmap *m);
/* The longest key that p begins with: its length (0: none) and what stands for it. */
int64_t wok__charsmap_match(const wok__charsmap *m, const uint8_t *p, int64_t n, const char **with, int64_t *with_n);
/* What stands for the shortest key that p begins with, NULL: none. Hugging Face's library puts it for the whole of p. */
const char *wok__charsmap_first(const wok__charsmap *m, const uint8_t *p, int64_t n, int64_t *with_n);
wok_status wok__base64(wok_ctx *c, const char *where, const char *z, int64_t n, uint8_t **out, int64_t *len); /* wok__free it */

#endif
