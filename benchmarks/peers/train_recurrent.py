#!/usr/bin/env python3
"""Speed of training a recurrent encoder-decoder with additive attention: fovea beside PyTorch's modules, in one run.

The model is that of a recipe (recipes/multi30k-en-de-bahdanau.toml): a bidirectional GRU reads, a GRU with additive
attention writes, embeddings tied on all three sides, dropout, label smoothing 0.1, Adam, f32. Both sides read the same
batches of Multi30k, packed by tokens and alike in length. First PyTorch gets fovea's random weights, without dropout:
the first loss must agree to 1e-4 and the norm of the first gradient to 1e-3 of it, or nothing is timed.

PyTorch's side is written as one would who knows it: keys projected once a batch, the output layer over all steps at
once, fused Adam, sentences sorted by length. It runs in several ways, and the best counts:
    encoder   packed: torch.nn.GRU over a packed sequence; padded: two torch.nn.GRU, one over the sentences reversed
    decoder   cell: torch.nn.GRUCell; split: its products written out, those of the embeddings once for all steps.
              Order luong feeds nothing back: torch.nn.GRU over all steps, then attention of all steps at once
    graph     eager; compiled: the decoder's step (order luong: its attention) by torch.compile, for any shape
Runs alternate over the same batches; medians of the updates are shown.

    benchmarks/peers/venv/bin/python benchmarks/peers/train_recurrent.py --data DIR --order conditional --batch-tokens 1024
"""
import argparse, itertools, json, math, os, pathlib, statistics, subprocess, sys, tempfile, time, tomllib

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from train_translation import EOS, PAD, make_batches, padding, write_batches


def read_recipe(arguments):
    recipe = tomllib.loads(arguments.recipe.read_text())
    model, recurrent = recipe["model"], recipe["recurrent"]
    if model["kind"] != "recurrent" or model["preset"] != "small":
        raise SystemExit("train_recurrent: knows recipes of kind recurrent, preset small")
    if unknown := recurrent.keys() - {"embedding", "order"}:
        raise SystemExit(f"train_recurrent: does not know {', '.join(unknown)}")
    return {"width": 256, "embedding": recurrent["embedding"], "dropout": model["dropout"],
            "order": arguments.order or recurrent["order"], "vocabulary": arguments.vocabulary}


def build_torch(recipe, way):
    import torch
    from torch import nn
    from torch.nn import functional as F
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    V, E, H, order = (recipe[key] for key in ("vocabulary", "embedding", "width", "order"))
    M = 2 * H
    encoder_way, decoder_way, graph = way

    class Cell(nn.Module):
        """torch.nn.GRUCell, or the same with the product of what is known beforehand apart."""

        def __init__(self, known, fed):
            super().__init__()
            self.known, self.fed = known, fed
            self.cell = nn.GRUCell(known + fed, H)

        def project(self, x):
            return x if decoder_way == "cell" else F.linear(x, self.cell.weight_ih[:, : self.known], self.cell.bias_ih)

        def forward(self, x, fed, h):
            if decoder_way == "cell":
                inputs = [each for each in (x, fed) if each is not None]
                return self.cell(torch.cat(inputs, 1) if len(inputs) > 1 else inputs[0], h)
            if fed is not None:
                W = self.cell.weight_ih[:, self.known:]
                x = F.linear(fed, W, self.cell.bias_ih) if x is None else torch.addmm(x, fed, W.T)
            x_r, x_z, x_n = x.chunk(3, 1)
            u_r, u_z, u_n = F.linear(h, self.cell.weight_hh, self.cell.bias_hh).chunk(3, 1)
            r, z = torch.sigmoid(x_r + u_r), torch.sigmoid(x_z + u_z)
            n = torch.tanh(x_n + r * u_n)
            return n + z * (h - n)

    class Translation(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(V, E)
            self.output_bias = nn.Parameter(torch.zeros(V))
            self.dropout = nn.Dropout(recipe["dropout"])
            self.encoder = nn.GRU(E, H, batch_first=True, bidirectional=True)
            self.start = nn.Linear(M, H)
            self.W, self.U, self.v = nn.Linear(H, H, bias=False), nn.Linear(M, H), nn.Parameter(torch.zeros(H))
            if order == "luong":
                self.decoder = nn.GRU(E, H, batch_first=True)
            else:
                self.first = Cell(E, M if order == "bahdanau" else 0)
                self.second = Cell(0, M) if order == "conditional" else None
            self.from_state, self.from_context = nn.Linear(H, E), nn.Linear(M, E, bias=False)
            self.from_input = None if order == "luong" else nn.Linear(E, E, bias=False)
            self.step = torch.compile(self.one_step, dynamic=True) if graph == "compiled" else self.one_step
            self.look = torch.compile(self.attend, dynamic=True) if graph == "compiled" else self.attend

        def embed(self, ids):
            return self.dropout(self.embedding(ids) * math.sqrt(E))

        def encode(self, batch):
            embedded = self.embed(batch.source)
            if encoder_way == "packed":
                packed = pack_padded_sequence(embedded, batch.lengths, batch_first=True, enforce_sorted=False)
                out, last = self.encoder(packed)
                memory = pad_packed_sequence(out, batch_first=True)[0]
                return self.dropout(memory), torch.cat([last[0], last[1]], 1)
            g = self.encoder
            none = embedded.new_zeros(1, embedded.shape[0], H)
            run = lambda x, suffix: torch.gru(
                x, none, [getattr(g, name + "_l0" + suffix) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")],
                True, 1, 0.0, self.training, False, True)[0]
            forward = run(embedded, "")
            turn = batch.turned[:, :, None]
            backward = run(embedded.gather(1, turn.expand(-1, -1, E)), "_reverse").gather(1, turn.expand(-1, -1, H))
            last = forward.gather(1, (batch.lengths - 1)[:, None, None].expand(-1, 1, H))[:, 0]
            return self.dropout(torch.cat([forward, backward], 2)), torch.cat([last, backward[:, 0]], 1)

        def attend(self, query, keys, memory, hidden):
            """query [B, H] or [B, T, H] -> context; hidden [B, 1, S] is -inf where there is no source."""
            q = self.W(query if query.dim() == 3 else query[:, None])
            scores = torch.tanh(q[:, :, None] + keys[:, None]) @ self.v  # [B, T, S]
            context = torch.softmax(scores + hidden, 2) @ memory
            return context if query.dim() == 3 else context[:, 0]

        def one_step(self, x, h, keys, memory, hidden):
            if order == "bahdanau":
                context = self.attend(h, keys, memory, hidden)
                return self.first(x, context, h), context
            between = self.first(x, None, h)
            context = self.attend(between, keys, memory, hidden)
            return self.second(None, context, between), context

        def forward(self, batch):
            memory, summary = self.encode(batch)
            keys, h = self.U(memory), torch.tanh(self.start(summary))
            embedded = self.embed(batch.target_in)
            if order == "luong":
                states, _ = self.decoder(embedded, h[None])
                readout = self.from_state(states) + self.from_context(self.look(states, keys, memory, batch.hidden))
            else:
                states, contexts = [], []
                for x in self.first.project(embedded).unbind(1):
                    h, context = self.step(x, h, keys, memory, batch.hidden)
                    states.append(h)
                    contexts.append(context)
                readout = (self.from_state(torch.stack(states, 1)) + self.from_context(torch.stack(contexts, 1))
                           + self.from_input(embedded))
            rows = torch.tanh(readout).flatten(0, 1)
            if batch.kept is not None:
                rows = rows.index_select(0, batch.kept)
            logits = F.linear(self.dropout(rows), self.embedding.weight, self.output_bias)
            return F.cross_entropy(logits, batch.target_out, label_smoothing=0.1)

    torch.manual_seed(1)
    return Translation()


def take_weights(model, file, order):
    """Fills PyTorch's model with the tensors that fovea began with."""
    import torch
    from safetensors.torch import load_file

    theirs = load_file(file)
    into = dict(model.named_parameters())
    names = {"embedding.weight": "shared.weight", "output_bias": "output.bias", "start.weight": "decoder.start_h.0.weight",
             "start.bias": "decoder.start_h.0.bias", "W.weight": "decoder.attention.W.weight",
             "U.weight": "decoder.attention.U.weight", "U.bias": "decoder.attention.U.bias", "v": "decoder.attention.v",
             "from_state.weight": "decoder.readout.state", "from_state.bias": "decoder.readout.bias",
             "from_context.weight": "decoder.readout.context"}
    if order != "luong":
        names["from_input.weight"] = "decoder.readout.input"
    names |= {name: name for name in into if name.startswith("encoder.")}
    for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        if order == "luong":
            names[f"decoder.{part}_l0"] = f"decoder.layers.0.{part}_l0"
        else:
            names[f"first.cell.{part}"] = f"decoder.layers.0.{part}_l0"
        if order == "conditional":
            names[f"second.cell.{part}"] = f"decoder.conditional.{part}_l0"
    if order == "bahdanau":  # one matrix for the embedding and the context
        theirs["decoder.layers.0.weight_ih_l0"] = torch.cat(
            [theirs["decoder.layers.0.weight_ih_l0"], theirs.pop("decoder.layers.0.weight_fh_l0")], 1)
    if names.keys() != into.keys() or set(names.values()) != theirs.keys():
        raise SystemExit(f"not the same model: {names.keys() ^ into.keys()}, {set(names.values()) ^ theirs.keys()}")
    with torch.no_grad():
        for name, parameter in into.items():
            parameter.copy_(theirs[names[name]].reshape(parameter.shape))


class Batch:
    """Padded to the longest, targets longest first."""

    def __init__(self, pairs):
        import torch

        pairs = sorted(pairs, key=lambda pair: len(pair[1]), reverse=True)

        def padded(rows, fill):
            length = max(map(len, rows))
            return torch.tensor([row + [fill] * (length - len(row)) for row in rows])

        self.source = padded([s + [EOS] for s, _ in pairs], PAD)
        self.target_in = padded([[PAD] + t for _, t in pairs], PAD)
        out = padded([t + [EOS] for _, t in pairs], -100).flatten()
        here = out >= 0
        self.kept = None if here.all() else here.nonzero()[:, 0]  # rows that have a target
        self.target_out = out[here]
        self.tokens = len(self.target_out)
        self.lengths = torch.tensor([len(s) + 1 for s, _ in pairs])
        place = torch.arange(self.source.shape[1])[None]
        length = self.lengths[:, None]
        self.turned = torch.where(place < length, length - 1 - place, place)
        self.hidden = torch.where(place < length, 0.0, -math.inf)[:, None]


class TorchRun:
    """One way of PyTorch's, kept from round to round: it is compiled once."""

    def __init__(self, way, recipe, batches):
        import torch

        self.model = build_torch(recipe, way)
        self.parameters = list(self.model.parameters())
        self.optimiser = torch.optim.Adam(self.parameters, lr=1e-4, betas=(0.9, 0.98), eps=1e-9, fused=True)
        self.batches = batches

    def first(self, batch):
        """Loss and norm of the gradient."""
        import torch

        self.optimiser.zero_grad(set_to_none=True)
        loss = self.model(batch)
        loss.backward()
        # fovea measures the norm too; clipping would cost PyTorch another pass.
        norm = torch.nn.utils.get_total_norm([parameter.grad for parameter in self.parameters]).item()
        return loss.item(), norm

    def update(self, turn):
        batch = self.batches[turn % len(self.batches)]
        began = time.perf_counter()
        self.last = self.first(batch)
        self.optimiser.step()
        return batch.tokens / (time.perf_counter() - began)

    def median(self, updates):
        return statistics.median(self.update(turn) for turn in range(updates))


def run_fovea(folder, arguments, recipe, *more):
    command = [arguments.program, folder / "batches", "--recipe", arguments.recipe, "--tokenizer", folder / "joint.model",
               "--threads", arguments.threads, "--set", f"recurrent.order={recipe['order']}", *more]
    return json.loads(subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout)


def check(folder, arguments, recipe, ways, batches):
    """Same weights, no dropout: the same first loss and gradient on both sides."""
    found = run_fovea(folder, arguments, recipe, "--updates", 1, "--warm", 0, "--set", "model.dropout=0",
                      "--weights", folder / "weights")
    for way in ways:
        if way[2] == "compiled" and len(ways) > 1:
            continue  # the same program, compiled when it is timed
        run = TorchRun(way, recipe | {"dropout": 0}, batches)
        take_weights(run.model, folder / "weights", recipe["order"])
        loss, norm = run.first(batches[0])
        if abs(loss - found["first_loss"]) > 1e-4 or abs(norm - found["first_norm"]) > 1e-3 * norm:
            raise SystemExit(f"not the same model: loss {found['first_loss']} and gradient {found['first_norm']}, "
                             f"PyTorch ({' '.join(way)}) {loss} and {norm}")
    print(f"same weights, no dropout: loss {found['first_loss']:.6f}, PyTorch {loss:.6f}; "
          f"first gradient {found['first_norm']:.6f}, PyTorch {norm:.6f}; {found['parameters']} parameters", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder that holds multi30k/")
    parser.add_argument("--recipe", type=pathlib.Path, default="recipes/multi30k-en-de-bahdanau.toml")
    parser.add_argument("--order", choices=["bahdanau", "luong", "conditional"], help="default: the recipe's")
    parser.add_argument("--vocabulary", type=int, default=10000)
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--batches", type=int, default=16, help="batches that are cycled through")
    parser.add_argument("--updates", type=int, default=8, help="timed in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--ways", nargs="+", help="of PyTorch's, as 'packed-cell-eager' (default: all)")
    parser.add_argument("--program", default="build/release/benchmarks/training")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    arguments = parser.parse_args()
    recipe = read_recipe(arguments)

    import torch

    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    decoders = ["whole"] if recipe["order"] == "luong" else ["cell", "split"]
    graphs = ["eager"] if arguments.no_compile else ["eager", "compiled"]
    ways = list(itertools.product(["packed", "padded"], decoders, graphs))
    if arguments.ways:
        ways = [tuple(way.split("-")) for way in arguments.ways]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        pairs = make_batches(arguments.data, arguments.vocabulary, arguments.batch_tokens, arguments.batches, folder)
        write_batches(pairs, folder / "batches")
        print(f"PyTorch {torch.__version__}, {arguments.threads} threads, order {recipe['order']}, {arguments.batch_tokens} "
              f"tokens a batch; padding {padding(pairs, 0):.1f} % of source and {padding(pairs, 1):.1f} % of target tokens "
              f"for PyTorch, none for fovea", flush=True)
        batches = [Batch(each) for each in pairs]
        check(folder, arguments, recipe, ways, batches)
        runs = {way: TorchRun(way, recipe, batches) for way in ways}
        for run in runs.values():
            take_weights(run.model, folder / "weights", recipe["order"])
            run.median(arguments.updates)  # every shape once: what is compiled is compiled here
        rates = {way: [] for way in ["fovea", *ways]}
        for _ in range(arguments.rounds):
            found = run_fovea(folder, arguments, recipe, "--updates", arguments.updates, "--warm", arguments.updates)
            rates["fovea"].append(found["median"])
            for way, run in runs.items():
                rates[way].append(run.median(arguments.updates))
    report(rates, found, runs)


def report(rates, found, runs):
    median = {way: statistics.median(each) for way, each in rates.items()}

    def line(way, name, rest):
        print(f"{name:24} {median[way]:8.0f} target tokens/s ({min(rates[way]):.0f} to {max(rates[way]):.0f})   {rest}")

    line("fovea", "fovea", f"loss {found['last_loss']:.3f}, {found['gflops']:.0f} GFLOP/s in matrix products")
    for way, run in runs.items():
        line(way, "PyTorch " + " ".join(way), f"loss {run.last[0]:.3f}")
    best = max(runs, key=lambda way: median[way])
    print(f"ratio {median['fovea'] / median[best]:.2f}   (fovea to PyTorch's best: {' '.join(best)})")


if __name__ == "__main__":
    main()
