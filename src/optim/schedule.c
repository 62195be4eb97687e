/* optim/schedule.c - learning rates over a run: a linear rise, then a shape from 1 down to 0 between peak and end. */
#include <math.h>
#include <string.h>
#include "optim/optim.h"

static double cosine(double x) { return 0.5 * (1 + cos(M_PI * x)); }
static double linear(double x) { return 1 - x; }
static double constant(double x) { return (void)x, 1; }

static const struct shape {
  const char *name;
  double (*at)(double x); /* x in [0, 1]: how much of the time after the rise is over */
} shapes[] = {{"cosine", cosine}, {"linear", linear}, {"constant", constant}};

static const double rise_share = 0.05; /* of the time, when the rise is not counted in steps */
static const double rise_steps = 500;  /* and never longer than this */

static const struct shape *find(const char *name) {
  for (int64_t i = 0; i < WOK__COUNT(shapes); i++)
    if (strcmp(shapes[i].name, name) == 0) return &shapes[i];
  return NULL;
}

bool wok__schedule_known(const char *shape) { return find(shape) != NULL; }

static double share(double done, double total) { return total > 0 ? WOK__MIN(1, WOK__MAX(0, done / total)) : 0; }

/* How much of [begin, end] is over at `at`. */
static double past(double at, double begin, double end) { return share(at - begin, end - begin); }

double wok__schedule_lr(const wok__schedule *s, int64_t step, double seconds) {
  const struct shape *shape = find(s->shape);
  double t = (double)step, steps = (double)s->steps, warmup = (double)s->warmup;
  double risen, x = 0;
  /* By steps alone the run's last step (t = steps) has the end rate, and step `warmup` the peak. */
  if (s->steps > 0) x = past(t, warmup, steps);
  if (s->seconds > 0) {
    double by_time = share(seconds, s->seconds);
    if (s->warmup > 0) {
      risen = share(t, warmup);
      x = WOK__MAX(x, by_time);
    } else {
      risen = WOK__MAX(share(by_time, rise_share), share(t, rise_steps));
      x = WOK__MAX(x, past(by_time, rise_share, 1));
    }
  } else {
    risen = warmup > 0 ? share(t, warmup) : 1;
  }
  if (risen < 1) return s->peak * risen;
  return s->end + (s->peak - s->end) * (shape ? shape->at(x) : 1);
}
