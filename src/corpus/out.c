#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include "corpus/behind.h"
#include "corpus/out.h"

enum { FRAME = 1 << 20, FRAMES_PER_THREAD = 2, MOST_FRAMES = 64 };

typedef struct frame {
  uint8_t *raw, *packed;
  int64_t n, npacked;
  bool failed;
} frame;

typedef struct made {
  char *path, *part;
} made; /* part NULL: written in place */

struct wok__out {
  wok_ctx *c;
  wok__out_opts o;
  wok_packing packing[2]; /* of the held file, of the others */
  wok__arena *names;
  wok__behind *behind;
  int under_way;
  made *made;
  int64_t cap;
  wok__out_place at; /* at.file: number of the open file, counting the held one */
  int fd;            /* -1: none is open */
  bool in_place, seekable;
  int64_t came; /* records, in all */
  frame *frame;
  int frames, full; /* frames full; the next one is being filled */
  int64_t frame_bound;
};

/* ---- names ---- */

char *wok__shard_path(wok__arena *a, const char *path, int64_t number) {
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  const char *dot = strchr(*name == '.' ? name + 1 : name, '.');
  if (!dot) dot = path + strlen(path);
  return wok__arena_printf(a, "%.*s-%05lld%s", (int)(dot - path), path, (long long)number, dot);
}

static bool ends_in(const char *z, const char *with) {
  size_t n = strlen(z), m = strlen(with);
  return n > m && strcmp(z + n - m, with) == 0;
}

wok_packing wok__packing_by_name(wok_packing p, const char *path) {
  if (p != WOK_PACKING_BY_NAME) return p;
  return ends_in(path, ".gz")    ? WOK_PACKING_GZIP
         : ends_in(path, ".zst") ? WOK_PACKING_ZSTD
                                 : WOK_PACKING_NONE;
}

static bool in_held(const wok__out *o) { return o->o.held && o->at.file == 0; }
static wok_packing packing_now(const wok__out *o) { return o->packing[!in_held(o)]; }
static bool packed(const wok__out *o) { return packing_now(o) != WOK_PACKING_NONE; }

int64_t wok__out_memory(wok_packing packing, const char *path, int threads) {
  if (wok__packing_by_name(packing, path) == WOK_PACKING_NONE) return 0;
  return (int64_t)WOK__MIN(FRAMES_PER_THREAD * threads, (int)MOST_FRAMES) * (2 * FRAME + FRAME / 64);
}

/* ---- files ---- */

static bool sharded(const wok__out *o) {
  return o->o.shards > 0 || o->o.shard_records > 0 || o->o.shard_bytes > 0;
}

/* The records of file number i; -1: no limit by number. */
static int64_t records_of(const wok__out *o, int64_t file) {
  if (o->o.held && file-- == 0) return o->o.held_records;
  int64_t rest = o->o.total - (o->o.held ? o->o.held_records : 0);
  if (o->o.shard_records) return o->o.shard_records;
  if (!o->o.shards) return -1;
  /* the first rest % shards have one more */
  return rest / o->o.shards + (file < rest % o->o.shards);
}

static const char *name_of(wok__out *o, int64_t file) {
  if (o->o.held && file-- == 0) return o->o.held;
  return sharded(o) ? wok__shard_path(o->names, o->o.path, file) : o->o.path;
}

static wok_status note_made(wok__out *o, made m) {
  if (o->at.file >= o->cap) {
    int64_t cap = o->cap ? 2 * o->cap : 16;
    made *p = wok__realloc(o->made, cap * (int64_t)sizeof *p);
    if (!p) return wok__nomem(o->c, cap * (int64_t)sizeof *p);
    memset(p + o->cap, 0, (size_t)(cap - o->cap) * sizeof *p);
    o->made = p;
    o->cap = cap;
  }
  o->made[o->at.file] = m;
  return WOK_OK;
}

/* Pipes and devices cannot be replaced: they are written in place. */
static wok_status open_file(wok__out *o, bool again) {
  const char *path = name_of(o, o->at.file);
  made m = {path ? wok__arena_strdup(o->names, path) : NULL, NULL};
  if (!m.path) return wok__nomem(o->c, 0);
  struct stat st;
  bool standard = strcmp(path, "-") == 0, exists = !standard && stat(path, &st) == 0;
  if (exists && S_ISDIR(st.st_mode)) return wok__fail(o->c, WOK_IO, "%s: is a directory, not a file", path);
  o->in_place = standard || (exists && !S_ISREG(st.st_mode));
  o->seekable = !o->in_place;
  if (standard)
    o->fd = 1;
  else if (o->in_place)
    o->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
  else {
    m.part = wok__arena_printf(o->names, "%s.part", path);
    if (!m.part) return wok__nomem(o->c, 0);
    o->fd = open(m.part, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | (again ? 0 : O_TRUNC), 0666);
    if (o->fd >= 0 && exists) (void)fchmod(o->fd, st.st_mode & 0777);
  }
  if (o->fd < 0) return wok__fail_errno(o->c, errno, "%s: cannot be written", path);
  return note_made(o, m);
}

/* ---- bytes ---- */

static void forget_done(wok__out *o) {
  for (int64_t tag; wok__behind_done(o->behind, &tag, false);) o->under_way--;
}

wok_status wok__out_wait(wok__out *o) {
  wok_status s = wok__behind_drain(o->behind);
  forget_done(o);
  return s;
}

static wok_status put(wok__out *o, const uint8_t *p, int64_t n) {
  if (n == 0) return WOK_OK;
  if (o->under_way >= WOK__BEHIND_MOST) WOK__TRY(wok__out_wait(o));
  o->under_way++;
  const char *name = o->made[o->at.file].path;
  WOK__TRY(wok__behind_write(o->behind, o->fd, strcmp(name, "-") == 0 ? "standard output" : name,
                             o->seekable ? o->at.bytes : -1, p, n, 0));
  o->at.bytes += n;
  return WOK_OK;
}

typedef struct packing_job {
  wok__out *o;
  int level;
  wok_packing how;
} packing_job;

static void pack_frame(void *arg, int64_t tile, int worker) {
  (void)worker;
  packing_job *j = arg;
  frame *f = &j->o->frame[tile];
  if (j->how == WOK_PACKING_ZSTD) {
    size_t k =
        ZSTD_compress(f->packed, (size_t)j->o->frame_bound, f->raw, (size_t)f->n, j->level ? j->level : 3);
    f->failed = ZSTD_isError(k);
    f->npacked = f->failed ? 0 : (int64_t)k;
    return;
  }
  z_stream z = {0};
  f->failed = deflateInit2(&z, j->level ? j->level : 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK;
  if (f->failed) return;
  z.next_in = f->raw, z.avail_in = (uInt)f->n;
  z.next_out = f->packed, z.avail_out = (uInt)j->o->frame_bound;
  f->failed = deflate(&z, Z_FINISH) != Z_STREAM_END;
  f->npacked = (int64_t)z.total_out;
  (void)deflateEnd(&z);
}

/* Frames are cut by the file's bytes alone, so that neither threads nor memory show in the result. */
static wok_status pack_full(wok__out *o, bool last) {
  bool nothing = o->full == 0 && o->at.bytes == 0; /* an empty file has one empty frame */
  int n = o->full + (last && (o->frame[o->full].n > 0 || nothing));
  if (n == 0) return WOK_OK;
  WOK__TRY(wok__out_wait(o)); /* what was packed before is written */
  packing_job j = {o, o->o.level, packing_now(o)};
  wok__pool_run(o->c, pack_frame, &j, n);
  for (int i = 0; i < n; i++) {
    if (o->frame[i].failed) return wok__nomem(o->c, 0);
    WOK__TRY(put(o, o->frame[i].packed, o->frame[i].npacked));
  }
  if (n <= o->full &&
      o->full > 0) { /* the one being filled comes to the front; its raw bytes are not under way */
    frame f = o->frame[0];
    o->frame[0] = o->frame[o->full];
    o->frame[o->full] = f;
    /* packed buffers under way stay where they are until the next wait */
  }
  for (int i = last ? 0 : 1; i <= n && i < o->frames; i++) o->frame[i].n = 0;
  if (last) o->frame[0].n = 0;
  o->full = 0;
  return WOK_OK;
}

static wok_status bytes(wok__out *o, const uint8_t *p, int64_t n) {
  o->at.raw += n;
  if (!packed(o)) return put(o, p, n);
  while (n > 0) {
    frame *f = &o->frame[o->full];
    int64_t k = WOK__MIN(n, (int64_t)FRAME - f->n);
    memcpy(f->raw + f->n, p, (size_t)k);
    f->n += k;
    p += k, n -= k;
    if (f->n == FRAME && ++o->full == o->frames - 1) WOK__TRY(pack_full(o, false));
  }
  return WOK_OK;
}

/* ---- one file after another ---- */

static wok_status close_file(wok__out *o) {
  if (o->fd < 0) return WOK_OK;
  if (packed(o)) WOK__TRY(pack_full(o, true));
  WOK__TRY(wok__out_wait(o));
  int fd = o->fd;
  const made *m = &o->made[o->at.file];
  o->fd = -1;
  if (fd == 1 && o->in_place && strcmp(m->path, "-") == 0) return WOK_OK;
  wok_status s = WOK_OK;
  if (m->part && (ftruncate(fd, (off_t)o->at.bytes) != 0 || fsync(fd) != 0))
    s = wok__fail_errno(o->c, errno, "%s: cannot be written", m->path);
  if (close(fd) != 0 && s == WOK_OK) s = wok__fail_errno(o->c, errno, "%s: cannot be written", m->path);
  return s;
}

wok_status wok__out_begin(wok__out *o) {
  o->at.records = o->at.raw = o->at.bytes = o->at.pending = 0;
  o->at.left = records_of(o, o->at.file);
  WOK__TRY(open_file(o, false));
  return o->o.nheader ? bytes(o, o->o.header, o->o.nheader) : WOK_OK;
}

static wok_status next_file(wok__out *o) {
  WOK__TRY(close_file(o));
  o->at.file++;
  return wok__out_begin(o);
}

/* Before a record of so many bytes: goes on to the file it belongs to. An empty shard (more shards than records) is a file too. */
static wok_status turn(wok__out *o, int64_t size) {
  while (o->at.left == 0) WOK__TRY(next_file(o));
  if (o->o.shard_bytes && !in_held(o) && o->at.records > 0 && o->at.raw + size > o->o.shard_bytes)
    WOK__TRY(next_file(o));
  return WOK_OK;
}

static void counted(wok__out *o, int64_t n) {
  o->came += n;
  o->at.records += n;
  if (o->at.left > 0) o->at.left -= n;
}

wok_status wok__out_run(wok__out *o, const uint8_t *p, const uint64_t *ends, int64_t stride, int64_t n) {
  int64_t from = 0;
  for (int64_t i = 0; i < n;) {
    WOK__TRY(turn(o, (int64_t)ends[i * stride] - from));
    int64_t k = o->at.left > 0 ? WOK__MIN(o->at.left, n - i) : n - i; /* records for this file */
    if (o->o.shard_bytes && !in_held(o))
      for (int64_t j = 1; j < k; j++)
        if (o->at.raw + (int64_t)ends[(i + j) * stride] - from > o->o.shard_bytes) k = j;
    int64_t end = (int64_t)ends[(i + k - 1) * stride];
    WOK__TRY(bytes(o, p + from, end - from));
    counted(o, k);
    from = end;
    i += k;
  }
  return WOK_OK;
}

wok_status wok__out_piece(wok__out *o, const uint8_t *p, int64_t n, bool first, bool last, int64_t whole) {
  if (first) WOK__TRY(turn(o, whole + o->o.nterminator));
  WOK__TRY(bytes(o, p, n));
  if (last) {
    WOK__TRY(bytes(o, (const uint8_t *)o->o.terminator, o->o.nterminator));
    counted(o, 1);
  }
  return wok__out_wait(o); /* the caller's bytes go */
}

/* ---- checkpoints ---- */

wok_status wok__out_checkpoint(wok__out *o, wok__out_place *place, const uint8_t **pending) {
  if (packed(o)) WOK__TRY(pack_full(o, false));
  WOK__TRY(wok__out_wait(o));
  if (o->made[o->at.file].part && fdatasync(o->fd) != 0)
    return wok__fail_errno(o->c, errno, "%s: cannot be written", o->made[o->at.file].path);
  *place = o->at;
  place->pending = packed(o) ? o->frame[0].n : 0;
  *pending = packed(o) ? o->frame[0].raw : (const uint8_t *)"";
  return WOK_OK;
}

wok_status wok__out_resume(wok__out *o, const wok__out_place *place, const uint8_t *pending) {
  for (o->at.file = 0; o->at.file < place->file; o->at.file++) {
    const char *path = name_of(o, o->at.file);
    made m = {path ? wok__arena_strdup(o->names, path) : NULL,
              path ? wok__arena_printf(o->names, "%s.part", path) : NULL};
    if (!m.part) return wok__nomem(o->c, 0);
    if (!wok__exists(m.part))
      return wok__fail(o->c, WOK_MISMATCH, "%s is gone: begin anew without --resume", m.part);
    WOK__TRY(note_made(o, m));
  }
  o->at = *place;
  WOK__TRY(open_file(o, true));
  struct stat st;
  if (fstat(o->fd, &st) != 0 || (int64_t)st.st_size < place->bytes)
    return wok__fail(o->c, WOK_MISMATCH, "%s is shorter than it was: begin anew without --resume",
                     o->made[o->at.file].part);
  if (packed(o)) {
    if (place->pending < 0 || place->pending >= FRAME)
      return wok__fail(o->c, WOK_CORRUPT, "a damaged checkpoint: begin anew without --resume");
    memcpy(o->frame[0].raw, pending, (size_t)place->pending);
    o->frame[0].n = place->pending;
  }
  return WOK_OK;
}

/* ---- life ---- */

static wok_status make_frames(wok__out *o) {
  o->frames = WOK__MIN(FRAMES_PER_THREAD * wok__ctx_threads(o->c), (int)MOST_FRAMES);
  o->frame_bound = WOK__MAX((int64_t)ZSTD_compressBound(FRAME), (int64_t)FRAME + FRAME / 64);
  o->frame = wok__calloc(o->frames, (int64_t)sizeof *o->frame);
  if (!o->frame) return wok__nomem(o->c, 0);
  for (int i = 0; i < o->frames; i++) {
    o->frame[i].raw = wok__malloc(FRAME);
    o->frame[i].packed = wok__malloc(o->frame_bound);
    if (!o->frame[i].raw || !o->frame[i].packed) return wok__nomem(o->c, FRAME);
  }
  return WOK_OK;
}

wok_status wok__out_new(wok_ctx *c, wok__out **out, const wok__out_opts *opts) {
  *out = NULL;
  wok__out *o = wok__calloc(1, (int64_t)sizeof *o);
  if (!o) return wok__nomem(c, (int64_t)sizeof *o);
  o->c = c;
  o->o = *opts;
  o->fd = -1;
  o->packing[1] = wok__packing_by_name(opts->packing, opts->path);
  o->packing[0] = opts->held ? wok__packing_by_name(opts->packing, opts->held) : WOK_PACKING_NONE;
  o->names = wok__arena_new(4096);
  wok_status s = o->names ? wok__behind_new(c, &o->behind, opts->threaded) : wok__nomem(c, 0);
  if (s == WOK_OK) wok__behind_early(o->behind);
  if (s == WOK_OK && (o->packing[0] != WOK_PACKING_NONE || o->packing[1] != WOK_PACKING_NONE))
    s = make_frames(o);
  if (s) {
    wok__out_free(o, false);
    return s;
  }
  *out = o;
  return WOK_OK;
}

wok_status wok__out_commit(wok__out *o, int64_t *files) {
  int64_t least = (o->o.held != NULL) + (o->o.shards ? o->o.shards : 1);
  while (o->at.file + 1 < least) WOK__TRY(next_file(o)); /* more shards than records */
  WOK__TRY(close_file(o));
  *files = o->at.file + 1;
  for (int64_t i = 0; i < *files; i++) {
    made *m = &o->made[i];
    if (!m->part) continue;
    if (rename(m->part, m->path) != 0) return wok__fail_errno(o->c, errno, "%s: cannot be written", m->path);
    m->part = NULL;
  }
  return WOK_OK;
}

void wok__out_free(wok__out *o, bool keep) {
  if (!o) return;
  wok__behind_free(o->behind);
  if (o->fd > 1 || (o->fd >= 0 && !o->in_place)) (void)close(o->fd);
  for (int64_t i = 0; o->made && !keep && i <= o->at.file && i < o->cap; i++)
    if (o->made[i].part) (void)unlink(o->made[i].part);
  for (int i = 0; o->frame && i < o->frames; i++) {
    wok__free(o->frame[i].raw);
    wok__free(o->frame[i].packed);
  }
  wok__free(o->frame);
  wok__free(o->made);
  wok__arena_free(o->names);
  wok__free(o);
}
