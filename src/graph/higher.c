/* Derivatives built from derivatives. */
#include "graph/core.h"

/* The reverse sweep is linear in its cotangents u, so sweeping back through it, from its results to u with cotangents v, gives
   the forward derivative in direction v. u's own value plays no part; a plan leaves everything that only fed it out. */
void wok_jvp(wok_val *const *y, int ny, wok_val *const *x, wok_val *const *v, int nx, wok_val **dy) {
  if (ny <= 0) return;
  wok_graph *g = y[0]->g;
  for (int i = 0; i < ny && nx <= 0; i++) dy[i] = wok__like(y[i], 0);
  if (nx <= 0) return;
  wok_val **u = wok__new(g->arena, wok_val *, ny), **dx = wok__new(g->arena, wok_val *, nx);
  if (!u || !dx) {
    wok__poison(g, WOK_NOMEM, "out of memory");
    for (int i = 0; i < ny; i++) dy[i] = &g->poison;
    return;
  }
  for (int i = 0; i < ny; i++) u[i] = wok__like(y[i], 0);
  wok_vjp(y, u, ny, x, nx, dx);
  wok_vjp(dx, v, nx, u, ny, dy);
}

void wok_hvp(wok_val *y, wok_val *const *x, wok_val *const *v, int n, wok_val **hv) {
  if (n <= 0) return;
  wok_graph *g = y->g;
  wok_val **dx = wok__new(g->arena, wok_val *, n);
  if (!dx) {
    wok__poison(g, WOK_NOMEM, "out of memory");
    for (int i = 0; i < n; i++) hv[i] = &g->poison;
    return;
  }
  wok_grad(y, x, n, dx);
  wok_vjp(dx, v, n, x, n, hv);
}
