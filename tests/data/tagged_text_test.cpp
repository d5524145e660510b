#include "fovea/data/tagged_text.h"

#include <gtest/gtest.h>

#include "fovea/data/tagged_corpus.h"
#include "tests/base/scratch.h"

namespace fovea::data {
namespace {

using test::expect_error;
using test::ScratchFolder;
using Ids = std::vector<std::int32_t>;
using Texts = std::vector<std::string>;

TaggedText read(const std::string& name, const std::string& content, int word = 1, int label = 0) {
  const ScratchFolder folder;
  folder.write(name, content);
  return read_tagged({.path = folder.path(name), .word = word, .label = label});
}

TEST(TaggedText, ColumnsOfConll) {
  const auto text =
      read("a.conll",
           "-DOCSTART- -X- O O\n\nEU NNP B-NP B-ORG\n# NN I-NP O\n\n\nlamb NN I-NP O\r\n \t\nend NN B-NP O");
  ASSERT_EQ(text.sentences.size(), 3u);
  EXPECT_EQ(text.sentences[0].words, (Texts{"EU", "#"}));
  EXPECT_EQ(text.sentences[0].labels, (Texts{"B-ORG", "O"}));
  EXPECT_EQ(text.sentences[0].line, 3);
  EXPECT_EQ(text.sentences[1].words, (Texts{"lamb"}));
  EXPECT_EQ(text.sentences[2].labels, (Texts{"O"})) << "no line end at the end";
}

TEST(TaggedText, TabsMaySurroundSpacesAndCommentsAreLeftOut) {
  const auto text =
      read("a.conllu", "# text = New York\n# newpar\n1\tNew York\tPROPN\t_\n2\t#\tSYM\t_\n\n", 2, 3);
  ASSERT_EQ(text.sentences.size(), 1u);
  EXPECT_EQ(text.sentences[0].words, (Texts{"New York", "#"}));
  EXPECT_EQ(text.sentences[0].labels, (Texts{"PROPN", "SYM"}));
}

TEST(TaggedText, JsonLines) {
  const auto text =
      read("a.jsonl",
           "{\"tokens\": [\"a\", \"b\"], \"ner_tags\": [0, 12]}\n\n"
           "{\"words\": [\"c\"], \"labels\": [\"B-X\"], \"id\": 7}\n{\"tokens\": [], \"tags\": []}\n");
  ASSERT_EQ(text.sentences.size(), 2u);
  EXPECT_EQ(text.sentences[0].labels, (Texts{"0", "12"}));
  EXPECT_EQ(text.sentences[1].words, (Texts{"c"}));
  EXPECT_EQ(text.sentences[1].line, 3);
}

TEST(TaggedText, WhatIsMissingIsNamed) {
  const auto refuse = [](const std::string& name, const std::string& content, const std::string& why,
                         int label = 0) {
    expect_error(
        Error::Kind::data, [&] { read(name, content, 1, label); }, why);
  };
  refuse("a.conll", "a O\nb\n", "a.conll:2: has 1 columns, and column 2 is asked for");
  refuse("a.conll", "a O\n", "a.conll:1: has 2 columns, and column 4 is asked for", 4);
  refuse("a.conll", "a\t\n", "a.conll:1: has no label");
  refuse("a.conll", "\n \n", "has no sentence");
  refuse("a.jsonl", "{\"tokens\": [\"a\"], \"tags\": []}\n", "a.jsonl:1: has 1 words and 0 labels");
  refuse("a.jsonl", "{\"tokens\": [\"\"], \"tags\": [\"O\"]}\n", "a.jsonl:1: has an empty word or label");
  refuse("a.jsonl", "{\"tags\": [\"O\"]}\n", "a.jsonl:1: has no \"tokens\"");
  refuse("a.jsonl", "[]\n", "a.jsonl:1: is no JSON object");
}

TEST(TaggedText, AShareIsSplitOffTheSameWayEachTime) {
  std::string content;
  for (int i = 0; i < 200; ++i) content += "w" + std::to_string(i) + " O\n\n";
  auto text = read("a.conll", content), again = text;
  const auto taken = split_off(text, 0.25, 3);
  EXPECT_NEAR(static_cast<double>(taken.sentences.size()), 50, 20);
  EXPECT_EQ(taken.sentences.size() + text.sentences.size(), 200u);
  EXPECT_EQ(split_off(again, 0.25, 3).sentences.front().words, taken.sentences.front().words);
}

TEST(TaggedCorpus, TheFirstTokenOfAWordBearsItsLabel) {
  TaggedCorpus corpus;
  EXPECT_TRUE(corpus.add(Ids{2, 7, 8, 9, 3}, Ids{1, 3}, Ids{0, 1}));
  EXPECT_TRUE(corpus.add(Ids{2, 5, 3}, Ids{1, -1}, Ids{2, 0})) << "its last word was cut";
  EXPECT_FALSE(corpus.add(Ids{2, 3}, Ids{-1}, Ids{1}));
  TaggedBatch batch;
  for (std::int64_t i = 0; i < corpus.size(); ++i) batch.append(corpus, i);
  EXPECT_EQ(batch.tokens, (Ids{2, 7, 8, 9, 3, 2, 5, 3}));
  EXPECT_EQ(batch.start, (Ids{0, 5, 8}));
  EXPECT_EQ(batch.rows, (Ids{1, 3, 6}));
  EXPECT_EQ(batch.labels, (Ids{0, 1, 2}));
  EXPECT_EQ(corpus.word_count(), 4);
}

}  // namespace
}  // namespace fovea::data
