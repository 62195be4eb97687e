/* The bytes of a file, decompressed when its first bytes say so. A codec produces up to n bytes; what it finds at the end of the
   file (in the middle of a member: cut short) is its own business. */
#include <bzlib.h>
#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>
#include "corpus/reader.h"

enum { BUFFER = 256 << 10, MOST_AT_ONCE = 1 << 30, LOOK_AGAIN_MS = 100 };
static const uint64_t xz_memory = UINT64_C(256) << 20; /* xz -9 takes 65 MiB */

typedef struct codec {
  const char *name;
  uint8_t magic[6];
  int nmagic;
  wok_status (*open)(wok__bytes *b);
  wok_status (*run)(wok__bytes *b, uint8_t *p, int64_t n, int64_t *got); /* sets b->ended */
  void (*close)(wok__bytes *b);
} codec;

struct wok__bytes {
  wok_ctx *c;
  const char *shown; /* the file, for messages */
  int fd;
  bool standard, pipe; /* a pipe may make us wait */
  const atomic_bool *stop;
  const codec *codec; /* NULL: plain */
  bool opened;        /* the codec's state is there */
  bool inside;        /* of a member or frame */
  bool eof, ended;    /* of the file; of the data */
  int64_t taken;      /* read from the file */
  uint8_t *at;        /* what is in the buffer and not yet used */
  int64_t left;
  union {
    z_stream z;
    bz_stream bz;
    lzma_stream xz;
    ZSTD_DStream *zstd;
  } s;
  uint8_t buf[BUFFER];
};

/* ---- the file ---- */

static wok_status wait_for(wok__bytes *b) {
  struct pollfd f = {.fd = b->fd, .events = POLLIN};
  while (b->pipe && b->stop) {
    if (atomic_load_explicit(b->stop, memory_order_relaxed))
      return wok__fail(b->c, WOK_INTERRUPTED, "interrupted");
    int k = poll(&f, 1, LOOK_AGAIN_MS);
    if (k != 0 && !(k < 0 && errno == EINTR)) break; /* there is something, or read() says what is wrong */
  }
  return WOK_OK;
}

static wok_status read_raw(wok__bytes *b, uint8_t *p, int64_t n, int64_t *got) {
  *got = 0;
  while (*got < n && !b->eof) {
    WOK__TRY(wait_for(b));
    ssize_t k = read(b->fd, p + *got, (size_t)WOK__MIN(n - *got, (int64_t)MOST_AT_ONCE));
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return wok__fail_errno(b->c, errno, "%s: cannot be read", b->shown);
    if (k == 0) b->eof = true;
    *got += k;
    b->taken += k;
    if (b->pipe && b->codec) break; /* what is there can be decompressed */
  }
  return WOK_OK;
}

static wok_status fill(wok__bytes *b) {
  if (b->left > 0 || b->eof) return WOK_OK;
  b->at = b->buf;
  return read_raw(b, b->buf, BUFFER, &b->left);
}

static void used(wok__bytes *b, int64_t n) {
  b->at += n;
  b->left -= n;
}

static wok_status cut_short(wok__bytes *b) {
  return wok__fail(b->c, WOK_CORRUPT,
                   "%s: the %s data ends in the middle, after %lld bytes: get the file again", b->shown,
                   b->codec->name, (long long)b->taken);
}

static wok_status damaged(wok__bytes *b, const char *why) {
  return wok__fail(b->c, WOK_CORRUPT, "%s: damaged %s data near byte %lld (%s): get the file again", b->shown,
                   b->codec->name, (long long)(b->taken - b->left), why ? why : "it makes no sense");
}

/* ---- gzip ---- */

static wok_status gzip_open(wok__bytes *b) {
  return inflateInit2(&b->s.z, 15 + 16) == Z_OK ? WOK_OK : wok__nomem(b->c, 0);
}
static void gzip_close(wok__bytes *b) { (void)inflateEnd(&b->s.z); }

/* Zeros after a member are padding (tapes, some tools); anything else must be a member again. */
static wok_status gzip_between(wok__bytes *b) {
  while (b->left > 0 && *b->at == 0) used(b, 1);
  if (b->left == 0) return WOK_OK;
  b->inside = true;
  return inflateReset(&b->s.z) == Z_OK ? WOK_OK : wok__nomem(b->c, 0);
}

static wok_status gzip_run(wok__bytes *b, uint8_t *p, int64_t n, int64_t *got) {
  z_stream *z = &b->s.z;
  while (*got < n) {
    WOK__TRY(fill(b));
    if (b->left == 0) {
      if (b->inside) return cut_short(b);
      b->ended = true;
      return WOK_OK;
    }
    if (!b->inside) {
      WOK__TRY(gzip_between(b));
      continue;
    }
    uInt room = (uInt)WOK__MIN(n - *got, (int64_t)MOST_AT_ONCE), in = (uInt)b->left;
    z->next_in = b->at, z->avail_in = in;
    z->next_out = p + *got, z->avail_out = room;
    int e = inflate(z, Z_NO_FLUSH);
    used(b, (int64_t)in - (int64_t)z->avail_in);
    *got += (int64_t)room - (int64_t)z->avail_out;
    if (e == Z_STREAM_END)
      b->inside = false;
    else if (e == Z_MEM_ERROR)
      return wok__nomem(b->c, 0);
    else if (e != Z_OK && e != Z_BUF_ERROR)
      return damaged(b, e == Z_NEED_DICT ? "it needs a dictionary" : z->msg);
  }
  return WOK_OK;
}

/* ---- bzip2 ---- */

static wok_status bzip2_open(wok__bytes *b) {
  return BZ2_bzDecompressInit(&b->s.bz, 0, 0) == BZ_OK ? WOK_OK : wok__nomem(b->c, 0);
}
static void bzip2_close(wok__bytes *b) { (void)BZ2_bzDecompressEnd(&b->s.bz); }

static wok_status bzip2_run(wok__bytes *b, uint8_t *p, int64_t n, int64_t *got) {
  bz_stream *z = &b->s.bz;
  while (*got < n) {
    WOK__TRY(fill(b));
    if (b->left == 0) {
      if (b->inside) return cut_short(b);
      b->ended = true;
      return WOK_OK;
    }
    if (!b->inside) {
      bzip2_close(b);
      b->opened = false;
      memset(z, 0, sizeof *z);
      WOK__TRY(bzip2_open(b));
      b->opened = b->inside = true;
    }
    unsigned room = (unsigned)WOK__MIN(n - *got, (int64_t)MOST_AT_ONCE), in = (unsigned)b->left;
    z->next_in = (char *)b->at, z->avail_in = in;
    z->next_out = (char *)(p + *got), z->avail_out = room;
    int e = BZ2_bzDecompress(z);
    used(b, (int64_t)in - (int64_t)z->avail_in);
    *got += (int64_t)room - (int64_t)z->avail_out;
    if (e == BZ_STREAM_END)
      b->inside = false;
    else if (e == BZ_MEM_ERROR)
      return wok__nomem(b->c, 0);
    else if (e != BZ_OK)
      return damaged(b, e == BZ_DATA_ERROR_MAGIC ? "no bzip2 data here" : "a checksum is wrong");
  }
  return WOK_OK;
}

/* ---- xz ---- */

static wok_status xz_open(wok__bytes *b) {
  b->s.xz = (lzma_stream)LZMA_STREAM_INIT;
  return lzma_stream_decoder(&b->s.xz, xz_memory, LZMA_CONCATENATED) == LZMA_OK ? WOK_OK
                                                                                : wok__nomem(b->c, 0);
}
static void xz_close(wok__bytes *b) { lzma_end(&b->s.xz); }

static wok_status xz_run(wok__bytes *b, uint8_t *p, int64_t n, int64_t *got) {
  lzma_stream *z = &b->s.xz;
  while (*got < n) {
    WOK__TRY(fill(b));
    int64_t in = b->left, room = n - *got;
    z->next_in = b->at, z->avail_in = (size_t)in;
    z->next_out = p + *got, z->avail_out = (size_t)room;
    lzma_ret e = lzma_code(z, b->eof && in == 0 ? LZMA_FINISH : LZMA_RUN);
    used(b, in - (int64_t)z->avail_in);
    *got += room - (int64_t)z->avail_out;
    if (e == LZMA_STREAM_END) {
      b->ended = true;
      return WOK_OK;
    }
    if (e == LZMA_BUF_ERROR && b->eof) return cut_short(b);
    if (e == LZMA_MEM_ERROR) return wok__nomem(b->c, 0);
    if (e == LZMA_MEMLIMIT_ERROR)
      return wok__fail(b->c, WOK_LIMIT,
                       "%s: decompressing this xz file takes %llu MiB: compress it again with xz -9 or less",
                       b->shown, (unsigned long long)(lzma_memusage(z) >> 20));
    if (e != LZMA_OK && e != LZMA_BUF_ERROR) return damaged(b, "a checksum or header is wrong");
  }
  return WOK_OK;
}

/* ---- zstd ---- */

static wok_status zstd_open(wok__bytes *b) {
  b->s.zstd = ZSTD_createDStream();
  return b->s.zstd ? WOK_OK : wok__nomem(b->c, 0);
}
static void zstd_close(wok__bytes *b) { (void)ZSTD_freeDStream(b->s.zstd); }

static wok_status zstd_run(wok__bytes *b, uint8_t *p, int64_t n, int64_t *got) {
  while (*got < n) {
    WOK__TRY(fill(b));
    if (b->left == 0 && !b->inside) {
      b->ended = true;
      return WOK_OK;
    }
    ZSTD_inBuffer in = {b->at, (size_t)b->left, 0};
    ZSTD_outBuffer out = {p + *got, (size_t)(n - *got), 0};
    size_t e = ZSTD_decompressStream(b->s.zstd, &out, &in);
    if (ZSTD_isError(e) && ZSTD_getErrorCode(e) == ZSTD_error_frameParameter_windowTooLarge)
      return wok__fail(b->c, WOK_LIMIT,
                       "%s: this zstd file needs a window beyond 128 MiB: compress it again without --long",
                       b->shown);
    if (ZSTD_isError(e)) return damaged(b, ZSTD_getErrorName(e));
    used(b, (int64_t)in.pos);
    *got += (int64_t)out.pos;
    b->inside = e != 0;
    if (in.size == 0 && out.pos == 0 && b->inside && b->eof) return cut_short(b);
  }
  return WOK_OK;
}

/* ---- which ---- */

static const codec codecs[] = {
    {"gzip", {0x1f, 0x8b, 0x08}, 3, gzip_open, gzip_run, gzip_close},
    {"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4, zstd_open, zstd_run, zstd_close},
    {"xz", {0xfd, '7', 'z', 'X', 'Z', 0}, 6, xz_open, xz_run, xz_close},
    {"bzip2", {'B', 'Z', 'h'}, 3, bzip2_open, bzip2_run, bzip2_close},
};

static const codec *codec_of(const uint8_t *p, int64_t n) {
  for (int64_t i = 0; i < WOK__COUNT(codecs); i++) {
    const codec *k = &codecs[i];
    if (n < k->nmagic || memcmp(p, k->magic, (size_t)k->nmagic) != 0) continue;
    /* "BZh" begins words too: a level and a block's (or the end's) mark must follow */
    if (k->run == bzip2_run &&
        !(n >= 10 && p[3] >= '1' && p[3] <= '9' &&
          (memcmp(p + 4, "1AY&SY", 6) == 0 || memcmp(p + 4, "\x17\x72\x45\x38\x50\x90", 6) == 0)))
      continue;
    return k;
  }
  return NULL;
}

const char *wok__packing_of(const uint8_t *p, int64_t n) {
  const codec *k = codec_of(p, n);
  return k ? k->name : NULL;
}

static wok_status open_codec(wok__bytes *b) {
  b->at = b->buf;
  while (b->left < 16 && !b->eof) { /* a pipe may give a byte at a time */
    int64_t got;
    WOK__TRY(read_raw(b, b->buf + b->left, b->left ? 16 - b->left : BUFFER, &got));
    b->left += got;
  }
  b->codec = codec_of(b->buf, b->left);
  if (!b->codec) return WOK_OK;
  WOK__TRY(b->codec->open(b));
  b->opened = true;
  return WOK_OK;
}

wok_status wok__bytes_open(wok_ctx *c, wok__bytes **out, const char *path, const atomic_bool *stop) {
  *out = NULL;
  wok__bytes *b = wok__malloc((int64_t)sizeof *b);
  if (!b) return wok__nomem(c, (int64_t)sizeof *b);
  memset(b, 0, offsetof(wok__bytes, buf));
  b->c = c;
  b->standard = strcmp(path, "-") == 0;
  b->shown = b->standard ? "standard input" : path;
  b->stop = stop;
  b->fd = b->standard ? 0 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  struct stat st;
  wok_status s = WOK_OK;
  if (b->fd < 0 || fstat(b->fd, &st) != 0)
    s = wok__fail_errno(c, errno, "%s", b->shown);
  else if (S_ISDIR(st.st_mode))
    s = wok__fail(c, WOK_IO, "%s: is a directory: name the files in it", b->shown);
  if (s == WOK_OK) {
    b->pipe = !S_ISREG(st.st_mode);
    (void)posix_fadvise(b->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    s = open_codec(b);
  }
  if (s) {
    wok__bytes_close(b);
    return s;
  }
  *out = b;
  return WOK_OK;
}

static wok_status plain_run(wok__bytes *b, uint8_t *p, int64_t n, int64_t *got) {
  int64_t k = WOK__MIN(n, b->left);
  if (k > 0) memcpy(p, b->at, (size_t)k);
  used(b, k);
  WOK__TRY(read_raw(b, p + k, n - k, got));
  *got += k;
  b->ended = *got < n;
  return WOK_OK;
}

wok_status wok__bytes_read(wok__bytes *b, void *p, int64_t n, int64_t *got) {
  *got = 0;
  if (b->ended || n <= 0) return WOK_OK;
  return (b->codec ? b->codec->run : plain_run)(b, p, n, got);
}

int64_t wok__bytes_taken(const wok__bytes *b) { return b->taken; }
const char *wok__bytes_packing(const wok__bytes *b) { return b->codec ? b->codec->name : NULL; }

void wok__bytes_close(wok__bytes *b) {
  if (!b) return;
  if (b->opened) b->codec->close(b);
  if (b->fd >= 0 && !b->standard) (void)close(b->fd);
  wok__free(b);
}
