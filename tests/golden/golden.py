"""What the scripts beside this file share that write PyTorch's numbers as C arrays (made with PyTorch 2.13, in double)."""
import math
import os
import sys
import torch

torch.set_default_dtype(torch.float64)
print(f"/* Made by tests/golden/{os.path.basename(sys.argv[0])}; do not edit. */")


def fill(seed, *shape):
    """Multiples of 1/16 in [-30/16, 30/16]: exact in every type. tests/unit/golden_case.h has the same function."""
    n = math.prod(shape)
    return torch.tensor([((i * 37 + seed * 11) % 61 - 30) / 16 for i in range(n)]).reshape(shape)


def leaf(seed, *shape):
    return fill(seed, *shape).requires_grad_()


def emit(name, tensor):
    kind = "double" if tensor.is_floating_point() else "int32_t"
    print(f"static const {kind} golden_{name}[] = {{")
    line = "   "
    for v in tensor.detach().reshape(-1).tolist():
        text = f" {v!r},"
        if len(line) + len(text) > 110:
            print(line)
            line = "   "
        line += text
    print(line)
    print("};")


def case(name, y, *leaves, seed=90):
    """y, and the gradients of sum(y fill(seed)) by the leaves, one behind the other."""
    emit(name, y)
    grads = torch.autograd.grad(y, leaves, fill(seed, *y.shape), retain_graph=True)
    emit(f"{name}_grad", torch.cat([g.reshape(-1) for g in grads]))
