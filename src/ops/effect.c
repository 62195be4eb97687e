/* State: external buffers read (load) and written (store, accumulate, store_rows). Effects have no VJP: a gradient does not
   pass through memory (wok_grad says so). */
#include "ops/primitive.h"

static wok__attr_range range_of(wok_buffer *b, int64_t offset, wok_shape s) {
  return (wok__attr_range){.at = {b, offset}, .result = wok__result(b ? b->dtype : WOK_F32, s)};
}

/* The range [offset, offset + count(s)) lies inside the buffer. */
static bool infer_range(wok__node *n, const wok__attr_buffer *at, const wok_shape *s) {
  if (!at->buffer) return wok__node_fail(n, "there is no buffer");
  if (!wok__shape_ok(s))
    return wok__node_fail(n, "a shape has up to %d sizes, none negative, with a product below 2^56",
                          WOK_MAX_DIMS);
  int64_t count = wok__shape_count(s), end;
  if (at->offset >= 0 && wok__add(at->offset, count, &end) && end <= at->buffer->count) return true;
  return wok__node_fail(n, "%lld elements from %lld on do not lie in buffer %s of %lld", (long long)count,
                        (long long)at->offset, at->buffer->name, (long long)at->buffer->count);
}

static bool infer_holds(wok__node *n, const wok_buffer *b, const wok_val *v) {
  if (v->dtype == b->dtype) return true;
  return wok__node_fail(n, "buffer %s holds %s (v %s)", b->name, wok_dtype_name(b->dtype), WOK__TEXT(v));
}

/* Buffers of the test cases live in the graph. */
static wok_buffer *case_buffer(wok_graph *g, wok_dtype t, int64_t count) {
  wok__arena *a = wok__graph_arena(g);
  wok_buffer *b = wok__new(a, wok_buffer, 1);
  void *data = wok__arena_alloc(a, count * wok_dtype_size(t), 64);
  if (!b || !data) return NULL;
  *b = (wok_buffer){.name = "case", .dtype = t, .count = count, .data = data};
  for (int64_t i = 0; i < count; i++) {
    if (t == WOK_F32) ((float *)data)[i] = (float)(i % 7) - 2.5F;
    if (t == WOK_F64) ((double *)data)[i] = (double)(i % 7) - 2.5;
  }
  return b;
}

/* ---- load ---- */
wok_val *wok_load(wok_graph *g, wok_buffer *b, int64_t offset, wok_shape s) {
  wok__attr_range a = range_of(b, offset, s);
  return wok__emit(g, WOK__OP_load, NULL, 0, &a, NULL);
}

static bool infer_load(wok__node *n) {
  const wok__attr_range *a = n->attr;
  wok_shape s = wok__result_shape(&a->result);
  if (!infer_range(n, &a->at, &s)) return false;
  wok__out(n, 0, a->at.buffer->dtype, s);
  return true;
}

static int build_load(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = wok_mul(in[0], wok_load(g, case_buffer(g, in[0]->dtype, 20), 2, in[0]->shape));
  return 1;
}
static const wok__op_case load_cases[] = {
    {.inputs = "f[3,6]",
     .build = build_load,
     .bad = "f[19]",
     .message = "19 elements from 2 on do not lie in buffer case of 20"},
    {.inputs = "f[]", .build = build_load},
    {.inputs = "f[0]", .build = build_load},
};

const wok__op wok__op_load = {
    .id = WOK__OP_load,
    .name = "load",
    .nout = 1,
    .attr_size = sizeof(wok__attr_range),
    .infer = infer_load,
    .vjp = wok__vjp_none,
    WOK__CASES(load_cases),
    .doc = "A range of an external buffer, as it is when the run begins.",
};

/* ---- store, accumulate ---- */
wok_val *wok_store(wok_buffer *b, int64_t offset, wok_val *v) {
  return wok__unary(WOK__OP_store, v, &(wok__attr_buffer){b, offset});
}
wok_val *wok_accumulate(wok_buffer *b, int64_t offset, wok_val *v) {
  return wok__unary(WOK__OP_accumulate, v, &(wok__attr_buffer){b, offset});
}

static bool infer_store(wok__node *n) {
  const wok__attr_buffer *a = n->attr;
  if (!infer_range(n, a, &n->in[0]->shape) || !infer_holds(n, a->buffer, n->in[0])) return false;
  wok__out(n, 0, a->buffer->dtype, n->in[0]->shape);
  return true;
}

static bool infer_accumulate(wok__node *n) {
  if (!infer_store(n)) return false;
  if (wok__type_in(n->out[0].dtype, WOK__NUMBERS)) return true;
  return wok__node_fail(n, "adds f32, f64, i32 or i64 (v %s)", WOK__TEXT(n->in[0]));
}

static int build_store_bool(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = wok_store(case_buffer(g, WOK_BOOL, 20), 3, in[0]);
  return 1;
}
static int build_store(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = wok_store(case_buffer(g, in[0]->dtype, 20), 0, in[0]);
  return 1;
}
static int build_accumulate(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = wok_accumulate(case_buffer(g, in[0]->dtype, 20), 3, in[0]);
  return 1;
}
static const wok__op_case store_cases[] = {
    {.inputs = "f[3,5]",
     .build = build_store,
     .bad = "f[3,7]",
     .message = "21 elements from 0 on do not lie in buffer case of 20"},
    {.inputs = "b[17]", .build = build_store_bool, .bad = "f[17]", .message = "buffer case holds bool"},
    {.inputs = "f[]", .build = build_store},
};
static const wok__op_case accumulate_cases[] = {
    {.inputs = "f[3,5]",
     .build = build_accumulate,
     .bad = "f[3,6]",
     .message = "18 elements from 3 on do not lie in buffer case of 20"},
    {.inputs = "f[1]", .build = build_accumulate, .bad = "b[4]", .message = "adds f32, f64, i32 or i64"},
    {.inputs = "f[]", .build = build_accumulate},
};

const wok__op wok__op_store = {
    .id = WOK__OP_store,
    .name = "store",
    .min_in = 1,
    .max_in = 1,
    .nout = 1,
    .attr_size = sizeof(wok__attr_buffer),
    .flags = WOK__OP_EFFECT,
    .infer = infer_store,
    WOK__CASES(store_cases),
    .doc = "A range of an external buffer becomes the value.",
};

const wok__op wok__op_accumulate = {
    .id = WOK__OP_accumulate,
    .name = "accumulate",
    .min_in = 1,
    .max_in = 1,
    .nout = 1,
    .attr_size = sizeof(wok__attr_buffer),
    .flags = WOK__OP_EFFECT,
    .infer = infer_accumulate,
    WOK__CASES(accumulate_cases),
    .doc = "The value is added to a range of an external buffer.",
};

/* ---- store_rows ---- */
wok_val *wok_store_rows(wok_buffer *b, int64_t offset, wok_shape s, wok_val *idx, wok_val *v) {
  wok__attr_range a = range_of(b, offset, s);
  return wok__emit(v->g, WOK__OP_store_rows, (wok_val *[]){idx, v}, 2, &a, NULL);
}

static bool infer_store_rows(wok__node *n) {
  const wok__attr_range *a = n->attr;
  const wok_val *idx = n->in[0], *v = n->in[1];
  wok_shape s = wok__result_shape(&a->result), want = s;
  if (!infer_range(n, &a->at, &s) || !infer_holds(n, a->at.buffer, v)) return false;
  if (s.ndim < 1) return wok__node_fail(n, "a scalar has no rows");
  if (idx->dtype != WOK_I32 || idx->shape.ndim != 1)
    return wok__node_fail(n, "the index is i32[n] (idx %s)", WOK__TEXT(idx));
  want.dim[0] = idx->shape.dim[0];
  if (!wok__shape_eq(&want, &v->shape)) {
    wok_val w = {.dtype = v->dtype, .shape = want};
    return wok__node_fail(n, "rows are %s, not %s", WOK__TEXT(&w), WOK__TEXT(v));
  }
  wok__out(n, 0, a->at.buffer->dtype, s);
  return true;
}

static int build_store_rows(wok_graph *g, wok_val *const *in, wok_val **out) {
  wok_shape s = in[1]->shape;
  s.dim[0] = 6;
  out[0] = wok_store_rows(case_buffer(g, in[1]->dtype, 80), 1, s, in[0], in[1]);
  return 1;
}
static const wok__op_case store_rows_cases[] = {
    {.inputs = "i<6[3] f[3,5]", .build = build_store_rows, .bad = "i<6[3] f[2,5]", .message = "rows are"},
    {.inputs = "i<8[7] f[7,2,3]",
     .build = build_store_rows,
     .bad = "f[3] f[3,5]",
     .message = "the index is i32[n]"},
    {.inputs = "i<6[1] f[1]",
     .build = build_store_rows,
     .bad = "i<6[3] f[3,17]",
     .message = "do not lie in buffer case of 80"},
    {.inputs = "i<6[0] f[0,5]", .build = build_store_rows},
};

const wok__op wok__op_store_rows = {
    .id = WOK__OP_store_rows,
    .name = "store_rows",
    .min_in = 2,
    .max_in = 2,
    .nout = 1,
    .attr_size = sizeof(wok__attr_range),
    .flags = WOK__OP_EFFECT,
    .infer = infer_store_rows,
    WOK__CASES(store_rows_cases),
    .doc = "Rows of a range of an external buffer are replaced; all rows are the result.",
};
