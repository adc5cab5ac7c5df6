#!/usr/bin/env python3
"""Records what PyTorch's batch normalization computes, for pytorch_test.cpp.

Run once by hand: python3 make_golden.py [folder, this one by default]; the files are committed. Debian has
PyTorch as python3-torch. A file is text: a comment with the versions and the seed, then lines

    option <name> <value>
    tensor <name> <extent> <extent> ...
    <values in row-major order, enough digits to give the same bits back>
"""
import pathlib
import sys

import torch

SEED = 20150211


def write(name, options, tensors):
    digits = {torch.float32: 9, torch.float64: 17}
    lines = [f"# {name}: torch {torch.__version__.split('+')[0]}, seed {SEED}, written by make_golden.py"]
    lines += [f"option {key} {value}" for key, value in options.items()]
    for key, tensor in tensors.items():
        tensor = tensor.detach()
        lines.append(" ".join(["tensor", key, *map(str, tensor.shape)]))
        values = [f"{value:.{digits[tensor.dtype]}g}" for value in tensor.contiguous().flatten().tolist()]
        lines += [" ".join(values[i:i + 8]) for i in range(0, len(values), 8)]
    (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")


def batch(shape, dtype):
    """Every channel has its own mean and spread, so that a swapped axis cannot go unseen."""
    channel = torch.arange(shape[1], dtype=dtype).reshape([1, -1] + [1] * (len(shape) - 2))
    return torch.randn(shape, dtype=dtype) * (0.5 + channel) + (2 * channel - 3)


def layer_with_parameters(kind, channels, dtype, **arguments):
    layer = kind(channels, dtype=dtype, **arguments)
    if layer.affine:
        with torch.no_grad():
            layer.weight.copy_(torch.linspace(0.5, 1.5, channels, dtype=dtype))
            layer.bias.copy_(torch.linspace(-1.0, 0.7, channels, dtype=dtype))
    return layer


def record(name, kind, shapes, dtype=torch.float32, evaluate=False, relu=False, **arguments):
    """One or more steps on one layer. The gradients of the parameters accumulate from step to step."""
    torch.manual_seed(SEED)
    channels = shapes[0][1]
    layer = layer_with_parameters(kind, channels, dtype, **arguments)
    tensors = {}
    if evaluate:
        layer.running_mean.copy_(torch.randn(channels, dtype=dtype))
        layer.running_var.copy_(torch.rand(channels, dtype=dtype) + 0.2)
        layer.eval()
        tensors |= {"start_mean": layer.running_mean.clone(), "start_variance": layer.running_var.clone()}
    if layer.affine:
        tensors |= {"gamma": layer.weight, "beta": layer.bias}
    for step, shape in enumerate(shapes):
        x = batch(shape, dtype).requires_grad_()
        dy = torch.randn(shape, dtype=dtype)
        y = layer(x)
        if relu:
            y = torch.relu(y)
        y.backward(dy)
        tensors |= {f"x{step}": x, f"dy{step}": dy, f"y{step}": y, f"dx{step}": x.grad}
        if layer.affine:
            tensors |= {f"dgamma{step}": layer.weight.grad.clone(), f"dbeta{step}": layer.bias.grad.clone()}
        tensors |= {f"running_mean{step}": layer.running_mean.clone(),
                    f"running_variance{step}": layer.running_var.clone()}
    momentum = "cumulative" if layer.momentum is None else layer.momentum
    write(name, {"steps": len(shapes), "channels": channels, "epsilon": layer.eps, "momentum": momentum,
                 "affine": int(layer.affine), "evaluate": int(evaluate), "relu": int(relu)}, tensors)


folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
record("batch_norm_1d_float", torch.nn.BatchNorm1d, [(7, 5)])
record("batch_norm_1d_double", torch.nn.BatchNorm1d, [(7, 5)], torch.float64)
record("batch_norm_1d_sequence", torch.nn.BatchNorm1d, [(4, 3, 5)])
record("batch_norm_2d_three_steps", torch.nn.BatchNorm2d, [(3, 4, 3, 2)] * 3)
record("batch_norm_2d_eval", torch.nn.BatchNorm2d, [(3, 5, 4, 2)], evaluate=True)
record("batch_norm_2d_cumulative", torch.nn.BatchNorm2d, [(2, 3, 2, 2), (5, 3, 2, 2), (3, 3, 2, 2)], momentum=None)
record("batch_norm_2d_no_affine", torch.nn.BatchNorm2d, [(3, 4, 2, 5)], affine=False)
record("batch_norm_2d_relu", torch.nn.BatchNorm2d, [(3, 4, 2, 5)], relu=True)
record("batch_norm_2d_epsilon_double", torch.nn.BatchNorm2d, [(2, 3, 2, 3)] * 2, torch.float64, eps=0.01, momentum=0.3)
record("batch_norm_3d_double", torch.nn.BatchNorm3d, [(2, 3, 2, 2, 3)], torch.float64)
