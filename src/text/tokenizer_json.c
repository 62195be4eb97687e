/* tokenizer.json in Hugging Face's format: read, written. */
#include <string.h>
#include "base/json.h"
#include "text/tokenizer.h"

enum { MOST_BYTES = 128 << 20 };

static wok_status by_pipe(wok_ctx *c, wok_tokenizer **t, const json_t *root, const char *where) {
  wok_tokenizer *x = wok__calloc(1, (int64_t)sizeof *x);
  if (!x) return wok__nomem(c, (int64_t)sizeof *x);
  x->c = c;
  wok_status s = wok__pipe_read(c, where, root, &x->pipe, &x->hash);
  if (s) {
    wok_tokenizer_free(x);
    return s;
  }
  x->size = x->pipe->vocab.n;
  *t = x;
  return WOK_OK;
}

static wok_status read_root(wok_ctx *c, wok_tokenizer **t, const json_t *root, const char *where) {
  uint32_t *chars;
  int64_t n;
  WOK__TRY(wok__check_root(c, where, root));
  WOK__TRY(wok__chars_of(c, root, &chars, &n));
  if (n < 0) return by_pipe(c, t, root, where);
  wok_status s = wok__tokenizer_new(c, t, chars, n);
  wok__free(chars);
  return s ? wok__fail_prefix(c, s == WOK_INVALID ? WOK_FORMAT : s, "%s", where) : WOK_OK;
}

wok_status wok_tokenizer_parse(wok_ctx *c, wok_tokenizer **t, const char *json, int64_t n, const char *where) {
  *t = NULL;
  if (n > MOST_BYTES) return wok__fail(c, WOK_LIMIT, "%s: %lld bytes are too many for a tokenizer.json", where, (long long)n);
  json_t *root;
  WOK__TRY(wok__json_parse(c, &root, json, n, where));
  wok_status s = read_root(c, t, root, where);
  json_decref(root);
  if (s || !(*t)->pipe) return s;
  wok__pipe *p = (*t)->pipe;
  p->source = wok__malloc(n + 1); /* written back as it came */
  if (p->source) {
    memcpy(p->source, json, (size_t)n);
    p->nsource = n;
    return WOK_OK;
  }
  wok_tokenizer_free(*t);
  *t = NULL;
  return wok__nomem(c, n);
}

wok_status wok__tokenizer_of(wok_ctx *c, wok_tokenizer **t, json_t *root, const char *where) {
  *t = NULL;
  wok_status s = by_pipe(c, t, root, where);
  if (s)
    json_decref(root);
  else
    (*t)->pipe->root = root;
  return s;
}

wok_status wok_tokenizer_save(const wok_tokenizer *t, const char *path) {
  if (t->pipe && t->pipe->source) return wok__write_file(t->c, path, t->pipe->source, t->pipe->nsource);
  if (t->pipe) return wok__json_write(t->c, t->pipe->root, path);
  json_t *root = wok__chars_json(t);
  wok_status s = root ? wok__json_write(t->c, root, path) : wok__nomem(t->c, 0);
  json_decref(root);
  return s;
}
