#!/usr/bin/env python3
"""Speed of recurrent layers: fovea beside torch.nn.GRU and torch.nn.LSTM, in one run.

Sequences of 16 to 32 steps, inputs as wide as the state; forward alone, and forward with backward to the inputs and all
weights. PyTorch gets its sequences packed beforehand (packing is not counted), and, as a second way, padded to the
longest, where it may use oneDNN's layer; its best counts. Both run in f32 on the same number of threads, in turns; each
turn's quickest call counts. Results of the packed way must agree to 1e-4 of the largest.

    benchmarks/peers/venv/bin/python benchmarks/peers/recurrent.py
"""
import argparse, json, os, pathlib, subprocess, sys, tempfile, time

SHAPES = [(cell, B, 16, 32, H, layers, directions)
          for cell in ("gru", "lstm")
          for B, H, layers, directions in [(64, 128, 1, 1), (64, 256, 1, 1), (128, 256, 1, 1), (64, 256, 1, 2),
                                           (64, 256, 2, 2), (64, 512, 1, 1), (64, 512, 1, 2)]]


class TorchRun:
    def __init__(self, way, shape, folder):
        import torch
        from torch.nn.utils.rnn import pack_sequence, pad_sequence

        cell, B, shortest, longest, H, layers, directions = shape
        self.lengths = [shortest + b * 7 % (longest - shortest + 1) for b in range(B)]
        kind = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell]
        self.module = kind(H, H, layers, bidirectional=directions == 2)
        with torch.no_grad():
            for name, parameter in self.module.named_parameters():
                parameter.copy_(load(folder, name, parameter.shape))
        x = load(folder, "x", (-1, H)).split(self.lengths)
        d_out = load(folder, "d_out", (-1, H * directions)).split(self.lengths)
        self.way = way
        if way == "packed":
            packed = pack_sequence(x, enforce_sorted=False)
            self.data = packed.data.requires_grad_()
            self.input = packed._replace(data=self.data)
            self.d_out = pack_sequence(d_out, enforce_sorted=False).data
        else:
            self.data = self.input = pad_sequence(x).requires_grad_()
            self.d_out = pad_sequence(d_out)

    def both(self):
        began = time.perf_counter()
        self.data.grad = None
        self.module.zero_grad()
        self.out = self.module(self.input)[0]
        (self.out.data if self.way == "packed" else self.out).backward(self.d_out)
        return time.perf_counter() - began

    def forward(self):
        import torch

        with torch.no_grad():
            began = time.perf_counter()
            self.module(self.input)
            return time.perf_counter() - began

    def milliseconds(self, repeats):
        return 1e3 * min(self.forward() for _ in range(repeats)), 1e3 * min(self.both() for _ in range(repeats))

    def results(self):
        """Of the packed way, rows in fovea's order: sequence after sequence."""
        import torch
        from torch.nn.utils.rnn import unpack_sequence

        rows = lambda data: torch.cat(unpack_sequence(self.input._replace(data=data)))
        found = {"out": rows(self.out.data.detach()), "d_x": rows(self.data.grad)}
        return found | {"d_" + name: parameter.grad for name, parameter in self.module.named_parameters()}


def run_fovea(arguments, shape, folder=None):
    command = [arguments.program, "--peer", arguments.threads, *shape, 3 * arguments.repeats] + [folder] * (folder is not None)
    answer = json.loads(subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout)
    return answer["forward_ms"], answer["both_ms"]


def load(folder, name, shape=None):
    import numpy, torch

    tensor = torch.from_numpy(numpy.fromfile(folder / name, dtype=numpy.float32))
    return tensor.reshape(shape) if shape else tensor


def compare(arguments, shape, folder):
    """Prints a line a side; returns whether results agree."""
    best = {"fovea": run_fovea(arguments, shape, folder)}
    runs = {way: TorchRun(way, shape, folder) for way in ("packed", "padded")}
    for run in runs.values():
        run.milliseconds(1)
    agrees = True
    for name, theirs in runs["packed"].results().items():
        ours = load(folder, name, theirs.shape)
        apart = ((ours - theirs).abs().max() / theirs.abs().max()).item()
        if not apart < 1e-4:
            print(f"{name} differs from PyTorch's by {apart:.1e} of its largest")
            agrees = False
    for _ in range(arguments.rounds):
        times = {"fovea": run_fovea(arguments, shape)}
        times.update((way, run.milliseconds(arguments.repeats)) for way, run in runs.items())
        for way, found in times.items():
            best[way] = tuple(map(min, best.get(way, found), found))
    print("{} B {} steps {}-{} H {} layers {} directions {}".format(*shape))
    for way, (forward, both) in best.items():
        print(f"  {way:9} forward {forward:8.2f} ms   forward + backward {both:8.2f} ms")
    ratios = [min(best[way][i] for way in runs) / best["fovea"][i] for i in (0, 1)]
    packed = [best["packed"][i] / best["fovea"][i] for i in (0, 1)]
    print(f"  ratio     forward {ratios[0]:.2f}, forward + backward {ratios[1]:.2f}   (to PyTorch's best; "
          f"packed {packed[0]:.2f}, {packed[1]:.2f})", flush=True)
    return agrees


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=5, help="calls a round")
    parser.add_argument("--program", default="build/release/benchmarks/bench_recurrent")
    parser.add_argument("--only", default="", help="part of a shape's line, as 'gru B 64 steps 16-32 H 256'")
    arguments = parser.parse_args()

    import torch

    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    print(f"PyTorch {torch.__version__}, {arguments.threads} threads, f32, best of {arguments.rounds} rounds")
    agrees = True
    for shape in SHAPES:
        if arguments.only not in "{} B {} steps {}-{} H {} layers {} directions {}".format(*shape):
            continue
        with tempfile.TemporaryDirectory() as folder:
            agrees &= compare(arguments, shape, pathlib.Path(folder))
    sys.exit(0 if agrees else 1)


if __name__ == "__main__":
    main()
