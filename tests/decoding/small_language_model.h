#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "fovea/base/file.h"
#include "fovea/models/language_folder.h"
#include "fovea/text/load_tokenizer.h"
#include "tests/base/scratch.h"

/// A small language model with random weights and a byte-level tokenizer of 503 tokens (512 rows): what it
/// says is noise, full of bytes that are no characters, the same each time.
namespace fovea::test {

inline models::LlamaConfig small_language_config(std::int64_t positions = 64) {
  models::LlamaConfig config;
  config.vocabulary = 512;
  config.max_positions = positions;
  config.width = 32;
  config.layers = 2;
  config.heads = 4;
  config.kv_heads = 2;
  config.feed_forward = 48;
  config.rotary.rotated = 8;
  config.bos = 500;
  config.eos = {501, 502};
  return config;
}

inline std::unique_ptr<models::LanguageModel> small_language_model(
    const models::LlamaConfig& config = small_language_config(), std::uint64_t seed = 3) {
  auto model = models::make_language_model(config, seed);
  for (auto& parameter : model->parameters().all())
    if (parameter.initial.kind == nn::Initial::Kind::normal)
      for (float& w : parameter.value.values()) w *= 8.0f;
  return model;
}

/// Byte-level BPE; begins texts with <|begin_of_text|>, 500.
inline std::string small_language_tokenizer_file() {
  return read_file(FOVEA_SOURCE_DIR "/tests/text/tokenizers/llama3.json", 1 << 20, Error::Kind::data);
}

inline std::filesystem::path write_language_model(
    const ScratchFolder& scratch, const std::string& generation_config = "",
    const models::LlamaConfig& config = small_language_config()) {
  const auto folder = scratch / "model";
  std::filesystem::create_directories(folder);
  write_atomically(folder / "tokenizer.json", small_language_tokenizer_file());
  write_atomically(folder / "config.json", models::config_json(models::LanguageConfig(config), DType::f32));
  if (!generation_config.empty()) write_atomically(folder / "generation_config.json", generation_config);
  small_language_model(config)->weights_file(DType::f32).save(folder / "model.safetensors");
  return folder;
}

}  // namespace fovea::test
