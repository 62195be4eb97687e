/* Post-processors: which special tokens stand around one text or a pair. */
#include <string.h>
#include "text/pipe.h"

typedef struct slots { wok_ctx *c; const char *where; wok__template *t; } slots;

static wok_status add(slots *s, wok__part part, int32_t id, int32_t type) {
  wok__slot *p = wok__realloc(s->t->slot, (s->t->n + 1) * (int64_t)sizeof *p);
  if (!p) return wok__nomem(s->c, (s->t->n + 1) * (int64_t)sizeof *p);
  s->t->slot = p;
  p[s->t->n++] = (wok__slot){part, id, type};
  return WOK_OK;
}

/* {"SpecialToken": {"id": name, "type_id": n}} or {"Sequence": {"id": "A", "type_id": n}} */
static wok_status read_slot(slots *s, const json_t *j, const json_t *tokens) {
  const json_t *special = json_object_get(j, "SpecialToken"), *of = special ? special : json_object_get(j, "Sequence");
  const char *name;
  int64_t type = 0;
  if (!json_is_object(of)) return wok__fail(s->c, WOK_FORMAT, "%s: a template's part is neither SpecialToken nor Sequence", s->where);
  WOK__TRY(wok__json_str(s->c, of, s->where, "id", &name));
  WOK__TRY(wok__json_int_opt(s->c, of, s->where, "type_id", 0, INT32_MAX, &type));
  if (!special) {
    if (strcmp(name, "A") != 0 && strcmp(name, "B") != 0) return wok__step_unknown(s->c, s->where, "Sequence", name);
    return add(s, name[0] == 'A' ? WOK__PART_A : WOK__PART_B, -1, (int32_t)type);
  }
  const json_t *ids = json_object_get(json_object_get(tokens, name), "ids");
  if (!json_array_size(ids)) return wok__fail(s->c, WOK_FORMAT, "%s: the special token %.60s has no ids", s->where, name);
  for (size_t i = 0; i < json_array_size(ids); i++) {
    const json_t *id = json_array_get(ids, i);
    if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT32_MAX)
      return wok__fail(s->c, WOK_FORMAT, "%s: the special token %.60s has an id that is none", s->where, name);
    WOK__TRY(add(s, WOK__PART_TOKEN, (int32_t)json_integer_value(id), (int32_t)type));
  }
  return WOK_OK;
}

static wok_status read_template(wok_ctx *c, const char *where, const json_t *j, wok__pipe *p) {
  static const char *const keys[] = {"single", "pair"};
  wok__template *const to[] = {&p->one, &p->two};
  for (int k = 0; k < 2; k++) {
    const json_t *list = json_object_get(j, keys[k]);
    if (!json_is_array(list)) return wok__fail(c, WOK_FORMAT, "%s: the template has no list %s", where, keys[k]);
    slots s = {c, where, to[k]};
    for (size_t i = 0; i < json_array_size(list); i++) WOK__TRY(read_slot(&s, json_array_get(list, i), json_object_get(j, "special_tokens")));
  }
  return WOK_OK;
}

/* ["[SEP]", 102] */
static wok_status token_of(wok_ctx *c, const char *where, const json_t *j, const char *key, int32_t *id) {
  const json_t *v = json_array_get(json_object_get(j, key), 1);
  if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > INT32_MAX)
    return wok__fail(c, WOK_FORMAT, "%s: %s of the post_processor is not [token, id]", where, key);
  *id = (int32_t)json_integer_value(v);
  return WOK_OK;
}

/* cls A sep, cls A sep (sep) B sep */
static wok_status read_bert(wok_ctx *c, const char *where, const json_t *j, wok__pipe *p, bool roberta) {
  int32_t cls, sep, b = !roberta;
  WOK__TRY(token_of(c, where, j, "cls", &cls));
  WOK__TRY(token_of(c, where, j, "sep", &sep));
  slots one = {c, where, &p->one}, two = {c, where, &p->two};
  WOK__TRY(add(&one, WOK__PART_TOKEN, cls, 0));
  WOK__TRY(add(&one, WOK__PART_A, -1, 0));
  WOK__TRY(add(&one, WOK__PART_TOKEN, sep, 0));
  WOK__TRY(add(&two, WOK__PART_TOKEN, cls, 0));
  WOK__TRY(add(&two, WOK__PART_A, -1, 0));
  WOK__TRY(add(&two, WOK__PART_TOKEN, sep, 0));
  if (roberta) WOK__TRY(add(&two, WOK__PART_TOKEN, sep, 0));
  WOK__TRY(add(&two, WOK__PART_B, -1, b));
  return add(&two, WOK__PART_TOKEN, sep, b);
}

static wok_status read_one(wok_ctx *c, const char *where, const json_t *j, wok__pipe *p, int depth) {
  if (!j || json_is_null(j)) return WOK_OK;
  const char *type = json_string_value(json_object_get(j, "type"));
  if (!type) return wok__step_unknown(c, where, "post_processor", "");
  if (strcmp(type, "Sequence") == 0) {
    const json_t *list = json_object_get(j, "processors");
    if (!json_is_array(list) || depth > 8) return wok__fail(c, WOK_FORMAT, "%s: the Sequence of the post_processor has no list processors", where);
    for (size_t i = 0; i < json_array_size(list); i++) WOK__TRY(read_one(c, where, json_array_get(list, i), p, depth + 1));
    return WOK_OK;
  }
  bool roberta = strcmp(type, "RobertaProcessing") == 0, trim = true;
  if (roberta || strcmp(type, "ByteLevel") == 0) {
    WOK__TRY(wok__json_bool_opt(c, j, where, "trim_offsets", &trim));
    p->trim = p->trim || trim;
    if (!roberta) return WOK_OK;
  }
  bool template = strcmp(type, "TemplateProcessing") == 0;
  if (!template && !roberta && strcmp(type, "BertProcessing") != 0) return wok__step_unknown(c, where, "post_processor", type);
  if (p->one.n) return wok__fail(c, WOK_UNSUPPORTED, "%s: two post_processors that add tokens are not known to this version", where);
  return template ? read_template(c, where, j, p) : read_bert(c, where, j, p, roberta);
}

static int64_t extra(const wok__template *t) {
  int64_t n = 0;
  for (int64_t i = 0; i < t->n; i++) n += t->slot[i].part == WOK__PART_TOKEN;
  return n;
}

wok_status wok__post_read(wok_ctx *c, const char *where, const json_t *j, wok__pipe *p) {
  WOK__TRY(read_one(c, where, j, p, 0));
  slots one = {c, where, &p->one}, two = {c, where, &p->two};
  if (!p->one.n) WOK__TRY(add(&one, WOK__PART_A, -1, 0));
  if (!p->two.n) {
    WOK__TRY(add(&two, WOK__PART_A, -1, 0));
    WOK__TRY(add(&two, WOK__PART_B, -1, 1));
  }
  p->one_extra = extra(&p->one);
  p->two_extra = extra(&p->two);
  for (int64_t i = 0; i < p->one.n + p->two.n; i++) {
    const wok__slot *s = i < p->one.n ? &p->one.slot[i] : &p->two.slot[i - p->one.n];
    if (s->part == WOK__PART_TOKEN && s->id >= p->vocab.n)
      return wok__fail(c, WOK_FORMAT, "%s: the post_processor adds the id %d, which the vocabulary has not", where, (int)s->id);
  }
  return WOK_OK;
}
