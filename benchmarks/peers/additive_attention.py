#!/usr/bin/env python3
"""Speed of additive attention: fovea beside PyTorch's composite of it, in one run.

    score = v . tanh(q + k),  out = softmax(score) value,  and the gradients of q, k, v and value

PyTorch has no kernel for it: the composite makes a tensor of [B,T,S,D]. It runs eager and compiled; the best counts.
Both read the same numbers in f32 on the same number of threads, in turns; each turn's quickest call counts, and results
must agree to 1e-4 of the largest.

    benchmarks/peers/venv/bin/python benchmarks/peers/additive_attention.py
"""
import argparse, json, os, pathlib, subprocess, sys, tempfile, time

SHAPES = [  # B, T, S, D, E
    (16, 128, 128, 256, 256),
    (64, 30, 30, 512, 512),
    (64, 1, 30, 256, 512),
]
INPUTS = {"q": "BTD", "k": "BSD", "v": "D", "value": "BSE", "d_out": "BTE"}


def composite(q, k, v, value):
    import torch

    score = torch.tanh(q.unsqueeze(2) + k.unsqueeze(1)) @ v
    return torch.softmax(score, -1) @ value


class TorchRun:
    def __init__(self, kind, tensors):
        import torch

        self.function = composite if kind == "eager" else torch.compile(composite, dynamic=False)
        self.inputs = [tensors[name].clone().requires_grad_() for name in ("q", "k", "v", "value")]
        self.d_out = tensors["d_out"]

    def both(self):
        began = time.perf_counter()
        for tensor in self.inputs:
            tensor.grad = None
        self.out = self.function(*self.inputs)
        self.out.backward(self.d_out)
        return time.perf_counter() - began

    def forward(self):
        import torch

        with torch.no_grad():
            began = time.perf_counter()
            self.function(*self.inputs)
            return time.perf_counter() - began

    def milliseconds(self, repeats):
        return 1e3 * min(self.forward() for _ in range(repeats)), 1e3 * min(self.both() for _ in range(repeats))

    def results(self):
        names = ("out", "d_q", "d_k", "d_v", "d_value")
        return dict(zip(names, [self.out.detach()] + [tensor.grad for tensor in self.inputs]))


def run_fovea(arguments, shape, folder):
    command = [arguments.program, "--peer", arguments.threads, *shape, 4 * arguments.repeats, folder]
    answer = json.loads(subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout)
    return answer["forward_ms"], answer["both_ms"]


def load(folder, name, shape=None):
    import numpy, torch

    tensor = torch.from_numpy(numpy.fromfile(folder / name, dtype=numpy.float32))
    return tensor.reshape(shape) if shape else tensor


def compare(arguments, shape, folder):
    """Prints a line a side; returns the ratio forward and backward, and whether results agree."""
    length = dict(zip("BTSDE", shape))
    best = {"fovea": run_fovea(arguments, shape, folder)}
    tensors = {name: load(folder, name, [length[axis] for axis in axes]) for name, axes in INPUTS.items()}
    runs = {kind: TorchRun(kind, tensors) for kind in ["eager"] + ["compiled"] * (not arguments.no_compile)}
    for run in runs.values():
        run.milliseconds(2)  # compiles
    agrees = True
    for kind, run in runs.items():
        for name, theirs in run.results().items():
            ours = load(folder, name, theirs.shape)
            apart = ((ours - theirs).abs().max() / theirs.abs().max()).item()
            if not apart < 1e-4:
                print(f"{name} differs from PyTorch {kind}'s by {apart:.1e} of its largest")
                agrees = False
    for _ in range(arguments.rounds):
        times = {"fovea": run_fovea(arguments, shape, folder)}
        times.update((kind, run.milliseconds(arguments.repeats)) for kind, run in runs.items())
        for kind, found in times.items():
            best[kind] = tuple(map(min, best.get(kind, found), found))
    elements = shape[0] * shape[1] * shape[2] * shape[3] * 1e-6
    print("B {} T {} S {} D {} E {}".format(*shape))
    for kind, (forward, both) in best.items():
        print(f"  {kind:9} forward {forward:9.3f} ms ({elements / forward:6.2f} G tanh/s)   forward + backward {both:9.3f} ms")
    ratios = [min(best[kind][i] for kind in runs) / best["fovea"][i] for i in (0, 1)]
    print(f"  ratio     forward {ratios[0]:.1f}, forward + backward {ratios[1]:.1f}   (to PyTorch's best)", flush=True)
    return agrees


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=5, help="calls a round")
    parser.add_argument("--program", default="build/release/benchmarks/bench_additive_attention")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    arguments = parser.parse_args()

    import torch

    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    print(f"PyTorch {torch.__version__}, {arguments.threads} threads, f32, best of {arguments.rounds} rounds")
    agrees = True
    for shape in SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            agrees &= compare(arguments, shape, pathlib.Path(folder))
    sys.exit(0 if agrees else 1)


if __name__ == "__main__":
    main()
