/* Opened data directories. */
#include <string.h>
#include "base/json.h"
#include "vocab/data.h"
#include "vocab/pack_dir.h"

static wok_status check_json(wok_ctx *c, const char *path) {
  json_t *j;
  WOK__TRY(wok__json_read(c, &j, path, WOK__DATA_JSON_MOST));
  const char *format = NULL;
  int64_t version = 0;
  wok_status s = wok__json_str(c, j, path, "format", &format);
  if (s == WOK_OK && strcmp(format, WOK__DATA_FORMAT) != 0)
    s = wok__fail(c, WOK_FORMAT, "%s: is not the data.json of a packed corpus", path);
  if (s == WOK_OK) s = wok__json_int(c, j, path, "version", 1, INT32_MAX, &version);
  if (s == WOK_OK && version != WOK__DATA_VERSION)
    s = wok__fail(c, WOK_UNSUPPORTED, "%s: version %lld of packed data is not known to this version", path,
                  (long long)version);
  json_decref(j);
  return s;
}

/* The shards must have been written with the tokenizer beside them. */
static wok_status check_tokenizer(const wok_data *d, wok_split s, const char *path) {
  const wok__shard_header *h = wok__shard_head(d->shard[s]);
  if (h->tokenizer_hash == wok_tokenizer_hash(d->tokenizer) &&
      (int64_t)h->vocab_size == wok_tokenizer_size(d->tokenizer))
    return WOK_OK;
  return wok__fail(
      d->c, WOK_MISMATCH,
      "%s: was packed with another tokenizer than the tokenizer.json beside it: pack the corpus again", path);
}

static uint64_t hash_of(const wok_data *d) {
  uint8_t all[24];
  wok__le_store(all, wok__shard_head(d->shard[WOK_TRAIN])->header_hash, 8);
  wok__le_store(all + 8, wok__shard_head(d->shard[WOK_VALID])->header_hash, 8);
  wok__le_store(all + 16, wok_tokenizer_hash(d->tokenizer), 8);
  return wok__hash64(all, (int64_t)sizeof all, 0);
}

static wok_status open_all(wok_data *d, wok__arena *a, const char *dir) {
  static const char *const names[] = {WOK__DATA_TRAIN, WOK__DATA_VALID};
  if (!wok__exists(dir)) return wok__fail(d->c, WOK_NOTFOUND, "%s: no such directory", dir);
  char *json = wok__path_join(a, dir, WOK__DATA_JSON),
       *tokenizer = wok__path_join(a, dir, WOK__DATA_TOKENIZER);
  if (!json || !tokenizer) return wok__nomem(d->c, 0);
  if (!wok__exists(json))
    return wok__fail(d->c, WOK_NOTFOUND, "%s: holds no packed corpus (there is no " WOK__DATA_JSON " in it)",
                     dir);
  WOK__TRY(check_json(d->c, json));
  WOK__TRY(wok_tokenizer_open(d->c, &d->tokenizer, tokenizer));
  for (int i = 0; i < 2; i++) {
    char *path = wok__path_join(a, dir, names[i]);
    if (!path) return wok__nomem(d->c, 0);
    WOK__TRY(wok__shard_open(d->c, &d->shard[i], path));
    WOK__TRY(check_tokenizer(d, (wok_split)i, path));
  }
  d->hash = hash_of(d);
  return WOK_OK;
}

wok_status wok_data_open(wok_ctx *c, wok_data **out, const char *dir) {
  *out = NULL;
  wok__arena *a = wok__arena_new(4096);
  wok_data *d = wok__calloc(1, (int64_t)sizeof *d);
  wok_status s = a && d ? WOK_OK : wok__nomem(c, (int64_t)sizeof *d);
  if (s == WOK_OK) {
    d->c = c;
    s = open_all(d, a, dir);
  }
  wok__arena_free(a);
  if (s)
    wok_data_close(d);
  else
    *out = d;
  return s;
}

void wok_data_close(wok_data *d) {
  if (!d) return;
  for (int i = 0; i < 2; i++) wok__shard_close(d->shard[i]);
  wok_tokenizer_free(d->tokenizer);
  wok__free(d);
}

const wok_tokenizer *wok_data_tokenizer(const wok_data *d) { return d->tokenizer; }
uint64_t wok_data_hash(const wok_data *d) { return d->hash; }
void wok_data_info(const wok_data *d, wok_split s, wok_split_info *info) {
  wok__shard_info(d->shard[s == WOK_VALID], info);
}

wok_status wok_data_length(const wok_data *d, wok_split s, int64_t document, int64_t *tokens) {
  int64_t begin, end;
  *tokens = 0;
  WOK__TRY(wok__shard_document(d->shard[s == WOK_VALID], document, &begin, &end));
  *tokens = end - begin;
  return WOK_OK;
}

wok_status wok_data_read(wok_data *d, wok_split s, int64_t document, int64_t start, int64_t n, int32_t *ids) {
  int64_t begin, end;
  wok__shard *shard = d->shard[s == WOK_VALID];
  WOK__TRY(wok__shard_document(shard, document, &begin, &end));
  if (start < 0 || n < 0 || start > end - begin || n > end - begin - start)
    return wok__fail(d->c, WOK_INVALID,
                     "document %lld has %lld tokens; %lld from number %lld on are asked for",
                     (long long)document, (long long)(end - begin), (long long)n, (long long)start);
  return wok__shard_read(shard, begin + start, n, ids);
}

wok_status wok_data_verify(wok_data *d) {
  WOK__TRY(wok__shard_verify(d->shard[WOK_TRAIN]));
  return wok__shard_verify(d->shard[WOK_VALID]);
}

int64_t wok__data_units(const wok_data *d, wok_split s) {
  wok_split_info i;
  wok_data_info(d, s, &i);
  return wok__tokenizer_has_chars(d->tokenizer) ? i.chars : i.bytes;
}
