/* base/json.h - the thin glue over jansson: bounded reading, locale-proof writing, errors with file and place.
   Reading allocates at most about 32 x the text + 16 MB; nesting is limited (jansson: 2048). Duplicate keys are refused. */
#ifndef WOK_BASE_JSON_H
#define WOK_BASE_JSON_H
#include <jansson.h>
#include "base/base.h"

/* `where` names the file in messages. Free with json_decref. A leading byte order mark is skipped; integers beyond
   64 bits (tokenizer_config.json has 10^30 for "no limit") become reals; NaN, Infinity and \u0000 are refused.
   Errors: FORMAT, LIMIT (too deep, or too many small values for the text), NOMEM. */
wok_status wok__json_parse(wok_ctx *c, json_t **out, const char *text, int64_t n, const char *where);
wok_status wok__json_read(wok_ctx *c, json_t **out, const char *path, int64_t max_bytes);
/* Indented by 2, keys in insertion order, newline at the end. */
wok_status wok__json_write(wok_ctx *c, const json_t *j, const char *path);

/* Appends j to s: indent > 0 as above without the last newline, 0 on one line (JSON lines, headers). Reals have the
   shortest digits that read back and always a '.' or an exponent. LIMIT: deeper than the parser would read. */
wok_status wok__json_text(wok_ctx *c, const json_t *j, wok__str *s, int indent);

/* Typed getters with one clear message: "config.json: hidden_size must be an integer in [1, 1048576], not -3".
   The _opt forms keep *v when the key is absent or null. */
wok_status wok__json_int(wok_ctx *c, const json_t *o, const char *where, const char *key, int64_t lo, int64_t hi, int64_t *v);
wok_status wok__json_int_opt(wok_ctx *c, const json_t *o, const char *where, const char *key, int64_t lo, int64_t hi, int64_t *v);
wok_status wok__json_double_opt(wok_ctx *c, const json_t *o, const char *where, const char *key, double lo, double hi, double *v);
wok_status wok__json_bool_opt(wok_ctx *c, const json_t *o, const char *where, const char *key, bool *v);
/* The string stays owned by the JSON. */
wok_status wok__json_str(wok_ctx *c, const json_t *o, const char *where, const char *key, const char **v);
wok_status wok__json_str_opt(wok_ctx *c, const json_t *o, const char *where, const char *key, const char **v);
#endif
