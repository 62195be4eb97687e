/* optim/clip.c - clipping by the global norm (spec 03, 6.2). */
#include "optim/optim.h"

double wok__clip_factor(wok__clip_form form, double threshold, double norm) {
  if (!(threshold > 0) || !(norm > 0)) return 1;
  if (form == WOK__CLIP_SOFT) return threshold / (norm + threshold);
  return norm > threshold ? threshold / norm : 1;
}
