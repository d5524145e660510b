#!/usr/bin/env python3
"""Speed of training a Transformer for translation: fovea beside PyTorch's own modules, in one run.

Both read the same batches (packed by tokens, sorted by length) of the same text and train the same model: embeddings
tied on all three sides, sinusoidal positions, post-norm, ReLU, dropout 0.1 on embeddings and sublayers, label smoothing
0.1, Adam, f32. Dropout on attention weights and activations, which torch.nn.Transformer has too, is --inner-dropout; at
0 PyTorch may use its fused attention. PyTorch runs eager, compiled for any shape, and (--static) compiled for each batch's
own; the best counts. --precision bf16 is training.precision for fovea, autocast for PyTorch. Runs alternate over the same
batches, medians of the updates are shown, and each side's losses.

    benchmarks/peers/venv/bin/python benchmarks/peers/train_translation.py --data DIR --preset tiny
"""
import argparse, gzip, json, math, os, pathlib, random, statistics, subprocess, tempfile, time

EOS, UNK, PAD = 0, 1, 2
UPDATES = {"tiny": 12, "small": 8, "base": 4}  # timed in a round
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


def build_torch(preset, vocabulary, inner_dropout, dropout=0.1):
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
            for layer in self.transformer.modules():
                if isinstance(layer, nn.MultiheadAttention):
                    layer.dropout = inner_dropout
                elif isinstance(layer, (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)):
                    layer.dropout.p = inner_dropout  # the one after the activation
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


class TorchRun:
    """PyTorch's side, kept from round to round: it is compiled once."""

    def __init__(self, kind, batches, arguments):
        import torch

        torch.set_num_threads(arguments.threads)
        torch.set_flush_denormal(True)
        torch._dynamo.config.recompile_limit = max(64, len(batches))  # else it falls back to eager
        self.model = build_torch(arguments.preset, arguments.vocabulary, arguments.inner_dropout)
        self.model.train()
        self.parameters = list(self.model.parameters())
        self.optimiser = torch.optim.Adam(self.parameters, lr=1e-4, betas=(0.9, 0.98), eps=1e-9, fused=True)
        self.forward = self.model
        if kind != "eager":
            self.forward = torch.compile(self.model, dynamic=kind == "compiled")
        self.autocast = torch.autocast("cpu", torch.bfloat16, enabled=arguments.precision == "bf16")
        self.batches = [pad_batch(batch) for batch in batches]
        self.first_loss = self.first_norm = self.last_loss = None
        # Every shape that will be timed, once: what is compiled is compiled here.
        for turn in range(min(len(batches), max(arguments.warm, arguments.updates if kind != "eager" else 0))):
            self.update(turn)

    def update(self, turn):
        import torch

        inputs, tokens = self.batches[turn % len(self.batches)]
        began = time.perf_counter()
        self.optimiser.zero_grad(set_to_none=True)
        with self.autocast:
            loss = self.forward(*inputs)
        loss.backward()
        # fovea measures the norm too; clipping would cost PyTorch another pass.
        norm = torch.nn.utils.get_total_norm([parameter.grad for parameter in self.parameters]).item()
        self.optimiser.step()
        self.last_loss = loss.item()
        took = time.perf_counter() - began
        if self.first_loss is None:
            self.first_loss, self.first_norm = self.last_loss, norm
        return tokens / took

    def median(self, updates):
        return statistics.median(self.update(turn) for turn in range(updates))


def run_fovea(path, arguments):
    command = [arguments.program, str(path)]
    for name in ("preset", "vocabulary", "updates", "threads", "warm", "inner_dropout", "precision"):
        command += ["--" + name.replace("_", "-"), str(getattr(arguments, name))]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def padding(batches, side):
    """Share of what PyTorch computes on a side beyond the tokens that are there."""
    tokens = sum(len(pair[side]) + 1 for batch in batches for pair in batch)
    cells = sum(len(batch) * max(len(pair[side]) + 1 for pair in batch) for batch in batches)
    return 100 * (cells / tokens - 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder that holds multi30k/")
    parser.add_argument("--preset", choices=PRESETS, default="tiny")
    parser.add_argument("--vocabulary", type=int, default=10000)
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--batches", type=int, default=16, help="batches that are cycled through")
    parser.add_argument("--updates", type=int, help="timed in a round (default: tiny 12, small 8, base 4)")
    parser.add_argument("--warm", type=int, default=3, help="updates before those that are timed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--inner-dropout", type=float, default=0.1, help="on attention weights and activations")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32", help="of products")
    parser.add_argument("--program", default="build/release/benchmarks/training")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    parser.add_argument("--static", action="store_true", help="compile for each batch's shape too (minutes)")
    arguments = parser.parse_args()
    arguments.updates = arguments.updates or UPDATES[arguments.preset]

    import torch

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        batches = make_batches(arguments.data, arguments.vocabulary, arguments.batch_tokens, arguments.batches, folder)
        write_batches(batches, folder / "batches")
        print(f"PyTorch {torch.__version__}, {arguments.threads} threads, {arguments.preset}, {arguments.batch_tokens} tokens "
              f"a batch, inner dropout {arguments.inner_dropout}; padding {padding(batches, 0):.1f} % of source and "
              f"{padding(batches, 1):.1f} % of target tokens for PyTorch, none for fovea", flush=True)
        kinds = ["eager"] + ["compiled"] * (not arguments.no_compile) + ["static"] * arguments.static
        runs = {kind: TorchRun(kind, batches, arguments) for kind in kinds}
        rates = {kind: [] for kind in ["fovea"] + kinds}
        for _ in range(arguments.rounds):
            result = run_fovea(folder / "batches", arguments)
            rates["fovea"].append(result["median"])
            for kind, run in runs.items():
                rates[kind].append(run.median(arguments.updates))
    report(rates, result, runs)


def report(rates, result, runs):
    median = {kind: statistics.median(found) for kind, found in rates.items()}
    parameters = sum(parameter.numel() for parameter in runs["eager"].parameters)
    if parameters != result["parameters"]:
        raise SystemExit(f"not the same model: {result['parameters']} parameters, PyTorch {parameters}")

    def line(kind, first_loss, first_norm, last_loss, rest=""):
        print(f"{kind:9} {median[kind]:10.0f} target tokens/s ({min(rates[kind]):.0f} to {max(rates[kind]):.0f})   "
              f"loss {first_loss:.3f} -> {last_loss:.3f}, first gradient {first_norm:.2f}{rest}")

    line("fovea", result["first_loss"], result["first_norm"], result["last_loss"],
         f"   {result['gflops']:.0f} GFLOP/s in matrix products")
    for kind, run in runs.items():
        line(kind, run.first_loss, run.first_norm, run.last_loss)
    best = max(runs, key=lambda kind: median[kind])
    print(f"ratio     {median['fovea'] / median[best]:10.2f}   (fovea to PyTorch's best: {best})")


if __name__ == "__main__":
    main()
