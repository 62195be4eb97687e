#!/usr/bin/env python3
"""Writes tests/unit/fused_golden.inc: what PyTorch (made with 2.13, in double) computes for the inputs of
tests/unit/test_ops_fused.c, forward and backward. Random numbers come from a Philox4x32-10 of this script's own.

usage: python3 tests/golden/make_fused.py > tests/unit/fused_golden.inc
"""
import math
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
print("/* Made by tests/golden/make_fused.py; do not edit. */")


def fill(seed, *shape):
    """Multiples of 1/16 in [-30/16, 30/16]: exact in every type. The test has the same function."""
    n = math.prod(shape)
    return torch.tensor([((i * 37 + seed * 11) % 61 - 30) / 16 for i in range(n)]).reshape(shape)


def leaf(seed, *shape):
    return fill(seed, *shape).requires_grad_()


def emit(name, tensor):
    numbers = tensor.detach().reshape(-1).tolist()
    print(f"static const double golden_{name}[] = {{")
    line = "   "
    for v in numbers:
        text = " -INFINITY," if v == -math.inf else f" {v!r},"
        if len(line) + len(text) > 110:
            print(line)
            line = "   "
        line += text
    print(line)
    print("};")


def backward(name, y, dy, **leaves):
    emit(name, y)
    grads = torch.autograd.grad(y, list(leaves.values()), dy)
    for key, g in zip(leaves, grads):
        emit(f"{name}_d{key}", g)


# ---- Philox4x32-10, and the project's keys ----
def philox(ctr, key):
    c, (k0, k1) = list(ctr), key
    for _ in range(10):
        a, b = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [(b >> 32) ^ c[1] ^ k0, b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k1, a & 0xFFFFFFFF]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c


def subkey(seed, tick, stream):
    out = philox([tick & 0xFFFFFFFF, tick >> 32, stream, 0x574F4B31], [seed & 0xFFFFFFFF, seed >> 32])
    return out[0], out[1]


SEED, TICK = 12345678901, 42  # of the run


def factor(ctr, lane, p, stream):
    keep = philox(ctr, subkey(SEED, TICK, stream))[lane] >= int(p * 2**32)
    return 1 / (1 - p) if keep else 0.0


# ---- rows ----
x, dy = leaf(1, 3, 17), fill(2, 3, 17)
backward("softmax", torch.softmax(x, -1), dy, x=x)
backward("log_softmax", torch.log_softmax(x, -1), dy, x=x)

x, gain, bias, dy = leaf(3, 2, 2, 17), leaf(4, 17), leaf(5, 17), fill(6, 2, 2, 17)
backward("layer_norm", F.layer_norm(x, [17], gain, bias, 1e-5), dy, x=x, gain=gain, bias=bias)
emit("layer_norm_mean", x.mean(-1))
emit("layer_norm_rstd", 1 / torch.sqrt(x.var(-1, unbiased=False) + 1e-5))
emit("layer_norm_unbiased", F.layer_norm(x, [17], gain, None, 1e-5))
emit("rms_norm_rstd", 1 / torch.sqrt(x.square().mean(-1) + 1e-6))
backward("rms_norm", F.rms_norm(x, [17], gain, 1e-6), dy, x=x, gain=gain)

# ---- elements ----
x, up, dy = leaf(7, 61), leaf(8, 61), fill(9, 61)
wide = (4 * fill(7, 61)).requires_grad_()
emit("wide", wide)
ACTS = {
    "gelu_tanh": lambda t: F.gelu(t, approximate="tanh"),
    "gelu_erf": F.gelu,
    "silu": F.silu,
    "relu": F.relu,
}
for name, f in ACTS.items():
    backward(name, f(wide), dy, x=wide)
    backward(f"gated_{name}", f(x) * up, dy, gate=x, up=up)

emit("dropout", torch.stack([v * factor([i // 4, 0, 0, 0], i % 4, 0.3, 9) for i, v in enumerate(fill(10, 39))]))


# ---- rope, by complex numbers ----
def rope(x, pos, freq, interleaved):
    n = len(freq)
    turn = torch.polar(torch.ones(len(pos), n), torch.outer(pos, freq))[:, None, :]
    rotary, rest = x[..., : 2 * n], x[..., 2 * n :]
    if interleaved:
        y = torch.view_as_real(torch.view_as_complex(rotary.reshape(*x.shape[:2], n, 2).contiguous()) * turn).flatten(2)
    else:
        z = torch.complex(rotary[..., :n], rotary[..., n:]) * turn
        y = torch.cat([z.real, z.imag], -1)
    return torch.cat([y, rest], -1)


x, dy = leaf(11, 4, 2, 7), fill(12, 4, 2, 7)
pos = torch.tensor([0.0, 1.0, 100000.0, -2.5])
freq = torch.tensor([1.0, 0.25, 0.0078125])
backward("rope_pairs", rope(x, pos, freq, True), dy, x=x)
backward("rope_halves", rope(x, pos, freq, False), dy, x=x)

# ---- attention: 6 queries of 4 heads, 7 keys of 2 groups; rows 1 and 4 see nothing; row 3 asks for more than there is ----
LO, HI = [0, 2, 1, 2, 7, 4], [3, 2, 4, 99, 3, 6]
SEQ, ROW = [0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2]
q, k, v, do = leaf(13, 6, 4, 3), leaf(14, 7, 2, 3), leaf(15, 7, 2, 5), fill(16, 6, 4, 5)
j = torch.arange(7)
seen = torch.stack([(lo <= j) & (j < hi) for lo, hi in zip(LO, HI)])


def attention(q, k, v, scale, factors=None, bias=0):
    k, v = k.repeat_interleave(2, 1), v.repeat_interleave(2, 1)
    s = torch.einsum("ihd,jhd->hij", q, k) * scale + bias
    lse = torch.logsumexp(s.masked_fill(~seen, -math.inf), -1)
    s = torch.where(seen, s - torch.where(torch.isfinite(lse), lse, 0)[..., None], 0)
    p = torch.where(seen, torch.exp(s), 0)
    return torch.einsum("hij,jhd->ihd", p if factors is None else p * factors, v), lse.T


o, lse = attention(q, k, v, 0.5)
reference = F.scaled_dot_product_attention(  # the same by torch's own operator, where rows see something
    q.transpose(0, 1)[None], k.transpose(0, 1)[None], v.transpose(0, 1)[None], seen, scale=0.5, enable_gqa=True
)[0].transpose(0, 1)
rows = seen.any(1)
assert torch.allclose(o[rows], reference[rows], rtol=1e-13, atol=1e-14) and (o[~rows] == 0).all()
backward("attention", o, do, q=q, k=k, v=v)
emit("attention_lse", lse)

mask = torch.zeros(4, 6, 7)
for h in range(4):
    for i in range(6):
        for key in range(LO[i], min(HI[i], 7)):
            n = key - LO[i]
            mask[h, i, key] = factor([n // 4, ROW[i], h, SEQ[i]], n % 4, 0.4, 5)
emit("attention_mask", mask)
backward("attention_dropped", attention(q, k, v, 0.5, mask)[0], do, q=q, k=k, v=v)


# ---- biases by distance ----
def t5_bucket(distance, bidirectional, buckets, reach):
    """In single precision, as T5's own code has it (arXiv 1910.10683; the logarithm's base is reach / exact)."""
    n, offset = -distance, torch.zeros_like(distance)
    if bidirectional:
        buckets //= 2
        offset, n = (n < 0).long() * buckets, n.abs()
    n = n.clamp(min=0)
    exact = buckets // 2
    steps = torch.log(n.clamp(min=1).float() / exact) / math.log(reach / exact) * (buckets - exact)
    return offset + torch.where(n < exact, n, (exact + steps.long()).clamp(max=buckets - 1))


distances = torch.arange(-150, 151)
emit("t5_buckets", t5_bucket(distances, True, 32, 128))
emit("t5_buckets_causal", t5_bucket(distances, False, 32, 128))
emit("t5_buckets_small", t5_bucket(distances, True, 8, 20))
POS_Q, POS_K = torch.tensor([0, 3, 4, 0, 900, 2]), torch.tensor([0, 1, 2, 40, 3, -7, 4])
away = POS_K[None] - POS_Q[:, None]
table, slope = leaf(22, 8, 4), leaf(23, 4)
bias = table[t5_bucket(away, True, 8, 20)].permute(2, 0, 1) - slope[:, None, None] * away.abs()
o, lse = attention(q, k, v, 0.5, None, bias)
backward("attention_biased", o, do, q=q, k=k, v=v, table=table, slope=slope)
emit("attention_biased_lse", lse)

# ---- cross-entropy: rows 1 and 4 have no class ----
LABELS = torch.tensor([3, -1, 16, 0, 17, 5])
target = torch.where((LABELS >= 0) & (LABELS < 17), LABELS, -100)
z, dloss = leaf(17, 6, 17), fill(18, 6)
backward("xent", F.cross_entropy(z, target, ignore_index=-100, reduction="none"), dloss, logits=z)
emit("xent_lse", torch.logsumexp(z, -1))
x, w, b = leaf(19, 6, 4), leaf(20, 17, 4), leaf(21, 17)
for name, bias in ("", b), ("_unbiased", None):
    z = F.linear(x, w, bias)
    loss = F.cross_entropy(z, target, ignore_index=-100, reduction="none")
    leaves = dict(x=x, w=w) if bias is None else dict(x=x, w=w, b=b)
    backward("linear_xent" + name, loss, dloss, **leaves)
    emit(f"linear_xent{name}_lse", torch.logsumexp(z, -1))
