/* Files of counts: written aside and renamed; checked from the first to the last byte before they are used. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "corpus/counter.h"

static const char magic[8] = {'w', 'o', 'k', 'c', 'n', 't', '1', '\n'};
enum { MOST_HEADER = 1 << 20, BUFFER = 256 << 10, HASH = 8 };

struct wok__count_writer {
  wok_ctx *c;
  wok__writer *w;
  wok__hasher hash;
  wok__run_sink sink;
  int64_t fill;
  uint8_t buf[BUFFER];
};

static void put64(uint8_t *p, uint64_t v) {
  for (int i = 0; i < 8; i++) p[i] = (uint8_t)(v >> 8 * i);
}
static uint64_t get64(const uint8_t *p) {
  uint64_t v = 0;
  for (int i = 7; i >= 0; i--) v = v << 8 | p[i];
  return v;
}

static wok_status flush(wok__count_writer *w) {
  wok__hasher_add(&w->hash, w->buf, w->fill);
  wok_status s = wok__writer_add(w->w, w->buf, w->fill);
  w->fill = 0;
  return s;
}

static wok_status add(void *ud, const void *p, int64_t n) {
  wok__count_writer *w = ud;
  if (w->fill + n > BUFFER) WOK__TRY(flush(w));
  if (n > BUFFER) return wok__fail(w->c, WOK_LIMIT, "a header of %lld bytes", (long long)n);
  memcpy(w->buf + w->fill, p, (size_t)n);
  w->fill += n;
  return WOK_OK;
}

wok_status wok__count_writer_open(wok_ctx *c, wok__count_writer **out, const char *path, const char *header) {
  wok__count_writer *w = *out = wok__malloc((int64_t)sizeof *w);
  if (!w) return wok__nomem(c, (int64_t)sizeof *w);
  w->c = c;
  w->fill = 0;
  w->sink = (wok__run_sink){.add = add, .ud = w};
  wok__hasher_init(&w->hash, 0);
  uint8_t length[8];
  int64_t n = (int64_t)strlen(header);
  put64(length, (uint64_t)n);
  wok_status s = wok__writer_open(c, &w->w, path);
  if (s) {
    wok__free(w);
    *out = NULL;
    return s;
  }
  s = add(w, magic, sizeof magic);
  if (s == WOK_OK) s = add(w, length, sizeof length);
  if (s == WOK_OK) s = add(w, header, n);
  if (s) {
    wok__count_writer_abort(w);
    *out = NULL;
  }
  return s;
}

wok_status wok__count_writer_put(wok__count_writer *w, const uint8_t *key, int64_t n, uint64_t count) {
  return wok__run_put(&w->sink, key, n, count);
}

wok_status wok__count_writer_commit(wok__count_writer *w) {
  wok_status s = flush(w);
  uint8_t sum[HASH];
  put64(sum, wok__hasher_end(&w->hash));
  if (s == WOK_OK) s = wok__writer_add(w->w, sum, HASH);
  if (s == WOK_OK) s = wok__writer_commit(w->w);
  else wok__writer_abort(w->w);
  wok__free(w);
  return s;
}

void wok__count_writer_abort(wok__count_writer *w) {
  if (!w) return;
  wok__writer_abort(w->w);
  wok__free(w);
}

static wok_status check_sum(wok_ctx *c, int fd, const char *path, int64_t size) {
  uint8_t *buf = wok__malloc(BUFFER), sum[HASH];
  if (!buf) return wok__nomem(c, BUFFER);
  wok__hasher h;
  wok__hasher_init(&h, 0);
  wok_status s = WOK_OK;
  int64_t got;
  for (int64_t at = 0; s == WOK_OK && at < size - HASH; at += got) {
    s = wok__read_fully(c, fd, path, at, buf, WOK__MIN((int64_t)BUFFER, size - HASH - at), &got);
    if (s == WOK_OK && got == 0) s = wok__fail(c, WOK_CORRUPT, "%s: became shorter while it was read", path);
    if (s == WOK_OK) wok__hasher_add(&h, buf, got);
  }
  if (s == WOK_OK) s = wok__read_fully(c, fd, path, size - HASH, sum, HASH, &got);
  if (s == WOK_OK && (got != HASH || get64(sum) != wok__hasher_end(&h)))
    s = wok__fail(c, WOK_CORRUPT, "%s: its checksum is wrong: copy or count again", path);
  wok__free(buf);
  return s;
}

static wok_status open_file(wok_ctx *c, wok__count_file *f, const char *path) {
  uint8_t head[16];
  struct stat st;
  int64_t got, size;
  f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (f->fd < 0 || fstat(f->fd, &st) != 0) return wok__fail_errno(c, errno, "%s", path);
  size = (int64_t)st.st_size;
  if (!S_ISREG(st.st_mode)) return wok__fail(c, WOK_FORMAT, "%s: not a file of counts", path);
  WOK__TRY(wok__read_fully(c, f->fd, path, 0, head, sizeof head, &got));
  if (got < (int64_t)sizeof head || memcmp(head, magic, sizeof magic) != 0)
    return wok__fail(c, WOK_FORMAT, "%s: not a file of counts (wok words --save-counts writes them)", path);
  uint64_t n = get64(head + 8);
  if (n > MOST_HEADER || (int64_t)n > size - (int64_t)sizeof head - HASH)
    return wok__fail(c, WOK_CORRUPT, "%s: its header is damaged or cut off", path);
  WOK__TRY(check_sum(c, f->fd, path, size));
  f->header = wok__malloc((int64_t)n + 1);
  if (!f->header) return wok__nomem(c, (int64_t)n + 1);
  WOK__TRY(wok__read_fully(c, f->fd, path, sizeof head, f->header, (int64_t)n, &got));
  f->header[got] = 0;
  f->begin = (int64_t)sizeof head + (int64_t)n;
  f->end = size - HASH;
  return WOK_OK;
}

wok_status wok__count_file_open(wok_ctx *c, wok__count_file *f, const char *path) {
  *f = (wok__count_file){.fd = -1};
  int64_t n = (int64_t)strlen(path) + 1;
  f->name = wok__malloc(n);
  if (!f->name) return wok__nomem(c, n);
  memcpy(f->name, path, (size_t)n);
  wok_status s = open_file(c, f, path);
  if (s) wok__count_file_close(f);
  return s;
}

void wok__count_file_close(wok__count_file *f) {
  if (f->fd >= 0) (void)close(f->fd);
  wok__free(f->header);
  wok__free(f->name);
  *f = (wok__count_file){.fd = -1};
}
