/* What lets a killed run go on. In a directory beside the output (or under --tmp): a lock; `blocks`, the temporary file; `journal`, which
   stream each of its blocks belongs to; state.json: inputs, options and plan, after the first pass also what each stream holds;
   place.json: how far the output has come.
   Killed in the first pass: the inputs are read again from the start, since part of the records lay in memory, but blocks that are
   in the file are not written again; a stream is the same bytes every time. Killed in the second: it goes on at the last place noted,
   unless streams that lay in memory were not yet out: then as in the first. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/json.h"
#include "corpus/shuffle.h"

enum { EDGE = 4096, MOST_STATE = 256 << 20 };

static char *file_in(wok__shuffle *s, wok__arena *a, const char *name) {
  (void)s;
  return wok__path_join(a, s->dir, name);
}

wok_status wok__resume_prepare(wok__shuffle *s) {
  s->lock.fd = -1;
  if (!s->to_file) return WOK_OK;
  const char *slash = strrchr(s->path, '/'), *base = slash ? slash + 1 : s->path;
  wok__arena *a = wok__arena_new(1024);
  if (!a) return wok__nomem(s->c, 0);
  const char *folder = s->o->tmp ? s->o->tmp : wok__folder_of(a, s->path);
  if (folder && !wok__is_dir(folder)) {
    wok_status e = wok__fail(s->c, WOK_NOTFOUND, "%s: there is no such directory", folder);
    wok__arena_free(a);
    return e;
  }
  char *dir = folder ? wok__arena_printf(a, "%s/%s.wok-shuffle", folder, base) : NULL;
  wok_status st = dir ? wok__mkdirs(s->c, dir) : wok__nomem(s->c, 0);
  if (st == WOK_OK) {
    int64_t n = (int64_t)strlen(dir) + 1;
    s->dir = wok__malloc(n);
    if (s->dir)
      memcpy(s->dir, dir, (size_t)n);
    else
      st = wok__nomem(s->c, n);
  }
  wok__arena_free(a);
  if (st == WOK_OK) st = wok__lock_dir(s->c, &s->lock, s->dir);
  return st;
}

/* ---- what must be the same ---- */

static json_t *hex(uint64_t v) { return json_sprintf("%016llx", (unsigned long long)v); }
static bool from_hex(const json_t *o, const char *key, uint64_t *v) {
  const char *z = json_string_value(json_object_get(o, key));
  char *end;
  if (!z || strlen(z) != 16) return false;
  *v = strtoull(z, &end, 16);
  return !*end;
}

/* Names may be any bytes, JSON holds UTF-8: a hash tells them apart. */
static json_t *input_json(const wok__input *i) {
  uint8_t edge[2 * EDGE];
  ssize_t n = 0, m = 0;
  int fd = i->regular ? open(i->path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd >= 0) {
    n = WOK__MAX(pread(fd, edge, EDGE, 0), 0);
    m = WOK__MAX(pread(fd, edge + n, EDGE, (off_t)WOK__MAX(i->size - EDGE, 0)), 0);
    (void)close(fd);
  }
  return json_pack("{s:o, s:I, s:I, s:o}", "name", hex(wok__hash64(i->path, (int64_t)strlen(i->path), 0)),
                   "bytes", (json_int_t)i->size, "mtime_ns", (json_int_t)i->mtime_ns, "edges",
                   hex(wok__hash64(edge, n + m, 0)));
}

static json_t *inputs_json(const wok__shuffle *s) {
  json_t *list = json_array();
  for (int i = 0; list && i < s->in.n; i++)
    if (json_array_append_new(list, input_json(&s->in.list[i])) != 0) {
      json_decref(list);
      return NULL;
    }
  return list;
}

static json_t *options_json(const wok__shuffle *s) {
  const wok_shuffle_opts *o = s->o;
  const wok_record_opts *r = &o->records;
  int64_t nsep = r->separator ? r->separator_bytes ? r->separator_bytes : (int64_t)strlen(r->separator) : 0;
  uint64_t names = wok__hash64(s->path, (int64_t)strlen(s->path), 0);
  if (o->held) names = wok__hash64(o->held, (int64_t)strlen(o->held), names);
  json_t *j = json_pack("{s:o, s:o, s:I, s:I, s:i, s:I, s:b, s:b, s:b, s:i}", "seed", hex(o->seed),
                        "separator", hex(nsep ? wok__hash64(r->separator, nsep, 0) : 0), "lines",
                        (json_int_t)r->lines, "fixed_bytes", (json_int_t)r->fixed_bytes, "prefix_bytes",
                        r->prefix_bytes, "header", (json_int_t)r->header, "header_each", r->header_each,
                        "skip_empty", r->skip_empty, "keep_bom", r->keep_bom, "crlf", (int)r->crlf);
  json_t *k = json_pack("{s:o, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:f, s:I, s:f, s:b}", "outputs", hex(names),
                        "method", (int)o->method, "packing", (int)o->packing, "level", o->level, "shards",
                        (json_int_t)o->shards, "shard_records", (json_int_t)o->shard_records, "shard_bytes",
                        (json_int_t)o->shard_bytes, "head", (json_int_t)o->head, "head_percent",
                        o->head_percent, "held_records", (json_int_t)o->held_records, "held_percent",
                        o->held_percent, "verify", !o->no_verify);
  if (j && k && json_object_update(j, k) == 0) {
    json_decref(k);
    return j;
  }
  json_decref(j);
  json_decref(k);
  return NULL;
}

/* ---- writing ---- */

static wok_status write_json(wok__shuffle *s, json_t *j, const char *name) {
  wok__arena *a = wok__arena_new(1024);
  char *path = a ? file_in(s, a, name) : NULL;
  wok_status st = j && path ? wok__json_write(s->c, j, path) : wok__nomem(s->c, 0);
  json_decref(j);
  wok__arena_free(a);
  return st;
}

static json_t *state_json(const wok__shuffle *s, int phase) {
  return json_pack("{s:s, s:i, s:i, s:o, s:o, s:i, s:I}", "format", "wok-shuffle", "version", 1, "phase",
                   phase, "inputs", inputs_json(s), "options", options_json(s), "bits", s->bits, "block",
                   (json_int_t)s->block);
}

wok_status wok__resume_begin(wok__shuffle *s) {
  return s->resumable ? write_json(s, state_json(s, 1), "state.json") : WOK_OK;
}

static json_t *bytes_json(const uint8_t *p, int64_t n) {
  static const char digits[] = "0123456789abcdef";
  char *z = wok__malloc(2 * n + 1);
  for (int64_t i = 0; z && i < n; i++) z[2 * i] = digits[p[i] >> 4], z[2 * i + 1] = digits[p[i] & 15];
  json_t *j = z ? json_stringn(z, (size_t)(2 * n)) : NULL;
  wok__free(z);
  return j;
}

static bool json_bytes(const json_t *o, const char *key, uint8_t **p, int64_t *n) {
  const json_t *j = json_object_get(o, key);
  const char *z = json_string_value(j);
  int64_t len = (int64_t)json_string_length(j);
  if (!z || len % 2) return false;
  *n = len / 2;
  *p = wok__malloc(*n + 1);
  if (!*p) return false;
  for (int64_t i = 0; i < len; i++) {
    int d = z[i] >= '0' && z[i] <= '9' ? z[i] - '0' : z[i] >= 'a' && z[i] <= 'f' ? z[i] - 'a' + 10 : -1;
    if (d < 0) return false;
    (*p)[i / 2] = (uint8_t)((i & 1 ? (*p)[i / 2] << 4 : 0) | d);
  }
  return true;
}

wok_status wok__resume_scattered(wok__shuffle *s) {
  if (!s->resumable || !wok__store_spilled(s->store)) return WOK_OK;
  json_t *j = state_json(s, 2), *list = json_array();
  for (int i = 0; j && list && i < 1 << s->bits; i++) {
    const wok__stream *t = wok__store_stream(s->store, i);
    json_t *one = json_pack("[I, I, I]", (json_int_t)s->count[i].records, (json_int_t)s->count[i].bytes,
                            (json_int_t)(t->dropped || !t->spilled ? 0 : wok__stream_bytes(t)));
    (void)json_array_append_new(list, one); /* a failure shows in the length */
  }
  json_t *more = json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "records", (json_int_t)s->records, "bytes",
                           (json_int_t)s->bytes, "sum_a", hex(s->read.a), "sum_b", hex(s->read.b),
                           "terminator", bytes_json(s->terminator, s->nterminator), "header",
                           bytes_json(s->header, s->nheader), "streams", list);
  bool ok = j && more && json_object_update(j, more) == 0;
  json_decref(more);
  if (!ok) {
    json_decref(j);
    return wok__nomem(s->c, 0);
  }
  return write_json(s, j, "state.json");
}

wok_status wok__resume_checkpoint(wok__shuffle *s, int next) {
  wok__out_place p;
  const uint8_t *pending;
  WOK__TRY(wok__out_checkpoint(s->out, &p, &pending));
  json_t *j =
      json_pack("{s:i, s:I, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:o}", "next", next, "given",
                (json_int_t)s->given, "sum_a", hex(s->written.a), "sum_b", hex(s->written.b), "file",
                (json_int_t)p.file, "records", (json_int_t)p.records, "raw", (json_int_t)p.raw, "bytes",
                (json_int_t)p.bytes, "left", (json_int_t)p.left, "pending", bytes_json(pending, p.pending));
  return write_json(s, j, "place.json");
}

/* ---- reading ---- */

static wok_status begin_anew(wok__shuffle *s, const char *what) {
  return wok__fail(s->c, WOK_CORRUPT, "%s/%s is damaged: begin anew without --resume", s->dir, what);
}

static wok_status read_place(wok__shuffle *s, wok__arena *a, wok__left *left) {
  const char *path = file_in(s, a, "place.json");
  json_t *j;
  left->next = 0;
  if (!path || !wok__exists(path)) return path ? WOK_OK : wok__nomem(s->c, 0);
  WOK__TRY(wok__json_read(s->c, &j, path, MOST_STATE));
  wok__out_place *p = &left->place;
  int64_t next = 0;
  const int64_t most = INT64_MAX;
  wok_status st = wok__json_int(s->c, j, path, "next", 0, INT64_C(1) << s->bits, &next);
  if (st == WOK_OK) st = wok__json_int(s->c, j, path, "given", 0, most, &s->given);
  if (st == WOK_OK) st = wok__json_int(s->c, j, path, "file", 0, most, &p->file);
  if (st == WOK_OK) st = wok__json_int(s->c, j, path, "records", 0, most, &p->records);
  if (st == WOK_OK) st = wok__json_int(s->c, j, path, "raw", 0, most, &p->raw);
  if (st == WOK_OK) st = wok__json_int(s->c, j, path, "bytes", 0, most, &p->bytes);
  if (st == WOK_OK) st = wok__json_int(s->c, j, path, "left", -1, most, &p->left);
  if (st == WOK_OK && (!from_hex(j, "sum_a", &s->written.a) || !from_hex(j, "sum_b", &s->written.b) ||
                       !json_bytes(j, "pending", &left->pending, &p->pending)))
    st = begin_anew(s, "place.json");
  left->next = (int)next;
  json_decref(j);
  return st;
}

static wok_status read_streams(wok__shuffle *s, const json_t *j, const char *path, wok__left *left) {
  const json_t *list = json_object_get(j, "streams");
  int64_t n = INT64_C(1) << s->bits, nterminator = 0;
  uint8_t *terminator = NULL;
  WOK__TRY(wok__json_int(s->c, j, path, "records", 0, INT64_MAX, &s->records));
  WOK__TRY(wok__json_int(s->c, j, path, "bytes", 0, INT64_MAX, &s->bytes));
  bool ok = from_hex(j, "sum_a", &s->read.a) && from_hex(j, "sum_b", &s->read.b) &&
            json_bytes(j, "header", &s->header, &s->nheader) &&
            json_bytes(j, "terminator", &terminator, &nterminator) &&
            nterminator <= (int64_t)sizeof s->terminator && (int64_t)json_array_size(list) == n;
  if (ok) memcpy(s->terminator, terminator, (size_t)nterminator), s->nterminator = nterminator;
  wok__free(terminator);
  if (!ok) return begin_anew(s, "state.json");
  s->count = wok__calloc(n, (int64_t)sizeof *s->count);
  left->stream_bytes = wok__calloc(n, (int64_t)sizeof *left->stream_bytes);
  if (!s->count || !left->stream_bytes) return wok__nomem(s->c, n * 24);
  for (int64_t i = 0; i < n; i++) {
    const json_t *one = json_array_get(list, (size_t)i);
    s->count[i].records = json_integer_value(json_array_get(one, 0));
    s->count[i].bytes = json_integer_value(json_array_get(one, 1));
    left->stream_bytes[i] = json_integer_value(json_array_get(one, 2));
    if (s->count[i].records < 0 || s->count[i].bytes < 0 || left->stream_bytes[i] < 0)
      return begin_anew(s, "state.json");
  }
  return WOK_OK;
}

static wok_status read_state(wok__shuffle *s, wok__arena *a, const json_t *j, const char *path,
                             wok__left *left) {
  int64_t phase, bits, block;
  WOK__TRY(wok__json_int(s->c, j, path, "phase", 1, 2, &phase));
  WOK__TRY(wok__json_int(s->c, j, path, "bits", 0, 20, &bits));
  WOK__TRY(wok__json_int(s->c, j, path, "block", 512, 1 << 26, &block));
  if (block & (block - 1)) return begin_anew(s, "state.json");
  json_t *inputs = inputs_json(s), *options = options_json(s);
  bool same_inputs = json_equal(inputs, json_object_get(j, "inputs")),
       same_options = json_equal(options, json_object_get(j, "options"));
  json_decref(inputs);
  json_decref(options);
  if (!same_inputs)
    return wok__fail(s->c, WOK_MISMATCH,
                     "%s: the inputs are not those of the run that was stopped, or were changed: begin anew "
                     "without --resume",
                     path);
  if (!same_options)
    return wok__fail(s->c, WOK_MISMATCH,
                     "%s: the run that was stopped had another seed or other options: give the same, or "
                     "begin anew without --resume",
                     path);
  s->bits = (int)bits;
  s->block = block;
  left->phase = 1;
  if (phase < 2) return WOK_OK;
  WOK__TRY(read_place(s, a, left));
  if (left->next == 0) { /* parts that lay in memory are lost: as in the first pass */
    s->given = 0;
    return WOK_OK;
  }
  left->phase = 2;
  return read_streams(s, j, path, left);
}

wok_status wok__resume_find(wok__shuffle *s, wok__left *left) {
  *left = (wok__left){0};
  if (!s->resumable || !s->o->resume) return WOK_OK;
  wok__arena *a = wok__arena_new(4096);
  const char *path = a ? file_in(s, a, "state.json") : NULL;
  wok_status st = path ? WOK_OK : wok__nomem(s->c, 0);
  if (st == WOK_OK && wok__exists(path)) {
    json_t *j = NULL;
    st = wok__json_read(s->c, &j, path, MOST_STATE);
    if (st == WOK_OK) st = read_state(s, a, j, path, left);
    json_decref(j);
  }
  wok__arena_free(a);
  return st;
}

void wok__left_free(wok__left *l) {
  wok__free(l->pending);
  wok__free(l->stream_bytes);
}

void wok__resume_end(wok__shuffle *s, bool keep) {
  if (s->dir && s->lock.fd >= 0 && !keep) (void)wok__remove_tree(NULL, s->dir);
  wok__unlock(&s->lock);
  wok__free(s->dir);
}
