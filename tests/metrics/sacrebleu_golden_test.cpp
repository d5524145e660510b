// Every case of sacrebleu_golden.json (made with SacreBLEU 2.6.0), every field of it.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "fovea/metrics/bleu.h"
#include "fovea/metrics/chrf.h"
#include "fovea/metrics/ter.h"

namespace fovea::metrics {
namespace {

using nlohmann::json;

const json& golden() {
  static const json cases =
      json::parse(std::ifstream(FOVEA_SOURCE_DIR "/tests/metrics/sacrebleu_golden.json"));
  return cases;
}

BleuOptions bleu_options(const json& corpus) {
  BleuOptions options;
  if (!corpus["opts"].contains("bleu")) return options;
  for (const auto& [key, value] : corpus["opts"]["bleu"].items()) {
    if (key == "lowercase")
      options.lowercase = value;
    else if (key == "tokenize")
      options.tokenizer = parse_mt_tokenizer(value.get<std::string>());
    else if (key == "smooth_method")
      options.smoothing = parse_smoothing(value.get<std::string>());
    else
      ADD_FAILURE() << "unknown option " << key;
  }
  return options;
}

TEST(SacrebleuGolden, HasTheCasesWeThinkItHas) {
  EXPECT_EQ(golden()["tokenizers"].size(), 35u);
  EXPECT_EQ(golden()["corpora"].size(), 23u);
}

TEST(SacrebleuGolden, Tokenizers) {
  for (const auto& line : golden()["tokenizers"]) {
    const std::string text = line["in"];
    for (const auto& [tokenizer, expected] : line.items()) {
      if (tokenizer == "in") continue;
      EXPECT_EQ(tokenize(text, parse_mt_tokenizer(tokenizer)), expected.get<std::string>())
          << tokenizer << " of " << text;
    }
  }
}

TEST(SacrebleuGolden, Bleu) {
  for (const auto& corpus : golden()["corpora"]) {
    SCOPED_TRACE(corpus["name"].get<std::string>());
    const auto options = bleu_options(corpus);
    const auto score = corpus_bleu(corpus["hyp"], corpus["refs"], options);
    const auto& expected = corpus["bleu"];
    EXPECT_EQ(score.score, expected["score"].get<double>());
    for (std::size_t n = 0; n < bleu_order; ++n) {
      EXPECT_EQ(score.counts[n], expected["counts"][n].get<double>());
      EXPECT_EQ(score.totals[n], expected["totals"][n].get<double>());
      EXPECT_EQ(score.precisions[n], expected["precisions"][n].get<double>());
    }
    EXPECT_EQ(score.brevity_penalty, expected["bp"].get<double>());
    EXPECT_EQ(score.hypothesis_length, expected["sys_len"].get<std::int64_t>());
    EXPECT_EQ(score.reference_length, expected["ref_len"].get<std::int64_t>());
    const auto signature = bleu_signature(options, corpus["refs"].size(), "2.6.0");
    EXPECT_EQ(signature, expected["sig"].get<std::string>());
    EXPECT_EQ(score.text(signature), expected["text_w2"].get<std::string>());
  }
}

TEST(SacrebleuGolden, SentenceBleu) {
  for (const auto& corpus : golden()["corpora"]) {
    SCOPED_TRACE(corpus["name"].get<std::string>());
    const References references = corpus["refs"];
    for (std::size_t i = 0; i < corpus["sent_bleu"].size(); ++i) {
      const auto score = sentence_bleu(corpus["hyp"][i].get<std::string>(), segment_references(references, i),
                                       bleu_options(corpus));
      EXPECT_EQ(score.score, corpus["sent_bleu"][i].get<double>()) << "sentence " << i;
    }
  }
}

TEST(SacrebleuGolden, Chrf) {
  for (const auto& corpus : golden()["corpora"]) {
    SCOPED_TRACE(corpus["name"].get<std::string>());
    for (const std::string variant : {"chrf2", "chrf2pp"}) {
      const ChrfOptions options{.word_order = variant == "chrf2pp" ? 2u : 0u};
      const auto score = corpus_chrf(corpus["hyp"], corpus["refs"], options);
      EXPECT_EQ(score.score, corpus[variant]["score"].get<double>()) << variant;
      EXPECT_EQ(score.name, variant == "chrf2pp" ? "chrF2++" : "chrF2");
      EXPECT_EQ(chrf_signature(options, corpus["refs"].size(), "2.6.0"),
                corpus[variant]["sig"].get<std::string>());
    }
  }
}

TEST(SacrebleuGolden, Ter) {
  for (const auto& corpus : golden()["corpora"]) {
    SCOPED_TRACE(corpus["name"].get<std::string>());
    const auto score = corpus_ter(corpus["hyp"], corpus["refs"]);
    EXPECT_EQ(score.score, corpus["ter"]["score"].get<double>());
    EXPECT_EQ(score.edits, corpus["ter"]["edits"].get<std::int64_t>());
    EXPECT_EQ(score.reference_length, corpus["ter"]["ref_len"].get<double>());
    EXPECT_EQ(ter_signature({}, corpus["refs"].size(), "2.6.0"), corpus["ter"]["sig"].get<std::string>());
  }
}

}  // namespace
}  // namespace fovea::metrics
