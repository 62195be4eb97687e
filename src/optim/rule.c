/* optim/rule.c - the table of rules, and what a parameter's role decides. */
#include <math.h>
#include <string.h>
#include "kernels/cpu/optim.h"
#include "optim/optim.h"

/* AdamW (spec 03, 11.1; Loshchilov and Hutter, arXiv 1711.05101): theta -= lr (mhat / (sqrt(vhat) + eps) + decay theta). */
enum { BETA1, BETA2, EPS };

static void run_adamw(const wok__chunk *k) {
  double beta1 = k->number[BETA1], beta2 = k->number[BETA2], t = (double)k->step;
  wok__adamw_args a = {.lr = k->lr,
                       .beta1 = beta1,
                       .beta2 = beta2,
                       .eps = k->number[EPS],
                       .weight_decay = k->decay,
                       .bias1 = 1 - pow(beta1, t),
                       .bias2 = 1 - pow(beta2, t),
                       .grad_scale = k->grad_scale};
  wok__optim_kernels_of(k->isa)->adamw(k->param, k->grad, k->state[0], k->state[1], k->bf16, k->n, &a);
}

static const wok__rule rules[] = {
    {.name = "adamw",
     .nstate = 2,
     .state = {"m", "v"},
     .nnumber = 3,
     .number = {[BETA1] = {"beta1", 0.9, 0, 1}, [BETA2] = {"beta2", 0.95, 0, 1}, [EPS] = {"eps", 1e-8, 0, 1}},
     .run = run_adamw},
};

const wok__rule *wok__rule_at(int i) { return i >= 0 && i < WOK__COUNT(rules) ? &rules[i] : NULL; }

const wok__rule *wok__rule_find(const char *name) {
  for (int64_t i = 0; i < WOK__COUNT(rules); i++)
    if (strcmp(rules[i].name, name) == 0) return &rules[i];
  return NULL;
}

static const wok__group groups[] = {
    [WOK_ROLE_KERNEL] = {"kernel", 1}, [WOK_ROLE_EMBEDDING] = {"embedding", 1}, [WOK_ROLE_HEAD] = {"head", 1},
    [WOK_ROLE_BIAS] = {"bias", 0},     [WOK_ROLE_GAIN] = {"gain", 0},
};

const wok__group *wok__group_of(wok_role r) { return &groups[r]; }
