/* Initial values: number i of a parameter is a function of the seed, the parameter's name and i, so neither the order in which
   parameters are made nor the threads that fill them matter, and adding a layer changes no other. */
#include <math.h>
#include <string.h>
#include "nn/nn.h"

static const double pi = 3.14159265358979323846;

static double density(double x) { return exp(-0.5 * x * x) / sqrt(2 * pi); }
static double lower_tail(double x) { return 0.5 * erfc(-x * sqrt(0.5)); }

double wok__truncation_gain(double c) { return 1 - 2 * c * density(c) / (1 - 2 * lower_tail(-c)); }

/* Winitzki's approximation of the inverse error function (relative error 2e-3), then Halley's method: each step triples the
   number of correct digits. Works on the lower half, where the tail has full relative precision. */
double wok__normal_quantile(double p) {
  double q = p < 0.5 ? p : 1 - p;
  if (q >= 0.5) return 0;
  const double a = 0.147;
  double l = log(4 * q * (1 - q)), b = 2 / (pi * a) + l / 2; /* 1 - erf^2 = 4 q (1 - q) */
  double x = -sqrt(2 * (sqrt(b * b - l / a) - b));
  for (int i = 0; i < 2; i++) {
    double e = (lower_tail(x) - q) / density(x);
    x -= e / (1 + x * e / 2);
  }
  return p < 0.5 ? x : -x;
}

static double fan_of(wok__fan f, double in, double out) {
  switch (f) {
  case WOK__FAN_IN: return in;
  case WOK__FAN_OUT: return out;
  case WOK__FAN_MEAN: return (in + out) / 2;
  case WOK__FAN_GEOMETRIC: return sqrt(in * out);
  case WOK__FAN_NONE: break;
  }
  return 1;
}

static double cut_of(const wok__init *i) { return i->cut > 0 ? i->cut : 2; }

double wok__init_std(const wok__init *i, int64_t fan_in, int64_t fan_out) {
  if (i->dist == WOK__DIST_CONSTANT) return 0;
  double std = i->value / sqrt(fan_of(i->fan, (double)fan_in, (double)fan_out));
  bool shrinks = i->dist == WOK__DIST_TRUNCATED && i->nominal;
  return shrinks ? std * sqrt(wok__truncation_gain(cut_of(i))) : std;
}

/* ---- filling ---- */
enum { TILE = 1 << 16 };
typedef struct fill {
  wok__dist dist;
  double scale;           /* of the standard variate */
  double cut, low, width; /* truncated: probabilities drawn from [low, low + width] */
  uint64_t key;
  wok_dtype type;
  void *data;
  int64_t n;
} fill;

/* Two numbers in (0, 1) for elements 2b and 2b + 1. "WOK3" keeps this use of the seed apart from the others. */
static void draw(const fill *f, int64_t block, uint32_t attempt, double u[2]) {
  const uint32_t ctr[4] = {(uint32_t)block, (uint32_t)((uint64_t)block >> 32), attempt, 0x574f4b33u};
  const uint32_t key[2] = {(uint32_t)f->key, (uint32_t)(f->key >> 32)};
  uint32_t r[4];
  wok__philox(ctr, key, r);
  for (int64_t i = 0; i < 2; i++) {
    uint64_t k = ((uint64_t)r[2 * i + 1] << 32 | r[2 * i]) >> 12;
    u[i] = ((double)k + 0.5) * 0x1p-52;
  }
}

/* Marsaglia's polar method, twice as fast as Box and Muller's sine and cosine. What it rejects it draws again under the next
   number of attempt, so the result still depends on the block alone. */
static void normal_pair(const fill *f, int64_t block, double x[2]) {
  double s = 0;
  for (uint32_t attempt = 0; s == 0 || s >= 1; attempt++) {
    draw(f, block, attempt, x);
    x[0] = 2 * x[0] - 1;
    x[1] = 2 * x[1] - 1;
    s = x[0] * x[0] + x[1] * x[1];
  }
  s = sqrt(-2 * log(s) / s);
  x[0] *= s;
  x[1] *= s;
}

static void standard_pair(const fill *f, int64_t block, double x[2]) {
  switch (f->dist) {
  case WOK__DIST_NORMAL: normal_pair(f, block, x); return;
  case WOK__DIST_TRUNCATED:
    draw(f, block, 0, x);
    for (int i = 0; i < 2; i++) {
      double z = wok__normal_quantile(f->low + x[i] * f->width);
      x[i] = fmax(-f->cut, fmin(f->cut, z));
    }
    return;
  case WOK__DIST_UNIFORM:
    draw(f, block, 0, x);
    for (int i = 0; i < 2; i++) x[i] = (2 * x[i] - 1) * sqrt(3.0);
    return;
  case WOK__DIST_CONSTANT: break;
  }
  x[0] = x[1] = 1;
}

static void put(const fill *f, int64_t i, double v) {
  if (f->type == WOK_F64)
    ((double *)f->data)[i] = v;
  else
    ((float *)f->data)[i] = (float)v;
}

static void fill_tile(void *arg, int64_t tile, int worker) {
  (void)worker;
  const fill *f = arg;
  int64_t end = WOK__MIN(f->n, (tile + 1) * TILE);
  for (int64_t i = tile * TILE; i < end; i += 2) {
    double x[2];
    standard_pair(f, i / 2, x);
    put(f, i, f->scale * x[0]);
    if (i + 1 < end) put(f, i + 1, f->scale * x[1]);
  }
}

void wok__init_fill(wok_ctx *c, const wok__init *i, int64_t fan_in, int64_t fan_out, uint64_t seed,
                    const char *name, wok_dtype t, void *data, int64_t n) {
  fill f = {.dist = i->dist, .scale = wok__init_std(i, fan_in, fan_out), .type = t, .data = data, .n = n};
  f.key = wok__hash64(name, (int64_t)strlen(name), seed);
  if (i->dist == WOK__DIST_CONSTANT) f.scale = i->value;
  if (i->dist == WOK__DIST_TRUNCATED) {
    f.cut = cut_of(i);
    f.scale /= sqrt(wok__truncation_gain(f.cut));
    f.low = lower_tail(-f.cut);
    f.width = 1 - 2 * f.low;
  }
  wok__pool_run(c, fill_tile, &f, (n + TILE - 1) / TILE);
}
