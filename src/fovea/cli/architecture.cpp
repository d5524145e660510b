#include "fovea/cli/architecture.h"

#include <algorithm>

#include "fovea/base/error.h"
#include "fovea/models/activation_names.h"
#include "fovea/models/marian.h"

namespace fovea::cli {
namespace {

using ArchitectureLines = std::vector<std::pair<std::string, std::string>>;
using Transformer = models::TransformerConfig;
using Recurrent = models::RecurrentConfig;

template <class Config>
std::string ties_text(const Config& config) {
  if (config.tie_source_target && config.tie_output) return "source, target and output are one matrix";
  if (config.tie_source_target) return "source and target are one matrix";
  return config.tie_output ? "target and output are one matrix" : "source, target and output are separate";
}

std::string_view position_name(Transformer::Positions positions) {
  switch (positions) {
    case Transformer::Positions::learned:
      return "learned";
    case Transformer::Positions::relative:
      return "relative";
    case Transformer::Positions::sinusoidal:
    case Transformer::Positions::fairseq:
      break;
  }
  return "sinusoidal";
}

std::string_view paper_of(Transformer::Family family) {
  using Family = Transformer::Family;
  switch (family) {
    case Family::bart:
      return "BART (Lewis et al. 2020)";
    case Family::mbart:
      return "mBART (Liu et al. 2020)";
    case Family::pegasus:
      return "Pegasus (Zhang et al. 2020)";
    case Family::m2m100:
      return "M2M100 (Fan et al. 2020)";
    case Family::t5:
    case Family::mt5:
      return "T5 (Raffel et al. 2020)";
    case Family::marian:
      break;
  }
  return "Transformer (Vaswani et al. 2017)";
}

ArchitectureLines lines_of(const Transformer& config) {
  const auto text = [](auto value) { return std::to_string(value); };
  const bool relative = config.positions == Transformer::Positions::relative;
  return {{"architecture", std::string(paper_of(config.family))},
          {"layers", text(config.encoder_layers) + " encoder, " + text(config.decoder_layers) + " decoder"},
          {"width", text(config.width) + ", feed-forward " + text(config.feed_forward) + " (" +
                        std::string(models::activation_name(config.activation)) + ")"},
          {"heads", text(config.heads) + ", keys " + text(config.d_k()) + " and values " +
                        text(config.d_v()) + " wide"},
          {"norm", config.norm == Transformer::Norm::pre ? "before each sublayer" : "after each sublayer"},
          {"positions", std::string(position_name(config.positions)) +
                            (relative ? ", of any number" : ", at most " + text(config.max_positions))},
          {"embeddings", ties_text(config) + (config.scale_embedding ? ", times sqrt(width)" : "")}};
}

std::string looking_text(const Recurrent& config) {
  if (!config.attends()) return "none: a fixed context vector";
  std::string text = config.score + ", " + std::string(attention::name_of(config.normaliser));
  if (config.window != Recurrent::Window::global)
    text += ", " + std::string(name_of(config.window)) + " within " + std::to_string(config.reach);
  if (config.attention_heads > 1) text += ", " + std::to_string(config.attention_heads) + " heads";
  if (config.coverage) text += ", coverage";
  if (config.copy) text += ", copied from";
  return text;
}

ArchitectureLines lines_of(const Recurrent& config) {
  const auto text = [](auto value) { return std::to_string(value); };
  const std::string cell(models::name_of(config.cell));
  return {
      {"architecture", "recurrent encoder-decoder (Bahdanau et al. 2015; Luong et al. 2015)"},
      {"layers", text(config.encoder_layers) + (config.bidirectional ? " bidirectional " : " ") + cell +
                     " encoder, " + text(config.decoder_layers) + " " + cell + " decoder"},
      {"width", text(config.width) + ", embeddings " + text(config.embedding)},
      {"attention", looking_text(config)},
      {"order", std::string(models::name_of(config.order)) + (config.input_feeding ? ", input feeding" : "")},
      {"start", std::string(models::name_of(config.start))},
      {"positions", "at most " + text(config.max_positions)},
      {"embeddings", ties_text(config)}};
}

void write(formats::JsonWriter& json, const Recurrent& config) {
  json.field("architecture", "recurrent")
      .field("cell", models::name_of(config.cell))
      .field("encoder_layers", config.encoder_layers)
      .field("decoder_layers", config.decoder_layers)
      .field("bidirectional", config.bidirectional)
      .field("width", config.width)
      .field("embedding", config.embedding)
      .field("attention", config.score)
      .field("attention_width", config.attention_width)
      .field("attention_heads", config.attention_heads)
      .field("normaliser", attention::name_of(config.normaliser))
      .field("window", models::name_of(config.window))
      .field("reach", config.reach)
      .field("order", models::name_of(config.order))
      .field("input_feeding", config.input_feeding)
      .field("coverage", config.coverage)
      .field("copy", config.copy)
      .field("decoder_start", models::name_of(config.start))
      .field("max_positions", config.max_positions)
      .field("tie_source_target", config.tie_source_target)
      .field("tie_output", config.tie_output);
}

void write(formats::JsonWriter& json, const Transformer& config) {
  json.field("architecture", "transformer")
      .field("encoder_layers", config.encoder_layers)
      .field("decoder_layers", config.decoder_layers)
      .field("width", config.width)
      .field("feed_forward", config.feed_forward)
      .field("activation", models::activation_name(config.activation))
      .field("heads", config.heads)
      .field("key_width", config.d_k())
      .field("value_width", config.d_v())
      .field("norm", config.norm == Transformer::Norm::pre ? "pre" : "post")
      .field("positions", position_name(config.positions))
      .field("max_positions", config.max_positions)
      .field("tie_source_target", config.tie_source_target)
      .field("tie_output", config.tie_output)
      .field("scale_embedding", config.scale_embedding);
}

std::string inner_text(std::int64_t inner, kernels::Activation activation) {
  return ", feed-forward " + std::to_string(inner) + " (" + std::string(models::activation_name(activation)) +
         ")";
}

ArchitectureLines lines_of(const models::Gpt2Config& config) {
  const auto text = [](auto value) { return std::to_string(value); };
  return {{"architecture", "GPT-2 (Radford et al. 2019)"},
          {"layers", text(config.layers)},
          {"width", text(config.width) + inner_text(config.inner(), config.activation)},
          {"heads", text(config.heads)},
          {"positions", "learned, at most " + text(config.max_positions)},
          {"embeddings",
           config.tie_output ? "input and output are one matrix" : "input and output are separate"}};
}

std::string_view paper_of(models::LlamaConfig::Family family) {
  using Family = models::LlamaConfig::Family;
  switch (family) {
    case Family::mistral:
      return "Mistral (Jiang et al. 2023)";
    case Family::qwen2:
      return "Qwen2 (Yang et al. 2024)";
    case Family::llama:
      break;
  }
  return "Llama (Touvron et al. 2023)";
}

ArchitectureLines lines_of(const models::LlamaConfig& config) {
  const auto text = [](auto value) { return std::to_string(value); };
  return {{"architecture", std::string(paper_of(config.family))},
          {"layers", text(config.layers)},
          {"width", text(config.width) + inner_text(config.feed_forward, config.activation) + ", gated"},
          {"heads", text(config.heads) + ", " + text(config.keys()) + " of keys and values, " +
                        text(config.E()) + " wide"},
          {"positions", "rotary, at most " + text(config.max_positions)},
          {"window", config.window > 0 ? text(config.window) + " tokens" : ""},
          {"embeddings",
           config.tie_output ? "input and output are one matrix" : "input and output are separate"}};
}

std::string classes_text(const models::ClassNames& classes) {
  constexpr std::size_t most_named = 8;
  std::string text = std::to_string(classes.names.size()) + ":";
  for (std::size_t i = 0; i < std::min(most_named, classes.names.size()); ++i)
    text += (i > 0 ? ", " : " ") + printable(classes.names[i]);
  return text + (classes.names.size() > most_named ? ", ..." : "");
}

std::string_view head_name(models::BertConfig::Head head) {
  using Head = models::BertConfig::Head;
  switch (head) {
    case Head::text:
      return "class of the text";
    case Head::token:
      return "class of each token";
    case Head::masked:
      return "words behind masks";
    case Head::none:
      break;
  }
  return "none: states of the tokens";
}

std::string_view paper_of(models::BertConfig::Family family) {
  using Family = models::BertConfig::Family;
  switch (family) {
    case Family::distilbert:
      return "DistilBERT (Sanh et al. 2019)";
    case Family::roberta:
      return "RoBERTa (Liu et al. 2019)";
    case Family::xlm_roberta:
      return "XLM-RoBERTa (Conneau et al. 2020)";
    case Family::bert:
      break;
  }
  return "BERT (Devlin et al. 2019)";
}

ArchitectureLines lines_of(const models::BertConfig& config) {
  const auto text = [](auto value) { return std::to_string(value); };
  return {{"architecture", std::string(paper_of(config.family))},
          {"layers", text(config.layers)},
          {"width", text(config.width) + inner_text(config.feed_forward, config.activation)},
          {"heads", text(config.heads)},
          {"positions", "learned, at most " + text(config.max_tokens())},
          {"head", std::string(head_name(config.head))},
          {"classes", config.classes.names.empty() ? "" : classes_text(config.classes)}};
}

ArchitectureLines lines_of(const models::RecurrentClassifierConfig& config) {
  const auto text = [](auto value) { return std::to_string(value); };
  const bool attends = config.pooling == models::RecurrentClassifierConfig::Pooling::attention;
  return {{"architecture", "recurrent classifier"},
          {"layers", text(config.layers) + (config.bidirectional ? " bidirectional " : " ") +
                         std::string(models::name_of(config.cell))},
          {"width", text(config.width) + ", embeddings " + text(config.embedding)},
          {"pooling",
           attends ? "attention, " + text(config.attention_width) + " wide (Yang et al. 2016)" : "mean"},
          {"positions", "at most " + text(config.max_tokens)},
          {"classes", classes_text(config.classes)}};
}

void write(formats::JsonWriter& json, const models::Gpt2Config& config) {
  json.field("architecture", "gpt2")
      .field("layers", config.layers)
      .field("width", config.width)
      .field("feed_forward", config.inner())
      .field("activation", models::activation_name(config.activation))
      .field("heads", config.heads)
      .field("positions", "learned")
      .field("max_positions", config.max_positions)
      .field("vocabulary", config.vocabulary)
      .field("tie_output", config.tie_output);
}

void write(formats::JsonWriter& json, const models::LlamaConfig& config) {
  json.field("architecture", models::model_type_of(config.family))
      .field("layers", config.layers)
      .field("width", config.width)
      .field("feed_forward", config.feed_forward)
      .field("activation", models::activation_name(config.activation))
      .field("heads", config.heads)
      .field("key_heads", config.keys())
      .field("head_width", config.E())
      .field("positions", "rotary")
      .field("max_positions", config.max_positions)
      .field("window", config.window)
      .field("vocabulary", config.vocabulary)
      .field("tie_output", config.tie_output);
}

void write_classes(formats::JsonWriter& json, const models::ClassNames& classes) {
  json.key("classes").begin_array();
  for (const auto& name : classes.names) json.value(name);
  json.end_array();
}

void write(formats::JsonWriter& json, const models::BertConfig& config) {
  using Head = models::BertConfig::Head;
  const Head head = config.head;
  json.field("architecture", models::model_type_of(config.family))
      .field("layers", config.layers)
      .field("width", config.width)
      .field("feed_forward", config.feed_forward)
      .field("activation", models::activation_name(config.activation))
      .field("heads", config.heads)
      .field("positions", "learned")
      .field("max_positions", config.max_tokens())
      .field("vocabulary", config.vocabulary)
      .field("head", head == Head::text     ? "text"
                     : head == Head::token  ? "token"
                     : head == Head::masked ? "masked"
                                            : "none");
  write_classes(json, config.classes);
}

void write(formats::JsonWriter& json, const models::RecurrentClassifierConfig& config) {
  const bool attends = config.pooling == models::RecurrentClassifierConfig::Pooling::attention;
  json.field("architecture", "recurrent-classifier")
      .field("cell", models::name_of(config.cell))
      .field("layers", config.layers)
      .field("bidirectional", config.bidirectional)
      .field("width", config.width)
      .field("embedding", config.embedding)
      .field("pooling", attends ? "attention" : "mean")
      .field("attention_width", config.attention_width)
      .field("max_positions", config.max_tokens)
      .field("vocabulary", config.vocabulary);
  write_classes(json, config.classes);
}

}  // namespace

ArchitectureLines architecture_lines(const models::AnyConfig& config) {
  return std::visit(
      [](const auto& kind) { return std::visit([](const auto& family) { return lines_of(family); }, kind); },
      config);
}

void write_architecture(formats::JsonWriter& json, const models::AnyConfig& config) {
  std::visit([&](const auto& kind) { std::visit([&](const auto& family) { write(json, family); }, kind); },
             config);
  const auto* translation = std::get_if<models::TranslationConfig>(&config);
  if (!translation) return;
  const auto vocabulary = models::vocabulary_of(*translation);
  json.field("source_vocabulary", vocabulary.source).field("target_vocabulary", vocabulary.target);
}

}  // namespace fovea::cli
