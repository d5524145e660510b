#include "fovea/metrics/bleu.h"

#include <gtest/gtest.h>

#include <clocale>
#include <cmath>

#include "fovea/base/error.h"

namespace fovea::metrics {
namespace {

std::string message(const auto& action) {
  try {
    action();
  } catch (const Error& error) {
    return std::to_string(error.exit_code()) + " " + error.what();
  }
  return "nothing was thrown";
}

TEST(Bleu, ByHand) {
  // the x5 against "the cat the dog": 2 of 5 words match (clipped), then exp smoothing halves: 100/(2*4),
  // 100/(4*3), 100/(8*2).
  const auto score = corpus_bleu({"the the the the the"}, {{"the cat the dog"}});
  EXPECT_EQ(score.precisions, (std::array{40.0, 12.5, 100.0 / 12, 6.25}));
  EXPECT_NEAR(score.score, std::pow(40.0 * 12.5 * (100.0 / 12) * 6.25, 0.25), 1e-12);
  // One word too few of five: BP = exp(1 - 5/4), all precisions 100.
  EXPECT_NEAR(corpus_bleu({"a b c d"}, {{"a b c d e"}}).score, 100 * std::exp(-0.25), 1e-12);
}

TEST(Bleu, CountsAddUpOverSegmentsInAnyOrder) {
  const std::vector<std::string> hypotheses{"a b c d e", "x y z", "", "a a a b"};
  const References references{{"a b c d", "x z y", "q", "a b a b"}};
  const References reversed{{"a b a b", "q", "x z y", "a b c d"}};
  const auto forward = corpus_bleu(hypotheses, references);
  const auto backward = corpus_bleu({hypotheses.rbegin(), hypotheses.rend()}, reversed);
  EXPECT_EQ(forward.score, backward.score);
  EXPECT_EQ(forward.hypothesis_length, 12);
  EXPECT_EQ(forward.reference_length, 12);
}

TEST(Bleu, EffectiveOrderCountsOnlyOrdersThatTheSentenceHas) {
  EXPECT_EQ(corpus_bleu({"a b"}, {{"a b"}}).score, 0.0);
  EXPECT_NEAR(sentence_bleu("a b", {"a b"}).score, 100.0, 1e-9);
}

TEST(Bleu, TakesTheClosestAndThenTheShorterReferenceLength) {
  const auto length = [](std::vector<std::string> references) {
    return bleu_statistics("a b c d", references, {}).reference_length;
  };
  EXPECT_EQ(length({"a b c d e", "a b c"}), 3);
  EXPECT_EQ(length({"a", "a b c d e f"}), 6);
}

TEST(Bleu, SmoothingValuesShowInTheSignature) {
  const BleuOptions floor{.tokenizer = MtTokenizer::intl,
                          .lowercase = true,
                          .smoothing = Smoothing::floor,
                          .smoothing_value = 0.25,
                          .effective_order = true};
  EXPECT_EQ(bleu_signature(floor, 2),
            "nrefs:2|case:lc|eff:yes|tok:intl|smooth:floor[0.25]|"
            "version:fovea-0.1.0(sacrebleu-2.6.0)");
  EXPECT_NE(corpus_bleu({"a b c d"}, {{"a b x d"}}, floor).score,
            corpus_bleu({"a b c d"}, {{"a b x d"}}).score);
}

TEST(Bleu, LowercasesAsPythonDoes) {
  const BleuOptions lowercase{.lowercase = true};
  // A sigma at the end of a word becomes ς, inside σ; İ becomes i and a combining dot; the Kelvin sign
  // becomes k.
  EXPECT_GT(corpus_bleu({"ΟΔΟΣ ΣΑΣ İ \u212A"}, {{"οδος σας i\u0307 k"}}, lowercase).score, 99.9);
}

TEST(Bleu, I15_DoesNotDependOnTheLocale) {
  const char* before = std::setlocale(LC_ALL, nullptr);
  const std::string saved = before ? before : "C";
  const auto in_c = corpus_bleu({"TITLE I b c d, 1.5"}, {{"title i b c e, 1.5"}}, {.lowercase = true}).text();
  for (const char* locale : {"tr_TR.UTF-8", "de_DE.UTF-8", "C.UTF-8", ""}) {
    if (!std::setlocale(LC_ALL, locale)) continue;
    EXPECT_EQ(corpus_bleu({"TITLE I b c d, 1.5"}, {{"title i b c e, 1.5"}}, {.lowercase = true}).text(),
              in_c);
  }
  std::setlocale(LC_ALL, saved.c_str());
}

TEST(Bleu, SurvivesAnyBytes) {
  const std::string bytes("\xff\xfe a \xc3 \0 b \xed\xa0\x80 \xf4\x90\x80\x80", 21);
  for (const auto tokenizer :
       {MtTokenizer::v13a, MtTokenizer::zh, MtTokenizer::intl, MtTokenizer::character, MtTokenizer::none}) {
    EXPECT_GT(corpus_bleu({bytes}, {{bytes}}, {.tokenizer = tokenizer}).score, 99.9) << name(tokenizer);
  }
  const std::string long_line(1 << 16, '.');
  EXPECT_GT(corpus_bleu({long_line}, {{long_line}}).score, 99.9);
}

TEST(Bleu, SaysWhatIsWrong) {
  EXPECT_EQ(message([] {
              corpus_bleu({"a", "b"}, {{"a"}});
            }),
            "3 references: 1 lines, but there are 2 hypotheses; line i of the references must translate line "
            "i of the "
            "source");
  EXPECT_EQ(message([] { corpus_bleu({}, {{}}); }), "3 hypotheses: there are none to score");
  EXPECT_EQ(message([] { corpus_bleu({"a"}, {}); }), "3 references: there are none to score against");
  EXPECT_EQ(message([] { sentence_bleu("a", {}); }), "3 references: there are none to score against");
  EXPECT_EQ(message([] { parse_mt_tokenizer("13b"); }),
            "2 tokenize: unknown tokenizer '13b'; use one of 13a, zh, intl, char, none");
  EXPECT_EQ(message([] { parse_smoothing("log"); }),
            "2 smooth: unknown smoothing 'log'; use one of exp, floor, add-k, none");
}

}  // namespace
}  // namespace fovea::metrics
