/* base/status.c - the texts of the status codes, and the message of the last failure. */
#include <errno.h>
#include <locale.h>
#include <string.h>
#include "base/inside.h"

const char *wok_strerror(wok_status s) {
  switch (s) {
#define STATUS_CASE(name, number, text)                                                                      \
  case WOK_##name: return text;
    WOK_STATUS_TABLE(STATUS_CASE)
#undef STATUS_CASE
  }
  return "unknown status";
}

const char *wok_errmsg(const wok_ctx *c) { return c ? c->msg : ""; }

/* A message is one line whatever went into it: file names and JSON excerpts are the user's bytes, and a newline or an
   escape sequence in them must not forge a second line on a terminal or in a log. A cut never halves a UTF-8 character. */
static void one_line(char *z, bool cut) {
  size_t n = strlen(z);
  if (cut && n > 0) {
    size_t k = n;
    while (k > 0 && n - k < 3 && ((unsigned char)z[k - 1] & 0xc0u) == 0x80u) k--;
    if (k > 0) {
      unsigned char lead = (unsigned char)z[k - 1];
      size_t want = lead >= 0xf0u ? 4 : lead >= 0xe0u ? 3 : lead >= 0xc0u ? 2 : 1;
      if (n - (k - 1) < want) n = k - 1;
    }
    z[n] = '\0';
  }
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)z[i] < 0x20u || z[i] == 0x7f) z[i] = ' ';
}

static void format_line(char *buf, int64_t cap, const char *fmt, va_list ap) {
  int n = wok__vsnprintf(buf, cap, fmt, ap);
  if (n < 0) buf[0] = '\0';
  one_line(buf, n >= cap);
}

/* Messages are put together aside, because an argument may well be the message kept so far. */
static void keep(wok_ctx *c, const char *line) {
  if (c) memcpy(c->msg, line, strlen(line) + 1);
}

wok_status wok__fail(wok_ctx *c, wok_status s, const char *fmt, ...) {
  if (!c) return s;
  char line[WOK__MSG_BYTES];
  va_list ap;
  va_start(ap, fmt);
  format_line(line, (int64_t)sizeof line, fmt, ap);
  va_end(ap);
  keep(c, line);
  return s;
}

static wok_status status_of(int err) {
  switch (err) {
  case ENOSPC:
  case EDQUOT:
  case EFBIG: return WOK_NOSPACE; /* a file size limit stops a writer just as a full disk does */
  case ENOENT: return WOK_NOTFOUND;
  case ENOMEM: return WOK_NOMEM;
  default: return WOK_IO;
  }
}

/* errno's text in English and without shared buffers: strerror() may be translated and is not safe between threads. */
static void errno_text(int err, char *buf, int64_t cap) {
  if (err == ENOSPC) {
    (void)wok__snprintf(buf, cap, "no space left on the device");
    return;
  }
  locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (c_locale == (locale_t)0) {
    (void)wok__snprintf(buf, cap, "system error %d", err);
    return;
  }
  (void)wok__snprintf(buf, cap, "%s", strerror_l(err, c_locale));
  freelocale(c_locale);
  /* The text goes on a sentence: "No such file" becomes "no such file", "RPC ..." stays. */
  if (buf[0] >= 'A' && buf[0] <= 'Z' && !(buf[1] >= 'A' && buf[1] <= 'Z'))
    buf[0] = (char)(buf[0] - 'A' + 'a');
}

wok_status wok__fail_errno(wok_ctx *c, int err, const char *fmt, ...) {
  if (!c) return status_of(err);
  char line[WOK__MSG_BYTES], text[128], whole[WOK__MSG_BYTES];
  va_list ap;
  va_start(ap, fmt);
  format_line(line, (int64_t)sizeof line, fmt, ap);
  va_end(ap);
  errno_text(err, text, (int64_t)sizeof text);
  one_line(whole, wok__snprintf(whole, (int64_t)sizeof whole, "%s: %s", line, text) >= (int)sizeof whole);
  keep(c, whole);
  return status_of(err);
}

wok_status wok__nomem(wok_ctx *c, int64_t bytes) {
  if (bytes <= 0) return wok__fail(c, WOK_NOMEM, "out of memory");
  char size[32];
  wok__format_size(size, (int64_t)sizeof size, bytes);
  return wok__fail(c, WOK_NOMEM, "out of memory: %s could not be had", size);
}

wok_status wok__fail_prefix(wok_ctx *c, wok_status s, const char *fmt, ...) {
  if (!c) return s;
  char line[WOK__MSG_BYTES], whole[WOK__MSG_BYTES];
  va_list ap;
  va_start(ap, fmt);
  format_line(line, (int64_t)sizeof line, fmt, ap);
  va_end(ap);
  const char *old = c->msg[0] ? c->msg : wok_strerror(s);
  one_line(whole, wok__snprintf(whole, (int64_t)sizeof whole, "%s: %s", line, old) >= (int)sizeof whole);
  keep(c, whole);
  return s;
}

void wok__log(wok_ctx *c, int level, const char *fmt, ...) {
  if (!c || !c->opts.log) return;
  char line[WOK__MSG_BYTES];
  va_list ap;
  va_start(ap, fmt);
  format_line(line, (int64_t)sizeof line, fmt, ap);
  va_end(ap);
  c->opts.log(c->opts.log_ud, level, line);
}

void wok__fail_clear(wok_ctx *c) {
  if (c) c->msg[0] = '\0';
}
