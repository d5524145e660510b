#!/usr/bin/env python3
"""Writes tests/text/tokenizers: small tokenizers of each kind, made by Hugging Face's `tokenizers` of sentences below, and what
that library makes of awkward texts.

    tokenizers_fixture.py [--out tests/text/tokenizers]
"""
import argparse, json, pathlib, random, tempfile

import sentencepiece
import tokenizers_huggingface as peers

SENTENCES = """The old lighthouse keeper counted seventeen ships before the fog came in.
Don't worry, we'll be there by 10:45; it's only 3.5 miles, isn't it?
She wrote "I can't, I won't!" on the wall and they've kept it ever since.
Unbelievable: the re-reading of untranslatable words takes 12,000 hours.
Der alte Leuchtturmw\u00e4rter z\u00e4hlte siebzehn Schiffe, bevor der Nebel kam.
Stra\u00dfenbahnhaltestellen\u00fcberdachung ist ein \u00fcberlanges Wort, oder?
Le vieux gardien du phare a compt\u00e9 dix-sept bateaux avant l'arriv\u00e9e du brouillard.
C'est o\u00f9, la for\u00eat\u00a0? L\u00e0-bas, pr\u00e8s du ch\u00e2teau d'\u00c9milie.
\u706f\u5854\u7684\u8001\u4eba\u5728\u96fe\u6765\u4e4b\u524d\u6570\u4e86\u5341\u4e03\u8258\u8239\u3002
\u4eca\u5929\u5929\u6c14\u5f88\u597d\uff0c\u6211\u4eec\u53bb\u516c\u56ed\u5427\uff01
\u706f\u53f0\u306e\u8001\u4eba\u306f\u9727\u304c\u6765\u308b\u524d\u306b\u5341\u4e03\u96bb\u306e\u8239\u3092\u6570\u3048\u305f\u3002
\ub4f1\ub300\uc9c0\uae30\ub294 \uc548\uac1c\uac00 \ub07c\uae30 \uc804\uc5d0 \ubc30\ub97c \uc5f4\uc77c\uacf1 \ucc99 \uc138\uc5c8\ub2e4.
\u0421\u0442\u0430\u0440\u044b\u0439 \u0441\u043c\u043e\u0442\u0440\u0438\u0442\u0435\u043b\u044c \u043c\u0430\u044f\u043a\u0430 \u043d\u0430\u0441\u0447\u0438\u0442\u0430\u043b \u0441\u0435\u043c\u043d\u0430\u0434\u0446\u0430\u0442\u044c \u043a\u043e\u0440\u0430\u0431\u043b\u0435\u0439.
\u0639\u062f \u062d\u0627\u0631\u0633 \u0627\u0644\u0645\u0646\u0627\u0631\u0629 \u0633\u0628\u0639 \u0639\u0634\u0631\u0629 \u0633\u0641\u064a\u0646\u0629.
def count(ships):\n\treturn sum(1 for _ in ships)  # 17
https://example.org/path?query=1&other=two#part
\U0001f600\U0001f44d\U0001f3fd A smile, a thumb \u2014 and a wave \U0001f44b!""".split("\n") * 3

RULES = {"\uff21": "A", "\uff22": "B", "\u2460": "1", "\ufb01": "fi", "\u00a0": " ", "\t": " ", "\n": " ", "\u200b": " ", "\u0001": "",
         "e\u0301": "\u00e9", "\u3000": " ", "\u33a1": "m2", "\u1100\u1161": "\uac00", "\ufeff": "", "\u00df": "ss", "\r": ""}


KINDS = ["added-tokens", "bert", "clip", "continuing", "gpt2", "llama2", "llama3", "mistral", "qwen2", "roberta", "t5", "truncated",
         "truncated-left", "unigram-bytes", "word-level", "xlm-roberta"]


def small_charsmap(lines, rule):
    with tempfile.TemporaryDirectory() as folder:
        rules = pathlib.Path(folder) / "rules.tsv"
        hexes = lambda text: " ".join(f"{ord(c):X}" for c in text)
        rules.write_text("".join(f"{hexes(a)}\t{hexes(b)}\n" for a, b in RULES.items()))
        sentencepiece.SentencePieceTrainer.Train(sentence_iterator=iter(lines), model_prefix=folder + "/m", vocab_size=500, minloglevel=9,
                                                 hard_vocab_limit=False, normalization_rule_tsv=str(rules))
        return peers.charsmap_of((pathlib.Path(folder) / "m.model").read_bytes())


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=pathlib.Path, default="tests/text/tokenizers")
    args = options.parse_args()
    args.out.mkdir(exist_ok=True)
    peers.charsmap = small_charsmap
    peers.PIECES = 500
    dice = random.Random(7)
    texts = [t for t in peers.FIXED if len(t) < 200] + [peers.awkward_text(dice, SENTENCES, peers.MARKS) for _ in range(16)] + SENTENCES[:5]
    for name in KINDS:
        tokenizer = peers.KINDS[name](SENTENCES)
        (args.out / f"{name}.json").write_text(tokenizer.to_str(), encoding="utf-8")
        inputs = [[t] for t in texts] + [[texts[i], texts[-i - 1]] for i in range(1, 60, 6)]
        cases = [{"texts": i, **peers.theirs(tokenizer, i, tokenizer.encode(*i))} for i in inputs]
        text = json.dumps(cases, ensure_ascii=False, separators=(",", ":")).replace('},{"texts"', '},\n{"texts"')
        (args.out / f"{name}.expected.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
