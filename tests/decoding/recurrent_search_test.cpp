// What needs to know where a model looks, with recurrent models of every kind: the coverage penalty and words
// of the source for unknown ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "fovea/attention/record.h"
#include "fovea/decoding/beam_search.h"
#include "fovea/decoding/translation_decoder.h"
#include "fovea/decoding/translator.h"
#include "fovea/models/recurrent.h"
#include "tests/decoding/small_model.h"
#include "tests/models/recurrent_variants.h"

namespace fovea::decoding {
namespace {

using models::RecurrentConfig;
using models::RecurrentModel;
using test::message_of;

const std::vector<std::vector<std::int32_t>> sources{{3, 4, 5, 0}, {6, 0}, {7, 8, 9, 10, 11, 0}};

class RecurrentSearch : public testing::TestWithParam<std::string> {
 protected:
  std::vector<std::vector<Hypothesis>> search(const BeamOptions& options) const {
    return beam_search(TranslationDecoder(model_, owner_.get()), sources, options);
  }
  BeamOptions options() const { return {.beam = 3, .nbest = 3, .max_length_extra = 2, .max_length = 12}; }

  kernels::ExecutionOwner owner_{2};
  RecurrentModel model_{models::variant(GetParam()), 7};
};

// Rows are dropped, repeated and reordered on the way; what each hypothesis saw is what the model sees when
// it reads source and hypothesis.
TEST_P(RecurrentSearch, HypothesesSayWhereTheyLooked) {
  const RecurrentConfig& config = model_.config();
  BeamOptions watched = options();
  watched.attention = true;
  if (!config.attends()) {
    const auto message = message_of(Error::Kind::usage, [&] { search(watched); });
    EXPECT_NE(message.find("the model has no attention to its source"), std::string::npos) << message;
    return;
  }
  const auto plain = search(options()), found = search(watched);
  for (std::size_t b = 0; b < sources.size(); ++b) {
    ASSERT_EQ(found[b].size(), plain[b].size());
    for (std::size_t i = 0; i < found[b].size(); ++i) {
      const Hypothesis& one = found[b][i];
      EXPECT_EQ(one.tokens, plain[b][i].tokens);
      EXPECT_EQ(one.log_probability, plain[b][i].log_probability) << "watching changed it";
      const auto S = std::ssize(sources[b]), T = std::ssize(one.token_log_probabilities);
      ASSERT_EQ(std::ssize(one.attention), S * T);
      if (config.normaliser == attention::Normaliser::monotonic) continue;  // read() is soft
      attention::Record record("cross");
      ops::Context ctx{.exec = owner_.get(), .recorder = &record};
      model_.read(ctx, sources[b], one.tokens);
      const Tensor weights = record.weights().at("decoder.0.cross");
      const std::int64_t H = config.attention_heads, steps = std::ssize(one.tokens) + 1;
      const Tensor mean = attention::mean_over_heads(weights, H, steps, S);
      for (std::int64_t k = 0; k < S * T; ++k)
        EXPECT_NEAR(one.attention[static_cast<std::size_t>(k)], mean.f32()[k], 1e-5f) << k;
    }
  }
}

TEST_P(RecurrentSearch, ScoresCountWhatWasCovered) {
  BeamOptions covering = options();
  covering.coverage_penalty.beta = 0.3;
  if (!model_.config().attends()) {
    const auto message = message_of(Error::Kind::usage, [&] { search(covering); });
    EXPECT_NE(message.find("do without coverage penalty"), std::string::npos) << message;
    return;
  }
  covering.attention = true;
  covering.max_length = 3;  // too short to look at all of the longest source
  int penalised = 0;
  for (const auto& hypotheses : search(covering)) {
    for (const Hypothesis& one : hypotheses) {
      const std::size_t T = one.token_log_probabilities.size(), S = one.attention.size() / T;
      std::vector<double> covered(S);
      for (std::size_t k = 0; k < S * T; ++k) covered[k % S] += static_cast<double>(one.attention[k]);
      EXPECT_NEAR(one.score,
                  one.log_probability / covering.length_penalty(static_cast<std::int64_t>(T)) +
                      covering.coverage_penalty(covered),
                  1e-6);
      penalised += covering.coverage_penalty(covered) < 0.0;
    }
  }
  EXPECT_GT(penalised, 0);
}

INSTANTIATE_TEST_SUITE_P(All, RecurrentSearch, testing::ValuesIn(models::variant_names()),
                         [](const auto& variant) { return variant.param; });

/// Pieces without bytes, and a recurrent model that says <unk> again and again.
class RecurrentUnknown : public testing::Test {
 protected:
  std::vector<Translation> translate(const std::string& attention,
                                     const std::vector<std::string>& lines) const {
    RecurrentConfig config;
    config.source_vocabulary = config.target_vocabulary = tokenizer_.target_vocabulary().size();
    config.width = config.embedding = config.attention_width = 16;
    config.max_positions = 64;
    config.score = attention;
    RecurrentModel model(config, 7);
    for (auto& parameter : model.parameters().all())
      if (parameter.name == "output.bias") {
        parameter.value.f32()[config.unk] = 50.0f;
        parameter.value.f32()[config.eos] = 49.5f;
      }
    TranslateOptions options;
    options.beam.beam = 2;
    options.beam.max_length_extra = 0;
    options.beam.min_length = 2;
    options.replace_unknown = true;
    const kernels::ExecutionOwner exec(1);
    return Translator(model, tokenizer_, exec.get()).translate(lines, options);
  }

  text::TranslationTokenizer tokenizer_{
      text::SentencePieceModel::parse(
          text::train_sentencepiece({.vocabulary_size = 300, .byte_fallback = false, .threads = 1},
                                    text::sample::sentences(400, 1)),
          "no_bytes.spm"),
      {}};
};

TEST_F(RecurrentUnknown, WordsOfTheSourceStandInForIt) {
  const std::vector<std::string> lines{"baren \u6771\u4EAC schlei.", "the der moli"};
  const auto found = translate("additive", lines);
  int replaced = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::istringstream words(found[i].text());
    for (std::string word; words >> word; ++replaced)
      EXPECT_NE(lines[i].find(word), std::string::npos) << word << " in " << lines[i];
  }
  EXPECT_GE(replaced, 2);
}

TEST_F(RecurrentUnknown, AModelThatDoesNotLookSaysSo) {
  const auto message = message_of(Error::Kind::usage, [&] { translate("none", {"the der"}); });
  EXPECT_NE(message.find("the model has no attention to its source"), std::string::npos) << message;
  EXPECT_NE(message.find("replacement of unknown words"), std::string::npos) << message;
}

}  // namespace
}  // namespace fovea::decoding
