#!/usr/bin/env python3
"""T5, BART, mBART, Pegasus and M2M100 models of Hugging Face Transformers in fovea, and fovea's in Transformers.

    open_encoder_decoders.py --random 10    models of each family with random shapes and weights, made by Transformers
    open_encoder_decoders.py --text         models with tokenizers, small ones made here: lines of fovea translate and summarize
    open_encoder_decoders.py --fixtures     writes those of tests/models/huggingface/, small models with what they give

Each model is saved by Transformers (some in shards), read by fovea (benchmarks/encoder_decoder_outputs.cpp), which gives
logits of target tokens from one pass and token by token, and what greedy search and a beam of 4 find; it is written again
by fovea, and read again by Transformers. Exits 1 if logits differ by more than 1e-4 of the largest, if a search finds
something else (hypotheses whose scores are as good as equal are ties, and shown), or if Transformers misses a tensor of
what fovea wrote.
"""
import argparse, json, pathlib, random, re, subprocess, sys, tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build/release/benchmarks/encoder_decoder_outputs"
WITHIN, TIE = 1e-4, 1e-5
LONGEST = 14


def t5(rng, **more):
    layers = rng.randint(1, 3)  # Transformers' generate() has caches for no more layers of the decoder than of the encoder
    return transformers.T5Config(
        vocab_size=rng.randint(20, 90), d_model=rng.choice([8, 12, 24]), d_kv=rng.choice([3, 4, 8]), d_ff=rng.choice([16, 40]),
        num_layers=layers, num_decoder_layers=rng.randint(1, layers), num_heads=rng.choice([1, 2, 3]),
        relative_attention_num_buckets=rng.choice([8, 32]), relative_attention_max_distance=rng.choice([20, 128]),
        feed_forward_proj=rng.choice(["relu", "gated-gelu", "gated-silu"]), layer_norm_epsilon=rng.choice([1e-6, 1e-3]),
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, **more)


def fairseq(rng, kind, **more):
    heads = rng.choice([1, 2, 4])
    return kind(
        vocab_size=rng.randint(20, 90), d_model=heads * rng.choice([4, 6, 8]), encoder_layers=rng.randint(1, 3),
        decoder_layers=rng.randint(1, 3), encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=20,
        decoder_ffn_dim=20, activation_function=rng.choice(["gelu", "relu", "swish"]), max_position_embeddings=48,
        scale_embedding=rng.random() < 0.5, **more)


FAMILIES = {
    "t5": lambda rng: t5(rng),
    "t5-untied": lambda rng: t5(rng, tie_word_embeddings=False),
    "bart": lambda rng: fairseq(rng, transformers.BartConfig, forced_eos_token_id=None),
    "mbart": lambda rng: fairseq(rng, transformers.MBartConfig, forced_eos_token_id=None, decoder_start_token_id=5),
    "pegasus": lambda rng: fairseq(rng, transformers.PegasusConfig, forced_eos_token_id=None),
    "m2m100": lambda rng: fairseq(rng, transformers.M2M100Config),
}


def random_model(family, seed):
    """A model of that family and pairs of ids; targets as long as those that the searches find."""
    rng = random.Random(f"{family} {seed}")
    config = FAMILIES[family](rng)
    torch.manual_seed(seed)
    model = transformers.AutoModelForSeq2SeqLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_gain = "norm" in name and name.endswith("weight")
            parameter.normal_(1.0 if is_gain else 0.0, 0.3)
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.normal_(0.0, 0.5)
    eos, low = config.eos_token_id, 4
    draw = lambda length: [rng.randrange(low, config.vocab_size) for _ in range(length)] + [eos]
    pairs = [{"source": draw(rng.choice([1, 2, 7, 16, 40])), "target": draw(rng.choice([0, 1, 7, 20]))} for _ in range(6)]
    return model, pairs


def logits_of(model, pairs):
    start = model.config.decoder_start_token_id
    with torch.no_grad():
        return torch.cat([
            model(input_ids=torch.tensor([pair["source"]]),
                  decoder_input_ids=torch.tensor([[start] + pair["target"][:-1]])).logits[0] for pair in pairs]).float()


@torch.no_grad()
def search(model, pairs, beam, forced):
    """(tokens, score, whether it ended) of the best hypothesis for each source."""
    found, eos = [], model.config.eos_token_id
    for pair in pairs:
        out = model.generate(
            input_ids=torch.tensor([pair["source"]]), num_beams=beam, do_sample=False, early_stopping=False,
            max_new_tokens=LONGEST, forced_bos_token_id=forced if forced >= 0 else None, forced_eos_token_id=None,
            return_dict_in_generate=True, output_scores=True)
        row = out.sequences[0].tolist()[1:]
        ended = eos in row
        found.append((row[: row.index(eos)] if ended else row, out.sequences_scores.item() if beam > 1 else None, ended))
    return found


def score(model, source, tokens, ended, forced):
    """The mean log-probability of a hypothesis."""
    target = tokens + [model.config.eos_token_id] if ended else tokens
    chosen = logits_of(model, [{"source": source, "target": target}]).log_softmax(-1).gather(1, torch.tensor(target)[:, None])
    return (chosen.sum() - (chosen[0].item() if forced >= 0 else 0.0)).item() / len(target)


def compare_search(name, model, pairs, ours, theirs, forced, faults):
    ties = 0
    for pair, one, (tokens, value, ended) in zip(pairs, ours, theirs):
        if one["tokens"] == tokens:
            if value is not None and ended and abs(value - one["score"]) > 1e-4:
                faults.append(f"{name}: scores {one['score']} and {value}")
            continue
        if not (ended and one["complete"]):  # what is cut at the limit is ranked in another way
            continue
        difference = score(model, pair["source"], one["tokens"], True, forced) - score(model, pair["source"], tokens, True, forced)
        if abs(difference) <= TIE:
            ties += 1
        else:
            faults.append(f"{name}: {one['tokens']}, Transformers {tokens}, better by {-difference:.1e}")
    return ties


def save(model, folder, shards=False):
    model.save_pretrained(folder, **({"max_shard_size": "8KB"} if shards else {}))


def compare(family, seed, folder):
    model, pairs = random_model(family, seed)
    theirs, copy = folder / "theirs", folder / "copy"
    copy.mkdir()
    save(model, theirs, shards=seed % 2 == 1)
    forced = 6 if family in ("mbart", "m2m100") and seed % 3 else -1
    (folder / "request.json").write_text(json.dumps({"pairs": pairs, "max_length": LONGEST, "forced_first": forced}))
    answer = json.loads(subprocess.run([PROGRAM, theirs, folder / "request.json", folder / "logits.safetensors", copy],
                                       check=True, stdout=subprocess.PIPE).stdout)
    ours, expected = load_file(folder / "logits.safetensors"), logits_of(model, pairs)
    largest, faults, worst = expected.abs().max().item(), [], 0.0
    for kind in ("whole", "stepped"):
        difference = (ours[kind] - expected).abs().max().item()
        worst = max(worst, difference)
        if not difference <= WITHIN * max(1.0, largest):
            faults.append(f"{kind} logits differ by {difference:.2g} of {largest:.2g}")
    ties = sum(compare_search(name, model, pairs, answer[name], search(model, pairs, beam, forced), forced, faults)
               for name, beam in (("greedy", 1), ("beam", 4)))
    again, loading = type(model).from_pretrained(copy, output_loading_info=True, attn_implementation="eager")
    if loading["missing_keys"] or loading["unexpected_keys"] or loading["mismatched_keys"]:
        faults.append(f"Transformers loads the copy otherwise: {loading}")
    difference = (logits_of(again.eval(), pairs) - expected).abs().max().item()
    if not difference <= WITHIN * max(1.0, largest):
        faults.append(f"logits of the copy differ by {difference:.2g}")
    print(f"{family} {seed}: {'; '.join(faults) if faults else 'agrees'}, within {worst:.1g} of logits up to {largest:.2g}"
          + (f", {ties} ties" if ties else ""))
    return not faults


# ---- Text in, text out ---------------------------------------------------------------------------------------------


TEXTS = ["t5", "bart", "nllb", "m2m100"]


def made_up(rng, count):
    syllables = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 3))) for _ in range(120)]
    return [" ".join(rng.choices(words, k=rng.randint(2, 9))).capitalize() + rng.choice([".", "!", " 42?"]) for _ in range(count)]


def fast_tokenizer(kind, lines, specials, template):
    """A tokenizer.json: Unigram with Metaspace (T5), or byte-level BPE (BART); `template` says what stands around a text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    if kind == "unigram":
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=specials, unk_token="<unk>", show_progress=False)
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=340, special_tokens=specials, show_progress=False,
                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(lines, trainer)
    if template:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=template, special_tokens=[(token, tokenizer.token_to_id(token)) for token in specials if token in template])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>", pad_token="<pad>")


def m2m100_files(lines, folder, languages):
    """sentencepiece.bpe.model and vocab.json as M2M100's tokenizer reads them."""
    import sentencepiece
    (folder / "text.txt").write_text("\n".join(lines))
    sentencepiece.SentencePieceTrainer.train(input=str(folder / "text.txt"), model_prefix=str(folder / "sentencepiece.bpe"), vocab_size=150,
                                             model_type="bpe", minloglevel=2)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "sentencepiece.bpe.model"))
    names = ["<s>", "<pad>", "</s>", "<unk>"] + [pieces.id_to_piece(i) for i in range(3, len(pieces))]
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    for name in ("text.txt", "sentencepiece.bpe.vocab"):
        (folder / name).unlink()
    tokenizer = transformers.M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "sentencepiece.bpe.model"), src_lang="en", tgt_lang="de")
    tokenizer.save_pretrained(folder)
    return tokenizer


def run_fovea(command, folder, lines, arguments):
    out = subprocess.run([ROOT / "build/release/fovea", command, "--model", folder, *arguments], input="\n".join(lines) + "\n", check=True,
                         text=True, stdout=subprocess.PIPE)
    return out.stdout.split("\n")[:-1]


@torch.no_grad()
def generated(model, ids, **how):
    return model.generate(input_ids=torch.tensor([ids]), do_sample=False, forced_eos_token_id=None, early_stopping=False, **how)[0].tolist()


def make_text(name, folder, rng):
    """A model with a tokenizer in `folder`: texts, the lines Transformers makes of them, and how fovea is asked for the same."""
    lines, new = made_up(rng, 300), 20
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    arguments, prefix, first, command = ["--max-length", str(new)], "", None, "translate"
    if name == "t5":
        specials = ["<pad>", "</s>", "<unk>"]
        tokenizer, config, command = fast_tokenizer("unigram", lines, specials, "$A </s>"), t5(rng), "summarize"
        prefix = "summarize: "
        config.task_specific_params = {"summarization": {"prefix": prefix, "num_beams": 1, "length_penalty": 2.0},
                                       "translation_en_to_de": {"prefix": "translate English to German: ", "num_beams": 2}}
        encode = lambda text: tokenizer(prefix + text)["input_ids"]
    elif name == "bart":
        tokenizer, config, command = fast_tokenizer("bpe", lines, specials, "<s> $A </s>"), FAMILIES["bart"](rng), "summarize"
        arguments += ["--beam", "1"]
        encode = lambda text: tokenizer(text)["input_ids"]
    elif name == "nllb":
        specials += ["eng_Latn", "deu_Latn", "fra_Latn"]
        tokenizer, config = fast_tokenizer("unigram", lines, specials, "eng_Latn $A </s>"), FAMILIES["m2m100"](rng)
        first, arguments = "fra_Latn", arguments + ["--beam", "1", "--from", "deu", "--to", "fra_Latn"]
        encode = lambda text: [tokenizer.convert_tokens_to_ids("deu_Latn")] + tokenizer(text, add_special_tokens=False)["input_ids"] + [2]
    else:
        tokenizer, config = m2m100_files(lines, folder, ["en", "de", "fr"]), FAMILIES["m2m100"](rng)
        tokenizer.src_lang = "fr"
        first, arguments = "__de__", arguments + ["--beam", "1", "--from", "fr", "--to", "de"]
        encode = lambda text: tokenizer(text)["input_ids"]
    config.vocab_size = max(len(tokenizer), 260) if name == "m2m100" else len(tokenizer)
    if name != "t5":
        config.max_position_embeddings = 200  # no line is longer
    torch.manual_seed(3)
    model = transformers.AutoModelForSeq2SeqLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            is_gain = "norm" in parameter_name and parameter_name.endswith("weight")
            parameter.normal_(1.0 if is_gain else 0.0, 0.3 if "shared" in parameter_name else 0.7)
    model.save_pretrained(folder)
    if name != "m2m100":
        tokenizer.save_pretrained(folder)
    texts = made_up(rng, 12) + ["", "x", "\u4e2d\u6587 caf\u00e9"]
    # Greedy search: models of random weights seldom end, and beams of what is cut are ranked in another way.
    how = {"num_beams": 1, "max_new_tokens": new, "forced_bos_token_id": tokenizer.convert_tokens_to_ids(first) if first else None}
    # M2M100's tokenizer takes its languages for text.
    said = lambda text: re.sub("__[a-z]+__", "", tokenizer.decode(generated(model, encode(text), **how), skip_special_tokens=True)).strip()
    theirs = [said(text) if text else "" for text in texts]
    return {"command": command, "arguments": arguments, "texts": texts, "lines": theirs}


def compare_text(name, folder):
    made = make_text(name, folder, random.Random(name))
    ours = run_fovea(made["command"], folder, made["texts"], made["arguments"])
    wrong = [(a, b) for a, b in zip(ours, made["lines"]) if a != b]
    print(f"{name}: {made['command']}: {len(ours) - len(wrong)} of {len(made['lines'])} lines are as Transformers writes them"
          + "".join(f"\n  {a!r}, Transformers {b!r}" for a, b in wrong[:4]))
    return len(ours) == len(made["lines"]) and not wrong


def write_fixtures():
    target = ROOT / "tests/models/huggingface"
    for family in FAMILIES:
        folder = target / family
        model, pairs = random_model(family, 0)
        save(model, folder, shards=family == "bart")
        tensors = {"logits": logits_of(model, pairs).contiguous()}
        flat = lambda rows: torch.tensor([id for row in rows for id in row]).float()
        ends = lambda rows: torch.tensor([0] + [len(row) for row in rows]).cumsum(0).float()
        sides = {side: [pair[side] for pair in pairs] for side in ("source", "target")}
        sides["greedy"], sides["beam"] = ([found[0] for found in search(model, pairs, beam, -1)] for beam in (1, 4))
        for name, rows in sides.items():
            tensors[name], tensors[name + "_start"] = flat(rows), ends(rows)
        save_file(tensors, folder / "expected.safetensors", metadata={"transformers": transformers.__version__})
        print(folder, sum(file.stat().st_size for file in folder.iterdir()), "bytes")
    for name in TEXTS:
        folder = target / (name + "-text")
        folder.mkdir(exist_ok=True)
        (folder / "expected.json").write_text(json.dumps(make_text(name, folder, random.Random(name)), indent=1))
        print(folder, sum(file.stat().st_size for file in folder.iterdir()), "bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, metavar="N", help="models of each family")
    parser.add_argument("--family", choices=FAMILIES, help="of this one alone")
    parser.add_argument("--text", action="store_true")
    parser.add_argument("--fixtures", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    if arguments.fixtures:
        write_fixtures()
    good = True
    for seed in range(arguments.random or 0):
        for family in [arguments.family] if arguments.family else FAMILIES:
            with tempfile.TemporaryDirectory() as folder:
                good = compare(family, seed, pathlib.Path(folder)) and good
    for name in TEXTS if arguments.text else ():
        with tempfile.TemporaryDirectory() as folder:
            good = compare_text(name, pathlib.Path(folder)) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
