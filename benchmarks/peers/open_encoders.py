#!/usr/bin/env python3
"""Encoders of Hugging Face Transformers in fovea, and back: do both give the same numbers?

    open_encoders.py --random 12     random models of random configurations, of each family and head in turn
    open_encoders.py --fixtures      writes tests/models/huggingface/, small models with their outputs
    open_encoders.py --run DIR       a classifier or a masked language model that fovea trained, with its tokenizer

Each model is saved by Transformers, read by fovea (benchmarks/encoder_outputs.cpp), and written again by fovea, and read again
by Transformers. Transformers gets the texts in one padded batch, with the mask that says so. Exits 1 if outputs differ by more
than 1e-4 of the largest, or if Transformers misses a tensor of what fovea wrote.
"""
import argparse, json, pathlib, random, subprocess, sys, tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build/release/benchmarks/encoder_outputs"
WITHIN = 1e-4
HEADS = {"none": "AutoModel", "text": "AutoModelForSequenceClassification", "token": "AutoModelForTokenClassification",
         "masked": "AutoModelForMaskedLM"}


def bert_shape(rng, **more):
    heads = rng.choice([1, 2, 3, 4])
    return dict(vocab_size=rng.randint(30, 90), hidden_size=heads * rng.choice([4, 8, 10]), num_hidden_layers=rng.randint(1, 3),
                num_attention_heads=heads, intermediate_size=rng.choice([20, 40]), hidden_act=rng.choice(["gelu", "gelu_new", "relu"]),
                max_position_embeddings=64, layer_norm_eps=rng.choice([1e-12, 1e-5, 1e-3]), num_labels=rng.randint(2, 5), **more)


def bert(rng):
    return transformers.BertConfig(type_vocab_size=rng.choice([1, 2, 3]), pad_token_id=0, **bert_shape(rng))


def roberta(rng, kind=transformers.RobertaConfig):
    return kind(type_vocab_size=rng.choice([1, 2]), pad_token_id=rng.choice([1, 0, 3]), bos_token_id=0, eos_token_id=2, **bert_shape(rng))


def distilbert(rng):
    heads = rng.choice([1, 2, 3, 4])
    return transformers.DistilBertConfig(
        vocab_size=rng.randint(30, 90), dim=heads * rng.choice([4, 8, 10]), n_layers=rng.randint(1, 3), n_heads=heads,
        hidden_dim=rng.choice([20, 40]), activation=rng.choice(["gelu", "relu"]), max_position_embeddings=64,
        sinusoidal_pos_embds=rng.random() < 0.3, num_labels=rng.randint(2, 5), pad_token_id=0)


FAMILIES = {"bert": bert, "distilbert": distilbert, "roberta": roberta,
            "xlm-roberta": lambda rng: roberta(rng, transformers.XLMRobertaConfig)}


def random_model(family, head, seed):
    rng = random.Random(f"{family} {head} {seed}")
    config = FAMILIES[family](rng)
    torch.manual_seed(seed)
    model = getattr(transformers, HEADS[head]).from_config(config, attn_implementation="eager").eval()
    for name, parameter in model.named_parameters():
        with torch.no_grad():
            parameter.normal_(1.0 if "norm" in name.lower() and "weight" in name else 0.0, 0.3)
    model.tie_weights()
    types = getattr(config, "type_vocab_size", 1)
    pad = config.pad_token_id
    words = [word for word in range(config.vocab_size) if word != pad]
    texts = [[rng.choice(words) for _ in range(rng.choice([1, 2, 7, 16, 40]))] for _ in range(4)]
    kinds = [[rng.randrange(types) for _ in text] for text in texts]
    return model, texts, kinds


def outputs_of(model, texts, types):
    """As fovea gives them: rows of texts one after another, without padding."""
    longest = max(map(len, texts))
    pad = model.config.pad_token_id
    filled = lambda rows, value: torch.tensor([row + [value] * (longest - len(row)) for row in rows])
    inputs = {"input_ids": filled(texts, pad), "attention_mask": filled([[1] * len(text) for text in texts], 0)}
    if model.config.model_type != "distilbert":
        inputs["token_type_ids"] = filled(types, 0)
    with torch.no_grad():
        found = model(**inputs)
    packed = lambda rows: torch.cat([row[:len(text)] for row, text in zip(rows, texts)])
    if "logits" in found:
        return {"logits": found.logits if found.logits.dim() == 2 else packed(found.logits)}
    out = {"states": packed(found.last_hidden_state)}
    if found.get("pooler_output") is not None:
        out["pooled"] = found.pooler_output
    return out


def save(model, folder):
    model.save_pretrained(folder, safe_serialization=True)
    for other in pathlib.Path(folder).glob("generation_config.json"):
        other.unlink()


def difference(a, b):
    return max((a[name] - b[name]).abs().max().item() for name in b)


def compare(family, head, seed, folder):
    model, texts, types = random_model(family, head, seed)
    theirs, copy = folder / "theirs", folder / "copy"
    copy.mkdir()
    save(model, theirs)
    (folder / "request.json").write_text(json.dumps({"texts": texts, "types": types}))
    subprocess.run([PROGRAM, theirs, folder / "request.json", folder / "out.safetensors", copy], check=True)
    ours, expected = load_file(folder / "out.safetensors"), outputs_of(model, texts, types)
    largest = max(1.0, *(value.abs().max().item() for value in expected.values()))
    faults = []
    if set(ours) != set(expected):
        faults.append(f"gives {sorted(ours)}, not {sorted(expected)}")
    elif not difference(ours, expected) <= WITHIN * largest:
        faults.append(f"outputs differ by {difference(ours, expected):.2g} of {largest:.2g}")
    again, loading = type(model).from_pretrained(copy, output_loading_info=True, attn_implementation="eager")
    if loading["missing_keys"] or loading["unexpected_keys"] or loading["mismatched_keys"]:
        faults.append(f"Transformers loads the copy otherwise: {loading}")
    if not difference(outputs_of(again.eval(), texts, types), expected) <= WITHIN * largest:
        faults.append("outputs of the copy differ")
    print(f"{family} {head} {seed}: {'; '.join(faults) if faults else 'agrees'}, outputs up to {largest:.2g}")
    return not faults


def compare_masks(folder):
    """What stands behind masks: model and tokenizer as AutoClasses open them, beside `fovea fill`."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model, loading = transformers.AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
    mask = tokenizer.mask_token
    texts = [f"the film was {mask} by the {mask} .", f"{mask} is the capital", f"Caf\u00e9 {mask} \u623f\u95f4 \U0001f642"]
    command = [ROOT / "build/release/fovea", "fill", "--model", folder, "--json", "--top", "10", *texts]
    worst, model = 0.0, model.eval()
    for text, line in zip(texts, subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()):
        encoding = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            p = model(**encoding).logits[0].softmax(-1)[encoding["input_ids"][0] == tokenizer.mask_token_id]
        for row, ours in zip(p, json.loads(line)["masks"], strict=True):
            theirs = row.topk(len(ours)).values
            worst = max(worst, *(abs(theirs[i].item() - entry["probability"]) for i, entry in enumerate(ours)))
    good = worst <= WITHIN and not (loading["missing_keys"] or loading["unexpected_keys"] or loading["mismatched_keys"])
    print(f"{type(model).__name__}: probabilities differ by {worst:.1g} at most" + ("" if good else f"; {loading}"))
    return good


def compare_run(folder):
    """Text in, probabilities out: tokenizer and model as AutoClasses open them, beside `fovea classify`."""
    texts = ["A gorgeous, witty, seductive movie.", "It isn't good; I can't say it's bad", "Caf\u00e9 \u623f\u95f4\u5f88\u5c0f \U0001f642", "x" * 300]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model, loading = transformers.AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    with torch.no_grad():
        expected = model.eval()(**tokenizer(texts, padding=True, truncation=True, return_tensors="pt")).logits.softmax(-1)
    command = [ROOT / "build/release/fovea", "classify", "--model", folder, "--json", "--top", "10000", *texts]
    worst = 0.0
    for line, row in zip(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines(), expected):
        ours = {entry["label"]: entry["probability"] for entry in json.loads(line)["classes"]}
        worst = max(worst, *(abs(ours[model.config.id2label[i]] - p.item()) for i, p in enumerate(row)))
    good = worst <= WITHIN and not (loading["missing_keys"] or loading["unexpected_keys"] or loading["mismatched_keys"])
    print(f"{type(model).__name__}: probabilities differ by {worst:.1g} at most" + ("" if good else f"; {loading}"))
    return good


def write_fixtures():
    target = ROOT / "tests/models/huggingface"
    for family in FAMILIES:
        for head in HEADS:
            folder = target / f"{family}-{head}"
            model, texts, types = random_model(family, head, 0)
            save(model, folder)
            flat = lambda rows: torch.tensor([value for row in rows for value in row]).float()
            start = torch.tensor([0] + [len(text) for text in texts]).cumsum(0).float()
            expected = {name: value.contiguous() for name, value in outputs_of(model, texts, types).items()}
            save_file({"tokens": flat(texts), "types": flat(types), "start": start, **expected}, folder / "expected.safetensors",
                      metadata={"transformers": transformers.__version__})
            print(folder, sum(file.stat().st_size for file in folder.iterdir()), "bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, metavar="N", help="models of each family and head")
    parser.add_argument("--fixtures", action="store_true")
    parser.add_argument("--run", metavar="DIR", help="the folder of a run of model.kind transformer")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    if arguments.fixtures:
        write_fixtures()
    good = True
    if arguments.run:
        masked = "MaskedLM" in (pathlib.Path(arguments.run) / "config.json").read_text()
        good = (compare_masks if masked else compare_run)(arguments.run)
    for seed in range(arguments.random or 0):
        for family in FAMILIES:
            for head in HEADS:
                with tempfile.TemporaryDirectory() as folder:
                    good = compare(family, head, seed, pathlib.Path(folder)) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
