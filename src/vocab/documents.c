/* From bytes to documents in five steps: file, UTF-8, colour codes, lines, documents. Each step keeps what it cannot decide
   yet: the beginning of a character, of an escape sequence, a carriage return, the beginning of a separator, line feeds. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "text/utf8.h"
#include "vocab/documents.h"

enum { MOST_ESCAPE = 64 }; /* longer "escape sequences" are text */

typedef struct stream {
  wok_ctx *c;
  const wok__documents_opts *o;
  const wok__documents_sink *sink;
  int64_t sep_bytes;
  /* colour codes */
  uint8_t escape[MOST_ESCAPE];
  int nescape; /* bytes of a sequence begun */
  /* lines */
  bool in_line;     /* something of this line was seen */
  bool return_held; /* a carriage return that may be the line's last byte */
  bool matching;    /* the line is so far equal to the beginning of the separator */
  int64_t matched;
  int64_t line_bytes;
  int64_t feeds; /* line feeds since the last text */
  /* documents */
  bool in_document;
  int64_t lead; /* line feeds before its first text */
  uint8_t *buf;
} stream;

/* ---- documents ---- */

static wok_status send(stream *s, const uint8_t *p, int64_t n) {
  while (n > 0) { /* only a separator that turns out to be text can be longer than a piece */
    int64_t k = WOK__MIN(n, (int64_t)WOK__DOCUMENTS_PIECE);
    WOK__TRY(s->sink->text(s->sink->ud, p, k));
    p += k, n -= k;
  }
  return WOK_OK;
}

static wok_status send_feeds(stream *s, int64_t n) {
  uint8_t feeds[256];
  memset(feeds, '\n', sizeof feeds);
  for (; n > 0; n -= (int64_t)sizeof feeds) WOK__TRY(send(s, feeds, WOK__MIN(n, (int64_t)sizeof feeds)));
  return WOK_OK;
}

static wok_status document_text(stream *s, const uint8_t *p, int64_t n) {
  if (!s->in_document) {
    for (; n > 0 && *p == '\n'; p++, n--) s->lead++;
    if (n == 0) return WOK_OK;
    s->in_document = true;
    WOK__TRY(send_feeds(s, s->lead));
    s->lead = 0;
  }
  return send(s, p, n);
}

static wok_status document_feeds(stream *s, int64_t n) {
  if (s->in_document) return send_feeds(s, n);
  s->lead += n;
  return WOK_OK;
}

static wok_status document_end(stream *s) {
  bool any = s->in_document;
  s->in_document = false;
  s->lead = s->feeds = 0;
  return any ? s->sink->end(s->sink->ud) : WOK_OK;
}

/* ---- lines ---- */

static wok_status line_text(stream *s, const uint8_t *p, int64_t n) {
  if (n == 0) return WOK_OK;
  WOK__TRY(document_feeds(s, s->feeds));
  s->feeds = 0;
  s->line_bytes += n;
  return document_text(s, p, n);
}

/* Bytes of a line, without the carriage return that may end it. */
static wok_status line_bytes(stream *s, const uint8_t *p, int64_t n) {
  if (s->matching) {
    if (n <= s->sep_bytes - s->matched && memcmp(p, s->o->sep + s->matched, (size_t)n) == 0) {
      s->matched += n;
      return WOK_OK;
    }
    /* what earlier pieces matched is text too; all of this piece is, so that no character is cut where the two part */
    s->matching = false;
    WOK__TRY(line_text(s, (const uint8_t *)s->o->sep, s->matched));
  }
  return line_text(s, p, n);
}

static wok_status line_piece(stream *s, const uint8_t *p, int64_t n) {
  if (n == 0) return WOK_OK;
  s->in_line = true;
  if (s->return_held) {
    s->return_held = false;
    WOK__TRY(line_bytes(s, (const uint8_t *)"\r", 1));
  }
  if (p[n - 1] == '\r') s->return_held = true, n--;
  return line_bytes(s, p, n);
}

static wok_status line_end(stream *s) {
  bool separator = s->matching && s->matched == s->sep_bytes;
  if (s->matching && !separator) WOK__TRY(line_text(s, (const uint8_t *)s->o->sep, s->matched));
  bool empty = s->line_bytes == 0;
  s->in_line = s->return_held = false;
  s->matching = s->o->kind == WOK_DOC_SEP;
  s->matched = s->line_bytes = 0;
  if (s->o->kind == WOK_DOC_LINE || (s->o->kind == WOK_DOC_BLANK && empty)) return document_end(s);
  if (!separator) {
    s->feeds++;
    return WOK_OK;
  }
  /* the line feed before the separator belongs to it */
  WOK__TRY(document_feeds(s, WOK__MAX(s->feeds - 1, 0)));
  return document_end(s);
}

static wok_status lines(stream *s, const uint8_t *p, int64_t n) {
  if (s->o->kind == WOK_DOC_FILE) return document_text(s, p, n);
  while (n > 0) {
    const uint8_t *feed = memchr(p, '\n', (size_t)n);
    int64_t k = feed ? feed - p : n;
    WOK__TRY(line_piece(s, p, k));
    if (!feed) break;
    WOK__TRY(line_end(s));
    p += k + 1, n -= k + 1;
  }
  return WOK_OK;
}

/* ---- colour codes: ESC [ digits ; ... m ---- */

static wok_status no_escape(stream *s) { /* what was held back is text */
  int n = s->nescape;
  s->nescape = 0;
  return lines(s, s->escape, n);
}

static wok_status colours(stream *s, const uint8_t *p, int64_t n) {
  if (!s->o->strip_ansi) return lines(s, p, n);
  for (int64_t i = 0; i < n;) {
    if (s->nescape == 0) {
      const uint8_t *esc = memchr(p + i, 0x1b, (size_t)(n - i));
      int64_t k = esc ? esc - (p + i) : n - i;
      WOK__TRY(lines(s, p + i, k));
      i += k;
      if (i < n) s->escape[s->nescape++] = p[i++];
      continue;
    }
    uint8_t b = p[i];
    bool second = s->nescape == 1, parameter = b >= 0x30 && b <= 0x3f;
    if (!second && b == 'm') {
      s->nescape = 0;
      i++;
    } else if ((second ? b == '[' : parameter) && s->nescape < MOST_ESCAPE) {
      s->escape[s->nescape++] = b;
      i++;
    } else {
      WOK__TRY(no_escape(s)); /* and b is looked at again */
    }
  }
  return WOK_OK;
}

static wok_status file_end(stream *s) {
  if (s->nescape) WOK__TRY(no_escape(s));
  if (s->in_line) WOK__TRY(line_end(s));
  /* as before a separator: the last line feed ends the last line */
  if (s->o->kind == WOK_DOC_SEP) WOK__TRY(document_feeds(s, WOK__MAX(s->feeds - 1, 0)));
  return document_end(s);
}

/* ---- files ---- */

static wok_status not_utf8(wok_ctx *c, const char *name, int64_t offset, uint8_t byte) {
  return wok__fail(c, WOK_FORMAT,
                   "%s: not UTF-8 at byte %lld (0x%02X): convert it to UTF-8 or use --tokenizer bytes", name,
                   (long long)offset, byte);
}

static const char *shown(const wok__source *src) {
  return strcmp(src->name, "-") == 0 ? "standard input" : src->name;
}

static wok_status read_some(wok_ctx *c, wok__source *src, int fd, int64_t at, uint8_t *p, int64_t n,
                            int64_t *got) {
  if (src->spool) return wok__spool_read(src->spool, at, p, n, got);
  return wok__read_fully(c, fd, src->name, -1, p, n, got);
}

static wok_status changed(wok_ctx *c, const wok__source *src) {
  return wok__fail(c, WOK_MISMATCH,
                   "%s: was changed while it was being read: try again when nothing writes to it",
                   shown(src));
}

static wok_status read_file(stream *s, wok__source *src, int fd, wok__task *task) {
  int64_t at = 0, kept = 0, got; /* kept: bytes of an unfinished character at the front of the buffer */
  wok__hasher h;
  wok__hasher_init(&h, 0);
  for (bool last = false; !last;) {
    int64_t want = WOK__DOCUMENTS_PIECE - kept;
    WOK__TRY(read_some(s->c, src, fd, at, s->buf + kept, want, &got));
    wok__hasher_add(&h, s->buf + kept, got);
    last = got < want;
    uint8_t *p = s->buf;
    int64_t n = kept + got, place = at - kept; /* of p in the file */
    at += got;
    if (src->read && at > src->bytes) return changed(s->c, src);
    if (place == 0 && n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) p += 3, n -= 3, place += 3;
    int64_t whole = n;
    if (s->o->utf8) {
      int cut;
      whole = wok__utf8_valid(p, n, &cut);
      if (whole < n && (!cut || last)) return not_utf8(s->c, shown(src), place + whole, p[whole]);
    }
    WOK__TRY(colours(s, p, whole));
    kept = n - whole;
    memmove(s->buf, p + whole, (size_t)kept);
    WOK__TRY(wok__task_at(task, task->done + got, NULL));
  }
  uint64_t hash = wok__hasher_end(&h);
  if (src->read && (at != src->bytes || hash != src->hash)) return changed(s->c, src);
  src->read = true;
  src->bytes = at;
  src->hash = hash;
  return file_end(s);
}

static wok_status open_source(wok_ctx *c, const wok__source *src, int *fd) {
  *fd = -1;
  if (src->spool) return WOK_OK;
  *fd = open(src->name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (*fd < 0) return wok__fail_errno(c, errno, "%s", src->name);
  (void)posix_fadvise(*fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  return WOK_OK;
}

wok_status wok__documents_read(wok_ctx *c, wok__source *sources, int n, const wok__documents_opts *o,
                               const wok__documents_sink *sink, wok__task *task) {
  stream *s = wok__calloc(1, (int64_t)sizeof *s);
  uint8_t *buf = wok__malloc(WOK__DOCUMENTS_PIECE);
  wok_status st = s && buf ? WOK_OK : wok__nomem(c, WOK__DOCUMENTS_PIECE);
  if (st == WOK_OK)
    *s = (stream){.c = c,
                  .o = o,
                  .sink = sink,
                  .buf = buf,
                  .matching = o->kind == WOK_DOC_SEP,
                  .sep_bytes = o->sep ? (int64_t)strlen(o->sep) : 0};
  for (int i = 0; st == WOK_OK && i < n; i++) {
    int fd;
    st = open_source(c, &sources[i], &fd);
    if (st == WOK_OK) st = read_file(s, &sources[i], fd, task);
    if (fd >= 0) (void)close(fd);
  }
  wok__free(buf);
  wok__free(s);
  return st;
}

/* ---- sources ---- */

static wok_status fill_spool(wok_ctx *c, wok__source *src, int fd) {
  uint8_t *buf = wok__malloc(WOK__DOCUMENTS_PIECE);
  wok_status s = buf ? WOK_OK : wok__nomem(c, WOK__DOCUMENTS_PIECE);
  wok__task task;
  wok__task_begin(&task, c, "read", "bytes", 0);
  for (int64_t got = 1; s == WOK_OK && got > 0;) {
    s = wok__read_fully(c, fd, shown(src), -1, buf, WOK__DOCUMENTS_PIECE, &got);
    if (s == WOK_OK) s = wok__spool_add(src->spool, buf, got);
    if (s == WOK_OK) s = wok__task_at(&task, wok__spool_size(src->spool), NULL);
  }
  wok__free(buf);
  return s;
}

wok_status wok__source_prepare(wok_ctx *c, wok__source *src, const char *name, const char *dir) {
  *src = (wok__source){.name = name};
  bool standard = strcmp(name, "-") == 0;
  int fd = standard ? 0 : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) != 0) {
    int err = errno;
    if (fd > 0) (void)close(fd);
    return wok__fail_errno(c, err, "%s", shown(src));
  }
  wok_status s = WOK_OK;
  if (S_ISDIR(st.st_mode)) {
    s = wok__fail(c, WOK_IO, "%s: is a directory: name the files in it", shown(src));
  } else if (standard || !S_ISREG(st.st_mode)) {
    s = wok__spool_new(c, &src->spool, dir);
    if (s == WOK_OK) s = fill_spool(c, src, fd);
    if (s == WOK_OK) src->bytes = wok__spool_size(src->spool);
  } else {
    src->bytes = (int64_t)st.st_size; /* for the progress line only, until it was read */
  }
  if (!standard) (void)close(fd);
  if (s) wok__source_done(src);
  return s;
}

void wok__source_done(wok__source *s) {
  wok__spool_free(s->spool);
  s->spool = NULL;
}
