"""Prints the numbers of tests/unit/test_optim.c: torch.optim.AdamW in f64 on a small problem made of integers.

    python3 tests/golden/make_adamw.py          (torch 2.x)

Two tensors, a matrix with weight decay and a bias without; ten steps whose learning rate changes; the gradients do not depend
on the parameters, so each number can be followed by hand."""
import torch

ROWS, COLS, STEPS = 3, 5, 10


def values(n, a, b, modulus, scale):
    return torch.tensor([((i * a + b) % modulus - modulus // 2) / scale for i in range(n)], dtype=torch.float64)


weight = values(ROWS * COLS, 37, 0, 101, 64).reshape(ROWS, COLS).requires_grad_()
bias = values(COLS, 41, 7, 101, 64).requires_grad_()
rule = torch.optim.AdamW([{"params": [weight], "weight_decay": 0.1}, {"params": [bias], "weight_decay": 0.0}],
                         lr=0.0, betas=(0.9, 0.95), eps=1e-8)
for t in range(1, STEPS + 1):
    weight.grad = values(ROWS * COLS, 53, 29 * t, 97, 256).reshape(ROWS, COLS)
    bias.grad = values(COLS, 59, 31 * t, 97, 256)
    for group in rule.param_groups:
        group["lr"] = 0.01 * t / STEPS
    rule.step()


def show(name, x):
    numbers = [f"{v:.17g}" for v in x.detach().flatten().tolist()]
    print(f"static const double {name}[] = {{{', '.join(numbers)}}};")


show("weight_after", weight)
show("weight_m", rule.state[weight]["exp_avg"])
show("weight_v", rule.state[weight]["exp_avg_sq"])
show("bias_after", bias)
