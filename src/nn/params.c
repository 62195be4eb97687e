/* The registry of parameters, and scopes that look into it. */
#include <string.h>
#include "graph/graph.h"
#include "nn/nn.h"

/* The values of one graph. It belongs to both sides, and either may go first. */
typedef struct values {
  wok__params *p; /* NULL: the parameters are gone */
  wok_graph *g;   /* NULL: the graph is gone */
  struct values *next;
  wok_val *value[]; /* one per parameter, NULL until asked for */
} values;

struct wok__params {
  wok_ctx *c;
  wok__arena *arena; /* names */
  wok__map *index;
  wok_param *list;
  wok__init *init;
  int64_t n, cap;
  bool open;
  wok_buffer *slab, *low;
  values *graphs;
};

wok_status wok__params_new(wok_ctx *c, wok__params **out) {
  *out = NULL;
  wok__params *p = wok__calloc(1, (int64_t)sizeof *p);
  if (!p) return wok__nomem(c, (int64_t)sizeof *p);
  *p = (wok__params){.c = c, .arena = wok__arena_new(0), .index = wok__map_new(), .open = true};
  if (!p->arena || !p->index) {
    wok__params_free(p);
    return wok__nomem(c, 1 << 16);
  }
  *out = p;
  return WOK_OK;
}

void wok__params_free(wok__params *p) {
  if (!p) return;
  for (values *v = p->graphs; v; v = v->next) v->p = NULL; /* freed with their graphs */
  wok__map_free(p->index);
  wok__arena_free(p->arena);
  wok__free(p->list);
  wok__free(p->init);
  wok__free(p);
}

int64_t wok__params_count(const wok__params *p) { return p->n; }
const wok_param *wok__params_list(const wok__params *p) { return p->list; }
void wok__params_bind(wok__params *p, wok_buffer *slab) { p->slab = slab; }
void wok__params_bind_low(wok__params *p, wok_buffer *low) { p->low = low; }

int64_t wok__params_find(const wok__params *p, const char *name) {
  int64_t i;
  if (!wok__map_get(p->index, name, (int64_t)strlen(name), &i)) return -1;
  return p->open ? i : p->n - 1 - i; /* the map keeps the order of use */
}

int64_t wok__params_elements(const wok__params *p) {
  int64_t sum = 0;
  for (int64_t i = 0; i < p->n; i++)
    if (!wok__add(sum, p->list[i].count, &sum)) return INT64_MAX;
  return sum;
}

void wok__params_close(wok__params *p) {
  for (int64_t i = 0, j = p->n - 1; i < j; i++, j--) {
    wok_param a = p->list[i];
    p->list[i] = p->list[j];
    p->list[j] = a;
    wok__init b = p->init[i];
    p->init[i] = p->init[j];
    p->init[j] = b;
  }
  int64_t offset = 0;
  for (int64_t i = 0; i < p->n; i++) {
    p->list[i].offset = offset;
    if (!wok__add(offset, p->list[i].count, &offset)) offset = INT64_MAX;
  }
  p->open = false;
}

void wok__params_fill(const wok__params *p, wok_dtype t, void *slab, uint64_t seed) {
  for (int64_t i = 0; i < p->n; i++) {
    const wok_param *q = &p->list[i];
    wok__init_fill(p->c, &p->init[i], q->fan_in, q->fan_out, seed, q->name, t,
                   (char *)slab + q->offset * wok_dtype_size(t), q->count);
  }
}

/* ---- values ---- */
static void forget_graph(void *arg) {
  values *v = arg;
  if (v->p)
    for (values **at = &v->p->graphs; *at; at = &(*at)->next)
      if (*at == v) {
        *at = v->next;
        break;
      }
  wok__free(v);
}

static values *values_of(wok__params *p, wok_graph *g) {
  for (values *v = p->graphs; v; v = v->next)
    if (v->g == g) return v;
  values *v = wok__calloc(1, (int64_t)sizeof *v + p->n * (int64_t)sizeof *v->value);
  if (!v) return NULL;
  v->p = p;
  v->g = g;
  if (!wok__arena_cleanup(wok__graph_arena(g), forget_graph, v)) {
    wok__free(v);
    return NULL;
  }
  v->next = p->graphs;
  p->graphs = v;
  return v;
}

wok_val *wok__params_value(wok__params *p, wok_graph *g, int64_t i, const char *as) {
  values *v = values_of(p, g);
  if (!v) return wok__poison(g, WOK_NOMEM, "out of memory");
  if (v->value[i]) return v->value[i];
  const wok_param *q = &p->list[i];
  bool low = p->low && q->shape.ndim > 1;
  wok_val *x = wok_load(g, low ? p->low : p->slab, q->offset, q->shape);
  return v->value[i] = wok_named(low ? wok_cast(x, p->slab->dtype) : x, as);
}

/* ---- scopes ---- */
void wok__scope_init(wok__scope *s, wok_graph *g, wok__params *p, wok_dtype t) {
  *s = (wok__scope){.g = g, .p = p, .dtype = t};
}

void wok__scope_push(wok__scope *s, const char *fmt, ...) {
  char part[32];
  va_list ap;
  va_start(ap, fmt);
  (void)wok__vsnprintf(part, (int64_t)sizeof part, fmt, ap);
  va_end(ap);
  s->len +=
      wok__snprintf(s->path + s->len, (int64_t)sizeof s->path - s->len, "%s%s", s->len ? "/" : "", part);
  s->len = WOK__MIN(s->len, (int64_t)sizeof s->path - 1);
  wok_scope_enter(s->g, "%s", part);
}

void wok__scope_pop(wok__scope *s) {
  const char *slash = strrchr(s->path, '/');
  s->len = slash ? slash - s->path : 0;
  s->path[s->len] = '\0';
  wok_scope_leave(s->g);
}

static bool grow(wok__params *p) {
  if (p->n < p->cap) return true;
  int64_t cap = p->cap ? 2 * p->cap : 64;
  wok_param *list = wok__realloc(p->list, cap * (int64_t)sizeof *list);
  if (list) p->list = list;
  wok__init *init = wok__realloc(p->init, cap * (int64_t)sizeof *init);
  if (init) p->init = init;
  if (!list || !init) return false;
  p->cap = cap;
  return true;
}

static wok_val *declare(wok__scope *s, const char *name, const wok__param_spec *spec) {
  wok__params *p = s->p;
  if (!wok__shape_ok(&spec->shape))
    return wok__poison(s->g, WOK_LIMIT, "parameter %s has an absurd size", name);
  char *kept = wok__arena_strdup(p->arena, name);
  if (!kept || !grow(p) || !wok__map_put(p->index, kept, (int64_t)strlen(kept), p->n))
    return wok__poison(s->g, WOK_NOMEM, "out of memory");
  p->init[p->n] = spec->init;
  p->list[p->n++] = (wok_param){.name = kept,
                                .role = spec->role,
                                .shape = spec->shape,
                                .count = wok__shape_count(&spec->shape),
                                .fan_in = spec->fan_in,
                                .fan_out = spec->fan_out};
  return wok__poison_of(s->g);
}

wok_val *wok__scope_param(wok__scope *s, const char *name, const wok__param_spec *spec) {
  char full[160];
  (void)wok__snprintf(full, (int64_t)sizeof full, "%s%s%s", s->path, s->len ? "/" : "", name);
  int64_t i = wok__params_find(s->p, full);
  if (i < 0 && s->p->open) return declare(s, full, spec);
  if (i < 0) return wok__poison(s->g, WOK_NOTFOUND, "the model has no parameter %s", full);
  const wok_param *q = &s->p->list[i];
  if (!wok__shape_eq(&q->shape, &spec->shape)) {
    char a[WOK__SHAPE_TEXT], b[WOK__SHAPE_TEXT];
    return wok__poison(s->g, WOK_SHAPE, "parameter %s is %s, not %s", full,
                       wok__shape_text(a, (int64_t)sizeof a, s->dtype, &q->shape),
                       wok__shape_text(b, (int64_t)sizeof b, s->dtype, &spec->shape));
  }
  return s->p->open ? wok__poison_of(s->g) : wok__params_value(s->p, s->g, i, name);
}
