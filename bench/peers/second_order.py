#!/usr/bin/env python3
"""Steps of a WGAN-GP critic in PyTorch eager: what `wok bench second-order` measures, with the same nets, batch and Adam.

  bench/peers/second_order.py [--net mlp|conv] [--threads N] [--batch N] [--reps N] [--adam plain|foreach|fused]

Prints one line of JSON: seconds of a step (best, quartiles, median, worst), versions, the last loss.
"""
import argparse
import json
import sys
import time


def nets(torch):
    leaky = lambda: torch.nn.LeakyReLU(0.2)
    return {
        "mlp": ((2,), 256, lambda: torch.nn.Sequential(
            torch.nn.Linear(2, 64), leaky(), torch.nn.Linear(64, 64), leaky(), torch.nn.Linear(64, 1))),
        "conv": ((1, 28, 28), 64, lambda: torch.nn.Sequential(
            torch.nn.Conv2d(1, 32, 4, 2, 1), leaky(), torch.nn.Conv2d(32, 64, 4, 2, 1), leaky(),
            torch.nn.Flatten(), torch.nn.Linear(64 * 7 * 7, 1))),
    }


def main():
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--net", default="mlp", choices=["mlp", "conv"])
    ask.add_argument("--threads", type=int, default=1)
    ask.add_argument("--batch", type=int, default=0)
    ask.add_argument("--reps", type=int, default=200)
    ask.add_argument("--adam", default="fused", choices=["plain", "foreach", "fused"])
    o = ask.parse_args()
    try:
        import torch
    except ImportError:
        sys.exit("second_order.py: PyTorch is missing: pip install torch==2.13.0")
    torch.set_num_threads(o.threads)
    torch.manual_seed(1)
    shape, batch, make = nets(torch)[o.net]
    n = o.batch or batch
    critic = make()
    kind = {} if o.adam == "plain" else {o.adam: True}
    if o.adam == "plain":
        kind = {"foreach": False, "fused": False}
    adam = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.0, 0.9), eps=1e-8, **kind)
    both = torch.rand(2 * n, *shape) * 2 - 1
    both[:n] += 0.5
    real, made = both[:n], both[n:]
    one = (n,) + (1,) * len(shape)
    ones = torch.ones(n, 1)

    def step():
        adam.zero_grad(set_to_none=True)
        scores = critic(both)
        t = torch.rand(one)
        between = (made + t * (real - made)).requires_grad_(True)
        slope, = torch.autograd.grad(critic(between), between, ones, create_graph=True)
        norm = slope.reshape(n, -1).square().sum(1).sqrt()
        loss = scores[n:].mean() - scores[:n].mean() + 10 * (norm - 1).square().mean()
        loss.backward()
        adam.step()
        return loss

    for _ in range(10):
        step()
    seconds = []
    for _ in range(o.reps):
        began = time.perf_counter()
        loss = step()
        seconds.append(time.perf_counter() - began)
    seconds.sort()
    at = lambda part: seconds[min(len(seconds) - 1, int(part * len(seconds)))]
    print(json.dumps({
        "program": "PyTorch " + torch.__version__ + " eager", "net": o.net, "batch": n, "threads": o.threads, "adam": o.adam,
        "best_s": seconds[0], "low_s": at(0.25), "median_s": at(0.5), "high_s": at(0.75), "worst_s": seconds[-1],
        "loss": loss.item(), "parameters": sum(p.numel() for p in critic.parameters())}))


if __name__ == "__main__":
    main()
