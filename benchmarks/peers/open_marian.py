#!/usr/bin/env python3
"""fovea's model directories in Hugging Face Transformers, and Transformers' in fovea: do both give the same?

    open_marian.py --model DIR [--source FILE --target FILE]   a directory that fovea wrote
    open_marian.py --random 8                                  directories of random models, made by fovea train
    open_marian.py --reverse 8                                 directories of random models, saved by Transformers

Each directory is opened by MarianMTModel and MarianTokenizer, and by fovea (benchmarks/model_outputs.cpp, fovea
translate). Compared are: token ids of every sentence on either side and the text they decode to; logits of each target
token given those before it; what greedy search and beam search find, with scores; and the lines of `fovea translate`.
Outputs may differ where two hypotheses are as good as equal: those are counted as ties and shown. Exits 1 if anything
else differs.
"""
import argparse, copy, gzip, json, os, pathlib, random, subprocess, sys, tempfile
from dataclasses import dataclass

import torch
import transformers
from safetensors.torch import load_file, save_file

EOS, PAD = 0, 2
LOGITS_WITHIN = 1e-4
SCORES_WITHIN = 1e-4
TIE = 1e-5  # outputs whose scores are closer are ties

AWKWARD = [
    "", " ", "  two  spaces  ", "\ttab\tand\nnewline\r\n", "a", ".", "...", "\u00a0no-break\u00a0space\u202f!",
    "caf\u00e9 and cafe\u0301", "\ufb01ne \u2460 \u33a1 \uff21\uff22\uff23", "\u2581already\u2581marked", "\u2581",
    "Stra\u00dfe STRASSE \u0130stanbul \u0131", "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea",
    "\u4e24\u4e2a\u7537\u4eba\u5728\u9a91\u81ea\u884c\u8f66\u3002", "\u0434\u0432\u0430 \u043c\u0443\u0436\u0447\u0438\u043d\u044b", "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "zero\u200bwidth\u200djoiners\ufeff", "\u00ad\u2010\u2011\u2012\u2013\u2014 \u201equotes\u201c \u00abguillemets\u00bb",
    "x" * 300, "1,234.56 % & <b>bold</b> &amp; http://example.org/?a=b#c", "\U00020000 \U0010fffd \ue000", "\ufffd",
    "e" + "\u0301" * 20, "\u1100\u1161\u11a8 \uac01", "<0x41><0xFF>", "C:\\path\\to 'it''s'",
]
# Read otherwise by fovea on purpose: what a user writes is text, unless it is a language code that the model knows.
DELIBERATE = ["a </s> b", "<pad>", "<unk> word", ">>xyz<< a language code that is none"]


@dataclass
class Sentences:
    source: list
    target: list


@dataclass
class Report:
    """Counts of one directory; `faults` is what must be empty."""

    faults: list
    ties: list

    def expect(self, holds, what):
        if not holds:
            self.faults.append(what)


def read_lines(path):
    opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8")
    with opened as lines:
        return [line.rstrip("\n") for line in lines]


def made_up(rng, count, letters):
    """Sentences of words that do not exist: enough to train a tokenizer on."""
    syllables = [a + b for a in "bdfgklmnprstvw" for b in letters]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(300)]
    return [" ".join(rng.choices(words, k=rng.randint(2, 12))).capitalize() + rng.choice(".!?") for _ in range(count)]


def sentences_for(rng):
    return Sentences(made_up(rng, 400, "aeiou"), made_up(rng, 400, "ae\u00e4\u00f6\u00fc"))


# ---- Two libraries, one directory ----------------------------------------------------------------------------------


class Peer:
    """The directory in Transformers."""

    def __init__(self, folder):
        self.model, info = transformers.AutoModelForSeq2SeqLM.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True)
        self.loading = {key: sorted(found) for key, found in info.items() if found}
        self.model.eval()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.settings = self.model.generation_config
        self.settings.forced_eos_token_id = None  # fovea says "cut" instead of pretending an end

    def encode(self, text, target=False):
        side = {"text_target": text} if target else {"text": text}
        return self.tokenizer(**side)["input_ids"]

    def decode(self, ids):
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def padded(self, rows):
        length = max(map(len, rows))
        ids = torch.tensor([row + [PAD] * (length - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
        return ids, mask

    @torch.no_grad()
    def logits(self, pairs, batch=16, model=None):
        """Of each token of every target, given those before it: a tensor [length, V] a pair."""
        model = model or self.model
        found = []
        for first in range(0, len(pairs), batch):
            some = pairs[first : first + batch]
            source, mask = self.padded([pair["source"] for pair in some])
            target, _ = self.padded([[PAD] + pair["target"][:-1] for pair in some])
            out = model(input_ids=source, attention_mask=mask, decoder_input_ids=target).logits
            found += [row[: len(pair["target"])] for row, pair in zip(out, some)]
        return found

    @torch.no_grad()
    def search(self, sources, beam, max_length, batch=16):
        """(tokens, score a token, whether it ended) of the best hypothesis for each source."""
        found = []
        for first in range(0, len(sources), batch):
            ids, mask = self.padded(sources[first : first + batch])
            out = self.model.generate(
                input_ids=ids, attention_mask=mask, num_beams=beam, do_sample=False, early_stopping=False,
                max_new_tokens=max_length, return_dict_in_generate=True, output_scores=True)
            scores = out.sequences_scores.tolist() if beam > 1 else [None] * len(ids)
            for row, score in zip(out.sequences.tolist(), scores):
                row = row[1:]
                ended = EOS in row
                tokens = row[: row.index(EOS)] if ended else [id for id in row if id != PAD]
                found.append((tokens, score, ended))
        return found

    def score(self, source, tokens, ended):
        """What the model gives a hypothesis, as generate() scores it."""
        target = tokens + [EOS] if ended else tokens
        if not target:
            return float("-inf")
        logits = self.logits([{"source": source, "target": target}])[0].clone()
        logits[:, PAD] = float("-inf")
        chosen = logits.log_softmax(-1).gather(1, torch.tensor(target)[:, None])
        return chosen.sum().item() / len(target) ** self.settings.length_penalty


def ask_fovea(program, folder, request):
    """benchmarks/model_outputs.cpp: the answer, and the logits of all pairs below one another."""
    with tempfile.TemporaryDirectory() as name:
        question, logits = pathlib.Path(name) / "request.json", pathlib.Path(name) / "logits.safetensors"
        question.write_text(json.dumps(request, ensure_ascii=False), encoding="utf-8")
        answer = subprocess.run([program, str(folder), str(question), str(logits)], check=True, stdout=subprocess.PIPE)
        return json.loads(answer.stdout), load_file(logits)["logits"]


# ---- Comparisons ---------------------------------------------------------------------------------------------------


def compare_tokens(report, peer, request, answer):
    texts = [("source", text) for text in request["source_texts"]] + [("target", text) for text in request["target_texts"]]
    same = apart = 0
    for (side, text), ours in zip(texts, answer["source_ids"] + answer["target_ids"]):
        theirs = peer.encode(text, side == "target")
        if text in DELIBERATE:
            apart += ours != theirs
            report.expect(ours.count(EOS) == 1 and PAD not in ours, f"{text!r} controls: {ours}")
            continue
        same += ours == theirs
        report.expect(ours == theirs, f"{side} ids of {text!r}: fovea {ours}, transformers {theirs}")
    decoded = 0
    for ids, ours in zip(answer["target_ids"], answer["decoded"]):
        theirs = peer.decode(ids)
        decoded += ours == theirs
        report.expect(ours == theirs, f"text of {ids}: fovea {ours!r}, transformers {theirs!r}")
    plain = sum(text not in DELIBERATE for _, text in texts)
    print(f"  ids        {same} of {plain} texts equal, {apart} of {len(texts) - plain} with control words differ on purpose; "
          f"{decoded} of {len(answer['decoded'])} decoded alike")


def compare_logits(report, peer, pairs, ours):
    theirs = torch.cat(peer.logits(pairs))
    report.expect(ours.shape == theirs.shape, f"logits {list(ours.shape)}, transformers {list(theirs.shape)}")
    difference = (ours - theirs).abs().max().item()
    report.expect(difference <= LOGITS_WITHIN, f"logits differ by {difference:.2e}")
    some = pairs[:16]
    exact = torch.cat(peer.logits(some, model=copy.deepcopy(peer.model).double()))
    ours_off, theirs_off = ((found[: len(exact)] - exact).abs().max().item() for found in (ours, theirs))
    print(f"  logits     {len(theirs)} x {theirs.shape[1]}, greatest difference {difference:.1e} (values up to "
          f"{theirs.abs().max().item():.1f}); from f64: fovea {ours_off:.1e}, transformers {theirs_off:.1e}")


def compare_search(report, peer, name, sources, ours, theirs):
    """`ours` and `theirs`: (tokens, score or None, ended) a source."""
    same = cut = ties = 0
    worst = 0.0
    for source, (tokens, score, ended), (other, other_score, other_ended) in zip(sources, ours, theirs):
        if tokens == other and ended == other_ended:
            same += 1
            if other_score is not None:
                worst = max(worst, abs(score - other_score))
            continue
        if not (ended and other_ended):
            cut += 1  # fovea prefers what ended, transformers the better score
            continue
        difference = peer.score(source, tokens, ended) - peer.score(source, other, other_ended)
        what = f"{name}: source {source}: fovea {tokens}, transformers {other}, fovea's score is {difference:+.1e} higher"
        ties += abs(difference) <= TIE
        (report.ties if abs(difference) <= TIE else report.faults).append(what)
    report.expect(worst <= SCORES_WITHIN, f"{name}: scores differ by {worst:.1e}")
    ended = sum(hypothesis[2] for hypothesis in theirs)
    print(f"  {name:10} {same} of {len(ours)} equal, {ties} ties, {cut} cut at the limit in another way; "
          f"{ended} ended; scores within {worst:.1e}")


def compare_translate(report, peer, fovea, folder, texts):
    """The program's lines beside generate() with the program's own limit, a sentence at a time."""
    texts = [text for text in texts if not set(text) & set("\r\n") and 1 < len(peer.encode(text)) <= 100]
    run = subprocess.run([fovea, "translate", "--model", str(folder), "--threads", "1"], input="\n".join(texts) + "\n",
                         text=True, encoding="utf-8", check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    lines = run.stdout.split("\n")[:-1]
    report.expect(len(lines) == len(texts), f"fovea translate: {len(lines)} lines for {len(texts)}")
    same = cut = 0
    for text, line in zip(texts, lines):
        source = peer.encode(text)
        limit = min(2 * len(source) + 32, peer.model.config.max_position_embeddings)
        tokens, _, ended = peer.search([source], peer.settings.num_beams or 1, limit)[0]
        same += peer.decode(tokens) == line
        cut += not ended and peer.decode(tokens) != line
        if ended and peer.decode(tokens) != line:
            again = peer.score(source, tokens, True) - peer.score(source, peer.encode(line, target=True)[:-1], True)
            what = f"translate: {text!r}: fovea {line!r}, transformers {peer.decode(tokens)!r} (better by {again:.1e})"
            (report.ties if abs(again) <= TIE else report.faults).append(what)
    print(f"  translate  {same} of {len(texts)} lines equal, {cut} cut at the limit in another way")


def compare(folder, sentences, arguments):
    """Prints what was compared; returns whether nothing differs."""
    peer, report = Peer(folder), Report([], [])
    report.expect(not peer.loading, f"weights: {peer.loading}")
    report.expect(isinstance(peer.model, transformers.MarianMTModel), f"opened as {type(peer.model).__name__}")
    report.expect(isinstance(peer.tokenizer, transformers.MarianTokenizer), f"opened as {type(peer.tokenizer).__name__}")
    config = peer.model.config
    print(f"{folder.name}: {config.encoder_layers}+{config.decoder_layers} layers, {config.d_model} wide, "
          f"{config.encoder_attention_heads} heads, {config.activation_function}, vocabulary {config.vocab_size}"
          + ("" if config.share_encoder_decoder_embeddings else f" and {config.decoder_vocab_size}, not shared")
          + (", tokenizers apart" if peer.tokenizer.separate_vocabs else ""))
    source, target = sentences.source[: arguments.pairs], sentences.target[: arguments.pairs]
    pairs = [{"source": peer.encode(s), "target": peer.encode(t, target=True)} for s, t in zip(source, target)]
    beam = peer.settings.num_beams or 1
    request = {"source_texts": sentences.source + AWKWARD + DELIBERATE, "pairs": pairs, "beam": beam,
               "target_texts": sentences.target + AWKWARD + DELIBERATE, "max_length": arguments.max_length,
               "length_penalty": peer.settings.length_penalty}
    answer, logits = ask_fovea(arguments.outputs, folder, request)
    compare_tokens(report, peer, request, answer)
    compare_logits(report, peer, pairs, logits)
    sources = [pair["source"] for pair in pairs]
    for name, width in (("greedy", 1), ("beam", beam)):
        ours = [(best[0]["tokens"], best[0]["score"], best[0]["complete"]) for best in answer[name]]
        compare_search(report, peer, name if width == 1 else f"beam {width}", sources, ours,
                       peer.search(sources, width, arguments.max_length))
    compare_translate(report, peer, arguments.program, folder, source[: arguments.lines] + AWKWARD[:12])
    for tie in report.ties:
        print("  tie:", tie)
    for fault in report.faults[:20]:
        print("  DIFFERS:", fault)
    if len(report.faults) > 20:
        print(f"  and {len(report.faults) - 20} more")
    return not report.faults


# ---- Makers of random directories ----------------------------------------------------------------------------------


def toml(value):
    return json.dumps(value)  # texts, numbers and truths look the same there


def random_recipe(rng, number):
    heads = rng.choice([1, 2, 4])
    joint = number % 2 == 0
    return {
        "tokenizer": {"kind": rng.choice(["unigram", "bpe"]), "vocabulary": rng.randint(330, 420), "joint": joint,
                      "byte_fallback": rng.random() < 0.8},
        "model": {"preset": "custom", "encoder_layers": rng.randint(1, 3), "decoder_layers": rng.randint(1, 3),
                  "width": heads * rng.choice([4, 8, 12]), "feed_forward": rng.choice([8, 33, 64]), "heads": heads,
                  "activation": ["relu", "gelu", "silu"][number % 3], "scale_embedding": rng.random() < 0.7,
                  "tie_source_target": joint and rng.random() < 0.7, "max_positions": rng.choice([200, 512]),
                  "weights": rng.choice(["f32", "f32", "bf16"])},
        "training": {"updates": 1, "batch_tokens": 500, "warmup": 0, "average_last": 0},
        "decoding": {"beam": rng.choice([2, 5, 8]), "length_penalty": rng.choice([0.6, 1.0, 1.4]),
                     "length_penalty_kind": "power"},
    }


def make_with_fovea(folder, rng, number, sentences, program):
    """A model after one update, then shaken, so that no bias is zero and no norm is the identity."""
    for side, lines in (("source", sentences.source), ("target", sentences.target)):
        (folder / side).write_text("\n".join(lines) + "\n", encoding="utf-8")
    recipe = {"data": {"source_language": "en", "target_language": "de", "train_source": "source", "train_target": "target"}}
    recipe |= random_recipe(rng, number)
    path = folder / "recipe.toml"
    path.write_text("".join(f"[{section}]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in keys.items())
                            for section, keys in recipe.items()))
    model = folder / f"random-{number}"
    run = subprocess.run([program, "train", str(path), "--data", str(folder), "--output", str(model), "--threads", "1"],
                         capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"fovea train: {run.stderr}")
    shake(model / "model.safetensors", rng)
    return model


def shake(path, rng):
    generator = torch.Generator().manual_seed(rng.getrandbits(32))
    tensors = load_file(path)
    for name, value in tensors.items():
        noise = torch.randn(value.shape, generator=generator) * 0.2
        if name == "final_logits_bias":
            noise[0, EOS] += rng.uniform(1, 5)  # so that some hypotheses end
        tensors[name] = (value.float() + noise).to(value.dtype)
    save_file(tensors, path, {"format": "pt"})


def make_with_transformers(folder, rng, number, sentences, program):
    """MarianMTModel and MarianTokenizer, saved by their own save_pretrained, with SentencePiece models of fovea's."""
    parent = make_with_fovea(folder, rng, number, sentences, program)
    tokenizer = transformers.MarianTokenizer.from_pretrained(parent)
    heads = rng.choice([1, 2, 4])
    separate = tokenizer.separate_vocabs
    size = len(tokenizer.encoder)
    width = heads * rng.choice([4, 8, 12])
    ffn = rng.choice([8, 33, 64])
    config = transformers.MarianConfig(
        vocab_size=size, decoder_vocab_size=len(tokenizer.target_encoder) if separate else size,
        share_encoder_decoder_embeddings=not separate and rng.random() < 0.7, d_model=width,
        encoder_layers=rng.randint(1, 3), decoder_layers=rng.randint(1, 3), encoder_attention_heads=heads,
        decoder_attention_heads=heads, encoder_ffn_dim=ffn, decoder_ffn_dim=ffn,
        activation_function=["swish", "relu", "gelu", "silu", "tanh"][number % 5], scale_embedding=rng.random() < 0.7,
        max_position_embeddings=rng.choice([200, 512]), pad_token_id=PAD, eos_token_id=EOS, forced_eos_token_id=EOS,
        decoder_start_token_id=PAD, init_std=width**-0.5)
    torch.manual_seed(rng.getrandbits(32))
    model = transformers.MarianMTModel(config)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(torch.randn_like(value) * 0.05)
        model.final_logits_bias.normal_().mul_(0.3)
        model.final_logits_bias[0, EOS] += rng.uniform(1, 5)
    model.generation_config.update(num_beams=rng.choice([2, 5]), bad_words_ids=[[PAD]], renormalize_logits=True,
                                   length_penalty=rng.choice([0.6, 1.0, 1.4]))
    saved = folder / f"reverse-{number}"
    model.save_pretrained(saved)
    tokenizer.save_pretrained(saved)
    return saved


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, action="append", default=[], help="a model directory; may be repeated")
    parser.add_argument("--source", type=pathlib.Path, help="text in the model's source language, plain or .gz")
    parser.add_argument("--target", type=pathlib.Path, help="its translations, line by line")
    parser.add_argument("--random", type=int, default=0, metavar="N", help="models made by fovea train")
    parser.add_argument("--reverse", type=int, default=0, metavar="N", help="models saved by Transformers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=100, help="pairs whose logits and outputs are compared")
    parser.add_argument("--lines", type=int, default=20, help="lines for fovea translate")
    parser.add_argument("--max-length", type=int, default=60, help="tokens of an output, at most")
    parser.add_argument("--program", default="build/release/fovea")
    parser.add_argument("--outputs", default="build/release/benchmarks/model_outputs")
    arguments = parser.parse_args()
    if not (arguments.model or arguments.random or arguments.reverse):
        parser.error("one of --model, --random, --reverse is needed")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    torch.set_num_threads(1)  # small models: more threads only wait for each other
    sys.stdout.reconfigure(line_buffering=True)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()

    good = []
    for folder in arguments.model:
        sentences = sentences_for(random.Random(arguments.seed))
        if arguments.source:
            sentences.source = read_lines(arguments.source)
        if arguments.target:
            sentences.target = read_lines(arguments.target)
        good.append(compare(folder, sentences, arguments))
    for count, make in ((arguments.random, make_with_fovea), (arguments.reverse, make_with_transformers)):
        for number in range(count):
            rng = random.Random(arguments.seed * 1000 + number)
            sentences = sentences_for(rng)
            with tempfile.TemporaryDirectory() as name:
                folder = make(pathlib.Path(name), rng, number, sentences, arguments.program)
                good.append(compare(folder, sentences, arguments))
    print(f"{sum(good)} of {len(good)} directories agree")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
