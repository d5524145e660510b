#!/usr/bin/env python3
"""Writes tests/nn/torch_recurrent.safetensors: weights, inputs, outputs and gradients of small torch.nn.GRU and
torch.nn.LSTM modules over packed sequences, which fovea's must repeat. Run again only to add a case.

    benchmarks/peers/venv/bin/python benchmarks/peers/recurrent_fixture.py
"""
import pathlib

import torch
from safetensors.torch import save_file
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

CASES = {  # module, input, hidden, layers, bidirectional, first states given
    "gru": (torch.nn.GRU, 5, 7, 2, True, True),
    "lstm": (torch.nn.LSTM, 5, 7, 2, True, True),
    "gru_forward": (torch.nn.GRU, 3, 18, 1, False, False),
    "lstm_forward": (torch.nn.LSTM, 3, 18, 1, False, False),
}
LENGTHS = [4, 1, 6, 6, 2]


def by_sequence(states, layers):
    """[layers*D, B, H] as fovea has it: [layers, B, D*H]."""
    return states.reshape(layers, -1, *states.shape[1:]).permute(0, 2, 1, 3).flatten(2)


def run(name, kind, width, hidden, layers, bidirectional, given):
    torch.manual_seed(len(name))
    module = kind(width, hidden, layers, bidirectional=bidirectional)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    directions = 2 if bidirectional else 1
    x = torch.randn(sum(LENGTHS), width, requires_grad=True)
    lstm = kind is torch.nn.LSTM
    first = []
    if given:
        shape = (layers * directions, len(LENGTHS), hidden)
        first = [torch.randn(shape, requires_grad=True) for _ in range(1 + lstm)]
    packed = pack_sequence(x.split(LENGTHS), enforce_sorted=False)
    out, last = module(packed, (tuple(first) if lstm else first[0]) if given else None)
    padded, _ = pad_packed_sequence(out, batch_first=True)
    rows = torch.cat([padded[b, :length] for b, length in enumerate(LENGTHS)])
    last = list(last) if lstm else [last]
    d_rows, d_last = torch.randn_like(rows), [torch.randn_like(state) for state in last]
    torch.autograd.backward([rows, *last], [d_rows, *d_last])
    tensors = {"x": x, "out": rows, "d_out": d_rows, "d_x": x.grad}
    for letter, state, d_state in zip("hc", last, d_last):
        tensors |= {f"last_{letter}": by_sequence(state, layers), f"d_last_{letter}": by_sequence(d_state, layers)}
    for letter, state in zip("hc", first):
        tensors |= {f"first_{letter}": by_sequence(state, layers), f"d_first_{letter}": by_sequence(state.grad, layers)}
    tensors |= {"parameter." + n: p for n, p in module.named_parameters()}
    tensors |= {"d_parameter." + n: p.grad for n, p in module.named_parameters()}
    return {f"{name}.{key}": value.detach().contiguous().clone() for key, value in tensors.items()}


tensors = {}
for name, case in CASES.items():
    tensors |= run(name, *case)
target = pathlib.Path(__file__).resolve().parents[2] / "tests/nn/torch_recurrent.safetensors"
save_file(tensors, target, metadata={"torch": torch.__version__})
print(target, target.stat().st_size, "bytes")
