/* vocab/data.h - the inside of an opened data directory. */
#ifndef WOK_VOCAB_DATA_H
#define WOK_VOCAB_DATA_H
#include "text/tokenizer.h"
#include "vocab/shard.h"

struct wok_data {
  wok_ctx *c;
  wok_tokenizer *tokenizer;
  wok__shard *shard[2]; /* by wok_split */
  uint64_t hash;
};

/* What bits are divided by: characters, or bytes for the tokenizer "bytes". */
int64_t wok__data_units(const wok_data *d, wok_split s);

#endif
