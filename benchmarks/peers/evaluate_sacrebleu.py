#!/usr/bin/env python3
"""`fovea evaluate` beside SacreBLEU on the same files: every tokenizer, cased and lower-cased, to the last digit.

    evaluate_sacrebleu.py --hypothesis FILE --reference FILE [--reference FILE ...]

Prints a line a setting with both scores and signatures; exits 1 if a score, its details or a signature (but for the
version) differs.
"""
import argparse, gzip, json, pathlib, re, subprocess, sys

from sacrebleu.metrics import BLEU, CHRF

TOKENIZERS = ["13a", "intl", "char", "zh", "none"]


def read_lines(path):
    opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8")
    with opened as lines:
        return [line.rstrip("\n") for line in lines]


def without_version(signature):
    return re.sub(r"\|?version:[^|]*", "", str(signature))


def theirs(hypotheses, references, tokenizer, lowercase):
    for metric in (BLEU(tokenize=tokenizer, lowercase=lowercase), CHRF(lowercase=lowercase)):
        score = metric.corpus_score(hypotheses, references)
        details = json.loads(score.format(signature=str(metric.get_signature()), is_json=True)).get("verbose_score", "")
        yield score.score, details, str(metric.get_signature())


def ours(program, arguments, tokenizer, lowercase):
    command = [program, "evaluate", "--json", "--tokenize", tokenizer, "--hypothesis", arguments.hypothesis]
    for reference in arguments.reference:
        command += ["--reference", reference]
    run = subprocess.run(command + ["--lowercase"] * lowercase, check=True, stdout=subprocess.PIPE)
    for metric in json.loads(run.stdout):
        yield metric["score"], metric.get("verbose_score", ""), metric["signature"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hypothesis", type=pathlib.Path, required=True, help="translations, one a line, plain or .gz")
    parser.add_argument("--reference", type=pathlib.Path, required=True, action="append", help="may be repeated")
    parser.add_argument("--program", default="build/release/fovea")
    arguments = parser.parse_args()

    hypotheses = read_lines(arguments.hypothesis)
    references = [read_lines(path) for path in arguments.reference]
    equal = True
    for tokenizer in TOKENIZERS:
        for lowercase in (False, True):
            for a, b in zip(ours(arguments.program, arguments, tokenizer, lowercase),
                            theirs(hypotheses, references, tokenizer, lowercase), strict=True):
                same = abs(a[0] - b[0]) < 1e-9 and a[1] == b[1] and without_version(a[2]) == without_version(b[2])
                equal = equal and same
                print(f"{'equal  ' if same else 'DIFFERS'} fovea {a[0]:.6f} {a[1]} {a[2]}")
                if not same:
                    print(f"        sacrebleu {b[0]:.6f} {b[1]} {b[2]}")
    sys.exit(0 if equal else 1)


if __name__ == "__main__":
    main()
