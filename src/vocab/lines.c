#include "vocab/lines.h"
#include "corpus/reader.h"

static wok_status each(wok__reader *r, wok__str *line, wok__task *task, wok_status (*fn)(void *ud, const char *line, int64_t n), void *ud) {
  for (;;) {
    wok__piece p;
    bool more;
    WOK__TRY(wok__reader_next(r, &p, &more));
    if (!more) return WOK_OK;
    if (p.first && p.last) {
      WOK__TRY(fn(ud, (const char *)p.p, p.n));
    } else {
      if (p.first) wok__str_clear(line);
      if (line->len + p.n > WOK__LINE) {
        WOK__TRY(fn(ud, line->p, line->len));
        wok__str_clear(line);
      }
      wok__str_add(line, p.p, p.n);
      if (line->failed) return wok__nomem(task->c, line->len + p.n);
      if (p.last) WOK__TRY(fn(ud, line->p, line->len));
    }
    WOK__TRY(wok__task_at(task, wok__reader_taken(r), NULL));
  }
}

wok_status wok__lines_each(wok_ctx *c, const char *const *files, int n, const char *what,
                           wok_status (*fn)(void *ud, const char *line, int64_t n), void *ud) {
  wok__inputs in;
  wok__reader *r;
  wok__reader_opts o = {.ahead = true};
  WOK__TRY(wok__inputs_find(c, &in, files, n, NULL));
  wok_status s = wok__reader_open(c, &r, &in, &o);
  if (s == WOK_OK) {
    wok__str line;
    wok__task task;
    wok__str_init(&line, 2 * (int64_t)WOK__LINE);
    wok__task_begin(&task, c, what, "bytes", in.bytes);
    s = each(r, &line, &task, fn, ud);
    if (s == WOK_OK) s = wok__task_end(&task, NULL);
    wok__str_free(&line);
    wok__reader_close(r);
  }
  wok__inputs_free(&in);
  return s;
}
