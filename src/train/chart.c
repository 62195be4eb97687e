/* train/chart.c - line charts as inline SVG. */
#include <math.h>
#include <string.h>
#include "train/chart.h"

enum { MOST_TICKS = 24, LINE_HEIGHT = 14, FOOT = 26, HEAD = 10 };

typedef struct axis {
  double lo, hi; /* of the data; logarithms on a logarithmic axis */
  double from, to; /* on the paper */
  bool log;
  double tick[MOST_TICKS];
  int nticks;
} axis;

void wok__html_text(wok__str *out, const char *z) {
  for (const char *p = z; *p; p++) {
    switch (*p) {
    case '&': wok__str_puts(out, "&amp;"); break;
    case '<': wok__str_puts(out, "&lt;"); break;
    case '>': wok__str_puts(out, "&gt;"); break;
    case '"': wok__str_puts(out, "&quot;"); break;
    case '\'': wok__str_puts(out, "&#39;"); break;
    default:
      if ((unsigned char)*p < 0x20 && *p != '\n' && *p != '\t') wok__str_puts(out, "\xef\xbf\xbd");
      else wok__str_add(out, p, 1);
    }
  }
}

void wok__chart_number(char *buf, int64_t cap, double v) {
  if (v >= 1e4 || v <= -1e4) {
    /* 20000 -> 20k: only where nothing is lost */
    double k = fabs(v) >= 1e6 ? 1e6 : 1e3;
    if (v / k == floor(v / k * 10) / 10) {
      (void)wok__snprintf(buf, cap, "%.4g%c", v / k, k > 1e5 ? 'M' : 'k');
      return;
    }
  }
  (void)wok__snprintf(buf, cap, "%.4g", v);
}

static bool shown(const axis *a, double v) { return isfinite(v) && (!a->log || v > 0); }
static double place(const axis *a, double v) {
  double x = a->log ? log(v) : v;
  return a->from + (a->to - a->from) * (x - a->lo) / (a->hi - a->lo);
}

static void reach(axis *a, double v) {
  if (!shown(a, v)) return;
  double x = a->log ? log(v) : v;
  a->lo = fmin(a->lo, x);
  a->hi = fmax(a->hi, x);
}

/* ---- ticks ---- */
static void add_tick(axis *a, double v) {
  double x = a->log ? log(v) : v, slack = 1e-9 * (a->hi - a->lo);
  if (a->nticks < MOST_TICKS && x >= a->lo - slack && x <= a->hi + slack) a->tick[a->nticks++] = v;
}

static void linear_ticks(axis *a, int most) {
  double raw = (a->hi - a->lo) / most, unit = pow(10, floor(log10(raw)));
  static const double steps[] = {1, 2, 2.5, 5, 10};
  double step = 10 * unit;
  for (int i = 4; i >= 0; i--)
    if (steps[i] * unit >= raw * (1 - 1e-9)) step = steps[i] * unit;
  a->nticks = 0;
  const double first = ceil(a->lo / step - 1e-9), last = a->hi * (1 + 1e-12) + step * 1e-9;
  for (int i = 0; i <= MOST_TICKS && (first + i) * step <= last && a->nticks < MOST_TICKS; i++)
    add_tick(a, first + i == 0 ? 0 : (first + i) * step);
}

/* The densest of these that is not too dense; more than six decades get every so many. */
static void log_ticks(axis *a, int most) {
  static const double dense[] = {1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9}, half[] = {1, 1.5, 2, 3, 4, 5, 6, 8}, few[] = {1, 2, 5},
                      one[] = {1};
  static const struct { const double *m; int n; } sets[] = {{dense, 15}, {half, 8}, {few, 3}, {one, 1}};
  int first = (int)floor(a->lo / M_LN10), last = (int)ceil(a->hi / M_LN10);
  for (int s = 0; s < 4; s++) {
    int every = s == 3 ? WOK__MAX(1, (last - first + most - 1) / most) : 1;
    a->nticks = 0;
    for (int d = first; d <= last; d += every)
      for (int i = 0; i < sets[s].n; i++) add_tick(a, sets[s].m[i] * pow(10, d));
    if (a->nticks <= most) break;
  }
  if (a->nticks < 2) { /* too narrow for round numbers of that kind */
    axis plain = *a;
    plain.log = false;
    plain.lo = exp(a->lo);
    plain.hi = exp(a->hi);
    linear_ticks(&plain, most);
    memcpy(a->tick, plain.tick, sizeof a->tick);
    a->nticks = plain.nticks;
  }
}

static void finish_axis(axis *a, int most, double margin) {
  if (!(a->hi >= a->lo)) a->lo = 0, a->hi = 1;
  double width = a->hi - a->lo;
  if (width <= 0) width = fabs(a->hi) > 0 ? fabs(a->hi) * 0.1 : 1;
  if (a->hi == a->lo || margin > 0) {
    double m = a->hi == a->lo ? 0.5 * width : margin * width;
    a->lo -= m;
    a->hi += m;
  }
  if (a->log) log_ticks(a, most);
  else linear_ticks(a, most);
}

/* ---- pieces ---- */
static void point(wok__str *s, char how, double x, double y) { wok__str_printf(s, "%c%.1f %.1f", how, x, y); }

static void path(wok__str *s, const axis *x, const axis *y, const double *px, const double *py, int64_t n) {
  bool pen = false;
  for (int64_t i = 0; i < n; i++) {
    if (!shown(y, py[i])) {
      pen = false;
      continue;
    }
    point(s, pen ? 'L' : 'M', place(x, px[i]), place(y, py[i]));
    pen = true;
  }
}

static void grid(wok__str *s, const axis *x, const axis *y) {
  char z[32];
  for (int i = 0; i < y->nticks; i++) {
    double at = place(y, y->tick[i]);
    wok__chart_number(z, (int64_t)sizeof z, y->tick[i]);
    wok__str_printf(s, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/><text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>",
                    x->from, at, x->to, x->from - 6, at + 4, z);
  }
  for (int i = 0; i < x->nticks; i++) {
    double at = place(x, x->tick[i]);
    wok__chart_number(z, (int64_t)sizeof z, x->tick[i]);
    /* the last number would stand half outside */
    const char *anchor = at > x->to - 14 ? "end" : "middle";
    wok__str_printf(s, "<path class=\"stub\" d=\"M%.1f %.1fv5\"/><text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>", at,
                    y->from, at, y->from + 19, anchor, z);
  }
  wok__str_printf(s, "<path class=\"base\" d=\"M%.1f %.1fH%.1f\"/>", x->from, y->from, x->to);
}

/* Labels keep their order and a line's distance from each other. */
static void levels(wok__str *s, const wok__chart *c, const axis *x, const axis *y) {
  int order[8], n = 0;
  double at[8];
  for (int i = 0; i < c->nlevels; i++) {
    if (!shown(y, c->level[i].y)) continue;
    int k = n++;
    for (; k > 0 && c->level[order[k - 1]].y < c->level[i].y; k--) order[k] = order[k - 1];
    order[k] = i; /* the highest first */
  }
  for (int k = 0; k < n; k++) {
    at[k] = place(y, c->level[order[k]].y);
    if (k > 0) at[k] = fmax(at[k], at[k - 1] + LINE_HEIGHT);
  }
  double bottom = y->from;
  for (int k = n - 1; k >= 0; k--) {
    at[k] = fmin(at[k], bottom);
    bottom = at[k] - LINE_HEIGHT;
  }
  for (int k = 0; k < n; k++) {
    const wok__level *l = &c->level[order[k]];
    double line = place(y, l->y);
    wok__str_printf(s, "<path class=\"mark\" d=\"M%.1f %.1fH%.1fL%.1f %.1f\"/><text class=\"name\" x=\"%.1f\" y=\"%.1f\">", x->from, line,
                    x->to, x->to + 8, at[k], x->to + 11, at[k] + 4);
    wok__html_text(s, l->name);
    wok__str_printf(s, " <tspan class=\"value\">%.2f</tspan></text>", l->y);
  }
}

static void band(wok__str *s, const wok__band *b, const axis *x, const axis *y) {
  bool any = false;
  if (b->n < 2) return;
  for (int64_t i = 0; i < b->n; i++)
    if (!shown(y, b->lo[i]) || !shown(y, b->hi[i])) return;
  wok__str_puts(s, "<path class=\"band\" d=\"");
  for (int64_t i = 0; i < b->n; i++, any = true) point(s, any ? 'L' : 'M', place(x, b->x[i]), place(y, b->hi[i]));
  for (int64_t i = b->n - 1; i >= 0; i--) point(s, 'L', place(x, b->x[i]), place(y, b->lo[i]));
  wok__str_puts(s, "Z\"/>");
}

static void curve(wok__str *s, const wok__series *r, const axis *x, const axis *y) {
  wok__str_printf(s, "<path class=\"%s\" d=\"", r->style);
  path(s, x, y, r->x, r->y, r->n);
  wok__str_puts(s, "\"/>");
  for (int64_t i = 0; i < r->n; i++) {
    if (!shown(y, r->y[i]) || !(r->dots || r->n == 1)) continue;
    wok__str_printf(s, "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"><title>", r->style, place(x, r->x[i]), place(y, r->y[i]));
    wok__html_text(s, r->name);
    wok__str_printf(s, ", step %.0f: %.4g</title></circle>", r->x[i], r->y[i]);
  }
}

/* How much the numbers beside the axis take. */
static double number_room(const axis *y) {
  size_t longest = 0;
  char z[32];
  for (int i = 0; i < y->nticks; i++) {
    wok__chart_number(z, (int64_t)sizeof z, y->tick[i]);
    longest = WOK__MAX(longest, strlen(z));
  }
  return WOK__MAX(30, 12 + 7.2 * (double)longest);
}

void wok__chart_svg(wok__str *out, const wok__chart *c) {
  axis x = {.lo = INFINITY, .hi = -INFINITY, .from = 30, .to = c->width - WOK__MAX(12, c->label_room)};
  axis y = {.lo = INFINITY, .hi = -INFINITY, .from = c->height - FOOT, .to = HEAD, .log = c->log_y};
  for (int i = 0; i < c->nseries; i++)
    for (int64_t k = 0; k < c->series[i].n; k++) {
      if (!shown(&y, c->series[i].y[k])) continue;
      reach(&x, c->series[i].x[k]);
      reach(&y, c->series[i].y[k]);
    }
  bool empty = !(x.hi >= x.lo);
  for (int i = 0; i < c->nlevels; i++) reach(&y, c->level[i].y);
  finish_axis(&y, WOK__MAX(3, c->most_y_ticks), 0.04);
  x.from = number_room(&y);
  finish_axis(&x, WOK__MAX(2, (int)((x.to - x.from) / 70)), 0);
  wok__str_printf(out, "<svg class=\"%s\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", c->style, c->width, c->height);
  wok__html_text(out, c->title);
  wok__str_puts(out, "\">");
  if (empty) {
    wok__str_printf(out, "<text class=\"tick\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">nothing measured yet</text></svg>\n", c->width / 2,
                    c->height / 2);
    return;
  }
  grid(out, &x, &y);
  levels(out, c, &x, &y);
  band(out, &c->band, &x, &y);
  for (int i = 0; i < c->nseries; i++) curve(out, &c->series[i], &x, &y);
  wok__str_puts(out, "</svg>\n");
}
