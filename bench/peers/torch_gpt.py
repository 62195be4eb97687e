#!/usr/bin/env python3
"""Training steps of a GPT-2 in PyTorch: what `wok bench train` measures - forward, backward, clipping, AdamW on random tokens.

  bench/peers/torch_gpt.py [--layers N --hidden N --vocab N] [--batch N] [--seq N] [--threads N] [--compute f32|bf16]
                           [--compile] [--reps N]

Without sizes: GPT-2 124M. bf16 is autocast. Prints one line of JSON: seconds of a step (best, quartiles, median, worst).
"""
import argparse
import json
import resource
import sys
import time

try:
    import torch
    import torch.nn.functional as F
    from torch import nn
except ImportError:
    sys.exit("torch_gpt.py: PyTorch is missing: pip install torch==2.13.0")


class Block(nn.Module):
    def __init__(self, hidden, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.qkv, self.out = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.up, self.down = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (z.view(b, t, self.heads, c // self.heads).transpose(1, 2) for z in self.qkv(self.norm1(x)).split(c, 2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class GPT(nn.Module):
    def __init__(self, layers, hidden, heads, vocab, positions):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab, hidden), nn.Embedding(positions, hidden)
        self.blocks = nn.ModuleList(Block(hidden, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden)
        self.head = nn.Linear(hidden, vocab, bias=False)
        for p in self.parameters():
            if p.ndim == 2:
                nn.init.normal_(p, std=0.02)
        self.head.weight = self.tokens.weight

    def forward(self, ids, labels):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]).float(), labels.view(-1))


def main():
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--layers", type=int, default=12)
    ask.add_argument("--hidden", type=int, default=768)
    ask.add_argument("--vocab", type=int, default=50257)
    ask.add_argument("--batch", type=int, default=8)
    ask.add_argument("--seq", type=int, default=512)
    ask.add_argument("--threads", type=int, default=2)
    ask.add_argument("--reps", type=int, default=5)
    ask.add_argument("--compute", default="f32", choices=["f32", "bf16"])
    ask.add_argument("--compile", action="store_true")
    o = ask.parse_args()
    torch.set_num_threads(o.threads)
    torch.manual_seed(1)
    model = GPT(o.layers, o.hidden, max(1, o.hidden // 64), o.vocab, max(1024, o.seq))
    adam = torch.optim.AdamW(model.parameters(), lr=1e-5, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, fused=True)
    run = torch.compile(model) if o.compile else model

    def step():
        ids = torch.randint(o.vocab, (o.batch, o.seq + 1))
        adam.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=o.compute == "bf16"):
            loss = run(ids[:, :-1].contiguous(), ids[:, 1:].contiguous())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        return loss.item()

    began = time.perf_counter()
    loss = step()
    if o.compile:
        step()
    first = time.perf_counter() - began
    seconds = []
    for _ in range(o.reps):
        began = time.perf_counter()
        loss = step()
        seconds.append(time.perf_counter() - began)
    seconds.sort()
    at = lambda part: seconds[min(len(seconds) - 1, int(part * len(seconds)))]
    print(json.dumps({
        "program": "PyTorch " + torch.__version__, "compute": o.compute, "compiled": o.compile, "threads": o.threads,
        "best_s": seconds[0], "low_s": at(0.25), "median_s": at(0.5), "high_s": at(0.75), "worst_s": seconds[-1], "first_s": first,
        "loss": loss, "tokens": o.batch * o.seq, "parameters": sum(p.numel() for p in model.parameters()),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


if __name__ == "__main__":
    main()
