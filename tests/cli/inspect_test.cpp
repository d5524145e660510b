// fovea inspect: says what a model is, and what is wrong with it.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/cli/run.h"
#include "tests/cli/small_encoder.h"
#include "tests/decoding/small_language_model.h"
#include "tests/decoding/small_model.h"

namespace fovea::cli {
namespace {

using test::ScratchFolder;
using test::SmallModel;

RunResult inspect(const std::filesystem::path& model, const std::string& flags = "") {
  return run_fovea("inspect " + flags + " " + shell_word(model.string()));
}

nlohmann::json inspect_json(const std::filesystem::path& model, const std::string& flags = "") {
  return nlohmann::json::parse(inspect(model, "--json " + flags).out);
}

TEST(Inspect, SaysWhatAModelIs) {
  const auto result = inspect(SmallModel::folder());
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  for (const std::string line :
       {"architecture  Transformer (Vaswani et al. 2017)", "layers        2 encoder, 2 decoder",
        "width         16, feed-forward 32 (relu)", "heads         4, keys 4 and values 4 wide",
        "norm          after each sublayer", "positions     sinusoidal, at most 64",
        "embeddings    source, target and output are one matrix, times sqrt(width)",
        "vocabulary    400 pieces, unigram with byte fallback, nmt_nfkc, no self-test, for both languages",
        "languages     en to de", "MarianMTModel can hold it", "faults        none"})
    EXPECT_CONTAINS(result.out, line + "\n");
  const auto parameters =
      std::to_string(static_cast<long long>(models::parameter_count(test::small_config())));
  EXPECT_CONTAINS(result.out, "parameters    " + parameters + "\n");
  EXPECT_CONTAINS(result.out, ", F32, ");
}

TEST(Inspect, KnowsLanguageModelsAndClassifiers) {
  const ScratchFolder folder;
  const auto language = test::write_language_model(folder);
  const auto said = inspect(language, "--check");
  EXPECT_EQ(said.code, 0) << said.err;
  for (const std::string line :
       {"architecture  Llama (Touvron et al. 2023)", "layers        2",
        "width         32, feed-forward 48 (swish), gated", "heads         4, 2 of keys and values, 8 wide",
        "positions     rotary, at most 64", "vocabulary    503 pieces", "faults        none"})
    EXPECT_CONTAINS(said.out, line + "\n");
  EXPECT_EQ(said.out.find("MarianMTModel"), std::string::npos);
  EXPECT_EQ(inspect_json(language)["vocabulary"], 503);

  const auto classifier = folder / "classifier";
  write_encoder(classifier, models::BertConfig::Head::text);
  const auto found = inspect(classifier, "--check");
  EXPECT_EQ(found.code, 0) << found.err;
  EXPECT_CONTAINS(found.out, "architecture  BERT (Devlin et al. 2019)\n");
  EXPECT_CONTAINS(found.out, "classes       3: bad, fine, good\n");
}

TEST(Inspect, JsonSaysTheSame) {
  const auto found = inspect_json(SmallModel::folder());
  EXPECT_EQ(found["encoder_layers"], 2);
  EXPECT_EQ(found["width"], 16);
  EXPECT_EQ(found["activation"], "relu");
  EXPECT_EQ(found["norm"], "post");
  EXPECT_EQ(found["parameters"], static_cast<long long>(models::parameter_count(test::small_config())));
  EXPECT_EQ(found["weights_dtype"], "F32");
  EXPECT_EQ(found["weights_bytes"],
            4 * (found["parameters"].get<long long>() + 400));  // and the logits' bias
  EXPECT_EQ(found["source_tokenizer"]["pieces"], 400);
  EXPECT_EQ(found["source_tokenizer"]["kind"], "unigram");
  EXPECT_EQ(found["joint_vocabulary"], true);
  EXPECT_EQ(found["target_language"], "de");
  EXPECT_EQ(found["marian"], true);
  EXPECT_EQ(found["faults"].size(), 0u);
  EXPECT_FALSE(found.contains("tensors"));
}

TEST(Inspect, TensorsAreListedWithTheirValues) {
  const ScratchFolder folder;
  const auto model = test::small_model();
  const auto view = model->parameters().views()[2];
  std::ranges::fill(view.value.values(), 0.5f);
  view.value.f32()[0] = -2.0f;
  test::write_model(folder / "model", *model, test::small_tokenizer(), DType::bf16);
  const auto found = inspect_json(folder / "model", "--tensors");
  ASSERT_EQ(found["tensors"].size(), model->parameters().views().size() + 1);
  bool seen = false;
  for (const auto& tensor : found["tensors"]) {
    EXPECT_EQ(tensor["dtype"], "BF16");
    if (tensor["name"] != view.name) continue;
    seen = true;
    EXPECT_EQ(tensor["shape"].size(), static_cast<std::size_t>(view.value.shape().rank()));
    EXPECT_EQ(tensor["min"], -2.0);
    EXPECT_EQ(tensor["max"], 0.5);
    const auto n = static_cast<double>(view.value.elements());
    EXPECT_NEAR(tensor["mean"].get<double>(), (0.5 * (n - 1) - 2) / n, 1e-9);
  }
  EXPECT_TRUE(seen);
  const auto table = inspect(folder / "model", "--tensors").out;
  EXPECT_CONTAINS(table, "\nname ");
  EXPECT_CONTAINS(table, "\n" + view.name + " ");
  EXPECT_EQ(count(table, " BF16 "), static_cast<int>(found["tensors"].size()));
}

TEST(Inspect, OtherArchitecturesAndVocabularies) {
  const ScratchFolder folder;
  const text::TranslationTokenizer separate(
      test::small_pieces(400, 1), test::small_pieces(380, 2, text::SentencePieceTraining::Kind::bpe), {});
  auto config = test::small_config(separate);
  config.norm = models::TransformerConfig::Norm::pre;
  config.positions = models::TransformerConfig::Positions::learned;
  config.key_width = 3;
  config.value_width = 5;
  test::write_model(folder / "model", *test::small_model(config), separate);
  const auto text = inspect(folder / "model").out;
  EXPECT_CONTAINS(text, "vocabulary    400 pieces, unigram with byte fallback");
  EXPECT_CONTAINS(text, "\n              380 pieces, BPE with byte fallback");
  EXPECT_CONTAINS(text, "keys 3 and values 5 wide");
  EXPECT_CONTAINS(text, "learned, at most 64");
  EXPECT_CONTAINS(text, "MarianMTModel cannot hold it: pre-norm layers\n");
  EXPECT_CONTAINS(text, "faults        none");
  EXPECT_EQ(inspect_json(folder / "model")["why_not_marian"], "pre-norm layers");
}

TEST(Inspect, SaysHowAModelWasTrained) {
  const ScratchFolder folder;
  const auto model = SmallModel::copy(folder);
  std::ofstream(model / "training.json")
      << R"({"recipe":"mine","updates":8000,"epochs":12,"pairs":147316,"core_minutes":99.5,"seed":1,)"
      << R"("weights":"average of 8 checkpoints","valid_loss":1.5,"valid_bleu":31.254,"valid_beam":5})";
  const auto text = inspect(model).out;
  EXPECT_CONTAINS(text,
                  "trained       mine, average of 8 checkpoints, 8000 updates, 12 epochs, 147316 pairs, 99.5 "
                  "core-minutes\n");
  EXPECT_CONTAINS(text, "scores        validation BLEU 31.25 (beam 5), validation perplexity 4.482\n");
  EXPECT_EQ(inspect_json(model)["training"]["updates"], 8000);
  std::ofstream(model / "training.json") << R"({"recipe":[1],"updates":"many"})";  // whoever wrote that
  EXPECT_EQ(inspect(model).code, 0);
  std::ofstream(model / "training.json") << "{";
  EXPECT_CONTAINS(inspect(model).out, "fault         ");
}

TEST(Inspect, JsonOfEveryKindIsOfNumbersUnderTheirNames) {
  const ScratchFolder folder;
  const auto language = nlohmann::json::parse(inspect(test::write_language_model(folder), "--json").out);
  EXPECT_EQ(language["architecture"], "llama");
  EXPECT_EQ(language["layers"], 2);
  EXPECT_EQ(language["key_heads"], 2);
  EXPECT_EQ(language["head_width"], 8);
  EXPECT_EQ(language["packed"].size(), 0u);
  write_encoder(folder / "classifier", models::BertConfig::Head::text);
  const auto classifier = nlohmann::json::parse(inspect(folder / "classifier", "--json").out);
  EXPECT_EQ(classifier["architecture"], "bert");
  EXPECT_EQ(classifier["head"], "text");
  EXPECT_EQ(classifier["feed_forward"], 24);
  EXPECT_EQ(classifier["classes"], (std::vector<std::string>{"bad", "fine", "good"}));
}

TEST(Inspect, E04_WeightsThatAreNotFiniteAreNamed) {
  const ScratchFolder folder;
  const auto model = test::small_model();
  const auto views = model->parameters().views();
  views[3].value.f32()[0] = views[3].value.f32()[1] = NAN;
  views[9].value.f32()[2] = INFINITY;
  test::write_model(folder / "model", *model);
  const auto result = inspect(folder / "model", "--tensors");
  EXPECT_EQ(result.code, 0);
  EXPECT_CONTAINS(result.out, "fault         " + views[3].name + ": NaN or infinite in 2 elements\n");
  EXPECT_CONTAINS(result.out, "fault         " + views[9].name + ": NaN or infinite in 1 element\n");
  const auto checked = inspect(folder / "model", "--check --json");
  EXPECT_EQ(checked.code, 4);
  EXPECT_CONTAINS(checked.err, "model: 2 faults found\n");
  EXPECT_EQ(nlohmann::json::parse(checked.out)["faults"].size(), 2u);
  EXPECT_EQ(inspect(SmallModel::folder(), "--check").code, 0);
}

TEST(Inspect, E01_E02_WhatDoesNotFitIsAFault) {
  const ScratchFolder folder;
  const auto model = SmallModel::copy(folder);
  replace_in(model / "config.json", "\"encoder_layers\": 2", "\"encoder_layers\": 3");
  auto result = inspect(model);
  EXPECT_EQ(result.code, 0);
  EXPECT_CONTAINS(result.out, "fault         ");
  EXPECT_CONTAINS(result.out, "missing tensors: model.encoder.layers.2.");
  replace_in(model / "config.json", "\"encoder_layers\": 3", "\"encoder_layers\": 2");
  replace_in(model / "config.json", "\"encoder_ffn_dim\": 32", "\"encoder_ffn_dim\": 31");
  replace_in(model / "config.json", "\"decoder_ffn_dim\": 32", "\"decoder_ffn_dim\": 31");
  EXPECT_CONTAINS(inspect(model).out, "config.json says [31, 16]");
}

// A sample in the model file that its pieces do not give: field 4 of the model, samples {input, expected}.
TEST(Inspect, C11_ASelfTestThatDisagreesIsAFaultAndAWarning) {
  const ScratchFolder folder;
  const auto model = SmallModel::copy(folder);
  const std::string sample = std::string("\x0a\x05") + "baren" + "\x12\x03" + "x y";
  const std::string samples = std::string("\x0a") + static_cast<char>(sample.size()) + sample;
  const std::string field = std::string("\x22") + static_cast<char>(samples.size()) + samples;
  for (const char* file : {"source.spm", "target.spm"})
    std::ofstream(model / file, std::ios::binary | std::ios::app) << field;
  const auto text = inspect(model).out;
  EXPECT_CONTAINS(text, "self-test: 0 of 1 agree");
  EXPECT_CONTAINS(
      text, "fault         source.spm: 1 of the 1 samples it brings to test its reader come out otherwise\n");
  const auto translated = run_fovea("translate --model " + shell_word(model.string()) + " baren");
  EXPECT_EQ(translated.code, 0);
  EXPECT_CONTAINS(translated.err, "samples it brings to test its reader come out otherwise");
}

TEST(Inspect, D08_FoldersThatAreNoModelGetOneLine) {
  const ScratchFolder folder;
  expect_failure(inspect(folder / "missing"), 4, "there is no such folder");
  expect_failure(inspect(folder.path()), 4, "is empty");
  expect_failure(inspect(SmallModel::folder() / "config.json"), 4, "is a file, but a model is a folder");
  const auto model = SmallModel::copy(folder);
  replace_in(model / "config.json", "\"marian\"", "\"elephant\"");
  expect_failure(inspect(model), 4, "config.json: model_type: a model of type 'elephant'");
}

TEST(Inspect, E10_ABrokenTokenizerIsAFault) {
  const ScratchFolder folder;
  const auto model = SmallModel::copy(folder);
  std::ofstream(model / "source.spm", std::ios::binary) << "\xff\xff";
  const auto result = inspect(model, "--check");
  EXPECT_EQ(result.code, 4);
  EXPECT_CONTAINS(result.out, "source.spm");
}

}  // namespace
}  // namespace fovea::cli
