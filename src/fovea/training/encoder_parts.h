#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "fovea/models/bert.h"
#include "fovea/models/classifier_folder.h"
#include "fovea/text/tokenizer.h"
#include "fovea/training/recipe.h"
#include "fovea/training/task.h"

/// What the tasks that train an encoder do alike.
namespace fovea::training {

/// A tokenizer, and the files of a model directory that hold it.
struct GivenTokenizer {
  std::shared_ptr<const text::Tokenizer> tokenizer;
  FolderFiles files;

  /// That of a model directory.
  static GivenTokenizer read(const std::filesystem::path& directory);
};

/// The tokenizer that the recipe asks for, learned from text.
GivenTokenizer learn_tokenizer(const Recipe& recipe, std::span<const std::string> lines);
/// That of the run's folder or of recipe.init, whose weights need it; nothing if one is to be learned.
std::optional<GivenTokenizer> given_tokenizer(const Recipe& recipe, const TaskPlaces& places);
/// Throws Error(model) if the tokenizer has more tokens than a model of that vocabulary knows.
void expect_vocabulary(const text::Tokenizer& tokenizer, std::int64_t vocabulary);

/// What the config.json of a directory describes.
models::ClassifierConfig pretrained_config(const std::filesystem::path& directory);
/// The same, which must be a BERT or of its families. Throws Error(model) if it is not.
models::BertConfig pretrained_bert(const std::filesystem::path& directory);
/// The most tokens of a text: as the recipe says, and as the model that it begins from can read.
std::int64_t most_tokens(const Recipe& recipe);
/// A BERT of the recipe's sizes, without head, pooler and vocabulary.
models::BertConfig new_bert(const Recipe& recipe);
/// A BERT at its beginning: random, or with the encoder that the recipe starts from, and with the head of
/// that, too, if it `keeps_head`.
std::unique_ptr<models::Bert> beginning_bert(const Recipe& recipe, const models::BertConfig& config,
                                             const TaskPlaces& places, bool keeps_head);
/// -log p(label), nats.
double nll_of(std::span<const float> logits, std::int32_t label);

}  // namespace fovea::training
