#!/usr/bin/env python3
"""A baseline without order: logistic regression over n-grams of characters or words, for the recipes of classification.

    bag_of_ngrams.py TRAIN.tsv.gz DEV.tsv.gz --text 2 --label 3 [--words] [--header]

Features are the tf-idf of n-grams (characters: 1 to 3, words: 1 to 2) that occur twice or more; the strength of the pull
towards zero is the best of a few on the dev set, which favours the baseline.
"""
import argparse, collections, gzip, math

import torch


def read(path, text, label, header):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file][1 if header else 0:]
    return [row[text - 1] for row in rows], [row[label - 1].strip() for row in rows]


def grams(text, words):
    units = text.split() if words else [c for c in text.lower() if not c.isspace()]
    joint = " " if words else ""
    return collections.Counter(joint.join(units[i:i + n]) for n in range(1, 3 if words else 4) for i in range(len(units) - n + 1))


def matrix(counts, columns, weights):
    rows, cols, values = [], [], []
    for row, count in enumerate(counts):
        found = [(columns[gram], (1 + math.log(times)) * weights[gram]) for gram, times in count.items() if gram in columns]
        length = math.sqrt(sum(value * value for _, value in found)) or 1.0
        for column, value in found:
            rows.append(row), cols.append(column), values.append(value / length)
    return torch.sparse_coo_tensor([rows, cols], values, (len(counts), len(columns))).to_sparse_csr()


def fit(x, y, classes, pull):
    w, b = torch.zeros(x.shape[1], classes, requires_grad=True), torch.zeros(classes, requires_grad=True)
    optimiser = torch.optim.LBFGS([w, b], max_iter=60, history_size=10, line_search_fn="strong_wolfe")

    def loss():
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(x @ w + b, y) + pull * w.square().sum() / x.shape[0]
        value.backward()
        return value
    optimiser.step(loss)
    return w.detach(), b.detach()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("dev")
    parser.add_argument("--text", type=int, default=1)
    parser.add_argument("--label", type=int, default=2)
    parser.add_argument("--words", action="store_true")
    parser.add_argument("--header", action="store_true")
    arguments = parser.parse_args()
    texts, labels = read(arguments.train, arguments.text, arguments.label, arguments.header)
    dev_texts, dev_labels = read(arguments.dev, arguments.text, arguments.label, arguments.header)
    counts, dev_counts = ([grams(text, arguments.words) for text in part] for part in (texts, dev_texts))
    documents = collections.Counter(gram for count in counts for gram in count)
    columns = {gram: i for i, gram in enumerate(sorted(gram for gram, times in documents.items() if times > 1))}
    weights = {gram: math.log((1 + len(texts)) / (1 + documents[gram])) + 1 for gram in columns}
    names = sorted(set(labels))
    y, dev_y = (torch.tensor([names.index(label) for label in part]) for part in (labels, dev_labels))
    x, dev_x = matrix(counts, columns, weights), matrix(dev_counts, columns, weights)
    for pull in (0.005, 0.015, 0.05, 0.15):
        w, b = fit(x, y, len(names), pull)
        print(f"{len(columns)} n-grams, pull {pull}: dev accuracy {((dev_x @ w + b).argmax(1) == dev_y).float().mean():.4f}")


if __name__ == "__main__":
    main()
