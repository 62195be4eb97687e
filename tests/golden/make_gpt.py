#!/usr/bin/env python3
"""Writes gpt/NAME/: tiny models with what an independent implementation (PyTorch, float64, from the formulas) computes with them.

    python3 make_gpt.py [--check]

Needs torch and safetensors. With --check and transformers installed, the formulas themselves are compared with transformers' GPT2LMHeadModel
and LlamaForCausalLM first (largest difference of the logits printed).

config.json, model.safetensors (float32) are a model directory; grads.safetensors has the gradient of every parameter under the same
names (float64); oracle.safetensors has ids, pos, lo, hi, labels of two packed documents, logits [T, V] and the mean loss.
"""
import json
import math
import os
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.set_default_dtype(torch.float64)
HERE = os.path.dirname(os.path.abspath(__file__))
LENGTHS = (11, 6)  # tokens of the two documents


def layer_norm(x, gain, bias, eps):
    d = x - x.mean(-1, keepdim=True)
    y = d / torch.sqrt((d * d).mean(-1, keepdim=True) + eps) * gain
    return y if bias is None else y + bias


def rms_norm(x, gain, eps):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps) * gain


ACTS = {
    "gelu_new": lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "gelu": lambda x: 0.5 * x * (1 + torch.erf(x / math.sqrt(2))),
    "silu": lambda x: x * torch.sigmoid(x),
    "relu": torch.relu,
}


def rotate(x, pos, theta, rotary, interleaved):  # x [n, H, D]
    half = rotary // 2
    angle = pos[:, None].double() * theta ** (-2.0 * torch.arange(half) / rotary)
    c, s = torch.cos(angle)[:, None, :], torch.sin(angle)[:, None, :]
    r, rest = x[..., :rotary], x[..., rotary:]
    if interleaved:
        a, b = r[..., 0::2], r[..., 1::2]
        r = torch.stack((a * c - b * s, a * s + b * c), -1).flatten(-2)
    else:
        a, b = r[..., :half], r[..., half:]
        r = torch.cat((a * c - b * s, b * c + a * s), -1)
    return torch.cat((r, rest), -1)


def attention(q, k, v, scale):  # one document, causal: [n, H, D], [n, G, D]
    n, heads, _ = q.shape
    share = heads // k.shape[1]
    k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
    score = torch.einsum("ihd,jhd->hij", q, k) * scale
    score = score.masked_fill(torch.ones(n, n).triu(1).bool(), -math.inf)
    return torch.einsum("hij,jhd->ihd", score.softmax(-1), v)


def gpt2(p, c, ids, pos):
    t = "transformer."
    x = p[t + "wte.weight"][ids] + p[t + "wpe.weight"][pos]
    heads, width, eps = c["n_head"], c["n_embd"], c["layer_norm_epsilon"]
    for i in range(c["n_layer"]):
        h = f"{t}h.{i}."

        def dense(name, y):
            return y @ p[h + name + ".weight"] + p[h + name + ".bias"]

        y = layer_norm(x, p[h + "ln_1.weight"], p[h + "ln_1.bias"], eps)
        q, k, v = (z.view(-1, heads, width // heads) for z in dense("attn.c_attn", y).split(width, -1))
        y = attention(q, k, v, 1 / math.sqrt(width // heads)).flatten(1)
        x = x + dense("attn.c_proj", y)
        y = layer_norm(x, p[h + "ln_2.weight"], p[h + "ln_2.bias"], eps)
        x = x + dense("mlp.c_proj", ACTS[c["activation_function"]](dense("mlp.c_fc", y)))
    x = layer_norm(x, p[t + "ln_f.weight"], p[t + "ln_f.bias"], eps)
    return x @ p[t + "wte.weight"].T


def llama(p, c, ids, pos):
    x = p["model.embed_tokens.weight"][ids]
    eps, dim = c["rms_norm_eps"], c["head_dim"]
    for i in range(c["num_hidden_layers"]):
        l = f"model.layers.{i}."
        y = rms_norm(x, p[l + "input_layernorm.weight"], eps)
        q, k, v = ((y @ p[f"{l}self_attn.{n}_proj.weight"].T).unflatten(-1, (-1, dim)) for n in "qkv")
        q, k = (rotate(z, pos, c["rope_theta"], dim, False) for z in (q, k))
        x = x + attention(q, k, v, 1 / math.sqrt(dim)).flatten(1) @ p[l + "self_attn.o_proj.weight"].T
        y = rms_norm(x, p[l + "post_attention_layernorm.weight"], eps)
        gate, up = y @ p[l + "mlp.gate_proj.weight"].T, y @ p[l + "mlp.up_proj.weight"].T
        x = x + (ACTS[c["hidden_act"]](gate) * up) @ p[l + "mlp.down_proj.weight"].T
    return rms_norm(x, p["model.norm.weight"], eps) @ p["lm_head.weight"].T


def own(p, c, ids, pos):
    c = c["wok"]
    x = p["embed/tokens"][ids] + p["embed/positions"][pos]

    def dense(name, y):
        y = y @ p[name].T
        return y + p[name + ".bias"] if name + ".bias" in p else y

    def norm(name, y, b):
        if b["norm"] == "rms":
            return rms_norm(y, p[name], b["norm_eps"])
        return layer_norm(y, p[name], p.get(name + ".bias"), b["norm_eps"])

    for i in range(c["num_hidden_layers"]):
        b = {**c, **c["layers"].get(str(i), {})}
        l, heads, groups, dim = f"layer.{i}/", b["num_attention_heads"], b["num_key_value_heads"], b["head_dim"]

        def att(y):
            z = dense(l + "attn/qkv", y)
            q, k, v = (u.unflatten(-1, (-1, dim)) for u in z.split((heads * dim, groups * dim, groups * dim), -1))
            if b["rope"]:
                q, k = (rotate(u, pos, b["rope_theta"], b["rotary_dim"], b["rope_interleaved"]) for u in (q, k))
            return dense(l + "attn/o", attention(q, k, v, b["attention_scale"] or 1 / math.sqrt(dim)).flatten(1))

        def ffn(y):
            if not b["gated"]:
                return dense(l + "mlp/down", ACTS[b["hidden_act"]](dense(l + "mlp/up", y)))
            gate, up = dense(l + "mlp/gate_up", y).split(b["intermediate_size"], -1)
            return dense(l + "mlp/down", ACTS[b["hidden_act"]](gate) * up)

        for name, f in (("attn", att), ("mlp", ffn)):
            n = l + name + "/norm"
            x = norm(n, x + f(x), b) if b["post_norm"] else x + f(norm(n, x, b))
    return norm("norm", x, c) @ p["embed/tokens"].T


GPT2 = dict(model_type="gpt2", architectures=["GPT2LMHeadModel"], torch_dtype="float32", vocab_size=37, n_positions=13, n_embd=18,
            n_layer=2, n_head=3, n_inner=28, activation_function="gelu_new", resid_pdrop=0.1, embd_pdrop=0.1, attn_pdrop=0.1,
            layer_norm_epsilon=1e-5, initializer_range=0.02, bos_token_id=36, eos_token_id=36, tie_word_embeddings=True)
LLAMA = dict(model_type="llama", architectures=["LlamaForCausalLM"], torch_dtype="float32", vocab_size=35, hidden_size=16,
             intermediate_size=20, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=6,
             hidden_act="silu", max_position_embeddings=64, initializer_range=0.02, rms_norm_eps=1e-5, rope_theta=10000.0,
             attention_bias=False, mlp_bias=False, attention_dropout=0.0, bos_token_id=None, eos_token_id=0,
             tie_word_embeddings=False)
OWN = dict(model_type="wok-gpt", architectures=["WokGPT"], torch_dtype="float32", wok=dict(
    version=1, family="gpt", vocab_size=29, hidden_size=10, num_hidden_layers=3, max_position_embeddings=12,
    learned_positions=True, tie_word_embeddings=True, num_attention_heads=3, num_key_value_heads=1, head_dim=6,
    intermediate_size=14, norm="layer", norm_eps=1e-6, norm_bias=False, post_norm=True, hidden_act="relu", gated=False,
    attention_bias=False, mlp_bias=True, rope=True, rope_theta=500.0, rope_interleaved=True, rotary_dim=4, attention_scale=0.0,
    layers={
        "1": dict(norm="rms", post_norm=False, hidden_act="gelu", gated=True, attention_bias=True, attention_scale=0.3,
                  num_attention_heads=2, num_key_value_heads=2, head_dim=4),
        "2": dict(norm_bias=True, post_norm=False, hidden_act="silu", gated=True, mlp_bias=False, rope_interleaved=False,
                  rotary_dim=6, intermediate_size=9)}))


def shapes_gpt2(c):
    d, f, t = c["n_embd"], c["n_inner"], "transformer."
    s = {t + "wte.weight": (c["vocab_size"], d), t + "wpe.weight": (c["n_positions"], d)}
    for i in range(c["n_layer"]):
        h = f"{t}h.{i}."
        s |= {h + "ln_1.weight": (d,), h + "ln_1.bias": (d,), h + "attn.c_attn.weight": (d, 3 * d), h + "attn.c_attn.bias": (3 * d,),
              h + "attn.c_proj.weight": (d, d), h + "attn.c_proj.bias": (d,), h + "ln_2.weight": (d,), h + "ln_2.bias": (d,),
              h + "mlp.c_fc.weight": (d, f), h + "mlp.c_fc.bias": (f,), h + "mlp.c_proj.weight": (f, d), h + "mlp.c_proj.bias": (d,)}
    return s | {t + "ln_f.weight": (d,), t + "ln_f.bias": (d,)}


def shapes_llama(c):
    d, f, q, k = c["hidden_size"], c["intermediate_size"], c["num_attention_heads"] * c["head_dim"], c["num_key_value_heads"] * c["head_dim"]
    s = {"model.embed_tokens.weight": (c["vocab_size"], d)}
    for i in range(c["num_hidden_layers"]):
        l = f"model.layers.{i}."
        s |= {l + "input_layernorm.weight": (d,), l + "self_attn.q_proj.weight": (q, d), l + "self_attn.k_proj.weight": (k, d),
              l + "self_attn.v_proj.weight": (k, d), l + "self_attn.o_proj.weight": (d, q), l + "post_attention_layernorm.weight": (d,),
              l + "mlp.gate_proj.weight": (f, d), l + "mlp.up_proj.weight": (f, d), l + "mlp.down_proj.weight": (d, f)}
    return s | {"model.norm.weight": (d,), "lm_head.weight": (c["vocab_size"], d)}


def shapes_own(c):
    c = c["wok"]
    d = c["hidden_size"]
    s = {"embed/tokens": (c["vocab_size"], d), "embed/positions": (c["max_position_embeddings"], d)}

    def dense(name, out, n, bias):
        s[name] = (out, n)
        if bias:
            s[name + ".bias"] = (out,)

    def norm(name, b):
        s[name] = (d,)
        if b["norm"] == "layer" and b["norm_bias"]:
            s[name + ".bias"] = (d,)

    for i in range(c["num_hidden_layers"]):
        b = {**c, **c["layers"].get(str(i), {})}
        l, q, k = f"layer.{i}/", b["num_attention_heads"] * b["head_dim"], b["num_key_value_heads"] * b["head_dim"]
        norm(l + "attn/norm", b)
        dense(l + "attn/qkv", q + 2 * k, d, b["attention_bias"])
        dense(l + "attn/o", d, q, b["attention_bias"])
        norm(l + "mlp/norm", b)
        dense(l + "mlp/gate_up" if b["gated"] else l + "mlp/up", b["intermediate_size"] * (2 if b["gated"] else 1), d, b["mlp_bias"])
        dense(l + "mlp/down", d, b["intermediate_size"], b["mlp_bias"])
    norm("norm", c)
    return s


def values(shapes, generator):
    p = {}
    for name, shape in shapes.items():
        x = torch.randn(shape, generator=generator, dtype=torch.float32) * (0.4 if len(shape) > 1 else 0.2)
        gain = len(shape) == 1 and not name.endswith("bias")
        p[name] = (x + 1 if gain else x).double().requires_grad_()  # exactly what a float32 file holds
    return p


def write(name, config, shapes, forward, seed):
    g = torch.Generator().manual_seed(seed)
    p = values(shapes(config), g)
    vocab = config.get("vocab_size") or config["wok"]["vocab_size"]
    docs = [torch.randint(0, vocab, (n,), generator=g) for n in LENGTHS]
    logits = torch.cat([forward(p, config, d, torch.arange(len(d))) for d in docs])
    labels = torch.cat([torch.cat((d[1:], torch.tensor([-1]))) for d in docs])
    loss = F.cross_entropy(logits, labels, ignore_index=-1)
    grads = torch.autograd.grad(loss, list(p.values()))
    starts = torch.cat([torch.full((n,), sum(LENGTHS[:i])) for i, n in enumerate(LENGTHS)])
    total = sum(LENGTHS)
    folder = os.path.join(HERE, "gpt", name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f, indent=2)
        f.write("\n")
    meta = {"format": "pt"}
    save_file({k: v.detach().float().contiguous() for k, v in p.items()}, os.path.join(folder, "model.safetensors"), meta)
    save_file({k: v.contiguous() for k, v in zip(p, grads)}, os.path.join(folder, "grads.safetensors"), meta)
    ints = dict(ids=torch.cat(docs), pos=torch.arange(total) - starts, lo=starts, hi=torch.arange(total) + 1, labels=labels)
    save_file({**{k: v.int() for k, v in ints.items()}, "logits": logits.detach().contiguous(), "loss": loss.detach()},
              os.path.join(folder, "oracle.safetensors"), meta)
    print(f"{name}: {sum(v.numel() for v in p.values())} parameters, loss {loss.item():.6f}")
    return p, docs, logits.detach()


def check(name, p, docs, logits):
    from transformers import AutoModelForCausalLM
    model, info = AutoModelForCausalLM.from_pretrained(os.path.join(HERE, "gpt", name), output_loading_info=True, dtype=torch.float64)
    assert not any(info[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    model.eval()
    with torch.no_grad():
        got = torch.cat([model(d[None]).logits[0] for d in docs])
    print(f"{name}: transformers' logits differ by {(got - logits).abs().max().item():.2e}")


for entry in (("gpt2", GPT2, shapes_gpt2, gpt2, 1), ("llama", LLAMA, shapes_llama, llama, 2), ("own", OWN, shapes_own, own, 3)):
    result = write(*entry)
    if "--check" in sys.argv and entry[0] != "own":
        check(entry[0], *result)
