#!/usr/bin/env python3
"""Speed of training a Transformer for translation: fovea beside PyTorch's own modules, in one run.

Both read the same batches (packed by tokens, sorted by length) of the same text and train the same model: embeddings
tied on all three sides, sinusoidal positions, post-norm, ReLU, dropout 0.1 wherever torch.nn.Transformer has it, label
smoothing 0.1, Adam, f32. PyTorch runs eager and compiled; the better one counts. Runs alternate, medians are shown.

    python3 -m venv benchmarks/peers/venv
    benchmarks/peers/venv/bin/pip install torch sentencepiece
    benchmarks/peers/venv/bin/python benchmarks/peers/train_translation.py --data DIR --preset tiny
"""
import argparse, gzip, json, math, os, pathlib, random, statistics, subprocess, tempfile, time

EOS, UNK, PAD = 0, 1, 2
PRESETS = {  # layers, width, feed-forward, heads
    "tiny": (4, 128, 256, 4),
    "small": (3, 256, 1024, 8),
    "base": (6, 512, 2048, 8),
}


def read(path):
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [line.rstrip("\n") for line in lines]


def make_batches(data, vocabulary, batch_tokens, count, folder):
    """Encodes Multi30k with a joint vocabulary; batches of at most batch_tokens on a side, alike in length."""
    import sentencepiece

    source, target = (read(data / "multi30k" / f"train.{language}.gz") for language in ("en", "de"))
    text = folder / "text"
    text.write_text("\n".join(source + target) + "\n", encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "joint"), vocab_size=vocabulary, byte_fallback=True,
        eos_id=EOS, unk_id=UNK, pad_id=PAD, bos_id=-1, minloglevel=2)
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "joint.model"))
    pairs = list(zip(model.encode(source), model.encode(target)))
    pairs.sort(key=lambda pair: (len(pair[1]), len(pair[0])))
    batches, batch, tokens = [], [], [0, 0]
    for pair in pairs:
        sizes = [len(pair[0]) + 1, len(pair[1]) + 1]
        if batch and max(tokens[0] + sizes[0], tokens[1] + sizes[1]) > batch_tokens:
            batches.append(batch)
            batch, tokens = [], [0, 0]
        batch.append(pair)
        tokens = [tokens[0] + sizes[0], tokens[1] + sizes[1]]
    batches.append(batch)
    random.Random(1).shuffle(batches)
    return batches[:count]


def write_batches(batches, path):
    with open(path, "w") as out:
        for batch in batches:
            for source, target in batch:
                out.write(" ".join(map(str, source)) + "\t" + " ".join(map(str, target)) + "\n")
            out.write("\n")


def build_torch(preset, vocabulary, dropout=0.1):
    import torch
    from torch import nn

    layers, width, feed_forward, heads = PRESETS[preset]

    class Translation(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(vocabulary, width)
            nn.init.normal_(self.embedding.weight, std=width**-0.5)
            self.dropout = nn.Dropout(dropout)
            self.transformer = nn.Transformer(width, heads, layers, layers, feed_forward, dropout, batch_first=True)
            # The paper's stacks end without a norm of their own when layers are post-norm.
            self.transformer.encoder.norm = self.transformer.decoder.norm = None
            angle = torch.arange(512)[:, None] / 10000 ** (torch.arange(0, width, 2) / width)
            self.register_buffer("positions", torch.cat([angle.sin(), angle.cos()], 1))

        def embed(self, ids):
            scaled = self.embedding(ids) * math.sqrt(self.embedding.embedding_dim)
            return self.dropout(scaled + self.positions[: ids.shape[1]])

        def forward(self, source, target_in, target_out, causal):
            padding = source == PAD
            states = self.transformer(
                self.embed(source), self.embed(target_in), tgt_mask=causal, src_key_padding_mask=padding,
                memory_key_padding_mask=padding, tgt_is_causal=True)
            logits = states @ self.embedding.weight.T
            return nn.functional.cross_entropy(
                logits.flatten(0, 1), target_out.flatten(), ignore_index=-100, label_smoothing=0.1)

    torch.manual_seed(1)
    return Translation()


def pad_batch(batch):
    import torch

    def padded(rows, fill):
        length = max(map(len, rows))
        return torch.tensor([row + [fill] * (length - len(row)) for row in rows])

    source = padded([s + [EOS] for s, _ in batch], PAD)
    target_in = padded([[PAD] + t for _, t in batch], PAD)
    target_out = padded([t + [EOS] for _, t in batch], -100)
    causal = torch.nn.Transformer.generate_square_subsequent_mask(target_in.shape[1])
    return (source, target_in, target_out, causal), int((target_out >= 0).sum())


def run_torch(batches, preset, vocabulary, updates, threads, compiled):
    import torch

    torch.set_num_threads(threads)
    model = build_torch(preset, vocabulary)
    model.train()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-9, fused=True)
    forward = torch.compile(model, dynamic=True) if compiled else model
    padded = [pad_batch(batch) for batch in batches]
    warm = min(len(padded), 3 if not compiled else 6)
    rates = []
    for update in range(updates + warm):
        inputs, tokens = padded[update % len(padded)]
        began = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        loss = forward(*inputs)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9)  # fovea measures the norm too
        optimiser.step()
        rates.append(tokens / (time.perf_counter() - began))
    return statistics.median(rates[warm:])


def run_fovea(program, path, preset, vocabulary, updates, threads):
    command = [program, str(path), "--preset", preset, "--vocabulary", str(vocabulary), "--updates", str(updates),
               "--threads", str(threads)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder that holds multi30k/")
    parser.add_argument("--preset", choices=PRESETS, default="tiny")
    parser.add_argument("--vocabulary", type=int, default=10000)
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--updates", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--program", default="build/release/benchmarks/training")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    arguments = parser.parse_args()

    import torch

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        batches = make_batches(arguments.data, arguments.vocabulary, arguments.batch_tokens, 16, folder)
        write_batches(batches, folder / "batches")
        tokens = sum(len(t) + 1 for batch in batches for _, t in batch)
        cells = sum(len(batch) * max(len(t) + 1 for _, t in batch) for batch in batches)
        print(f"PyTorch {torch.__version__}, {arguments.threads} threads, {arguments.preset}, "
              f"{arguments.batch_tokens} tokens a batch, padding {100 * (cells / tokens - 1):.1f} % for PyTorch, none for fovea")
        fovea, torch_rates = [], {"eager": [], "compiled": []}
        for _ in range(arguments.rounds):
            result = run_fovea(arguments.program, folder / "batches", arguments.preset, arguments.vocabulary,
                               arguments.updates, arguments.threads)
            fovea.append(result["median"])
            for kind in torch_rates:
                if kind == "compiled" and arguments.no_compile:
                    continue
                torch_rates[kind].append(run_torch(batches, arguments.preset, arguments.vocabulary, arguments.updates,
                                                   arguments.threads, kind == "compiled"))
        ours = statistics.median(fovea)
        print(f"fovea     {ours:10.0f} target tokens/s   {result['gflops']:.0f} GFLOP/s in matrix products")
        best = 0
        for kind, rates in torch_rates.items():
            if rates:
                print(f"{kind:9} {statistics.median(rates):10.0f} target tokens/s")
                best = max(best, statistics.median(rates))
        print(f"ratio     {ours / best:10.2f}")


if __name__ == "__main__":
    main()
