#!/usr/bin/env python3
"""Speed of generating: fovea beside Hugging Face Transformers on PyTorch, greedily, the same model in both.

    generate.py                                     # GPT-2-small's shape, random weights
    generate.py --model DIR --types f32 --batches 1
    generate.py --threads 1 --rounds 9

For each type of weights and batch: tokens a second of fovea (benchmarks/generating.cpp) and of generate(), in turns, over
the same prompts' lengths and numbers of tokens, and the median of the rounds' ratios. PyTorch has no int8 that needs no
calibration: fovea's stands beside its better one. Then, of one sequence, the share of the bandwidth of a plain read, in the
same minute, with which fovea's weights were read: a token costs reading each of them once.
That both say the same is what open_language_models.py and generation_fixture.py are for.
"""
import argparse, json, pathlib, statistics, subprocess, tempfile, time

import torch
import transformers

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


class Fovea:
    def __init__(self, program, model, threads, dtype):
        self.process = subprocess.Popen([program, model, "--threads", str(threads), "--dtype", dtype], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.process.stdout.readline()

    def ask(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def transformers_seconds(model, batch, arguments):
    prompts = torch.randint(0, model.config.vocab_size - 1, (batch, arguments.prompt), generator=torch.Generator().manual_seed(1))
    begin = time.perf_counter()
    with torch.inference_mode():
        out = model.generate(prompts, attention_mask=torch.ones_like(prompts), max_new_tokens=arguments.tokens,
                             min_new_tokens=arguments.tokens, do_sample=False, pad_token_id=0)
    assert out.shape[1] == arguments.prompt + arguments.tokens
    return time.perf_counter() - begin


def compare(arguments, model_folder):
    torch.set_num_threads(arguments.threads)
    print(f"{arguments.threads} threads, prompts of {arguments.prompt} tokens, {arguments.tokens} that follow; tokens/s")
    peers = {name: transformers.AutoModelForCausalLM.from_pretrained(model_folder, dtype=DTYPES[name]).eval()
             for name in DTYPES if name in arguments.types or "int8" in arguments.types}
    for name in arguments.types:
        ours = Fovea(arguments.program, model_folder, arguments.threads, name)
        beside = [name] if name in peers else list(peers)
        for batch in arguments.batches:
            rounds = []
            for _ in range(arguments.rounds + 1):  # the first warms up
                mine = ours.ask("generate", batch, arguments.prompt, arguments.tokens)
                theirs = min(transformers_seconds(peers[one], batch, arguments) for one in beside)
                rounds.append((mine["seconds"], theirs, mine["step"]))
            rounds = rounds[1:]
            tokens = batch * arguments.tokens
            ratio = statistics.median(theirs / mine for mine, theirs, _ in rounds)
            print(f"{name:5} batch {batch}: fovea {tokens / min(r[0] for r in rounds):7.1f}, "
                  f"Transformers {tokens / min(r[1] for r in rounds):7.1f}, ratio {ratio:.2f}", end="")
            if batch == 1:
                machine = ours.ask("machine")
                step = min(r[2] for r in rounds)
                share = machine["bytes"] / step / machine["bandwidth"]
                print(f"; {1e3 * step:.2f} ms a step, {machine['bytes'] / 1e6:.0f} MB at {machine['bytes'] / step / 1e9:.1f} of "
                      f"{machine['bandwidth'] / 1e9:.1f} GB/s: {share:.0%}", end="")
            print(flush=True)
        ours.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="directory; none: GPT-2-small's shape with random weights")
    parser.add_argument("--types", nargs="+", choices=["f32", "bf16", "int8"], default=["f32", "bf16", "int8"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--program", default="build/release/benchmarks/generating")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as folder:
        if not arguments.model:
            subprocess.run([arguments.program, "--write", folder], check=True)
        compare(arguments, arguments.model or folder)


if __name__ == "__main__":
    main()
