// A model's defaults as a search: each changes what is found as the option of its name does.
#include "fovea/decoding/generation.h"

#include <gtest/gtest.h>

#include "fovea/decoding/beam_search.h"
#include "tests/base/scratch.h"
#include "tests/decoding/fake_model.h"

namespace fovea::decoding {
namespace {

using models::GenerationDefaults;

TEST(Generation, NoDefaultsAreTheSearchsOwn) {
  const TranslateOptions found = options_of({}), plain;
  EXPECT_EQ(found.beam.beam, plain.beam.beam);
  EXPECT_EQ(found.beam.nbest, plain.beam.nbest);
  EXPECT_EQ(found.beam.length_penalty.alpha, plain.beam.length_penalty.alpha);
  EXPECT_EQ(found.beam.length_penalty.kind, plain.beam.length_penalty.kind);
  EXPECT_EQ(found.beam.stop, plain.beam.stop);
  EXPECT_EQ(found.beam.max_length, plain.beam.max_length);
  EXPECT_EQ(found.beam.max_length_ratio, plain.beam.max_length_ratio);
  EXPECT_EQ(found.beam.max_length_extra, plain.beam.max_length_extra);
  EXPECT_EQ(found.beam.diverse.penalty, plain.beam.diverse.penalty);
  EXPECT_TRUE(found.beam.processors.empty() && found.beam.suppressed.empty() && found.suppressed.empty());
  EXPECT_FALSE(found.beam.sampling);
}

TEST(Generation, WhatIsNotBuiltIsMadeToFit) {
  EXPECT_EQ(options_of({.beam = 100}).beam.beam, widest_beam);
  EXPECT_EQ(options_of({.beam = 4, .num_beam_groups = 3}).beam.diverse.groups, 1);
  EXPECT_EQ(options_of({.beam = 2, .nbest = 3}).beam.nbest, 2);
  const auto drawn = options_of({.beam = 6, .nbest = 3, .num_beam_groups = 2, .do_sample = true}).beam;
  EXPECT_EQ(drawn.beam, 1);
  EXPECT_EQ(drawn.nbest, 3);
  EXPECT_EQ(drawn.diverse.groups, 1);
}

/// What is found for a few sources, as text.
std::string found(const TranslateOptions& options) {
  const FakeModel model = hash_model(30, 1.5f, 1.5f);
  std::vector<Request> requests;
  for (int i = 0; i < 12; ++i) requests.push_back({Ids(static_cast<std::size_t>(2 + i % 4), 50 + i), {}, 7});
  std::string text;
  for (const auto& hypotheses : beam_search(model, requests, options.beam, {}))
    for (const auto& one : hypotheses) {
      for (const auto token : one.tokens) text += std::to_string(token) + " ";
      text += std::to_string(one.score) + (one.complete ? "\n" : "...\n");
    }
  return text;
}

TEST(Generation, EachDefaultIsTheOptionOfItsName) {
  const auto expect = [&](const GenerationDefaults& generation, const auto& change) {
    TranslateOptions options;
    options.beam.beam = generation.beam;
    const std::string plain = found(options);
    change(options.beam);
    const std::string changed = found(options);
    EXPECT_EQ(found(options_of(generation)), changed);
    EXPECT_NE(changed, plain) << "no option was tested";
  };
  expect({.beam = 4, .nbest = 3}, [](auto& o) { o.nbest = 3; });
  expect({.beam = 4, .length_penalty = -2}, [](auto& o) { o.length_penalty.alpha = -2; });
  expect({.beam = 4, .length_penalty_kind = models::LengthPenaltyKind::gnmt},
         [](auto& o) { o.length_penalty.kind = LengthPenalty::Kind::gnmt; });
  expect({.beam = 4, .num_beam_groups = 2, .diversity_penalty = 9}, [](auto& o) { o.diverse = {2, 9}; });
  expect({.beam = 2, .min_length = 9}, [](auto& o) { o.min_length = 9; });
  expect({.beam = 2, .max_length = 2}, [](auto& o) { o.max_length = 2; });
  expect({.beam = 2, .min_length = 9, .max_length_ratio = 0.5, .max_length_extra = 2}, [](auto& o) {
    o.min_length = 9;
    o.max_length_ratio = 0.5;
    o.max_length_extra = 2;
  });
  expect({.beam = 1, .do_sample = true, .temperature = 2, .top_k = 9, .top_p = 0.9, .min_p = 0.01},
         [](auto& o) {
           o.sampling = Sampling{2, 9, 0.9, 0.01};
         });
}

TEST(Generation, WhatTheTranslatorAddsIsAsked) {
  const auto options = options_of({.repetition_penalty = 1.5,
                                   .no_repeat_ngram_size = 3,
                                   .suppress_tokens = {4, 5},
                                   .bad_words_ids = {{6}, {7, 8}},
                                   .coverage_penalty = 0.2,
                                   .replace_unknown = true});
  EXPECT_EQ(options.repetition_penalty, 1.5);
  EXPECT_EQ(options.no_repeat_ngram, 3);
  EXPECT_EQ(options.beam.suppressed, (Ids{4, 5}));
  EXPECT_EQ(options.suppressed, (std::vector<Ids>{{6}, {7, 8}}));
  EXPECT_EQ(options.beam.coverage_penalty.beta, 0.2);
  EXPECT_TRUE(options.replace_unknown);
}

TEST(Generation, ALanguageModelsDefaultsAreOptionsOfAGenerator) {
  const GenerateOptions plain = generate_options_of(models::ContinuationDefaults{});
  EXPECT_EQ(plain.beam.beam, 1);
  EXPECT_EQ(plain.max_new_tokens, 128);
  EXPECT_FALSE(plain.ends || plain.beam.sampling || plain.beam.contrastive);
  models::ContinuationDefaults defaults;
  defaults.max_length = 500;
  EXPECT_EQ(generate_options_of(defaults).max_length, 500);
  EXPECT_EQ(generate_options_of(defaults).max_new_tokens, 500);
  defaults.search.max_length = 7;  // max_new_tokens, which count
  defaults.search.repetition_penalty = 1.3;
  defaults.eos = Ids{3, 4, 5};
  defaults.stop_strings = {"."};
  defaults.penalty_alpha = 0.4;
  const GenerateOptions told = generate_options_of(defaults);
  EXPECT_EQ(told.max_new_tokens, 7);
  EXPECT_EQ(told.max_length, 0);
  EXPECT_EQ(told.constraints.repetition_penalty, 1.3);
  EXPECT_EQ(told.ends, (Ids{3, 4, 5}));
  EXPECT_EQ(told.stop, (std::vector<std::string>{"."}));
  ASSERT_TRUE(told.beam.contrastive);
  EXPECT_EQ(told.beam.contrastive->alpha, 0.4);
  EXPECT_EQ(told.beam.contrastive->k, 50);
  defaults.search.beam = 40;
  EXPECT_EQ(generate_options_of(defaults).beam.beam, 16) << "64 candidates, four a hypothesis";
  EXPECT_FALSE(generate_options_of(defaults).beam.contrastive);
  defaults.search.do_sample = true;
  defaults.typical_p = 0.7;
  ASSERT_TRUE(generate_options_of(defaults).beam.sampling);
  EXPECT_EQ(generate_options_of(defaults).beam.sampling->typical_p, 0.7);
}

TEST(Generation, EarlyStoppingIsAWayToStop) {
  EXPECT_EQ(options_of({.early_stopping = models::EarlyStopping::no}).beam.stop, Stop::bound);
  EXPECT_EQ(options_of({.early_stopping = models::EarlyStopping::never}).beam.stop, Stop::exact);
  EXPECT_EQ(options_of({.early_stopping = models::EarlyStopping::yes}).beam.stop, Stop::first);
}

TEST(Generation, TheFirstTokenIsSuppressedOrForced) {
  const FakeModel model = table_model({{-9, 3, 2}, {-9, 2, 3}, {-9, 1, 0}});
  const auto tokens = [&](const GenerationDefaults& generation) {
    return beam_search(model, {{9}}, options_of(generation).beam)[0][0].tokens;
  };
  EXPECT_EQ(tokens({.beam = 1, .max_length = 3}), (Ids{1, 2, 1}));
  EXPECT_EQ(tokens({.beam = 1, .max_length = 3, .begin_suppress_tokens = {1}}), (Ids{2, 1, 2}));
  EXPECT_EQ(tokens({.beam = 1, .max_length = 3, .forced_bos_token_id = 2}), (Ids{2, 1, 2}));
  EXPECT_EQ(tokens({.beam = 1, .max_length = 3, .suppress_tokens = {1}}), (Ids{2, 2, 2}));
  EXPECT_NE(test::message_of(Error::Kind::model, [&] { tokens({.forced_bos_token_id = 3}); })
                .find("forced_bos_token_id: 3 is not among the model's 3 tokens"),
            std::string::npos);
}

}  // namespace
}  // namespace fovea::decoding
