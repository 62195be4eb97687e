/* One text through the pipeline. */
#include <string.h>
#include "text/pipe.h"

bool wok__run_normalizers(const wok__pipe *p, wok__enc *e) {
  for (int64_t i = 0; i < p->normalizers.n; i++)
    if (!p->normalizers.p[i].kind->run(&p->normalizers.p[i], e)) return false;
  return true;
}

/* What is no UTF-8 is dropped or replaced before anything looks at it. */
static bool repair(const wok__pipe *p, wok__enc *e) {
  const wok__view v = e->view;
  int cut;
  if (p->bad == WOK__BAD_KEEP || wok__utf8_valid(v.p, v.n, &cut) == v.n) return true;
  wok__buffer *o = wok__enc_out(e, v.n + 16);
  if (!o) return false;
  for (int64_t i = 0; i < v.n;) {
    uint32_t cp;
    int k = wok__next(v.p + i, v.n - i, &cp);
    bool bad = cp >= WOK__BAD_BYTE;
    if (bad ? p->bad == WOK__BAD_REPLACE && !wok__put(e, o, "\xef\xbf\xbd", 3, i, i + 1) : !wok__put_same(e, o, i, i + k)) return false;
    i += k;
  }
  wok__enc_use(e, o);
  return true;
}

/* The view holds normalised text without added tokens. */
static bool split_and_model(const wok__pipe *p, wok__enc *e) {
  const wok__model *m = p->model;
  if (e->view.n == 0) return true;
  if (p->pre.n == 0) return m->kind->encode(m, e, 0, e->view.n);
  if (p->pre.n == 1 && p->pre.p[0].kind->next) { /* no list of pieces is needed */
    const wok__step *s = &p->pre.p[0];
    int64_t i = 0;
    wok__span x;
    while (s->kind->next(s, e->view.p, e->view.n, &i, &x))
      if (!m->kind->encode(m, e, x.a, x.b)) return false;
    return true;
  }
  e->split.n = 0;
  if (!wok__spans_add(e, &e->split, 0, e->view.n)) return false;
  for (int64_t i = 0; i < p->pre.n; i++)
    if (!p->pre.p[i].kind->run(&p->pre.p[i], e)) return false;
  for (int64_t i = 0; i < e->split.n; i++)
    if (e->split.p[i].a < e->split.p[i].b && !m->kind->encode(m, e, e->split.p[i].a, e->split.p[i].b)) return false;
  return true;
}

static wok__view part_of(const wok__view *v, int64_t a, int64_t b) {
  return (wok__view){v->p + a, b - a, v->from ? v->from + a : NULL, v->base + a};
}

static bool section(const wok__pipe *p, wok__enc *e, wok__view v, bool plain) {
  e->view = v;
  if (!repair(p, e) || !wok__run_normalizers(p, e)) return false;
  const wok__finds *f = plain ? &p->normal_plain : &p->normal;
  if (!f->any) return split_and_model(p, e);
  /* the parts are worked on in turn, and the buffers belong to them: what is normalised moves out of the way */
  wok__buffer keep = {0};
  wok__view whole = e->view;
  for (int k = 0; k < 2; k++) {
    wok__buffer *b = &e->buffer[k];
    if (!b->p || whole.p < b->p || whole.p > b->p + b->cap) continue;
    keep = *b;
    *b = e->scratch;
    e->scratch = (wok__buffer){0};
    break;
  }
  const wok__added *a;
  wok__span m;
  int64_t at = 0;
  bool ok = true;
  while (ok && wok__added_find(p, f, &whole, at, &a, &m)) {
    e->view = part_of(&whole, at, m.a);
    ok = split_and_model(p, e);
    e->view = whole;
    ok = ok && wok__tok_add(e, a->id, m.a, m.b);
    at = m.b;
  }
  if (ok) {
    e->view = part_of(&whole, at, whole.n);
    ok = split_and_model(p, e);
  }
  if (keep.p) e->scratch = keep;
  return ok;
}

bool wok__pipe_encode(const wok__pipe *p, wok__enc *e, const uint8_t *text, int64_t n, bool plain) {
  plain = plain || p->text_is_text;
  const wok__finds *f = plain ? &p->raw_plain : &p->raw;
  wok__view whole = {text, n, NULL, 0};
  const wok__added *a;
  wok__span m;
  int64_t at = 0;
  while (wok__added_find(p, f, &whole, at, &a, &m)) {
    if (m.a > at && !section(p, e, part_of(&whole, at, m.a), plain)) return false;
    e->view = whole;
    if (!wok__tok_add(e, a->id, m.a, m.b)) return false;
    at = m.b;
  }
  return at >= n || section(p, e, part_of(&whole, at, n), plain);
}
