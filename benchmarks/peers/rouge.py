#!/usr/bin/env python3
"""fovea's ROUGE beside rouge_score's.

    rouge.py --golden                       writes tests/metrics/rouge_golden.json: what rouge_score says of made-up texts
    rouge.py --input FILE --summary F --reference F
                                            scores a field of JSON lines, as the summary, by fovea evaluate and by rouge_score

Needs rouge_score (0.1.2). Exits 1 if a score differs by more than 1e-9.
"""
import argparse, gzip, json, pathlib, random, subprocess, sys

from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer

ROOT = pathlib.Path(__file__).resolve().parents[2]
TYPES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]

ROOTS = """happi relat condition ration valenc hesit digit conform radic differ vile analog vietnam predic oper feudal decis
hope callous formal sensit sens triplic form electric good reviv allow infer airlin gyroscop adjust defens irrit replac depend
adopt homolog commun activ angular effect bowdler prob rat ceas controll roll fl d sk tr spi geo theo archaeo y ye yy toy syzyg
ag agre pl fe bl hopp tann fall hiss fizz fail fil tak summar index weigh enjoy bo cr hum class univers organ nation gener""".split()
SUFFIXES = """ s es ies ss sses ed eed ied ing y ly ally ational tional enci anci izer ization ation ator alism iveness fulness
ousness aliti iviti biliti bli abli alli entli eli ousli logi fulli icate ative alize iciti ical ful ness al ance ence er ic able
ible ant ement ment ent sion tion ion ou ism ate iti ous ive ize e ll""".split()
IRREGULAR = "skies sky dying lying tying news innings inning outings outing cannings canning howe proceed exceed succeed".split()


def words():
    return sorted({root + suffix for root in ROOTS for suffix in [""] + SUFFIXES} | set(IRREGULAR))


def made_up(rng, vocabulary, most):
    sentence = lambda: " ".join(rng.choice(vocabulary) for _ in range(rng.randint(0, most)))
    return "\n".join(sentence() + rng.choice([".", "!", " -- ", ""]) for _ in range(rng.randint(1, 3)))


AWKWARD = [("", ""), ("a", ""), ("", "b"), ("...", "?!"), ("The cat's hat", "the cat s hat"), ("\u0130stanbul caf\u00e9", "istanbul cafe"),
           ("e\u0301t\u00e9 2024", "ete 2024"), ("a b c d", "d c b a"), ("a\n\nb", "a b"), ("\u212alingon", "klingon"),
           ("x " * 60, "x " * 30), ("\u4e00\u4e8c three", "three")]


def golden():
    rng = random.Random(7)
    vocabulary = rng.sample(words(), 14) + ["the", "of", "summaries", "summary"]
    cases = [(summary, [reference]) for summary, reference in AWKWARD]
    cases += [(made_up(rng, vocabulary, 9), [made_up(rng, vocabulary, 9) for _ in range(rng.randint(1, 3))]) for _ in range(40)]
    out = {"stems": {word: PorterStemmer().stem(word) for word in words()}, "cases": []}
    for stem in (False, True):
        scorer = rouge_scorer.RougeScorer(TYPES, use_stemmer=stem)
        for summary, references in cases:
            scores = scorer.score_multi(references, summary)
            out["cases"].append({"summary": summary, "references": references, "stem": stem,
                                 "scores": {name: [100 * s.precision, 100 * s.recall, 100 * s.fmeasure] for name, s in scores.items()}})
    path = ROOT / "tests/metrics/rouge_golden.json"
    path.write_text(json.dumps(out, ensure_ascii=True) + "\n")
    print(path, len(out["stems"]), "stems,", len(out["cases"]), "cases")


def compare(arguments):
    opened = gzip.open if arguments.input.endswith(".gz") else open
    with opened(arguments.input, "rt", encoding="utf-8") as lines:
        objects = [json.loads(line) for line in lines]
    flat = lambda text: text.translate(str.maketrans("\n\r\t\0", "    "))
    good = True
    for stem in (False, True):
        scorer = rouge_scorer.RougeScorer(TYPES[:3], use_stemmer=stem)
        lists = [o[arguments.reference] if isinstance(o[arguments.reference], list) else [o[arguments.reference]] for o in objects]
        joined = [" ".join(map(flat, o[arguments.summary])) if isinstance(o[arguments.summary], list) else flat(o[arguments.summary])
                  for o in objects]
        theirs = [scorer.score_multi(references, summary) for references, summary in zip(lists, joined)]
        command = [ROOT / "build/release/fovea", "evaluate", "--metric", "rouge", "--json", "--hypothesis", arguments.input, "--reference",
                   arguments.input, "--hypothesis-field", arguments.summary, "--reference-field", arguments.reference]
        ours = json.loads(subprocess.run(command + ["--stem"] * stem, check=True, stdout=subprocess.PIPE).stdout)
        for name, one in zip(TYPES, ours):
            expected = [100 * sum(getattr(s[name], part) for s in theirs) / len(theirs) for part in ("fmeasure", "precision", "recall")]
            found = [one["score"], one["precision"], one["recall"]]
            difference = max(abs(a - b) for a, b in zip(expected, found))
            good = good and difference <= 1e-9
            print(f"{name} stem={stem}: {found[0]:.4f}, rouge_score {expected[0]:.4f}, {'agrees' if difference <= 1e-9 else 'DIFFERS'}")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--golden", action="store_true")
    parser.add_argument("--input", metavar="FILE")
    parser.add_argument("--summary", metavar="FIELD")
    parser.add_argument("--reference", metavar="FIELD")
    arguments = parser.parse_args()
    if arguments.golden:
        golden()
    sys.exit(0 if not arguments.input or compare(arguments) else 1)


if __name__ == "__main__":
    main()
