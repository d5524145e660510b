#!/usr/bin/env python3
"""Writes tests/attention/torch_multi_head.safetensors: weights, inputs, outputs and gradients of small
torch.nn.MultiheadAttention modules, which fovea's must repeat. Run again only to add a case.

    benchmarks/peers/venv/bin/python benchmarks/peers/multi_head_fixture.py
"""
import pathlib

import torch
from safetensors.torch import save_file

CASES = {  # width, heads, kdim, vdim, bias, causal
    "self": (8, 2, None, None, True, False),
    "causal": (12, 3, None, None, False, True),
    "cross": (8, 4, None, None, True, False),
    "widths": (6, 2, 5, 7, True, False),
}


def run(name, width, heads, kdim, vdim, bias, causal):
    torch.manual_seed(len(name))
    module = torch.nn.MultiheadAttention(width, heads, bias=bias, kdim=kdim, vdim=vdim, batch_first=True)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    q = torch.randn(2, 5, width, requires_grad=True)
    one_side = name in ("self", "causal")
    k = q if one_side else torch.randn(2, 7, kdim or width, requires_grad=True)
    v = k if vdim is None else torch.randn(2, 7, vdim, requires_grad=True)
    mask = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1) if causal else None
    out, weights = module(q, k, v, attn_mask=mask, average_attn_weights=False)
    d_out = torch.randn_like(out)
    out.backward(d_out)
    tensors = {"q": q, "out": out, "weights": weights, "d_out": d_out, "d_q": q.grad}
    if not one_side:
        tensors |= {"k": k, "d_k": k.grad}
    if vdim is not None:
        tensors |= {"v": v, "d_v": v.grad}
    tensors |= {"parameter." + n: p for n, p in module.named_parameters()}
    tensors |= {"d_parameter." + n: p.grad for n, p in module.named_parameters()}
    return {f"{name}.{key}": value.detach().contiguous().clone() for key, value in tensors.items()}


tensors = {}
for name, case in CASES.items():
    tensors |= run(name, *case)
target = pathlib.Path(__file__).resolve().parents[2] / "tests/attention/torch_multi_head.safetensors"
save_file(tensors, target, metadata={"torch": torch.__version__})
print(target, target.stat().st_size, "bytes")
