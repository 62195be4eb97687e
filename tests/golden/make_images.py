#!/usr/bin/env python3
"""Writes tests/unit/images_golden.inc: what PyTorch computes for the images of tests/unit/test_ops_images.c.

usage: python3 tests/golden/make_images.py > tests/unit/images_golden.inc
"""
import math
import torch
import torch.nn.functional as F
from golden import case, emit, fill, leaf

# ---- convolution: F.pad takes left, right, top, bottom ----
x, w, b = leaf(1, 2, 4, 4, 5), leaf(2, 6, 2, 3, 2), leaf(3, 6)
padded = F.pad(x, (1, 2, 0, 2))
case("conv2d", F.conv2d(padded, w, b, stride=(2, 1), dilation=(1, 2), groups=2), x, w, b)
x, w = leaf(1, 1, 4, 2, 3), leaf(4, 4, 3, 3, 4)
b = leaf(5, 6)
y = F.conv_transpose2d(x, w, b, stride=(2, 3), padding=(1, 2), output_padding=(1, 2), groups=2, dilation=(1, 1))
case("conv2d_transpose", y, x, w, b)
y = F.conv_transpose2d(x, leaf(4, 4, 2, 3, 3), None, stride=2)  # cut unevenly
case("conv2d_transpose_cut", y[:, :, 1:, :-1].contiguous(), x)

# ---- pooling ----
x = leaf(6, 1, 2, 4, 5)
case("avg_pool", F.avg_pool2d(x, (3, 2), stride=(2, 3), padding=(1, 1)), x)
case("avg_pool_inside", F.avg_pool2d(x, (3, 2), stride=(2, 3), padding=(1, 1), count_include_pad=False), x)
case("max_pool", F.max_pool2d(F.pad(x, (1, 0, 2, 1), value=-math.inf), (3, 2), stride=(2, 1)), x)
case("global_avg", x.mean((2, 3)), x)
ties = torch.tensor([[[[1.0, 2, 2], [2, 0, 2], [2, 2, 1]]]], requires_grad=True)
case("max_pool_ties", F.max_pool2d(ties, 2, stride=1), ties)

# ---- resizing ----
for mode, corners in (("nearest", None), ("bilinear", False), ("bilinear", True)):
    name = "corners" if corners else mode
    case(f"{name}_up", F.interpolate(x, (6, 7), mode=mode, align_corners=corners), x)
    case(f"{name}_odd", F.interpolate(x, (3, 8), mode=mode, align_corners=corners), x)

# ---- norms ----
x, gain, bias = leaf(7, 2, 4, 2, 3), leaf(8, 4), leaf(9, 4)
case("group_norm", F.group_norm(x, 2, gain, bias, 1e-5), x, gain, bias)
case("instance_norm", F.instance_norm(x, None, None, gain, bias, True, 0.1, 1e-3), x, gain, bias)
mean, var = fill(10, 4), fill(11, 4).abs()
case("batch_norm", F.batch_norm(x, mean, var, gain, bias, True, 0.2, 1e-4), x, gain, bias)
emit("running_mean", mean)
emit("running_var", var)
case("batch_norm_infer", F.batch_norm(x, fill(10, 4), fill(11, 4).abs(), gain, bias, False, 0.2, 1e-4), x, gain, bias)
