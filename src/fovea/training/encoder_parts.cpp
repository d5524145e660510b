#include "fovea/training/encoder_parts.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "fovea/base/file.h"
#include "fovea/formats/adapter.h"
#include "fovea/text/load_tokenizer.h"
#include "fovea/text/tokenizer_json.h"
#include "fovea/text/tokenizer_trainer.h"
#include "fovea/training/adaptation.h"

namespace fovea::training {

using models::BertConfig;
using models::ClassifierConfig;

GivenTokenizer GivenTokenizer::read(const std::filesystem::path& directory) {
  return {text::load_tokenizer(directory, text::Lengths::free), text::tokenizer_files(directory)};
}

GivenTokenizer learn_tokenizer(const Recipe& recipe, std::span<const std::string> lines) {
  const ClassificationOptions& options = recipe.classification;
  std::string json = text::train_tokenizer_json({.kind = options.tokens,
                                                 .size = recipe.tokenizer.vocabulary,
                                                 .least_count = options.least_count,
                                                 .lowercase = options.lowercase},
                                                lines);
  const auto tokenizer = text::TokenizerJson::parse(json, "the new tokenizer");
  text::SpecialIds ids;
  ids.pad = tokenizer->find("[PAD]");
  ids.unk = tokenizer->find("[UNK]");
  ids.cls = tokenizer->find("[CLS]");
  ids.sep = tokenizer->find("[SEP]");
  ids.mask = tokenizer->find("[MASK]");
  tokenizer->set_special(ids);
  FolderFiles files;
  files.emplace_back("tokenizer.json", std::move(json));
  files.emplace_back("tokenizer_config.json", text::tokenizer_config_json(recipe.model.max_positions));
  return {tokenizer, std::move(files)};
}

ClassifierConfig pretrained_config(const std::filesystem::path& directory) {
  return models::read_classifier_config(formats::read_config_of(directory));
}

BertConfig pretrained_bert(const std::filesystem::path& directory) {
  const auto config = pretrained_config(directory);
  if (const auto* bert = std::get_if<BertConfig>(&config)) return *bert;
  throw Error(Error::Kind::model, shown(directory / "config.json"), "describes no BERT",
              "begin with a BERT, DistilBERT or RoBERTa");
}

std::int64_t most_tokens(const Recipe& recipe) {
  if (recipe.init.empty()) return recipe.model.max_positions;
  const auto most = std::visit(
      [](const auto& config) -> std::int64_t {
        if constexpr (std::is_same_v<std::decay_t<decltype(config)>, BertConfig>)
          return config.max_tokens();
        else
          return config.max_tokens;
      },
      pretrained_config(recipe.init));
  return std::min(most, recipe.model.max_positions);
}

std::optional<GivenTokenizer> given_tokenizer(const Recipe& recipe, const TaskPlaces& places) {
  if (!places.tokenizer.empty()) return GivenTokenizer::read(places.tokenizer);
  if (recipe.init.empty()) return std::nullopt;
  return GivenTokenizer::read(recipe.init);
}

void expect_vocabulary(const text::Tokenizer& tokenizer, std::int64_t vocabulary) {
  if (tokenizer.size() > vocabulary)
    throw Error(
        Error::Kind::model, "tokenizer",
        "has " + std::to_string(tokenizer.size()) + " tokens, the model knows " + std::to_string(vocabulary),
        "do tokenizer and model belong together?");
}

BertConfig new_bert(const Recipe& recipe) {
  BertConfig config;
  config.max_positions = recipe.model.max_positions;
  config.width = recipe.model.width;
  config.layers = recipe.model.encoder_layers;
  config.heads = recipe.model.heads;
  config.feed_forward = recipe.model.feed_forward;
  config.activation = recipe.model.activation;
  config.dropout = static_cast<float>(recipe.model.dropout);
  config.attention_dropout = static_cast<float>(recipe.model.attention_dropout);
  config.classifier_dropout = static_cast<float>(recipe.classification.classifier_dropout);
  config.deviation = 1.0f / std::sqrt(static_cast<float>(recipe.model.width));
  return config;
}

std::unique_ptr<models::Bert> beginning_bert(const Recipe& recipe, const BertConfig& config,
                                             const TaskPlaces& places, bool keeps_head) {
  validate(config, Error::Kind::usage, "recipe");
  auto model = adapts(recipe)
                   ? std::make_unique<models::Bert>(config, models::Declared{})
                   : std::make_unique<models::Bert>(config, static_cast<std::uint64_t>(recipe.training.seed));
  if (recipe.init.empty() || !(places.from_beginning || adapts(recipe))) return model;
  const auto weights = formats::Weights::open(recipe.init);
  if (keeps_head)
    model->read_weights(weights);
  else
    model->read_pretrained(weights);
  return model;
}

double nll_of(std::span<const float> logits, std::int32_t label) {
  const float most = *std::ranges::max_element(logits);
  double sum = 0.0;
  for (const float x : logits) sum += std::exp(double{x} - most);
  return std::log(sum) + most - logits[static_cast<std::size_t>(label)];
}

}  // namespace fovea::training
