#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "fovea/base/file.h"
#include "fovea/formats/json.h"
#include "fovea/models/classifier_folder.h"
#include "fovea/text/tokenizer_trainer.h"

namespace fovea::cli {

/// Writes a model directory: a small BERT of random weights with that head, and a tokenizer of a few words.
inline void write_encoder(const std::filesystem::path& folder, models::BertConfig::Head head,
                          std::vector<std::string> classes = {"bad", "fine", "good"},
                          std::uint64_t seed = 3) {
  using Head = models::BertConfig::Head;
  const std::vector<std::string> words{"good film , bad plot .", "a very fine film", "it was n't bad"};
  const auto json = text::train_tokenizer_json({}, words);
  std::filesystem::create_directories(folder);
  write_atomically(folder / "tokenizer.json", json);
  write_atomically(folder / "tokenizer_config.json", text::tokenizer_config_json(16));
  const auto vocabulary =
      formats::Json::parse(json, {"tokenizer.json", Error::Kind::model}).at("model").at("vocab").size();
  models::BertConfig config;
  config.head = head;
  config.pooler = head == Head::text;
  config.vocabulary = static_cast<std::int64_t>(vocabulary);
  config.max_positions = 16;
  config.width = 16;
  config.layers = 2;
  config.heads = 2;
  config.feed_forward = 24;
  config.deviation = 0.5f;
  if (head == Head::text || head == Head::token) config.classes.names = std::move(classes);
  const models::Bert model(config, seed);
  write_atomically(folder / "config.json", models::config_json(config, DType::f32));
  model.weights_file(DType::f32).save(folder / "model.safetensors");
}

}  // namespace fovea::cli
