#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "fovea/base/file.h"
#include "fovea/models/translation_folder.h"
#include "fovea/text/sentencepiece_trainer.h"
#include "fovea/text/translation_tokenizer.h"
#include "tests/base/scratch.h"
#include "tests/text/sample_text.h"

/// Small models with random weights, for tests that need a model directory and not what it says.
namespace fovea::test {

inline text::SentencePieceModel small_pieces(std::int32_t size, std::uint64_t seed,
                                             text::SentencePieceTraining::Kind kind = {}) {
  return text::SentencePieceModel::parse(
      text::train_sentencepiece({.kind = kind, .vocabulary_size = size, .threads = 1},
                                text::sample::sentences(400, seed)),
      "small.spm");
}

/// Joint, 400 pieces; the same in every test of a program.
inline const text::TranslationTokenizer& small_tokenizer() {
  static const text::TranslationTokenizer tokenizer(
      small_pieces(400, 1), {.source_language = "en", .target_language = "de", .max_length = 64});
  return tokenizer;
}

inline models::TransformerConfig small_config(
    const text::TranslationTokenizer& tokenizer = small_tokenizer()) {
  models::TransformerConfig config;
  config.source_vocabulary = tokenizer.source_vocabulary().size();
  config.target_vocabulary = tokenizer.target_vocabulary().size();
  config.tie_source_target = !tokenizer.has_separate_vocabularies();
  config.encoder_layers = config.decoder_layers = 2;
  config.width = 16;
  config.feed_forward = 32;
  config.heads = 4;
  config.max_positions = 64;
  return config;
}

/// Random weights that end most sentences before the greatest length.
inline std::unique_ptr<models::Transformer> small_model(
    const models::TransformerConfig& config = small_config(), std::uint64_t seed = 7) {
  auto model = std::make_unique<models::Transformer>(config, seed);
  Tensor bias = Tensor::zeros({config.target_vocabulary});
  bias.f32()[config.eos] = 4.0f;
  model->set_output_bias(bias);
  return model;
}

inline void write_model(const std::filesystem::path& folder, const models::Transformer& model,
                        const text::TranslationTokenizer& tokenizer = small_tokenizer(),
                        DType stored = DType::f32) {
  std::filesystem::create_directories(folder);
  for (const auto& [name, content] : tokenizer.files()) write_atomically(folder / name, content);
  write_atomically(folder / "config.json", models::config_json(model.config(), {}, stored));
  write_atomically(folder / "generation_config.json",
                   models::generation_config_json(model.config(), {.beam = 2}));
  model.weights_file(stored).save(folder / "model.safetensors");
}

/// A model directory in a scratch folder, made once a program; tests that change it take a copy.
class SmallModel {
 public:
  static const std::filesystem::path& folder() {
    static const SmallModel made;
    return made.path_;
  }
  /// A copy named `name` in `scratch`.
  static std::filesystem::path copy(const ScratchFolder& scratch, const std::string& name = "model") {
    std::filesystem::copy(folder(), scratch / name, std::filesystem::copy_options::recursive);
    return scratch / name;
  }

 private:
  SmallModel() : path_(scratch_ / "model") { write_model(path_, *small_model()); }

  ScratchFolder scratch_;
  std::filesystem::path path_;
};

}  // namespace fovea::test
