#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "fovea/data/labelled_corpus.h"
#include "fovea/data/labelled_text.h"
#include "fovea/data/labels.h"
#include "tests/base/scratch.h"

namespace fovea::data {
namespace {

using fovea::test::expect_error;
using fovea::test::ScratchFolder;
using Texts = std::vector<std::string>;

TEST(LabelledText, ColumnsAreThoseAskedFor) {
  const ScratchFolder folder;
  const auto path =
      folder.write("t.tsv", "label\tfirst\tsecond\n1\tgood film\tyes\n\n0 \tbad\tno\n0\t \tno\n");
  const auto text = read_labelled({.path = path, .text = 2, .second = 3, .label = 1, .header = true});
  EXPECT_EQ(text.text, (Texts{"good film", "bad"}));
  EXPECT_EQ(text.second, (Texts{"yes", "no"}));
  EXPECT_EQ(text.label, (Texts{"1", "0"}));
  EXPECT_EQ(text.line, (std::vector<std::int64_t>{2, 4}));
  EXPECT_EQ(text.empty, 1);
}

TEST(LabelledText, WhatIsMissingIsNamedByLine) {
  const ScratchFolder folder;
  const auto few = folder.write("few.tsv", "a\t1\nb\n"), none = folder.write("none.tsv", "a\t1\nb\t \n");
  expect_error(
      Error::Kind::data, [&] { read_labelled({.path = few}); }, "few.tsv:2", "column 2");
  expect_error(
      Error::Kind::data, [&] { read_labelled({.path = none}); }, "none.tsv:2", "no label");
  const auto empty = folder.write("empty.tsv", "text\tlabel\n");
  expect_error(
      Error::Kind::data, [&] { read_labelled({.path = empty, .header = true}); }, "no example");
}

TEST(LabelledText, AShareIsSplitOffOnceAndForAll) {
  LabelledText text;
  for (int i = 0; i < 1000; ++i) {
    text.text.push_back(std::to_string(i));
    text.label.push_back("x");
    text.line.push_back(i + 1);
  }
  LabelledText again = text;
  const auto taken = split_off(text, 0.2, 7);
  EXPECT_NEAR(static_cast<double>(taken.size()), 200.0, 40.0);
  EXPECT_EQ(taken.size() + text.size(), 1000);
  EXPECT_EQ(taken.text, split_off(again, 0.2, 7).text);
  for (const auto& one : taken.text) EXPECT_EQ(std::ranges::count(text.text, one), 0);
}

TEST(Labels, AreInTheOrderOfNumbersOrNames) {
  EXPECT_EQ(Labels::among(Texts{"10", "9", "10", "-1"}, "f").names(), (Texts{"-1", "9", "10"}));
  EXPECT_EQ(Labels::among(Texts{"b", "10", "a"}, "f").names(), (Texts{"10", "a", "b"}));
}

TEST(Labels, NamesMayBeCalledByNumber) {
  const Labels named({"negative", "positive"}), numbers({"1", "5"});
  EXPECT_EQ(named.find("positive"), 1);
  EXPECT_EQ(named.find("0"), 0);
  EXPECT_EQ(named.find("2"), std::nullopt);
  EXPECT_EQ(numbers.find("1"), 0) << "a number that is a name is that name";
  EXPECT_EQ(numbers.find("0"), std::nullopt);
}

TEST(Labels, OneClassAndLabelsNeverSeenAreErrors) {
  expect_error(
      Error::Kind::data,
      [] {
        Labels::among(Texts{"a", "a"}, "train.tsv");
      },
      "train.tsv", "one class only", "'a'");
  expect_error(
      Error::Kind::data,
      [] {
        Labels({"a", "b"}).at("c", "valid.tsv:3");
      },
      "valid.tsv:3", "'c'", "a, b");
}

LabelledCorpus some_texts() {
  LabelledCorpus corpus;
  for (std::int32_t i = 0; i < 40; ++i) {
    const std::vector<std::int32_t> tokens(static_cast<std::size_t>(1 + i % 7), i);
    const std::vector<std::int32_t> types(tokens.size(), i >= 20);
    corpus.add(tokens, types, i % 3);
  }
  return corpus;
}

TEST(LabelledCorpus, KeepsTokensTypesAndLabels) {
  const auto corpus = some_texts();
  EXPECT_EQ(corpus.size(), 40);
  EXPECT_EQ(corpus.label(5), 2);
  EXPECT_EQ(corpus.tokens(8).size(), 2U);
  EXPECT_EQ(std::accumulate(corpus.types(19).begin(), corpus.types(19).end(), 0), 0);
  EXPECT_EQ(std::accumulate(corpus.types(20).begin(), corpus.types(20).end(), 0), 7);
}

TEST(LabelledBatcher, GivesEveryTextOnceAnEpochAndGoesOnAnywhere) {
  const auto corpus = some_texts();
  LabelledBatcher batcher(corpus, 24, 3), resumed(corpus, 24, 3);
  for (int epoch = 0; epoch < 2; ++epoch) {
    std::vector<std::int32_t> seen;
    const auto batches = batcher.batches_in_epoch();
    for (std::int64_t i = 0; i < batches; ++i) {
      const auto batch = batcher.next();
      EXPECT_LE(batch.tokens.size(), 24U);
      EXPECT_EQ(batch.types.size(), batch.types.empty() ? 0 : batch.tokens.size());
      for (std::size_t b = 0; b < batch.labels.size(); ++b) {
        const auto token = batch.tokens[static_cast<std::size_t>(batch.start[b])];
        EXPECT_EQ(batch.labels[b], token % 3);
        seen.push_back(token);
      }
    }
    std::ranges::sort(seen);
    std::vector<std::int32_t> all(40);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(seen, all);
  }
  resumed.seek(batcher.position());
  EXPECT_EQ(resumed.next().tokens, batcher.next().tokens);
}

}  // namespace
}  // namespace fovea::data
