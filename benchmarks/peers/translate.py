#!/usr/bin/env python3
"""Speed of translating: fovea beside CTranslate2 and Transformers, the same weights on the same cores, in one run.

    translate.py --model DIR --source test.en.gz --reference test.de.gz    a model directory, its own text and scores
    translate.py --random base                                             random weights, outputs of a fixed length

All get token ids and give token ids, so that no tokenizer is timed. Each runs in a process of its own on the same cores;
fovea and CTranslate2 take turns, a round each, and a cell shows medians: target tokens a second, and the ratio of the two
in a pair of turns. Both sort by length and make batches of the same number of sentences. CTranslate2 has `intra_threads`
threads or, if that is faster in a cell with several batches, workers of one thread each; it has no bf16 on CPUs, where its
f32 stands beside ours. A floor stands beside: what the matrix products take at the greatest rate this machine showed in
this run (twice and four times that of f32 for bf16 and int8 with dot products of their own, else once and twice) or, if that is longer, what reading the decoder's weights
once a step takes, and reading keys and values. Then fresh processes: from their start to the first translation, one
short sentence again and again, and the greatest memory they held. Some 10 minutes in all; options choose parts of it.

    benchmarks/peers/venv/bin/python benchmarks/peers/translate.py --random base
"""
import argparse, collections, gzip, json, os, pathlib, shutil, statistics, subprocess, sys, tempfile, time

EOS, UNK, PAD = 0, 1, 2
SHAPES = {"tiny": (4, 128, 256, 4, 10000), "base": (6, 512, 2048, 8, 32000)}  # layers, width, inner, heads, vocabulary
BYTES_OF_DTYPE = {"f32": 4, "bf16": 2, "int8": 1}
PEER_TYPES = {"f32": "float32", "bf16": "float32", "int8": "int8"}  # CTranslate2 has no bf16 on CPUs

PARTS = ["scores", "table", "fresh", "transformers"]


# ---- Models --------------------------------------------------------------------------------------------------------


def make_random(shape, folder):
    """A MarianMTModel that nobody trained, saved by Transformers."""
    import torch, transformers

    layers, width, inner, heads, vocabulary = SHAPES[shape]
    config = transformers.MarianConfig(
        vocab_size=vocabulary, decoder_vocab_size=vocabulary, d_model=width, encoder_layers=layers, decoder_layers=layers,
        encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=inner, decoder_ffn_dim=inner,
        activation_function="relu", scale_embedding=True, max_position_embeddings=512, pad_token_id=PAD, eos_token_id=EOS,
        forced_eos_token_id=EOS, decoder_start_token_id=PAD, init_std=width**-0.5, share_encoder_decoder_embeddings=True)
    torch.manual_seed(1)
    transformers.MarianMTModel(config).save_pretrained(folder)


def names_of(vocabulary):
    """What CTranslate2 calls the ids: it wants tokens."""
    return ["</s>", "<unk>", "<pad>"] + [f"t{i}" for i in range(3, vocabulary)]


def convert(model, folder, quantization):
    """CTranslate2's own converter, told that the decoder starts from the embedding of <pad> and that <pad> is not last."""
    from ctranslate2.converters import transformers as converters

    class Loader(converters.MarianMTLoader):
        def get_model_spec(self, model):
            model.config.normalize_before = model.config.normalize_embedding = False
            return converters.BartLoader.get_model_spec(self, model)

        def set_decoder(self, spec, decoder):
            converters.BartLoader.set_decoder(self, spec, decoder)

        def get_vocabulary(self, model, tokenizer):
            return names_of(model.config.vocab_size)

        def set_config(self, config, model, tokenizer):
            config.eos_token, config.unk_token, config.decoder_start_token = names_of(3)[:3]

    class Converter(converters.TransformersConverter):
        def load_tokenizer(self, *_, **__):
            return None

    converters._MODEL_LOADERS["MarianConfig"] = Loader()
    Converter(str(model)).convert(str(folder), quantization=quantization)


# ---- The peers, each in a process that takes the commands of benchmarks/translating.cpp -----------------------------


def peak_memory():
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))


class CTranslate2:
    def __init__(self, model, dtype, threads, workers):
        import ctranslate2

        self.translator = ctranslate2.Translator(
            str(model), device="cpu", compute_type=dtype,
            intra_threads=threads // workers, inter_threads=workers)
        self.names = names_of(json.loads((pathlib.Path(model) / "ids.json").read_text()))
        self.ids = {name: i for i, name in enumerate(self.names)}

    def prepare(self, sources):
        return [[self.names[i] for i in source] for source in sources]

    def translate(self, sources, beam, batch, least, most):
        """The translations' ids, without end of sentence, and whether they have one."""
        found = self.translator.translate_batch(
            sources, beam_size=beam, max_batch_size=batch, batch_type="examples", min_decoding_length=least,
            max_decoding_length=most)
        return [result.hypotheses[0] for result in found]

    def finish(self, found):
        return [[self.ids[name] for name in tokens] for tokens in found]


class Transformers:
    def __init__(self, model, dtype, threads, workers):
        import torch, transformers

        torch.set_num_threads(threads)
        self.model = transformers.AutoModelForSeq2SeqLM.from_pretrained(model, dtype=torch.float32).eval()
        self.model.generation_config.update(forced_eos_token_id=None, early_stopping=False, length_penalty=1.0)

    def prepare(self, sources):
        return sources

    def translate(self, sources, beam, batch, least, most):
        import torch

        order = sorted(range(len(sources)), key=lambda i: -len(sources[i]))
        found = [None] * len(sources)
        for first in range(0, len(order), batch):
            some = order[first : first + batch]
            longest = max(len(sources[i]) for i in some)
            ids = torch.tensor([sources[i] + [PAD] * (longest - len(sources[i])) for i in some])
            mask = torch.tensor([[1] * len(sources[i]) + [0] * (longest - len(sources[i])) for i in some])
            with torch.inference_mode():
                out = self.model.generate(input_ids=ids, attention_mask=mask, num_beams=beam, do_sample=False,
                                          min_new_tokens=least, max_new_tokens=most)
            for i, row in zip(some, out[:, 1:].tolist()):
                found[i] = row
        return found

    def finish(self, found):
        return [row[: row.index(EOS)] if EOS in row else [i for i in row if i != PAD] for row in found]


PEERS = {"ctranslate2": CTranslate2, "transformers": Transformers}


def serve(kind, model, sources, dtype, threads, workers):
    began = time.perf_counter()
    peer = PEERS[kind](model, dtype, threads, workers)
    with open(sources) as lines:
        sources = peer.prepare([list(map(int, line.split())) for line in lines])
    print(json.dumps({"loaded_seconds": time.perf_counter() - began}), flush=True)
    for line in sys.stdin:
        command, *words = line.split()
        if command == "memory":
            print(json.dumps({"peak": peak_memory()}), flush=True)
            continue
        beam, batch, least, most, first, count = map(int, words[:6])
        began = time.perf_counter()
        found = peer.translate(sources[first : first + count], beam, batch, least, most)
        seconds = time.perf_counter() - began
        found = peer.finish(found)
        tokens = sum(min(len(ids) + 1, most) for ids in found)
        if len(words) > 6:
            pathlib.Path(words[6]).write_text("".join(" ".join(map(str, ids)) + "\n" for ids in found))
        print(json.dumps({"seconds": seconds, "tokens": tokens}), flush=True)


# ---- The comparison ------------------------------------------------------------------------------------------------


class Process:
    """A contestant: fovea's program or a peer, started on the cores that the comparison is about."""

    def __init__(self, command, cores):
        self.began = time.perf_counter()
        self.child = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores), env=os.environ | {"OMP_NUM_THREADS": str(len(cores))})
        self.answer()

    def answer(self):
        line = self.child.stdout.readline()
        if not line:
            sys.exit(f"{self.child.args[0]} ended with {self.child.wait()}")
        return json.loads(line)

    def ask(self, *words):
        self.child.stdin.write(" ".join(map(str, words)) + "\n")
        self.child.stdin.flush()
        return self.answer()

    def close(self):
        self.child.stdin.close()
        self.child.wait()


Text = collections.namedtuple("Text", "path lengths least most")  # sources, and tokens of a translation


class Comparison:
    def __init__(self, arguments, model, folder, text):
        self.arguments, self.model, self.folder, self.text = arguments, model, folder, text
        self.config = json.loads((model / "config.json").read_text())
        self.cores = sorted(os.sched_getaffinity(0))
        for quantization in {PEER_TYPES[dtype] for dtype in arguments.types}:
            convert(model, folder / ("peer-" + quantization), quantization)
            (folder / ("peer-" + quantization) / "ids.json").write_text(str(self.config["vocab_size"]))
        for dtype in set(arguments.types) - {"f32"}:
            subprocess.run([arguments.fovea, "quantize", "--model", model, "--to", dtype, "--output", folder / dtype],
                           check=True, stdout=subprocess.DEVNULL)

    def start(self, kind, dtype, threads):
        name, _, workers = kind.partition("/")
        if name == "fovea":
            model = self.model if dtype == "f32" else self.folder / dtype
            if workers == "packed":
                model = self.packed(model, dtype)
            command = [self.arguments.program, model, self.text.path, "--dtype", dtype, "--threads", threads]
        else:
            model = self.folder / ("peer-" + PEER_TYPES[dtype]) if name == "ctranslate2" else self.model
            command = [sys.executable, __file__, "--serve", name, model, self.text.path, PEER_TYPES[dtype], threads,
                       workers or 1]
        return Process(command, self.cores[:threads])

    def packed(self, model, dtype):
        """A copy of the model whose weights `fovea pack` has laid out to be mapped."""
        copy = self.folder / ("packed-" + dtype)
        if not copy.exists():
            shutil.copytree(model, copy)
            subprocess.run([self.arguments.fovea, "pack", "--model", copy, "--dtype", dtype], check=True,
                           stdout=subprocess.DEVNULL)
        return copy

    def kinds(self, threads):
        return ["fovea", "ctranslate2"] + ([f"ctranslate2/{threads}"] if threads > 1 else [])

    def task(self, beam, batch, count):
        return ["translate", beam, batch, self.text.least, self.text.most, 0, count]

    def count(self, running, beam, batch):
        """Warms up, and says with how many sentences the slowest takes about as long as a turn should."""
        least = min(batch, len(self.text.lengths))
        slowest = max(process.ask(*self.task(beam, batch, least))["seconds"] for process in running.values())
        turns = max(1, min(int(self.arguments.seconds / slowest), self.arguments.sentences // least))
        return min(turns * least, len(self.text.lengths))

    def cell(self, running, dtype, beam, batch):
        """Medians of the rounds: {contestant: tokens a second}, the best peer, the ratio of pairs, the floor."""
        count = self.count(running, beam, batch)
        kinds = [kind for kind in running if "/" not in kind or count >= 2 * batch]
        rates, tokens = collections.defaultdict(list), {}
        for turn in range(self.arguments.rounds):
            for kind in kinds if turn % 2 else kinds[::-1]:
                time.sleep(0.2)  # who spins before sleeping has gone to sleep
                found = running[kind].ask(*self.task(beam, batch, count))
                tokens[kind] = found["tokens"]
                rates[kind].append(found["tokens"] / found["seconds"])
        medians = {kind: statistics.median(found) for kind, found in rates.items()}
        best = max((kind for kind in kinds if kind != "fovea"), key=medians.get)
        ratio = statistics.median(a / b for a, b in zip(rates["fovea"], rates[best]))
        machine = running["fovea"].ask("machine", self.weight_bytes(dtype))
        floor = tokens["fovea"] / self.floor_seconds(dtype, beam, batch, count, tokens["fovea"], machine)
        return medians, best, ratio, floor

    def weight_bytes(self, dtype):
        return self.decoder_weights() * BYTES_OF_DTYPE[dtype]

    def decoder_weights(self):
        c = self.config
        layer = 6 * c["d_model"] ** 2 + 2 * c["d_model"] * c["decoder_ffn_dim"]
        return c["decoder_layers"] * layer + c["vocab_size"] * c["d_model"]

    def floor_seconds(self, dtype, beam, batch, count, tokens, machine):
        """Products at the peak, or weights once a step at the bandwidth; and keys and values at the bandwidth."""
        c, speed = self.config, machine.get(dtype, 1)
        lengths = sorted(self.text.lengths[:count])
        steps = tokens / min(batch, count)  # at least
        source, width = sum(lengths), c["d_model"]
        encoder = c["encoder_layers"] * (4 * width**2 + 2 * width * c["encoder_ffn_dim"]) + 2 * c["decoder_layers"] * width**2
        peak, bandwidth = speed * machine["flops"], machine["bandwidth"]
        decoding = max(2 * tokens * beam * self.decoder_weights() / peak, steps * self.weight_bytes(dtype) / bandwidth)
        past = tokens / count / 2 * beam + source / count  # rows of keys and values that a token looks at
        return 2 * source * encoder / peak + decoding + tokens * past * c["decoder_layers"] * 2 * width * 4 / bandwidth

    def table(self, scores):
        """A row a cell; `scores` says what stands in its last column, by dtype and beam."""
        print("| dtype | beam | batch | threads | fovea tokens/s | CTranslate2 tokens/s | ratio | of the floor | BLEU, both |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        ratios = collections.defaultdict(list)
        for dtype in self.arguments.types:
            for threads in self.arguments.threads:
                running = {kind: self.start(kind, dtype, threads) for kind in self.kinds(threads)}
                for beam in self.arguments.beams:
                    for batch in self.arguments.batches:
                        medians, best, ratio, floor = self.cell(running, dtype, beam, batch)
                        peer = f"{medians[best]:.0f}" + (f" ({threads} workers)" if "/" in best else "")
                        print(f"| {dtype} | {beam} | {batch} | {threads} | {medians['fovea']:.0f} | {peer} | {ratio:.2f} "
                              f"| {medians['fovea'] / floor:.0%} | {scores.get((dtype, beam), '')} |", flush=True)
                        ratios[dtype].append(ratio)
                for process in running.values():
                    process.close()
        for dtype, found in ratios.items():
            print(f"{dtype}: geometric mean {statistics.geometric_mean(found):.2f}, lowest {min(found):.2f}")

    def transformers(self):
        """A few sentences are enough to see where it stands."""
        process = self.start("transformers", "f32", max(self.arguments.threads))
        count = min(32, len(self.text.lengths))
        for beam in self.arguments.beams:
            process.ask(*self.task(beam, 32, count))
            found = process.ask(*self.task(beam, 32, count))
            print(f"Transformers, f32, {max(self.arguments.threads)} threads, beam {beam}, batch {count}: "
                  f"{found['tokens'] / found['seconds']:.0f} tokens/s", flush=True)
        process.close()

    def fresh(self):
        """Fresh processes: start to the first translation (median of five, since the kernel may have to make room for large
        pages first), one short sentence again and again, memory of a batch."""
        shortest = min(range(len(self.text.lengths)), key=lambda i: (abs(self.text.lengths[i] - 9), i))
        most = min(self.text.most, 10) if self.text.least else self.text.most
        one = [min(self.text.least, most), most, shortest, 1]
        print(f"| one sentence of {self.text.lengths[shortest]} tokens; memory with 32 | dtype | threads | start to its "
              "translation, beam 4, s | again, beam 4, ms | again, beam 1, ms | peak memory, beam 4, MiB |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for dtype in self.arguments.types:
            for threads in self.arguments.threads:
                for kind in ["fovea", "fovea/packed", "ctranslate2"]:
                    starts = []
                    for _ in range(5):
                        process = self.start(kind, dtype, threads)
                        process.ask("translate", 4, 1, *one)
                        starts.append(time.perf_counter() - process.began)
                        if len(starts) < 5:
                            process.close()
                    cold = statistics.median(starts)
                    warm = {beam: statistics.median(process.ask("translate", beam, 1, *one)["seconds"] for _ in range(30))
                            for beam in (4, 1)}
                    process.ask(*self.task(4, 32, min(32, len(self.text.lengths))))
                    memory = process.ask("memory")["peak"] / 2**20
                    print(f"| {kind} | {dtype} | {threads} | {cold:.2f} | {1e3 * warm[4]:.2f} | {1e3 * warm[1]:.2f} "
                          f"| {memory:.0f} |", flush=True)
                    process.close()

    def scores(self, reference, pieces):
        """{(dtype, beam): BLEU of fovea, then of CTranslate2}"""
        import sacrebleu

        def score(kind, dtype, beam):
            out = self.folder / "out"
            process = self.start(kind, dtype, max(self.arguments.threads))
            process.ask(*self.task(beam, 32, len(self.text.lengths)), out)
            process.close()
            lines = [pieces.decode([int(i) for i in line.split()], skip_special_tokens=True) for line in open(out)]
            return sacrebleu.corpus_bleu(lines, [reference]).score

        return {(dtype, beam): " / ".join(f"{score(kind, dtype, beam):.2f}" for kind in ["fovea", "ctranslate2"])
                for dtype in self.arguments.types for beam in self.arguments.beams}


def read_lines(path):
    opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8")
    with opened as lines:
        return [line.rstrip("\n") for line in lines]


def write_sources(path, sources):
    path.write_text("".join(" ".join(map(str, ids)) + "\n" for ids in sources))
    return list(map(len, sources))


def compare(arguments, folder):
    path, pieces = folder / "sources", None
    if arguments.random:
        import random

        model, chance = folder / "model", random.Random(1)
        make_random(arguments.random, model)
        vocabulary = SHAPES[arguments.random][-1]
        sources = [[chance.randrange(3, vocabulary) for _ in range(chance.randint(8, 40))] + [EOS] for _ in range(max(32, arguments.sentences))]
        text = Text(path, write_sources(path, sources), arguments.length, arguments.length)
    else:
        import transformers

        model = arguments.model
        pieces = transformers.AutoTokenizer.from_pretrained(model)
        sources = [pieces(line)["input_ids"] for line in read_lines(arguments.source)]
        text = Text(path, write_sources(path, sources), 0, 200)
    comparison, parts = Comparison(arguments, model, folder, text), arguments.parts
    scored = pieces and arguments.reference and "scores" in parts
    scores = comparison.scores(read_lines(arguments.reference), pieces) if scored else {}
    for part in ["table", "fresh", "transformers"]:
        if part in parts:
            getattr(comparison, part)(*([scores] if part == "table" else []))


def main():
    if sys.argv[1:2] == ["--serve"]:
        kind, model, sources, dtype, threads, workers = sys.argv[2:]
        return serve(kind, model, sources, dtype, int(threads), int(workers))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, help="a model directory in Hugging Face's Marian layout")
    parser.add_argument("--source", type=pathlib.Path, help="text to translate, plain or .gz")
    parser.add_argument("--reference", type=pathlib.Path, help="its translations, for BLEU")
    parser.add_argument("--random", choices=SHAPES, help="a model of random weights instead")
    parser.add_argument("--sentences", type=int, default=160, help="at most so many sentences a turn")
    parser.add_argument("--length", type=int, default=32, help="tokens of each translation by the random model")
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long a turn takes, if sentences suffice")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--types", nargs="+", choices=BYTES_OF_DTYPE, default=list(BYTES_OF_DTYPE))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--beams", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--program", default="build/release/benchmarks/translating")
    parser.add_argument("--fovea", default="build/release/fovea", help="quantises and packs")
    arguments = parser.parse_args()
    if not arguments.random and not (arguments.model and arguments.source):
        parser.error("give --random, or --model and --source")
    with tempfile.TemporaryDirectory() as folder:
        compare(arguments, pathlib.Path(folder))


if __name__ == "__main__":
    main()
