#!/usr/bin/env python3
"""Speed of attention: fovea's tiled kernels beside PyTorch's, cell by cell, in one run.

A cell is 8 sequences of 8 heads with T = S: full, causal, a window of 256 keys, or padding (sequence b holds T - b*T/16
of its T tokens); f32 or bf16; forward, or forward and backward. PyTorch runs scaled_dot_product_attention with its CPU
flash kernel where that takes the cell, its unfused formula, and with --compile FlexAttention (whose CPU form is forward
only); the fastest counts. For a window and for padding it is given the mask that it needs, boolean and as a bias. Both
take turns on each cell, on the same number of threads; each side's quickest call counts. `useful` are operations of visible
pairs alone, 4E a pair forward and 3.5 times that with backward.

    benchmarks/peers/venv/bin/python benchmarks/peers/attention.py
    benchmarks/peers/venv/bin/python benchmarks/peers/attention.py --lengths 512 2048 --kinds causal --types bf16
"""
import argparse, json, math, os, pathlib, subprocess, sys, time

KINDS = ("full", "causal", "window", "padding")
SEQUENCES = HEADS = 8
WINDOW = 256


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[32, 128, 512, 2048, 8192])
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--types", nargs="+", choices=("f32", "bf16"), default=["f32", "bf16"])
    parser.add_argument("--passes", nargs="+", choices=("forward", "both"), default=["forward", "both"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2, help="turns of either side on a cell")
    parser.add_argument("--compile", action="store_true", help="try FlexAttention, compiled, too")
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--json", type=pathlib.Path, help="write the cells there, too")
    return parser.parse_args()


def counts(kind, length):
    return [length - b * length // 16 if kind == "padding" else length for b in range(SEQUENCES)]


def visible_pairs(kind, length):
    total = 0
    for n in counts(kind, length):
        if kind == "causal":
            total += n * (n + 1) // 2
        elif kind == "window":
            m = min(n, WINDOW)
            total += m * (m + 1) // 2 + (n - m) * WINDOW
        else:
            total += n * n
    return total * HEADS


class Torch:
    """A cell in PyTorch: the quickest of the ways that take it."""

    def __init__(self, kind, length, width, dtype, both, compiled):
        import torch

        self.torch, self.kind, self.both, self.length = torch, kind, both, length
        torch.manual_seed(1)
        shape = (SEQUENCES, length, HEADS, width)  # heads in place, as fovea reads them
        make = lambda: torch.rand(shape).mul(2).sub(1).to(dtype).transpose(1, 2)
        self.q, self.k, self.v = (make().requires_grad_(both) for _ in range(3))
        self.d_out = make()
        self.ways = dict(self.candidates(compiled))
        self.best = {}

    def masks(self):
        torch, length = self.torch, self.length
        rows, columns = torch.arange(length)[:, None], torch.arange(length)[None]
        if self.kind == "window":
            yield "mask", ((columns <= rows) & (columns > rows - WINDOW))[None, None]
        elif self.kind == "padding":
            limits = torch.tensor(counts(self.kind, length))
            yield "mask", (torch.arange(length)[None] < limits[:, None])[:, None, None]
        else:
            yield "", None

    def candidates(self, compiled):
        torch = self.torch
        from torch.nn.attention import SDPBackend, sdpa_kernel

        attend = torch.nn.functional.scaled_dot_product_attention
        for name, mask in self.masks():
            variants = [(name, mask)]
            if mask is not None:
                bias = torch.zeros(mask.shape, dtype=self.q.dtype).masked_fill(~mask, -math.inf)
                variants.append(("bias", bias.expand(-1, -1, self.length, -1)))
            for variant, given in variants:
                for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.MATH):
                    # The unfused formula writes [T,S] for every head: long cells do not fit in memory.
                    if backend == SDPBackend.MATH and self.length > 2048:
                        continue
                    def run(given=given, backend=backend):
                        with sdpa_kernel(backend):
                            return attend(self.q, self.k, self.v, attn_mask=given, is_causal=self.kind == "causal")
                    yield f"{backend.name.split('_')[0].lower()} {variant}".strip(), run
        if compiled and not self.both:
            yield from self.flex()

    def flex(self):
        torch = self.torch
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention

        limits = torch.tensor(counts(self.kind, self.length))
        rules = {
            "full": None,
            "causal": lambda b, h, q, k: q >= k,
            "window": lambda b, h, q, k: (q >= k) & (q - k < WINDOW),
            "padding": lambda b, h, q, k: k < limits[b],
        }
        rule = rules[self.kind]
        block = rule and create_block_mask(rule, SEQUENCES if self.kind == "padding" else None, None, self.length,
                                           self.length, device="cpu")
        compiled = torch.compile(flex_attention, dynamic=False)
        yield "flex", lambda: compiled(self.q, self.k, self.v, block_mask=block)

    def once(self, run):
        began = time.perf_counter()
        if self.both:
            for tensor in (self.q, self.k, self.v):
                tensor.grad = None
            run().backward(self.d_out)
        else:
            with self.torch.no_grad():
                run()
        return time.perf_counter() - began

    def turn(self, seconds=0.6):
        for name, run in list(self.ways.items()):
            try:
                times, end = [self.once(run)], time.perf_counter() + seconds
                while times[0] < 3 and (time.perf_counter() < end or len(times) < 2):
                    times.append(self.once(run))
                self.best[name] = min(times + [self.best.get(name, math.inf)])
            except Exception as error:  # a way that does not take this cell
                if name in self.best:
                    raise
                del self.ways[name]
                self.refused = f"{name}: {str(error).splitlines()[0]}"
        return min(self.best.values())

    def fastest(self):
        return min(self.best, key=self.best.get)


def fovea(build, kind, length, width, dtype, both, threads):
    name = f"cell{'_bf16' if dtype == 'bf16' else ''}/T:{length}/E:{width}/kind:{KINDS.index(kind)}/backward:{int(both)}/threads:{threads}/"
    found = subprocess.run([build / "benchmarks/bench_attention", f"--benchmark_filter=^{name}", "--benchmark_format=json",
                            "--benchmark_min_time=0.6"], capture_output=True, text=True)
    cells = json.loads(found.stdout)["benchmarks"] if found.stdout.strip() else []
    if not cells:
        sys.exit(f"{build}/benchmarks/bench_attention has no {name}: {found.stderr.strip()}")
    return cells[0]


def main():
    options = arguments()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    import torch

    torch.set_num_threads(options.threads)
    print(f"PyTorch {torch.__version__}, {options.threads} threads, 8 sequences x 8 heads, E = {options.width}; ms and GFLOP/s of useful work")
    print(f"{'cell':34} {'fovea':>19} {'of peak':>8} {'PyTorch':>19} {'ratio':>6}")
    cells = []
    for dtype in options.types:
        for kind in options.kinds:
            for length in options.lengths:
                for one_pass in options.passes:
                    both = one_pass == "both"
                    peer = Torch(kind, length, options.width, torch.float32 if dtype == "f32" else torch.bfloat16, both,
                                 options.compile)
                    ours, theirs = math.inf, math.inf
                    share = 0.0
                    for _ in range(options.rounds):
                        cell = fovea(options.build, kind, length, options.width, dtype, both, options.threads)
                        ours = min(ours, cell["best_us"] * 1e-6)
                        share = max(share, cell.get("share", 0.0))
                        theirs = min(theirs, peer.turn())
                    work = 4.0 * options.width * visible_pairs(kind, length) * (3.5 if both else 1.0) * 1e-9
                    name = f"{dtype} {kind} T={length} {one_pass}"
                    print(f"{name:34} {ours * 1e3:9.2f} {work / ours:6.0f} G {100 * share:6.0f} % {theirs * 1e3:9.2f} {work / theirs:6.0f} G "
                          f"{theirs / ours:6.2f}  {peer.fastest()}", flush=True)
                    cells.append({"cell": name, "fovea_s": ours, "torch_s": theirs, "share": share,
                                  "ratio": theirs / ours, "torch": peer.fastest()})
    ratios = [cell["ratio"] for cell in cells]
    worst = min(cells, key=lambda cell: cell["ratio"])
    print(f"geometric mean {math.exp(sum(map(math.log, ratios)) / len(ratios)):.2f} over {len(ratios)} cells, "
          f"lowest {worst['ratio']:.2f} ({worst['cell']})")
    if options.json:
        options.json.write_text(json.dumps(cells, indent=1) + "\n")


if __name__ == "__main__":
    main()
