/* train/history.c - reading log.jsonl back. */
#include <string.h>
#include "train/history.h"
#include "train/runlog.h"

enum { TAIL = 256 << 10, MOST_SAMPLES = 1000 };

double wok__line_number(const json_t *line, const char *key) { return json_number_value(json_object_get(line, key)); }
const char *wok__line_word(const json_t *line, const char *key) {
  const char *z = json_string_value(json_object_get(line, key));
  return z ? z : "";
}

static bool append(wok__rows *r, const void *row, int64_t size) {
  if (r->n == r->cap) {
    int64_t cap = r->cap ? r->cap * 2 : 256;
    char *p = wok__realloc(r->p, cap * size);
    if (!p) return false;
    r->p = p;
    r->cap = cap;
  }
  memcpy(r->p + r->n++ * size, row, (size_t)size);
  return true;
}

static void keep(json_t **slot, json_t *line) {
  json_decref(*slot);
  *slot = json_incref(line);
}

static bool add_step(wok__history *l, json_t *j) {
  wok__step_row s = {wok__line_number(j, "step"),      wok__line_number(j, "loss"),         wok__line_number(j, "bits"),
                     wok__line_number(j, "lr"),        wok__line_number(j, "grad_norm"),    wok__line_number(j, "tokens_per_s"),
                     wok__line_number(j, "seconds"),   wok__line_number(j, "tokens")};
  return append(&l->steps, &s, (int64_t)sizeof s);
}
static bool add_eval(wok__history *l, json_t *j) {
  wok__eval_row e = {wok__line_number(j, "step"), wok__line_number(j, "loss"), wok__line_number(j, "bits"), wok__line_number(j, "best_bits"),
                     wok__line_number(j, "tokens")};
  return append(&l->evals, &e, (int64_t)sizeof e);
}
static bool add_run(wok__history *l, json_t *j) {
  if (!l->run) keep(&l->run, j);
  return true;
}
static bool add_resume(wok__history *l, json_t *j) {
  l->resumes++;
  keep(&l->resume, j);
  keep(&l->end, NULL); /* it goes on */
  return true;
}
static bool add_baselines(wok__history *l, json_t *j) { return keep(&l->baselines, j), true; }
static bool add_end(wok__history *l, json_t *j) { return keep(&l->end, j), true; }
static bool add_sample(wok__history *l, json_t *j) {
  if (!l->samples) l->samples = json_array();
  return json_array_size(l->samples) >= MOST_SAMPLES || json_array_append(l->samples, j) == 0;
}

static const struct { const char *type; bool (*add)(wok__history *l, json_t *j); } types[] = {
    {"run", add_run},   {"resume", add_resume}, {"baselines", add_baselines}, {"step", add_step},
    {"eval", add_eval}, {"sample", add_sample}, {"end", add_end},
};

/* false: no memory */
static bool add_line(wok_ctx *c, wok__history *l, const char *p, int64_t n) {
  json_t *j;
  if (n == 0) return true;
  wok_status s = wok__json_parse(c, &j, p, n, WOK__LOG_NAME);
  if (s) {
    l->damaged++;
    wok__fail_clear(c);
    return s != WOK_NOMEM;
  }
  const char *type = wok__line_word(j, "type");
  bool ok = true;
  for (int64_t i = 0; i < WOK__COUNT(types); i++)
    if (strcmp(types[i].type, type) == 0) ok = types[i].add(l, j);
  json_decref(j);
  return ok;
}

/* The lines that begin in [from, to); the last one may lack its newline, when it is being written just now. */
static bool add_lines(wok_ctx *c, wok__history *l, const wok__map_file *f, int64_t from, int64_t to) {
  while (from < to) {
    const uint8_t *end = memchr(f->p + from, '\n', (size_t)(f->size - from));
    int64_t n = (end ? end - f->p : f->size) - from;
    if (!add_line(c, l, (const char *)f->p + from, n)) return false;
    from += n + 1;
  }
  return true;
}

static wok_status read_mapped(wok_ctx *c, wok__history *l, const wok__map_file *f, const char *path, bool ends) {
  bool ok;
  if (!ends || f->size <= INT64_C(2) * TAIL) {
    ok = add_lines(c, l, f, 0, f->size);
  } else {
    int64_t from = f->size - TAIL;
    const uint8_t *line = memchr(f->p + from, '\n', TAIL);
    ok = add_lines(c, l, f, 0, 1) && add_lines(c, l, f, line ? line - f->p + 1 : f->size, f->size);
  }
  if (!ok) return wok__nomem(c, f->size);
  return l->run ? WOK_OK : wok__fail(c, WOK_FORMAT, "%s: no line of it says what run this is", path);
}

static wok_status read_log(wok_ctx *c, wok__history *l, const char *run_dir, bool ends) {
  wok__map_file f;
  wok__arena *a = wok__arena_new(1024);
  char *path = a ? wok__path_join(a, run_dir, WOK__LOG_NAME) : NULL;
  *l = (wok__history){0};
  wok_status s = path ? wok__mmap_open(c, &f, path) : wok__nomem(c, 1024);
  if (s == WOK_NOTFOUND) s = wok__fail(c, s, "%s is no run: it has no " WOK__LOG_NAME, run_dir);
  else if (s == WOK_OK) {
    s = read_mapped(c, l, &f, path, ends);
    wok__mmap_close(&f);
  }
  wok__arena_free(a);
  if (s) wok__history_free(l);
  return s;
}

wok_status wok__history_read(wok_ctx *c, wok__history *l, const char *run_dir) { return read_log(c, l, run_dir, false); }
wok_status wok__history_ends(wok_ctx *c, wok__history *l, const char *run_dir) { return read_log(c, l, run_dir, true); }

void wok__history_free(wok__history *l) {
  json_decref(l->run);
  json_decref(l->baselines);
  json_decref(l->end);
  json_decref(l->resume);
  json_decref(l->samples);
  wok__free(l->steps.p);
  wok__free(l->evals.p);
  *l = (wok__history){0};
}
