/* train/chart.h - line charts as inline SVG. Colours come from the page's CSS: classes band, faint, line, dots, mark, s0, s1. */
#ifndef WOK_TRAIN_CHART_H
#define WOK_TRAIN_CHART_H
#include "base/base.h"

typedef struct wok__series {
  const char *name;     /* for the reader of the page's source and for screen readers */
  const char *style;    /* CSS classes */
  const double *x, *y;
  int64_t n;
  bool dots;            /* a dot with the value as its title at every point */
} wok__series;
typedef struct wok__level { const char *name; double y; } wok__level; /* a labelled horizontal line */
typedef struct wok__band { const double *x, *lo, *hi; int64_t n; } wok__band;

typedef struct wok__chart {
  const char *title, *style;
  int width, height;  /* of the view box; text is 12 units high */
  bool log_y;
  int most_y_ticks;
  wok__series series[4];
  int nseries;
  wok__band band;
  wok__level level[8];
  int nlevels;
  int label_room;     /* at the right, for the names of the levels */
} wok__chart;
/* Points whose y is not finite (or not positive where log_y) are left out; a chart without any says so. */
void wok__chart_svg(wok__str *out, const wok__chart *c);
/* HTML and SVG text. */
void wok__html_text(wok__str *out, const char *z);
/* 0.00025, 12.5, 3e-05: at most four digits that matter */
void wok__chart_number(char *buf, int64_t cap, double v);
#endif
