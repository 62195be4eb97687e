/* wok_pack: text files to a data directory, in three readings: count the documents, count the characters of the training
   part, encode. Memory: one buffer of text and of ids, 8 bytes for each code point, 8 bytes for each MiB written; with a
   tokenizer whose tokens look beyond characters, 16 MiB of text and their tokens. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "text/tokenizer.h"
#include "vocab/documents.h"
#include "vocab/pack_dir.h"
#include "vocab/shard.h"

enum {
  WHOLE_DOCUMENTS = 20, /* from so many on, documents are held out whole */
  MOST_SEPARATOR = 4096,
  STREAM_HOLD_OUT = 0x484f4c44 /* of wok__permute */
};
enum { MOST_PARTS = 1 << 16, MOST_TEXT = 16 << 20 }; /* waiting to be encoded together */
static const double usual_percent = 5;
static const int64_t usual_min_count = 2;

typedef struct pack pack;

/* Parts of documents in the order in which they came, to be encoded on all threads. */
typedef struct waiting {
  wok__str text;
  int64_t n;
  const char *at[MOST_PARTS];
  int64_t begin[MOST_PARTS], len[MOST_PARTS];
  uint8_t to[MOST_PARTS];
  bool ends[MOST_PARTS]; /* the document's part ends here */
  wok_encoding *made[MOST_PARTS];
  int64_t open; /* where the part at hand begins */
} waiting;

struct pack {
  wok_ctx *c;
  const wok_pack_opts *o;
  double percent; /* 0: nothing is held out */
  int64_t min_count;
  wok__pack_dir dir;
  wok__source *sources;
  int nsources;
  wok__documents_opts how;
  wok__task task;
  wok_tokenizer *tokenizer; /* NULL until the vocabulary is built */
  /* what the first reading found */
  int64_t documents, chars;
  /* who goes where */
  bool by_documents;
  int64_t held; /* documents, or characters at the end */
  /* the reading at hand: documents come in parts, each part lies in one split */
  wok_status (*part_text)(pack *p, wok_split to, const uint8_t *z, int64_t n);
  wok_status (*part_end)(pack *p, wok_split to);
  int64_t document, at; /* number of the document, characters so far */
  int open;             /* split of the part that was begun, -1 none */
  /* counting characters */
  int64_t *counts; /* [WOK__CODE_POINTS] */
  /* encoding */
  int32_t *ids;
  struct waiting *waiting; /* NULL: characters and bytes, which need no more text than themselves */
  wok__shard_writer *shard[2];
  int64_t bytes_of[2], chars_of[2];
};

/* ---- which split ---- */

static wok_status part(pack *p, wok_split to, const uint8_t *z, int64_t n) {
  if (p->open >= 0 && p->open != (int)to) WOK__TRY(p->part_end(p, (wok_split)p->open));
  p->open = (int)to;
  return p->part_text(p, to, z, n);
}

/* Bytes of the first `chars` characters. */
static int64_t prefix(const uint8_t *z, int64_t n, int64_t chars) {
  int64_t i = 0;
  for (; i < n; i++)
    if ((z[i] & 0xc0u) != 0x80u && chars-- == 0) break;
  return i;
}

static wok_status route_text(void *ud, const uint8_t *z, int64_t n) {
  pack *p = ud;
  if (p->held == 0) return part(p, WOK_TRAIN, z, n);
  if (p->by_documents) {
    bool held = (p->open >= 0) ? p->open == WOK_VALID
                               : wok__permute((uint64_t)p->document, (uint64_t)p->documents, p->o->seed,
                                              STREAM_HOLD_OUT) < (uint64_t)p->held;
    return part(p, held ? WOK_VALID : WOK_TRAIN, z, n);
  }
  int64_t cut = p->chars - p->held, count = wok__utf8_count(z, n), before = 0;
  if (p->at < cut) {
    before = p->at + count <= cut ? n : prefix(z, n, cut - p->at);
    WOK__TRY(part(p, WOK_TRAIN, z, before));
  }
  p->at += count;
  return before < n ? part(p, WOK_VALID, z + before, n - before) : WOK_OK;
}

static wok_status route_end(void *ud) {
  pack *p = ud;
  int open = p->open;
  p->open = -1;
  p->document++;
  return p->part_end(p, (wok_split)open);
}

static wok_status no_end(pack *p, wok_split to) {
  (void)p, (void)to;
  return WOK_OK;
}

static wok_status read_through(pack *p, wok_status (*text)(pack *, wok_split, const uint8_t *, int64_t),
                               wok_status (*end)(pack *, wok_split)) {
  p->part_text = text;
  p->part_end = end;
  p->document = p->at = 0;
  p->open = -1;
  const wok__documents_sink sink = {route_text, route_end, p};
  return wok__documents_read(p->c, p->sources, p->nsources, &p->how, &sink, &p->task);
}

/* ---- first reading ---- */

static wok_status count_text(pack *p, wok_split to, const uint8_t *z, int64_t n) {
  (void)to;
  p->chars += wok__utf8_count(z, n);
  return WOK_OK;
}

static wok_status nothing_to_pack(pack *p) {
  const char *first = p->sources[0].name;
  if (strcmp(first, "-") == 0) first = "standard input";
  if (p->nsources == 1) return wok__fail(p->c, WOK_FORMAT, "nothing to pack: %s holds no text", first);
  return wok__fail(p->c, WOK_FORMAT, "nothing to pack: %s and %d more hold no text", first, p->nsources - 1);
}

static wok_status count_documents(pack *p) {
  WOK__TRY(read_through(p, count_text, no_end));
  p->documents = p->document;
  if (p->documents == 0) return nothing_to_pack(p);
  if (p->percent <= 0) return WOK_OK;
  p->by_documents = p->documents >= WHOLE_DOCUMENTS;
  int64_t of = p->by_documents ? p->documents : p->chars;
  p->held = (int64_t)llround((double)of * p->percent / 100);
  p->held = WOK__MIN(p->held, of - 1);
  if (p->by_documents)
    p->held = WOK__MAX(p->held, 1);
  else if (p->held < 1)
    return wok__fail(
        p->c, WOK_FORMAT,
        "too little text to hold anything out: %lld characters in %lld document%s, of which %g %% are none; "
        "give more text, or hold nothing out (--no-hold-out)",
        (long long)p->chars, (long long)p->documents, p->documents == 1 ? "" : "s", p->percent);
  return WOK_OK;
}

/* ---- second reading ---- */

static wok_status count_chars(pack *p, wok_split to, const uint8_t *z, int64_t n) {
  if (to != WOK_TRAIN) return WOK_OK;
  for (int64_t i = 0; i < n;) {
    uint32_t cp;
    int k = wok__utf8_next(z + i, n - i, &cp);
    if (k <= 0)
      return wok__fail(p->c, WOK_FORMAT,
                       "the text is not UTF-8"); /* pieces were checked before they came here */
    p->counts[cp]++;
    i += k;
  }
  return WOK_OK;
}

typedef struct counted {
  int64_t count;
  uint32_t cp;
} counted;

static int by_count(const void *a, const void *b) {
  const counted *x = a, *y = b;
  if (x->count != y->count) return x->count > y->count ? -1 : 1;
  return x->cp < y->cp ? -1 : 1;
}

static wok_status tokenizer_from_counts(pack *p) {
  int64_t n = 0;
  for (uint32_t cp = 1; cp < WOK__CODE_POINTS; cp++) n += p->counts[cp] >= p->min_count;
  counted *list = wok__calloc(n, (int64_t)sizeof *list);
  uint32_t *chars = wok__calloc(n, (int64_t)sizeof *chars);
  wok_status s = list && chars ? WOK_OK : wok__nomem(p->c, n * (int64_t)sizeof *list);
  if (s == WOK_OK) {
    int64_t k = 0;
    for (uint32_t cp = 1; cp < WOK__CODE_POINTS; cp++)
      if (p->counts[cp] >= p->min_count) list[k++] = (counted){p->counts[cp], cp};
    if (n > 1) qsort(list, (size_t)n, sizeof *list, by_count);
    for (int64_t i = 0; i < n; i++) chars[i] = list[i].cp;
    s = wok__tokenizer_new(p->c, &p->tokenizer, chars, n);
  }
  wok__free(chars);
  wok__free(list);
  return s;
}

static wok_status build_vocabulary(pack *p) {
  if (p->tokenizer) return WOK_OK;
  p->counts = wok__calloc(WOK__CODE_POINTS, (int64_t)sizeof *p->counts);
  if (!p->counts) return wok__nomem(p->c, WOK__CODE_POINTS * (int64_t)sizeof *p->counts);
  WOK__TRY(read_through(p, count_chars, no_end));
  return tokenizer_from_counts(p);
}

/* ---- third reading ---- */

static wok_status encode_waiting(pack *p) {
  waiting *w = p->waiting;
  const wok_encode_opts o = {.no_special = true, .plain = true};
  int32_t eod = wok_tokenizer_eod(p->tokenizer);
  for (int64_t i = 0; i < w->n; i++) w->at[i] = w->len[i] ? w->text.p + w->begin[i] : "";
  wok_status s = wok_tokenizer_encode_batch(p->tokenizer, w->at, w->len, NULL, NULL, w->n, &o, w->made);
  for (int64_t i = 0; i < w->n; i++) {
    int64_t n;
    const int32_t *ids = s ? NULL : wok_encoding_ids(w->made[i], &n);
    if (s == WOK_OK) s = wok__shard_add(p->shard[w->to[i]], ids, n);
    if (s == WOK_OK && w->ends[i]) s = wok__shard_add(p->shard[w->to[i]], &eod, 1);
    if (s == WOK_OK && w->ends[i]) s = wok__shard_end_document(p->shard[w->to[i]]);
    wok_encoding_free(w->made[i]);
  }
  w->n = 0;
  return s;
}

/* The first `n` bytes of the part at hand are a part of their own. */
static wok_status part_waits(pack *p, wok_split to, int64_t n, bool ends) {
  waiting *w = p->waiting;
  int64_t i = w->n++;
  w->begin[i] = w->open;
  w->len[i] = n;
  w->to[i] = (uint8_t)to;
  w->ends[i] = ends;
  w->open += n;
  if (w->n < MOST_PARTS && w->open < MOST_TEXT) return WOK_OK;
  WOK__TRY(encode_waiting(p));
  int64_t left = w->text.len - w->open;
  if (left) memmove(w->text.p, w->text.p + w->open, (size_t)left);
  w->text.len = left;
  w->open = 0;
  return WOK_OK;
}

static bool blank(char b) { return b == ' ' || b == '\n' || b == '\r' || b == '\t'; }

/* Where a document too long to be encoded at once is cut: after the last line feed that stands between other characters, which
   changes no tokens of the usual pre-tokenizers; else after the last line feed; else anywhere between characters. */
static int64_t cut_of(const char *z, int64_t n) {
  int64_t any = 0;
  for (int64_t i = n - 1; i > n / 2; i--) {
    if (z[i - 1] != '\n') continue;
    if (!blank(z[i]) && !blank(z[i - 2])) return i;
    if (!any) any = i;
  }
  if (any) return any;
  while (n > 0 && ((uint8_t)z[n] & 0xc0u) == 0x80u) n--;
  return n;
}

static wok_status wait_text(pack *p, wok_split to, const uint8_t *z, int64_t n) {
  waiting *w = p->waiting;
  wok__str_add(&w->text, z, n);
  if (w->text.failed) return wok__nomem(p->c, w->text.len + n);
  int64_t length = w->text.len - w->open;
  return length < MOST_TEXT ? WOK_OK : part_waits(p, to, cut_of(w->text.p + w->open, length - 1), false);
}

static wok_status encode_text(pack *p, wok_split to, const uint8_t *z, int64_t n) {
  p->bytes_of[to] += n;
  p->chars_of[to] += wok__utf8_count(z, n);
  if (p->waiting) return wait_text(p, to, z, n);
  int64_t k = wok__tokenizer_encode(p->tokenizer, z, n, p->ids);
  return wok__shard_add(p->shard[to], p->ids, k);
}

static wok_status encode_end(pack *p, wok_split to) {
  if (p->waiting) return part_waits(p, to, p->waiting->text.len - p->waiting->open, true);
  int32_t eod = wok_tokenizer_eod(p->tokenizer);
  WOK__TRY(wok__shard_add(p->shard[to], &eod, 1));
  return wok__shard_end_document(p->shard[to]);
}

static wok_status prepare_waiting(pack *p) {
  if (!p->tokenizer->pipe) return WOK_OK;
  if (wok_tokenizer_eod(p->tokenizer) < 0)
    return wok__fail(p->c, WOK_UNSUPPORTED, "%s: has no token that ends a document, such as <|endoftext|>, </s> or [SEP]", p->o->tokenizer);
  p->waiting = wok__calloc(1, (int64_t)sizeof *p->waiting);
  if (!p->waiting) return wok__nomem(p->c, (int64_t)sizeof *p->waiting);
  wok__str_init(&p->waiting->text, INT64_MAX / 4);
  return WOK_OK;
}

static wok_status encode(pack *p, wok_pack_info *info) {
  static const char *const names[] = {[WOK_TRAIN] = WOK__DATA_TRAIN, [WOK_VALID] = WOK__DATA_VALID};
  p->ids = wok__malloc(WOK__DOCUMENTS_PIECE *
                       (int64_t)sizeof *p->ids); /* no piece gives more ids than it has bytes */
  if (!p->ids) return wok__nomem(p->c, WOK__DOCUMENTS_PIECE * (int64_t)sizeof *p->ids);
  for (int i = 0; i < 2; i++) {
    char *path = wok__pack_dir_file(&p->dir, names[i]);
    if (!path) return wok__nomem(p->c, 0);
    WOK__TRY(wok__shard_create(p->c, &p->shard[i], path, p->dir.made, wok_tokenizer_size(p->tokenizer),
                               wok_tokenizer_hash(p->tokenizer), 0));
  }
  WOK__TRY(prepare_waiting(p));
  WOK__TRY(read_through(p, encode_text, encode_end));
  if (p->waiting) WOK__TRY(encode_waiting(p));
  wok_split_info *of[] = {[WOK_TRAIN] = &info->train, [WOK_VALID] = &info->valid};
  for (int i = 0; i < 2; i++) {
    wok__shard_writer *w = p->shard[i];
    p->shard[i] = NULL;
    WOK__TRY(wok__shard_finish(w, p->bytes_of[i], p->chars_of[i], of[i]));
  }
  info->vocab_size = wok_tokenizer_size(p->tokenizer);
  return WOK_OK;
}

/* ---- data.json ---- */

/* A file name may be any bytes, JSON holds UTF-8 alone. */
static json_t *any_string(const char *z) {
  wok__str s;
  wok__str_init(&s, 1 << 20);
  int64_t n = (int64_t)strlen(z);
  for (int64_t i = 0; i < n;) {
    int cut;
    int64_t k = wok__utf8_valid((const uint8_t *)z + i, n - i, &cut);
    wok__str_add(&s, z + i, k);
    i += k;
    if (i < n) wok__str_puts(&s, "\xef\xbf\xbd"), i++;
  }
  json_t *j = s.failed ? NULL : json_string(s.p ? s.p : "");
  wok__str_free(&s);
  return j;
}

static json_t *hex(uint64_t v) { return json_sprintf("%016llx", (unsigned long long)v); }

static json_t *split_json(const wok_split_info *i) {
  return json_pack("{s:I, s:I, s:I, s:I}", "documents", (json_int_t)i->documents, "tokens",
                   (json_int_t)i->tokens, "bytes", (json_int_t)i->bytes, "chars", (json_int_t)i->chars);
}

static json_t *sources_json(const pack *p) {
  json_t *list = json_array();
  for (int i = 0; list && i < p->nsources; i++) {
    const wok__source *s = &p->sources[i];
    json_t *one = json_pack("{s:o, s:I, s:o}", "name", any_string(s->name), "bytes", (json_int_t)s->bytes,
                            "xxh64", hex(s->hash));
    if (json_array_append_new(list, one) == 0) continue;
    json_decref(list);
    return NULL;
  }
  return list;
}

static json_t *options_json(const pack *p) {
  static const char *const kinds[] = {"file", "line", "blank", "sep"};
  const char *held = p->by_documents ? "documents" : "end";
  return json_pack("{s:o, s:s, s:s?, s:f, s:s, s:I, s:b, s:o}",                          //
                   "tokenizer", any_string(p->o->tokenizer ? p->o->tokenizer : "chars"), //
                   "documents", kinds[p->o->documents],                                  //
                   "sep", p->o->documents == WOK_DOC_SEP ? p->o->sep : NULL,             //
                   "hold_out_percent", p->percent,                                       //
                   "held_out", p->held ? held : "nothing",                               //
                   "min_count", (json_int_t)p->min_count,                                //
                   "strip_ansi", p->o->strip_ansi,                                       //
                   "seed", json_sprintf("%llu", (unsigned long long)p->o->seed));
}

static wok_status write_json(pack *p, const wok_pack_info *info) {
  char *path = wok__pack_dir_file(&p->dir, WOK__DATA_JSON);
  json_t *root = json_pack("{s:s, s:i, s:s, s:o, s:I, s:o, s:o, s:o, s:o}",                      //
                           "format", WOK__DATA_FORMAT, "version", WOK__DATA_VERSION,             //
                           "tokenizer", wok_tokenizer_kind(p->tokenizer),                        //
                           "tokenizer_hash", hex(wok_tokenizer_hash(p->tokenizer)),              //
                           "vocab_size", (json_int_t)info->vocab_size,                           //
                           "train", split_json(&info->train), "valid", split_json(&info->valid), //
                           "options", options_json(p), "sources", sources_json(p));
  wok_status s = root && path ? wok__json_write(p->c, root, path) : wok__nomem(p->c, 0);
  json_decref(root);
  return s;
}

static wok_status write_tokenizer(pack *p) {
  char *path = wok__pack_dir_file(&p->dir, WOK__DATA_TOKENIZER);
  return path ? wok_tokenizer_save(p->tokenizer, path) : wok__nomem(p->c, 0);
}

/* ---- the whole ---- */

static wok_status check_options(wok_ctx *c, const char *const *files, int nfiles, const wok_pack_opts *o) {
  if (nfiles < 1) return wok__fail(c, WOK_INVALID, "no files were given to pack");
  int standard = 0;
  for (int i = 0; i < nfiles; i++) standard += strcmp(files[i], "-") == 0;
  if (standard > 1) return wok__fail(c, WOK_INVALID, "standard input (-) can be read only once");
  if ((unsigned)o->documents > WOK_DOC_SEP)
    return wok__fail(c, WOK_INVALID, "documents: no such way to tell them apart");
  if (o->documents == WOK_DOC_SEP && (!o->sep || !*o->sep))
    return wok__fail(c, WOK_INVALID, "documents are told apart by a separating line, but none was given");
  if (o->documents == WOK_DOC_SEP) {
    int cut;
    int64_t n = (int64_t)strlen(o->sep);
    if (n > MOST_SEPARATOR || strpbrk(o->sep, "\r\n") ||
        wok__utf8_valid((const uint8_t *)o->sep, n, &cut) < n)
      return wok__fail(c, WOK_INVALID, "the separator must be one line of UTF-8 of at most %d bytes",
                       (int)MOST_SEPARATOR);
  }
  if (!(o->hold_out < 100))
    return wok__fail(c, WOK_INVALID, "hold_out is a percentage below 100, not %g", o->hold_out);
  if (o->min_count < 0)
    return wok__fail(c, WOK_INVALID, "min_count must be at least 1, not %lld", (long long)o->min_count);
  return WOK_OK;
}

static wok_status choose_tokenizer(pack *p) {
  const char *name = p->o->tokenizer;
  if (!name || strcmp(name, "chars") == 0) return WOK_OK;
  if (strcmp(name, "bytes") == 0) return wok_tokenizer_bytes(p->c, &p->tokenizer);
  return wok_tokenizer_open(p->c, &p->tokenizer, name);
}

static wok_status prepare_sources(pack *p, const char *const *files, int nfiles) {
  int64_t bytes = 0;
  p->sources = wok__calloc(nfiles, (int64_t)sizeof *p->sources);
  if (!p->sources) return wok__nomem(p->c, nfiles * (int64_t)sizeof *p->sources);
  for (; p->nsources < nfiles; p->nsources++) {
    WOK__TRY(wok__source_prepare(p->c, &p->sources[p->nsources], files[p->nsources], p->dir.made));
    bytes += p->sources[p->nsources].bytes;
  }
  wok__task_begin(&p->task, p->c, "pack", "bytes", bytes * (p->tokenizer ? 2 : 3));
  return WOK_OK;
}

static wok_status run(pack *p, const char *const *files, int nfiles, const char *dir, wok_pack_info *info) {
  WOK__TRY(choose_tokenizer(p));
  WOK__TRY(wok__pack_dir_begin(p->c, &p->dir, dir));
  WOK__TRY(prepare_sources(p, files, nfiles));
  p->how = (wok__documents_opts){p->o->documents, p->o->sep, p->o->strip_ansi,
                                 !p->tokenizer || wok__tokenizer_has_chars(p->tokenizer)};
  WOK__TRY(count_documents(p));
  WOK__TRY(build_vocabulary(p));
  WOK__TRY(encode(p, info));
  WOK__TRY(write_tokenizer(p));
  WOK__TRY(write_json(p, info));
  WOK__TRY(wok__task_end(&p->task, NULL));
  return wok__pack_dir_commit(&p->dir);
}

wok_status wok_pack(wok_ctx *c, const char *const *files, int nfiles, const char *dir, const wok_pack_opts *o,
                    wok_pack_info *info) {
  static const wok_pack_opts defaults;
  wok_pack_info made = {0};
  if (!o) o = &defaults;
  WOK__TRY(check_options(c, files, nfiles, o));
  pack *p = wok__calloc(1, (int64_t)sizeof *p);
  if (!p) return wok__nomem(c, (int64_t)sizeof *p);
  double begun = wok__now();
  p->c = c;
  p->o = o;
  p->percent = o->hold_out < 0 ? 0 : o->hold_out > 0 ? o->hold_out : usual_percent;
  p->min_count = o->min_count ? o->min_count : usual_min_count;
  p->dir.lock.fd = -1;
  wok_status s = run(p, files, nfiles, dir, &made);
  for (int i = 0; i < 2; i++) wok__shard_abort(p->shard[i]);
  for (int i = 0; i < p->nsources; i++) wok__source_done(&p->sources[i]);
  wok__pack_dir_end(&p->dir);
  wok_tokenizer_free(p->tokenizer);
  wok__free(p->sources);
  wok__free(p->counts);
  wok__free(p->ids);
  if (p->waiting) wok__str_free(&p->waiting->text);
  wok__free(p->waiting);
  wok__free(p);
  made.seconds = wok__now() - begun;
  if (info && s == WOK_OK) *info = made;
  return s;
}
