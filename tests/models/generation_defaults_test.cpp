// What a model directory says of how it is used, written and read.
#include "fovea/models/generation_defaults.h"

#include <gtest/gtest.h>

#include "fovea/base/file.h"
#include "fovea/formats/json.h"
#include "fovea/models/translation_model.h"
#include "tests/base/scratch.h"

namespace fovea::models {
namespace {

using fovea::test::message_of;
using fovea::test::ScratchFolder;

constexpr TranslationVocabulary vocabulary{.source = 100, .target = 100, .eos = 0, .unk = 1, .pad = 99};

class Generation : public testing::Test {
 protected:
  GenerationDefaults read(const std::string& json, const char* file = "generation_config.json") {
    write_atomically(folder_ / file, json);
    return read_generation_defaults(folder_.path());
  }
  GenerationDefaults after_writing(const GenerationDefaults& generation) {
    return read(generation_config_json(vocabulary, 64, generation));
  }
  std::string refusal(const std::string& json) {
    return message_of(Error::Kind::model, [&] { read(json); });
  }
  ScratchFolder folder_;
};

TEST_F(Generation, WhatIsWrittenIsRead) {
  GenerationDefaults usual;
  usual.max_length = 64;  // as many as there are positions
  EXPECT_EQ(after_writing({}), usual);
  const GenerationDefaults searching{.beam = 12,
                                     .nbest = 3,
                                     .length_penalty = 0.7,
                                     .length_penalty_kind = LengthPenaltyKind::gnmt,
                                     .early_stopping = EarlyStopping::never,
                                     .num_beam_groups = 4,
                                     .diversity_penalty = 1.5,
                                     .min_length = 3,
                                     .max_length = 40,
                                     .max_length_ratio = 1.5,
                                     .max_length_extra = 7,
                                     .repetition_penalty = 1.3,
                                     .no_repeat_ngram_size = 4,
                                     .suppress_tokens = {5, 6},
                                     .begin_suppress_tokens = {7},
                                     .bad_words_ids = {{8}, {9, 10}},
                                     .forced_bos_token_id = 11,
                                     .coverage_penalty = 0.2,
                                     .replace_unknown = true};
  EXPECT_EQ(after_writing(searching), searching);
  const GenerationDefaults drawing{.beam = 1,
                                   .nbest = 5,
                                   .early_stopping = EarlyStopping::yes,
                                   .max_length = 64,
                                   .do_sample = true,
                                   .temperature = 0.8,
                                   .top_k = 0,
                                   .top_p = 0.9,
                                   .min_p = 0.05};
  EXPECT_EQ(after_writing(drawing), drawing);
}

TEST_F(Generation, TheNamesAreHuggingFaces) {
  GenerationDefaults generation;
  generation.nbest = 2;
  generation.min_length = 4;
  generation.max_length = 20;
  generation.num_beam_groups = 5;
  generation.early_stopping = EarlyStopping::yes;
  write_atomically(folder_ / "g.json", generation_config_json(vocabulary, 64, generation));
  const auto json = formats::read_json(folder_ / "g.json", Error::Kind::model);
  EXPECT_EQ(json.at("num_beams").integer(), 5);
  EXPECT_EQ(json.at("num_return_sequences").integer(), 2);
  EXPECT_EQ(json.at("min_length").integer(), 5);  // the start token counts
  EXPECT_EQ(json.at("max_length").integer(), 21);
  EXPECT_EQ(json.at("num_beam_groups").integer(), 5);
  EXPECT_EQ(json.at("diversity_penalty").number(), 0.5);
  EXPECT_TRUE(json.at("early_stopping").boolean());
  EXPECT_EQ(json.at("forced_eos_token_id").integer(), 0);
  EXPECT_EQ(json.at("decoder_start_token_id").integer(), 99);
  EXPECT_EQ((*json.at("bad_words_ids").elements().begin()).size(), 1u);
  for (const char* key : {"do_sample", "temperature", "top_k", "suppress_tokens", "fovea_max_length_ratio"})
    EXPECT_FALSE(json.has(key)) << key;
}

// As opus-mt-en-de has it, and as others write.
TEST_F(Generation, ReadsWhatOthersWrite) {
  const auto opus = read(R"({"bad_words_ids": [[99]], "bos_token_id": 0, "decoder_start_token_id": 99,
    "eos_token_id": 0, "forced_eos_token_id": 0, "max_length": 512, "num_beams": 6, "pad_token_id": 99,
    "renormalize_logits": true, "transformers_version": "4.32.0"})");
  GenerationDefaults expected;
  expected.beam = 6;
  expected.max_length = 511;
  EXPECT_EQ(opus, expected);
  const auto drawn = read(R"({"do_sample": true, "forced_bos_token_id": null, "top_p": null})");
  EXPECT_EQ(drawn.top_k, 50);
  EXPECT_EQ(drawn.top_p, 1.0);
  EXPECT_EQ(read(R"({"do_sample": false, "top_k": 7, "temperature": 0.0})"), GenerationDefaults());
  EXPECT_EQ(read(R"({"early_stopping": "never"})").early_stopping, EarlyStopping::never);
  const auto fresh =
      read(R"({"max_length": 20, "max_new_tokens": 30, "min_length": 0, "min_new_tokens": 2})");
  EXPECT_EQ(fresh.max_length, 30);
  EXPECT_EQ(fresh.min_length, 2);
}

TEST_F(Generation, WithoutTheFileConfigJsonIsAsked) {
  EXPECT_EQ(read_generation_defaults(folder_.path()), GenerationDefaults());
  EXPECT_EQ(read(R"({"num_beams": 3})", "config.json").beam, 3);
  EXPECT_EQ(read(R"({"length_penalty": 0.5})").beam, 5);  // now there is one
}

TEST_F(Generation, FaultsAreNamedByFileAndKey) {
  const std::vector<std::pair<std::string, std::string>> faults{
      {R"({"num_beams": 0})", "generation_config.json: num_beams: is 0"},
      {R"({"num_beams": "four"})", "num_beams: is the text \"four\""},
      {R"({"early_stopping": "soon"})", "early_stopping: is neither true, false nor \"never\""},
      {R"({"do_sample": true, "temperature": 0})", "temperature: is 0"},
      {R"({"do_sample": true, "top_p": 1.5})", "top_p: is the number 1.5"},
      {R"({"suppress_tokens": [3, -1]})", "suppress_tokens[1]: is -1"},
      {R"({"bad_words_ids": [[3], []]})", "bad_words_ids[1]: has no tokens"},
      {R"({"repetition_penalty": 1e999})", "generation_config.json"},
      {R"({"fovea_length_penalty_kind": "log"})", "fovea_length_penalty_kind: is neither"}};
  for (const auto& [json, part] : faults)
    EXPECT_NE(refusal(json).find(part), std::string::npos) << refusal(json);
}

TEST_F(Generation, WhatWouldChangeTheResultAndIsNotBuiltIsListed) {
  read(R"({"typical_p": 0.9, "epsilon_cutoff": 0.0, "penalty_alpha": null, "guidance_scale": 1.0,
    "encoder_no_repeat_ngram_size": 3, "force_words_ids": [], "sequence_bias": {"5": 1.0}, "use_cache": true})");
  EXPECT_EQ(ignored_generation_keys(folder_.path()),
            (std::vector<std::string>{"generation_config.json: typical_p",
                                      "generation_config.json: encoder_no_repeat_ngram_size",
                                      "generation_config.json: sequence_bias"}));
  EXPECT_EQ(ignored_continuation_keys(folder_.path()),
            (std::vector<std::string>{"generation_config.json: encoder_no_repeat_ngram_size",
                                      "generation_config.json: sequence_bias"}));
  read("{}");
  EXPECT_TRUE(ignored_generation_keys(folder_.path()).empty());
}

TEST_F(Generation, ALanguageModelsLengthsCountWhatFollows) {
  const auto read_one = [&](const std::string& json) {
    write_atomically(folder_ / "generation_config.json", json);
    return read_continuation_defaults(folder_.path());
  };
  const ContinuationDefaults plain = read_one("{}");
  EXPECT_EQ(plain.search.beam, 1);
  EXPECT_EQ(plain.search.max_length, 0);
  EXPECT_EQ(plain.max_length, 0);
  EXPECT_FALSE(plain.eos);
  EXPECT_EQ(plain.penalty_alpha, 0.0);

  const auto told =
      read_one(R"({"max_length": 4096, "max_new_tokens": 40, "min_new_tokens": 3, "do_sample": true,
      "temperature": 0.6, "top_p": 0.9, "typical_p": 0.8, "eos_token_id": [7, 9], "stop_strings": ["###", "\n\n"]})");
  EXPECT_EQ(told.search.max_length, 40);
  EXPECT_EQ(told.search.min_length, 3);
  EXPECT_EQ(told.max_length, 4096);
  EXPECT_EQ(told.search.temperature, 0.6);
  EXPECT_EQ(told.search.top_k, 50) << "as there";
  EXPECT_EQ(told.typical_p, 0.8);
  EXPECT_EQ(told.eos, (std::vector<std::int32_t>{7, 9}));
  EXPECT_EQ(told.stop_strings, (std::vector<std::string>{"###", "\n\n"}));

  const auto contrastive =
      read_one(R"({"penalty_alpha": 0.6, "top_k": 4, "eos_token_id": 5, "stop_strings": "."})");
  EXPECT_EQ(contrastive.penalty_alpha, 0.6);
  EXPECT_EQ(contrastive.contrastive_k, 4);
  EXPECT_EQ(contrastive.eos, (std::vector<std::int32_t>{5}));
  EXPECT_EQ(contrastive.stop_strings, (std::vector<std::string>{"."}));
  EXPECT_NE(message_of(Error::Kind::model, [&] { read_one(R"({"typical_p": 2})"); }).find("typical_p"),
            std::string::npos);
}

}  // namespace
}  // namespace fovea::models
