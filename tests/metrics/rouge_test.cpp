#include "fovea/metrics/rouge.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "fovea/base/error.h"
#include "fovea/metrics/porter_stemmer.h"

namespace fovea::metrics {
namespace {

using nlohmann::json;

// Made with rouge_score 0.1.2 and NLTK's stemmer: benchmarks/peers/rouge.py --golden.
const json& golden() {
  static const json cases = json::parse(std::ifstream(FOVEA_SOURCE_DIR "/tests/metrics/rouge_golden.json"));
  return cases;
}

TEST(PorterStemmer, GivesTheStemsOfNltk) {
  EXPECT_EQ(golden()["stems"].size(), 5679u);
  for (const auto& [word, stem] : golden()["stems"].items()) EXPECT_EQ(porter_stem(word), stem) << word;
  EXPECT_EQ(porter_stem(""), "");
  EXPECT_EQ(porter_stem("2024s"), "2024");
}

TEST(Rouge, CountsAsRougeScoreDoes) {
  EXPECT_EQ(golden()["cases"].size(), 104u);
  for (const auto& one : golden()["cases"]) {
    const std::string summary = one["summary"];
    const std::vector<std::string> references = one["references"];
    const auto found = rouge(summary, references, {.stemmer = one["stem"].get<bool>()});
    const auto expect = [&](const char* name, const RougeScore& score) {
      const auto& wanted = one["scores"][name];
      EXPECT_NEAR(score.precision, wanted[0], 1e-9) << name << ": " << summary;
      EXPECT_NEAR(score.recall, wanted[1], 1e-9) << name << ": " << summary;
      EXPECT_NEAR(score.f, wanted[2], 1e-9) << name << ": " << summary;
    };
    expect("rouge1", found.rouge1);
    expect("rouge2", found.rouge2);
    expect("rougeL", found.rougeL);
    expect("rougeLsum", found.rougeLsum);
  }
}

TEST(Rouge, OfChineseCountsCharacters) {
  const auto found = rouge("我们 提出了新方法", {"提出新的方法"}, {.tokens = RougeTokens::characters});
  // 提出新方法 of eight and of six characters.
  EXPECT_NEAR(found.rouge1.precision, 100.0 * 5 / 8, 1e-9);
  EXPECT_NEAR(found.rouge1.recall, 100.0 * 5 / 6, 1e-9);
  EXPECT_NEAR(found.rougeL.recall, 100.0 * 5 / 6, 1e-9);
  EXPECT_NEAR(found.rouge2.recall, 100.0 * 2 / 5, 1e-9);  // 提出, 方法
  EXPECT_EQ(rouge("我们", {"我们"}).rouge1.f, 0.0);       // as words it has none
}

TEST(Rouge, OfACorpusIsTheMean) {
  const std::vector<std::string> summaries{"a b", "c"};
  const References references{{"a b", "d"}, {"x", "c"}};
  EXPECT_NEAR(corpus_rouge(summaries, references).rouge1.f, 100.0, 1e-9);
  EXPECT_NEAR(corpus_rouge(summaries, {references[0]}).rouge1.f, 50.0, 1e-9);
  EXPECT_EQ(rouge_signature({.stemmer = true}, 2),
            "nrefs:2|tok:words|stem:yes|version:fovea-0.1.0(rouge_score-0.1.2)");
  EXPECT_THROW(corpus_rouge(summaries, {{"one"}}), Error);
}

}  // namespace
}  // namespace fovea::metrics
