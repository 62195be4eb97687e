/* Any bytes as a corpus: the first four choose the rules, the rest is the file. Every record must come whole and in order, whatever
   the size of the buffer. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "corpus/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_OUT = 8 << 20 }; /* a few bytes decompress to gigabytes; enough is enough */

static wok_status use(wok_ctx *c, const wok__inputs *in, const wok_record_opts *how, int64_t buffer,
                      uint64_t *hash) {
  wok__reader *r;
  WOK__TRY(wok__reader_open(c, &r, in, &(wok__reader_opts){.how = *how, .buffer = buffer}));
  wok__hasher h;
  wok__hasher_init(&h, 0);
  wok_status s = WOK_OK;
  bool inside = false;
  int64_t records = 0, bytes = 0;
  for (bool more = true; more && bytes < MOST_OUT;) {
    wok__piece p;
    s = wok__reader_next(r, &p, &more);
    if (s || !more) break;
    if (p.first == inside || p.record != records || p.n < 0) abort();
    inside = !p.last;
    records += p.last;
    bytes += p.n;
    wok__hasher_add(&h, p.p, p.n);
    if (p.last) wok__hasher_add(&h, "|", 1);
  }
  if (s == WOK_OK && inside && bytes < MOST_OUT) abort();
  if (s && (!wok_errmsg(c)[0] || strchr(wok_errmsg(c), '\n'))) abort();
  *hash = bytes < MOST_OUT ? wok__hasher_end(&h) : 0;
  wok__reader_close(r);
  return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static wok_ctx *c;
  if (!c && wok_ctx_new(&c, &(wok_ctx_opts){.threads = 1}) != WOK_OK) abort();
  if (size < 4) return 0;
  int fd = memfd_create("fuzz", MFD_CLOEXEC);
  if (fd < 0 || write(fd, data + 4, size - 4) != (ssize_t)(size - 4)) abort();
  char path[64];
  (void)wok__snprintf(path, (int64_t)sizeof path, "/proc/self/fd/%d", fd);
  const char *name = path;
  static const char *const seps[] = {NULL, "\n", "ab", "aab"};
  wok_record_opts how = {.lines = data[1] & 3,
                         .header = data[1] >> 2 & 3,
                         .header_each = data[1] & 16,
                         .skip_empty = data[1] & 32,
                         .keep_bom = data[1] & 64};
  if (data[0] < 128)
    how.separator = seps[data[0] & 3], how.crlf = (wok_crlf)(data[0] >> 2 & 3);
  else if (data[0] < 192)
    how.fixed_bytes = 1 + data[2], how.lines = 0;
  else
    how.prefix_bytes = 1 << (data[0] & 3), how.lines = 0;
  wok__inputs in;
  if (wok__inputs_find(c, &in, &name, 1, NULL) == WOK_OK) {
    uint64_t a, b;
    wok_status s = use(c, &in, &how, 1 << 14, &a), t = use(c, &in, &how, 0, &b);
    if (s != t || (s == WOK_OK && a != b)) abort();
    wok__inputs_free(&in);
  }
  close(fd);
  return 0;
}
