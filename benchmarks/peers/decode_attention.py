#!/usr/bin/env python3
"""Attention of one query over a cache: fovea's kernel beside PyTorch's scaled_dot_product_attention, in one run.

The cells are those of benchmarks/decode_attention.cpp: sequences of S tokens, 4 cached heads of width 64, 1 to 8 query
heads a cached head, as many sequences as fill 192 MB. PyTorch reads keys and values as [B, H, S, E] tensors with enable_gqa,
from rows that lie side by side; the better of enable_gqa and of the group as so many queries of one head. For each cell, both in turn, best of the repeats; microseconds, and PyTorch's time over fovea's.

    benchmarks/peers/venv/bin/python benchmarks/peers/decode_attention.py --threads 2
"""
import argparse, json, math, subprocess, time

HEADS, WIDTH = 4, 64
DTYPES = ("f32", "bf16")


def fovea_time(program, name):
    """Seconds of the best call of one cell."""
    output = subprocess.run(
        [program, f"--benchmark_filter=^{name}/", "--benchmark_format=json"],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    (cell,) = json.loads(output)["benchmarks"]
    return cell["us"] * 1e-6, int(cell["B"]), cell["share_%"]


def torch_time(torch, dtype, batch, length, group, seconds):
    sdpa = torch.nn.functional.scaled_dot_product_attention
    kind = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
    query = torch.randn(batch, HEADS * group, 1, WIDTH).to(kind)
    keys, values = (torch.randn(batch, HEADS, length, WIDTH).to(kind) for _ in range(2))
    calls = [lambda: sdpa(query, keys, values, enable_gqa=group > 1)]
    if group > 1:  # the group as so many queries of one head: what someone who knows would write
        grouped = query.view(batch, HEADS, group, WIDTH)
        calls.append(lambda: sdpa(grouped, keys, values))
    best = math.inf
    for call in calls:
        call()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            call()
            best = min(best, time.perf_counter() - start)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/release/benchmarks/bench_decode_attention")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.5, help="of repeats a cell and call of PyTorch")
    arguments = parser.parse_args()

    import torch

    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    print(f"torch {torch.__version__}, {arguments.threads} threads; E = {WIDTH}, {HEADS} cached heads")
    print(f"{'type':>5} {'S':>6} {'group':>5} {'B':>5} {'fovea us':>10} {'torch us':>10} {'ratio':>6} {'of read':>8}")
    ratios = []
    for dtype in DTYPES:
        for length in (128, 2048, 32768):
            for group in (1, 2, 4, 8):
                name = f"{dtype}/{length}/{group}/threads:{arguments.threads}"
                ours, batch, share = fovea_time(arguments.program, name)
                theirs = torch_time(torch, dtype, batch, length, group, arguments.seconds)
                ratios.append(theirs / ours)
                print(f"{dtype:>5} {length:>6} {group:>5} {batch:>5} {ours * 1e6:>10.0f} {theirs * 1e6:>10.0f} "
                      f"{ratios[-1]:>6.2f} {share:>7.0f}%", flush=True)
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    print(f"geometric mean {mean:.2f}, lowest {min(ratios):.2f}")


if __name__ == "__main__":
    main()
