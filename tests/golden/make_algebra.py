#!/usr/bin/env python3
"""Writes tests/unit/algebra_golden.inc: what PyTorch computes for the inputs of tests/unit/test_ops_algebra.c.

usage: python3 tests/golden/make_algebra.py > tests/unit/algebra_golden.inc
"""
import torch
import torch.nn.functional as F
from golden import case, emit, fill, leaf

# ---- functions of one number ----
x = leaf(1, 3, 7)
case("sigmoid", torch.sigmoid(x), x)
case("softplus", F.softplus(x), x)
case("log_sigmoid", F.logsigmoid(x), x)
case("elu", F.elu(x, 1.5), x)
case("leaky_relu", F.leaky_relu(x, 0.2), x)
case("logsumexp", torch.logsumexp(x, 1), x)
case("logsumexp_rows", torch.logsumexp(x, 0, keepdim=True), x)
far = torch.tensor([-800.0, -40, -1e-9, 0, 1e-9, 40, 800], requires_grad=True)
case("sigmoid_far", torch.sigmoid(far), far)
# torch's softplus turns into x at 20: the exact function instead
exact = torch.log1p(torch.exp(-far.abs())) + far.clamp(min=0)
emit("softplus_far", exact)
plus = (x.detach().abs() + 0.25).requires_grad_()
for name, p in (("3", 3), ("minus_4", -4), ("half", 0.5), ("minus_5_halves", -2.5), ("any", 1.3)):
    case(f"pow_{name}", plus**p, plus)
case("pow_signed", x**5, x)
case("rsqrt", torch.rsqrt(plus), plus)

# ---- choosing along an axis ----
x = leaf(2, 3, 4, 5)
index = torch.tensor([(i * 7 + 2) % 4 for i in range(3 * 6 * 5)]).reshape(3, 6, 5)
emit("take_index", index)
case("take_along", torch.gather(x, 1, index), x)
v = leaf(3, 3, 6, 5)
case("put_along", torch.zeros(3, 4, 5).scatter_add(1, index, v), v)
for name, descending in (("up", False), ("down", True)):
    values, where = torch.sort(x, dim=1, descending=descending, stable=True)
    case(f"sort_{name}", values, x)
    emit(f"sort_{name}_from", where)
values, where = torch.topk(x, 2, -1)  # no ties within a row of this x
case("top_k", values, x)
emit("top_k_from", where)


# ---- linear algebra ----
def apart(seed, m, n):
    """Far from singular and from equal values: fill / 8 plus 1, 2, 3, ... on the diagonal."""
    diagonal = torch.zeros(m, n)
    for i in range(min(m, n)):
        diagonal[i, i] = i + 1
    return torch.stack([fill(seed + k, m, n) / 8 + diagonal for k in range(2)]).requires_grad_()


def signs(u):
    """+-1 for each column: its entry of the largest magnitude becomes positive."""
    where = u.abs().argmax(-2, keepdim=True)
    return torch.sign(torch.gather(u, -2, where)).detach()


a = apart(4, 4, 4)
sym = (a + a.mT) / 2
case("cholesky", torch.linalg.cholesky(sym), a)
w, v = torch.linalg.eigh(sym)
case("eigh_values", w, a)
case("eigh_vectors", v * signs(v), a)
b = leaf(7, 2, 4, 3)
for name, upper in (("lower", False), ("upper", True)):
    case(f"solve_{name}", torch.linalg.solve_triangular(a.triu() if upper else a.tril(), b, upper=upper), a, b)
    t = a.triu().mT if upper else a.tril().mT
    case(f"solve_{name}_t", torch.linalg.solve_triangular(t, b, upper=not upper), a, b)
for name, m, n in (("square", 4, 4), ("tall", 5, 3), ("wide", 3, 5)):
    a = apart(9, m, n)
    u, s, vt = torch.linalg.svd(a, full_matrices=False)
    sign = signs(u)
    case(f"svd_{name}_s", s, a)
    # one output of u S-free products: u and vt together, so that the phase cancels in torch's rule
    both = torch.cat([(u * sign).reshape(2, -1), (sign.mT * vt).reshape(2, -1)], 1)
    case(f"svd_{name}_vectors", both, a)
