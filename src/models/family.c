/* The families by name. */
#include <string.h>
#include "models/models.h"

static const wok__family families[] = {
    {"gpt", "wok-gpt", wok__gpt_forward},
};

const wok__family *wok__family_find(const char *name) {
  for (int64_t i = 0; i < WOK__COUNT(families); i++)
    if (strcmp(families[i].name, name) == 0) return &families[i];
  return NULL;
}

const wok__family *wok__family_of_type(const char *model_type) {
  for (int64_t i = 0; i < WOK__COUNT(families); i++)
    if (strcmp(families[i].model_type, model_type) == 0) return &families[i];
  return NULL;
}

const wok__family *wok__family_at(int64_t i) {
  return i >= 0 && i < WOK__COUNT(families) ? &families[i] : NULL;
}
