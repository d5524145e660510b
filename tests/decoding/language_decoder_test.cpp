// Language models under the search that translation uses: what Transformers' generate() gives, kept by
// benchmarks/peers/generation_fixture.py; batches, threads, end tokens, texts that slide.
#include "fovea/decoding/language_decoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "fovea/decoding/beam_search.h"
#include "fovea/formats/json.h"
#include "fovea/models/language_folder.h"
#include "tests/base/scratch.h"
#include "tests/models/language_variants.h"

namespace fovea::decoding {
namespace {

using formats::Json;
using Ids = std::vector<std::int32_t>;

const std::filesystem::path fixtures = FOVEA_SOURCE_DIR "/tests/models/huggingface";

Ids ids_of(const Json& list) {
  Ids ids;
  for (const Json& id : list.elements()) ids.push_back(static_cast<std::int32_t>(id.integer(0, 1 << 20)));
  return ids;
}

std::vector<Json> all_of(const Json& list) {
  std::vector<Json> all;
  for (const Json& one : list.elements()) all.push_back(one);
  return all;
}

Stop stop_of(const Json& options) {
  const auto early = options.find("early_stopping");
  if (!early) return Stop::bound;
  return early->is_text() ? Stop::exact : Stop::first;
}

// Hugging Face's options as ours.
BeamOptions options_of(const Json& options, std::int64_t longest) {
  BeamOptions search{.beam = options.integer_or("num_beams", 1, 1, 100),
                     .nbest = options.integer_or("num_return_sequences", 1, 1, 100),
                     .stop = stop_of(options),
                     .max_length_ratio = 0.0,
                     .max_length_extra = longest,
                     .min_length = options.integer_or("min_new_tokens", 0, 0, 100)};
  search.length_penalty.alpha = options.number_or("length_penalty", 1.0, -10, 10);
  if (options.has("repetition_penalty"))
    search.processors.push_back(
        std::make_shared<RepetitionPenalty>(options.at("repetition_penalty").number()));
  if (options.has("no_repeat_ngram_size"))
    search.processors.push_back(
        std::make_shared<NoRepeatNgram>(options.at("no_repeat_ngram_size").integer(1, 100)));
  if (options.has("suppress_tokens")) search.suppressed = ids_of(options.at("suppress_tokens"));
  if (options.has("begin_suppress_tokens"))
    search.processors.push_back(std::make_shared<SuppressFirst>(ids_of(options.at("begin_suppress_tokens"))));
  if (const auto words = options.find("bad_words_ids")) {
    std::vector<Ids> sequences;
    for (const Json& word : words->elements()) sequences.push_back(ids_of(word));
    search.processors.push_back(std::make_shared<SuppressSequences>(sequences));
  }
  return search;
}

class Families : public testing::TestWithParam<std::string> {
 protected:
  const Json cases() const { return file_.at("models").at(GetParam()); }
  std::int64_t longest() const { return file_.at("longest").integer(1, 1000); }
  std::vector<Hypothesis> search(const Ids& prompt, const BeamOptions& options) const {
    const LanguageDecoder decoder(*model_, owner_.get(), {.compares = options.contrastive.has_value()});
    return beam_search(decoder, std::vector<Ids>{prompt}, options).front();
  }

  const Json file_ =
      formats::read_json(FOVEA_SOURCE_DIR "/tests/decoding/huggingface_generation.json", Error::Kind::data);
  kernels::ExecutionOwner owner_{2};
  std::unique_ptr<models::LanguageModel> model_ =
      models::load_language_model_for_inference(fixtures / GetParam(), owner_.get());
};

TEST_P(Families, SearchesFindWhatGenerateFinds) {
  int compared = 0;
  for (const Json& one : cases().at("searches").elements()) {
    const auto found = search(ids_of(one.at("prompt")), options_of(one.at("options"), longest()));
    const auto expected = all_of(one.at("found"));
    const std::string what = "after " + std::to_string(compared) + " hypotheses";
    ASSERT_EQ(found.size(), expected.size()) << what;
    for (std::size_t i = 0; i < found.size(); ++i, ++compared) {
      EXPECT_EQ(found[i].tokens, ids_of(expected[i].at("tokens"))) << what;
      EXPECT_EQ(found[i].complete, expected[i].at("ended").boolean()) << what;
      const double score = expected[i].number_or("score", found[i].score);
      EXPECT_NEAR(found[i].score, score, 1e-4) << what;
    }
  }
  EXPECT_GT(compared, 20);
}

TEST_P(Families, ContrastiveSearchIsTheFormula) {
  int compared = 0;
  for (const Json& one : cases().at("contrastive").elements()) {
    BeamOptions options{.beam = 1, .max_length_ratio = 0.0, .max_length_extra = longest()};
    options.contrastive = Contrastive{one.at("alpha").number(), one.at("k").integer(1, 64)};
    const auto found = search(ids_of(one.at("prompt")), options);
    EXPECT_EQ(found.front().tokens, ids_of(one.at("tokens"))) << "alpha " << options.contrastive->alpha;
    EXPECT_EQ(found.front().complete, one.at("ended").boolean());
    ++compared;
  }
  EXPECT_GT(compared, 5);
}

TEST_P(Families, TokensAreDrawnAsOftenAsGenerateDrawsThem) {
  constexpr std::int64_t draws = 4000;
  for (const Json& one : cases().at("draws").elements()) {
    const Json how = one.at("options");
    BeamOptions options{.beam = 1, .nbest = draws, .max_length_ratio = 0.0, .max_length_extra = 1};
    options.sampling = Sampling{.temperature = how.number_or("temperature", 1.0, 0, 10),
                                .top_k = how.integer_or("top_k", 0, 0, 100),
                                .top_p = how.number_or("top_p", 1.0, 0, 1),
                                .min_p = how.number_or("min_p", 0.0, 0, 1),
                                .seed = 5,
                                .typical_p = how.number_or("typical_p", 1.0, 0, 1)};
    const auto expected = all_of(one.at("probabilities"));
    std::vector<double> share(expected.size());
    const Ids ends = model_->vocabulary().eos;
    for (const auto& drawn : search(ids_of(one.at("prompt")), options))
      if (!drawn.tokens.empty()) share[static_cast<std::size_t>(drawn.tokens.front())] += 1.0 / draws;
    for (std::size_t v = 0; v < share.size(); ++v) {
      if (std::ranges::count(ends, v)) continue;  // not among the tokens
      const double p = expected[v].number();
      EXPECT_NEAR(share[v], p, 1e-6 + 5.0 * std::sqrt(p * (1.0 - p) / draws)) << "token " << v;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(HuggingFace, Families, testing::Values("gpt2", "llama", "mistral", "qwen2"),
                         [](const auto& info) { return info.param; });

// ---- Without a peer

class LanguageDecoders : public testing::Test {
 protected:
  // Weights large enough that answers differ from each other.
  static std::unique_ptr<models::LanguageModel> made(const models::LanguageConfig& config) {
    auto model = models::make_language_model(config, 11);
    for (auto& parameter : model->parameters().all())
      if (parameter.initial.kind == nn::Initial::Kind::normal)
        for (float& w : parameter.value.values()) w *= 12.0f;
    return model;
  }
  static Ids text(std::int64_t length, std::int32_t seed) {
    Ids ids;
    for (std::int64_t i = 0; i < length; ++i)
      ids.push_back(static_cast<std::int32_t>(2 + (seed + 5 * i + i * i) % 11));
    return ids;
  }
  kernels::ExecutionOwner owner_{2}, one_thread_{1};
};

void expect_same(const std::vector<Hypothesis>& a, const std::vector<Hypothesis>& b,
                 const std::string& what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].tokens, b[i].tokens) << what;
    EXPECT_EQ(a[i].token_log_probabilities, b[i].token_log_probabilities) << what;
  }
}

TEST_F(LanguageDecoders, WhatIsFoundDoesNotDependOnBatchOrThreads) {
  std::vector<BeamOptions> ways(4, {.beam = 1, .max_length_ratio = 0.0, .max_length_extra = 12});
  ways[1].beam = ways[1].nbest = 3;
  ways[2].sampling = Sampling{.temperature = 1.3};
  ways[2].nbest = 2;
  ways[3].contrastive = Contrastive{};
  for (const auto& [name, config] : models::language_variants()) {
    const auto model = made(config);
    std::vector<Request> requests;
    for (std::int32_t i = 0; i < 7; ++i)
      requests.push_back({.source = text(1 + (i * 5) % 17, i), .draw = static_cast<std::uint64_t>(i)});
    for (const auto& options : ways) {
      const LanguageDecoderOptions how{.compares = options.contrastive.has_value()};
      const LanguageDecoder decoder(*model, owner_.get(), how), slow(*model, one_thread_.get(), how);
      const auto together = beam_search(decoder, requests, options, {.max_rows = 3, .max_tokens = 1000});
      for (std::size_t i = 0; i < requests.size(); ++i)
        expect_same(together[i], beam_search(slow, {requests[i]}, options, {}).front(),
                    name + ", prompt " + std::to_string(i));
    }
  }
}

TEST_F(LanguageDecoders, EachOfItsEndTokensEnds) {
  const auto model = made(models::small_llama());
  const BeamOptions options{.beam = 1, .max_length_ratio = 0.0, .max_length_extra = 20};
  const auto tokens = [&](Ids ends) {
    const LanguageDecoder decoder(*model, owner_.get(), {.ends = std::move(ends)});
    return beam_search(decoder, std::vector<Ids>{text(4, 3)}, options)[0][0].tokens;
  };
  const Ids whole = tokens({});
  ASSERT_EQ(whole.size(), 20u);
  for (const std::size_t at : {3, 7}) {
    const auto first = std::ranges::find(whole, whole[at]);
    EXPECT_EQ(tokens({0, whole[at]}), Ids(whole.begin(), std::min(first, std::ranges::find(whole, 0))));
  }
  EXPECT_THROW(tokens({13}), Error);
}

TEST_F(LanguageDecoders, ATextEndsWhereTheModelsPositionsEnd) {
  const auto model = made(models::small_gpt2());  // 40 positions
  const LanguageDecoder decoder(*model, owner_.get(), {.ends = Ids{}, .compares = true});
  BeamOptions options{.beam = 1, .max_length_ratio = 0.0, .max_length_extra = 100};
  for (const std::int64_t length : {1, 39, 40}) {
    options.contrastive.reset();
    const auto found = beam_search(decoder, std::vector<Ids>{text(length, 1)}, options)[0][0];
    EXPECT_EQ(std::ssize(found.tokens), 41 - length);
    EXPECT_EQ(found.ending, Ending::cut);
    options.contrastive = Contrastive{};
    if (length < 40)
      EXPECT_EQ(std::ssize(beam_search(decoder, std::vector<Ids>{text(length, 1)}, options)[0][0].tokens),
                40 - length);
    else
      EXPECT_THROW(beam_search(decoder, std::vector<Ids>{text(length, 1)}, options), Error);
  }
  EXPECT_THROW(beam_search(decoder, std::vector<Ids>{text(41, 1)}, options), Error);
  EXPECT_THROW(beam_search(decoder, std::vector<Ids>{{13}}, options), Error);
  EXPECT_THROW(decoder.start({{}}), Error);
}

// What a text says after sliding is what a model says that reads the newer half alone.
TEST_F(LanguageDecoders, TextsSlideAlongTheirNewerHalf) {
  for (const auto& [name, config] : models::language_variants()) {
    const auto model = made(config);
    const LanguageDecoder decoder(*model, owner_.get(), {.ends = Ids{}, .slides = true});
    const BeamOptions options{.beam = 1, .max_length_ratio = 0.0, .max_length_extra = 70};
    const Ids prompt = text(30, 2);
    const auto found = beam_search(decoder, std::vector<Ids>{prompt, text(3, 1)}, options)[0][0];
    ASSERT_EQ(found.tokens.size(), 70u) << name;
    Ids all = prompt;
    all.insert(all.end(), found.tokens.begin(), found.tokens.end());
    // 40 tokens have been read before token 41 is fed: then 20 of them are left.
    for (std::size_t end = 41; end <= 60; ++end) {
      const Ids window(all.begin() + 20, all.begin() + static_cast<std::ptrdiff_t>(end));
      ops::Context ctx{.exec = owner_.get()};
      const Tensor logits = model->predict(ctx, window, Ids{0, static_cast<std::int32_t>(window.size())});
      const auto last = logits.values().last(13);
      EXPECT_EQ(std::ranges::max_element(last) - last.begin(), all[end]) << name << ", token " << end;
    }
  }
}

TEST_F(LanguageDecoders, ARuleEndsHypothesesOfEveryKind) {
  const auto model = made(models::small_gpt2());
  const Ids prompt = text(4, 3);
  const auto rule = [](std::size_t sentence, std::span<const std::int32_t> tokens) {
    EXPECT_EQ(sentence, 0u);
    return tokens.size() >= 3 && tokens.back() % 2 == 1;
  };
  std::vector<BeamOptions> ways(4, {.beam = 1, .max_length_ratio = 0.0, .max_length_extra = 30});
  ways[1].beam = ways[1].nbest = 4;
  ways[2].sampling = Sampling{.temperature = 1.3};
  ways[2].nbest = 5;
  ways[3].contrastive = Contrastive{};
  for (auto& options : ways) {
    options.stops = rule;
    const LanguageDecoder decoder(*model, owner_.get(), {.ends = Ids{}, .compares = true});
    const auto found = beam_search(decoder, std::vector<Ids>{prompt}, options)[0];
    for (const auto& one : found) {
      if (one.ending != Ending::rule) continue;
      EXPECT_TRUE(one.complete);
      EXPECT_EQ(one.tokens.back() % 2, 1);
      EXPECT_EQ(one.token_log_probabilities.size(), one.tokens.size());
      for (std::size_t i = 2; i + 1 < one.tokens.size(); ++i) EXPECT_EQ(one.tokens[i] % 2, 0);
    }
    EXPECT_EQ(found.front().ending, Ending::rule);
  }
}

// Listeners hear the tokens that are returned, whatever chose them.
TEST_F(LanguageDecoders, ContrastiveTokensAreStreamed) {
  const auto model = made(models::small_gpt2());
  const LanguageDecoder decoder(*model, owner_.get(), {.compares = true});
  for (const std::int64_t k : {1, 5}) {
    BeamOptions options{.beam = 1, .max_length_ratio = 0.0, .max_length_extra = 15};
    options.contrastive = Contrastive{0.5, k};
    Ids heard;
    options.on_token = [&](const StreamedToken& token) {
      heard.push_back(token.token);
      return true;
    };
    for (std::int32_t seed = 0; seed < 5; ++seed) {
      heard.clear();
      EXPECT_EQ(beam_search(decoder, std::vector<Ids>{text(3, seed)}, options)[0][0].tokens, heard);
    }
  }
}

}  // namespace
}  // namespace fovea::decoding
