#!/usr/bin/env python3
"""What fovea train leaves of a language model, opened by Hugging Face Transformers: the same model, the same tokens?

    open_language_runs.py [--keep FOLDER]

Trains small models for a moment, of each kind of model and of tokenizer, then opens each directory as anyone would, with
AutoModelForCausalLM and AutoTokenizer: texts come back from their tokens, logits are those of fovea
(benchmarks/language_outputs.cpp) within 1e-4 of the largest, and the nats of a text those of fovea evaluate. Exits 1 if not.
"""
import argparse, json, pathlib, subprocess, sys, tempfile

import torch
import transformers
from safetensors.torch import load_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOVEA = ROOT / "build/release/fovea"
OUTPUTS = ROOT / "build/release/benchmarks/language_outputs"
WITHIN = 1e-4

RECIPE = """task = "language_model"
[data]
train = "text"
documents = "{documents}"
[tokenizer]
kind = "{tokens}"
vocabulary = 320
[model]
kind = "{kind}"
preset = "custom"
layers = 2
width = 32
heads = 4
feed_forward = 48
max_positions = 48
[training]
updates = 30
batch_tokens = 256
rate = 0.02
warmup = 5
average_last = 0
"""
LINES = ["Who's there?", "  Nay, answer me:\tstand, and unfold yourself.", "秦川雄帝宅，函谷壯皇居。", "naïve café, ½ of 10", "x" * 30]


def run(*arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{arguments[0]} {arguments[1]}: {done.stderr}")
    return done.stdout


def faults_of(folder, documents):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "model")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder / "model", attn_implementation="eager").eval()
    faults = []
    begins, ends = [tokenizer.bos_token_id], [tokenizer.eos_token_id] if documents == "lines" else []
    texts = LINES if documents == "lines" else ["\n".join(LINES) + "\n"]
    nats, tokens, ids_of_texts = 0.0, 0, []
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False).input_ids
        if tokenizer.decode(ids) != text:
            faults.append(f"{text!r} comes back as {tokenizer.decode(ids)!r}")
        if documents == "lines" and tokenizer(text).input_ids != begins + ids:
            faults.append("special tokens are asked for, and the text does not begin with one")
        ids = (begins + ids + ends)[:48 + 1]
        ids_of_texts.append(ids[:-1])
        with torch.no_grad():
            logits = model(torch.tensor([ids[:-1]])).logits[0].double()
        nats += torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum").item()
        tokens += len(ids) - 1
    (folder / "request.json").write_text(json.dumps({"texts": ids_of_texts}))
    run(OUTPUTS, folder / "model", folder / "request.json", folder / "logits.safetensors", folder / "copy")
    ours = load_file(folder / "logits.safetensors")["whole"]
    with torch.no_grad():
        theirs = torch.cat([model(torch.tensor([ids])).logits[0] for ids in ids_of_texts])
    difference, largest = (ours - theirs).abs().max().item(), theirs.abs().max().item()
    if not difference <= WITHIN * max(1.0, largest):
        faults.append(f"logits differ by {difference:.2g} of {largest:.2g}")
    if documents == "lines":  # each fits into a window, so that both have read the same
        report = json.loads(run(FOVEA, "evaluate", "--json", "--model", folder / "model", "--text", folder / "text", "--documents", "lines"))
        if report["tokens"] != tokens or abs(report["nats"] - nats) > 1e-4 * nats:
            faults.append(f"fovea evaluate finds {report['nats']} nats of {report['tokens']} tokens, not {nats} of {tokens}")
    return faults, f"logits within {difference:.1g} of {largest:.2g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", metavar="FOLDER", help="where the models are left")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    good = True
    with tempfile.TemporaryDirectory() as scratch:
        for kind in ("gpt2", "llama"):
            for tokens in ("characters", "byte_pairs"):
                for documents in ("lines", "file"):
                    folder = pathlib.Path(arguments.keep or scratch) / f"{kind}-{tokens}-{documents}"
                    (folder / "copy").mkdir(parents=True)
                    (folder / "text").write_text("\n".join(LINES) + "\n")
                    (folder / "recipe.toml").write_text(RECIPE.format(kind=kind, tokens=tokens, documents=documents))
                    run(FOVEA, "train", folder / "recipe.toml", "--data", folder, "--output", folder / "model", "--threads", 1)
                    faults, found = faults_of(folder, documents)
                    print(f"{kind}, {tokens}, {documents}: {'; '.join(faults) or 'agrees'}, {found}")
                    good = good and not faults
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
