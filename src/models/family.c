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
