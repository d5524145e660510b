#!/usr/bin/env python3
"""fovea's entity scores beside seqeval's.

    entities.py --golden                   writes tests/metrics/entities_golden.json: what seqeval says of made-up labels
    entities.py --model DIR --data FILE    a model that labels words, on CoNLL columns (word first, label last): the labels that
                                           fovea classify gives scored by seqeval, beside what fovea evaluate says
                                           (--transformers: and the probabilities beside those of Transformers)

Needs seqeval 1.2.2. Exits 1 if a score differs by more than 1e-9.
"""
import argparse, json, pathlib, random, subprocess, sys, warnings

from seqeval.metrics import accuracy_score, classification_report
from seqeval.scheme import IOB2, IOBES

warnings.filterwarnings("ignore")
ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMES = {"bio": IOB2, "iobes": IOBES}


def report(gold, predicted, mode, scheme):
    strict = dict(mode="strict", scheme=SCHEMES[scheme]) if mode == "strict" else {}
    scores = classification_report(gold, predicted, output_dict=True, zero_division=0, **strict)
    return {name: [float(s["precision"]), float(s["recall"]), float(s["f1-score"]), int(s["support"])] for name, s in scores.items()}


def made_up(rng, scheme, length):
    """Labels that mostly follow each other as they should."""
    labels, prefixes = [], "BI" if scheme == "bio" else "BIES"
    types = ["PER", "LOC", "ORG", "A-B"]
    for _ in range(length):
        last = labels[-1] if labels else "O"
        if rng.random() < 0.3:
            labels.append("O")
        elif last != "O" and rng.random() < 0.6:
            labels.append(rng.choice(prefixes[1:]) + last[1:])
        else:
            labels.append(rng.choice(prefixes) + "-" + rng.choice(types))
    return labels


def golden():
    rng, cases = random.Random(11), []
    for scheme in SCHEMES:
        for case in range(60):
            gold = [made_up(rng, scheme, rng.randint(1, 12)) for _ in range(rng.randint(1, 6))]
            predicted = [[label if rng.random() < 0.7 else made_up(rng, scheme, 1)[0] for label in sentence] for sentence in gold]
            if all(label == "O" for sentence in gold for label in sentence):
                continue
            for mode in ("lenient", "strict"):
                scores = report(gold, predicted, mode, scheme)
                if scores["macro avg"][0] != scores["macro avg"][0]:  # NaN: strictly, there is no entity at all
                    continue
                cases.append({"gold": gold, "predicted": predicted, "mode": mode, "scheme": scheme, "scores": scores})
    path = ROOT / "tests/metrics/entities_golden.json"
    path.write_text(json.dumps(cases) + "\n")
    print(path, len(cases), "cases")


def sentences_of(path):
    sentences = [[]]
    for line in open(path, encoding="utf-8"):
        fields = line.split()
        if fields:
            sentences[-1].append((fields[0], fields[-1]))
        elif sentences[-1]:
            sentences.append([])
    return [sentence for sentence in sentences if sentence]


def compare(arguments):
    fovea = str(ROOT / "build/release/fovea")
    sentences = sentences_of(arguments.data)
    text = "\n".join(" ".join(word for word, _ in sentence) for sentence in sentences) + "\n"
    answer = subprocess.run([fovea, "classify", "--words", "--model", arguments.model], input=text, stdout=subprocess.PIPE, text=True, check=True)
    predicted = [[line.split("\t")[1] or "O" for line in block.split("\n")] for block in answer.stdout.strip("\n").split("\n\n")]
    gold = [[label for _, label in sentence] for sentence in sentences]
    said = json.loads(subprocess.run([fovea, "evaluate", "--model", arguments.model, "--data", arguments.data, "--json"],
                                     stdout=subprocess.PIPE, text=True, check=True).stdout)
    scheme = "iobes" if any(label[:2] in ("E-", "S-") for sentence in gold for label in sentence) else "bio"
    pairs = [("accuracy", accuracy_score(gold, predicted), said["accuracy"])]
    for mode, key in (("lenient", "entities"), ("strict", "strict")):
        theirs = report(gold, predicted, mode, scheme)
        ours = {entry["type"]: entry for entry in said[key]["types"]}
        ours |= {f"{mean} avg": said[key][mean] for mean in ("micro", "macro", "weighted")}
        for name, score in theirs.items():
            pairs += [(f"{mode} {name} {part}", score[i], ours[name][part]) for i, part in enumerate(("precision", "recall", "f1"))]
    worst = max(abs(a - b) for _, a, b in pairs)
    for name, theirs, ours in pairs:
        if name == "accuracy" or "micro avg f1" in name:
            print(f"{name:24} seqeval {theirs:.6f}  fovea {ours:.6f}")
    print(f"{len(pairs)} scores, largest difference {worst:.1e}")
    return 1 if worst > 1e-9 else compare_transformers(arguments.model, sentences) if arguments.transformers else 0


def compare_transformers(model, sentences):
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    theirs = transformers.AutoModelForTokenClassification.from_pretrained(model).eval()
    text = "\n".join(" ".join(word for word, _ in sentence) for sentence in sentences) + "\n"
    answer = subprocess.run([str(ROOT / "build/release/fovea"), "classify", "--words", "--json", "--model", model], input=text,
                            stdout=subprocess.PIPE, text=True, check=True)
    words, other, worst = 0, 0, 0.0
    for sentence, line in zip(sentences, answer.stdout.splitlines()):
        given = [word for word, _ in sentence]
        encoding = tokenizer(given, is_split_into_words=True, return_tensors="pt")
        with torch.no_grad():
            p = theirs(**encoding).logits[0].softmax(-1)
        ours, places = json.loads(line)["words"], encoding.word_ids(0)
        assert [word["word"] for word in ours] == given
        for i, word in enumerate(ours):
            best = p[places.index(i)].argmax().item()
            other += theirs.config.id2label[best] != word["label"]
            worst = max(worst, abs(p[places.index(i)].max().item() - word["probability"]))
            words += 1
    print(f"Transformers: {words} words, {other} other labels, largest difference of a probability {worst:.1e}")
    return 1 if worst > 1e-4 else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--golden", action="store_true")
    parser.add_argument("--model")
    parser.add_argument("--data")
    parser.add_argument("--transformers", action="store_true", help="and beside what Transformers says of the model")
    arguments = parser.parse_args()
    if arguments.golden:
        return golden()
    if not (arguments.model and arguments.data):
        parser.error("--golden, or --model and --data")
    return compare(arguments)


if __name__ == "__main__":
    sys.exit(main())
