#include "fovea/models/recurrent_config.h"

#include <algorithm>
#include <array>

#include "fovea/attention/match_score.h"
#include "fovea/formats/json_writer.h"
#include "fovea/models/config_checks.h"

namespace fovea::models {
namespace {

using attention::Normaliser;
using formats::Json;
using nn::Recurrence;
using Order = RecurrentConfig::Order;
using Start = RecurrentConfig::Start;
using Window = RecurrentConfig::Window;

template <class Enum>
struct Named {
  std::string_view name;
  Enum value;
};
template <class Enum>
Named(const char*, Enum) -> Named<Enum>;  // which clang before 17 does not find by itself
constexpr std::array cells{Named{"gru", Recurrence::gru}, Named{"lstm", Recurrence::lstm}};
constexpr std::array orders{Named{"bahdanau", Order::bahdanau}, Named{"luong", Order::luong},
                            Named{"conditional", Order::conditional}};
constexpr std::array windows{Named{"global", Window::global}, Named{"local_m", Window::local_m},
                             Named{"local_p", Window::local_p}};
constexpr std::array starts{Named{"zeros", Start::zeros}, Named{"last", Start::last},
                            Named{"mean", Start::mean}};

template <class Table, class Enum>
std::string_view name_in(const Table& table, Enum value) {
  for (const auto& entry : table)
    if (entry.value == value) return entry.name;
  throw Error(Error::Kind::bug, "recurrent model", "a choice has no name");
}

template <class Table>
auto value_in(const Table& table, const Json& json) {
  std::string known;
  for (const auto& entry : table) {
    if (json.text() == entry.name) return entry.value;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  json.reject("unknown choice '" + printable(json.text()) + "'", "known are " + known);
}

bool is_known_score(std::string_view name) {
  return name == "none" || std::ranges::count(attention::score_names(), name) > 0;
}

bool is_additive(std::string_view score) {
  return score == "additive" || score == "additive_normalised" || score == "concat" || score == "location";
}

constexpr std::int64_t largest = 4'000'000;

std::int32_t token_id(const Json& config, std::string_view key) {
  return static_cast<std::int32_t>(config.at(key).integer(0, largest));
}

void check_sizes(const RecurrentConfig& config, const ConfigChecks& check) {
  check.within(config.source_vocabulary, 4, largest, "source vocabulary");
  check.within(config.target_vocabulary, 4, largest, "target vocabulary");
  check.within(config.encoder_layers, 1, 100, "number of encoder layers");
  check.within(config.decoder_layers, 1, 100, "number of decoder layers");
  check.within(config.width, 1, 65536, "width");
  check.within(config.embedding, 1, 65536, "embedding width");
  check.within(config.attention_width, 1, 65536, "attention width");
  check.within(config.attention_heads, 1, 1024, "number of attention heads");
  check.within(config.match_layers, 1, 100, "number of match layers");
  check.within(config.reach, 0, 1 << 20, "reach of the attention window");
  check.within(config.max_positions, 1, 1 << 20, "number of positions");
  check.tokens({config.eos, config.unk, config.pad},
               std::min(config.source_vocabulary, config.target_vocabulary));
  check.shares({config.dropout, config.attention_dropout});
}

void check_attention(const RecurrentConfig& config, const ConfigChecks& check) {
  check.require(is_known_score(config.score), "there is no attention '" + printable(config.score) + "'");
  const bool plain =
      config.normaliser == Normaliser::softmax && config.window == Window::global && !config.coverage;
  check.require(config.attends() || (plain && config.coverage_loss == 0.0f),
                "attention none has neither normaliser, window nor coverage");
  check.require(!config.coverage || is_additive(config.score), "coverage needs an additive score",
                "take additive, concat or location");
  check.require(config.attention_heads == 1 || (config.normaliser == Normaliser::softmax &&
                                                !config.coverage && config.score != "location"),
                "this attention has one head", "set attention_heads to 1");
  check.require(config.memory_width() % config.attention_heads == 0 &&
                    config.width % config.attention_heads == 0 &&
                    config.attention_width % config.attention_heads == 0,
                "widths are not multiples of the number of attention heads");
  check.require(config.normaliser != Normaliser::monotonic || config.window != Window::local_p,
                "monotonic attention has no window that is predicted");
  check.require(config.order == Order::luong || !config.input_feeding,
                "input feeding belongs to the order luong: the others feed the context anyway");
}

}  // namespace

TranslationVocabulary vocabulary_of(const RecurrentConfig& config) {
  return {config.source_vocabulary, config.target_vocabulary, config.eos, config.unk, config.pad};
}

void clear_dropout(RecurrentConfig& config) { config.dropout = config.attention_dropout = 0.0f; }

std::string_view name_of(Order order) { return name_in(orders, order); }
std::string_view name_of(Window window) { return name_in(windows, window); }
std::string_view name_of(Start start) { return name_in(starts, start); }
std::string_view name_of(Recurrence cell) { return name_in(cells, cell); }

void validate(const RecurrentConfig& config, Error::Kind kind, std::string_view where) {
  const ConfigChecks check{kind, where};
  check_sizes(config, check);
  check_attention(config, check);
  check.require(!config.tie_source_target || config.source_vocabulary == config.target_vocabulary,
                "tied source and target embeddings need one vocabulary");
  check.require(!config.copy || config.attends(), "copying needs attention: it copies what is looked at",
                "choose another attention than none, or do without copy");
  check.require(!config.copy || config.source_vocabulary == config.target_vocabulary,
                "copying needs one vocabulary for source and target", "train a joint tokenizer");
}

std::string config_json(const RecurrentConfig& config, const GenerationDefaults& generation, DType weights) {
  formats::JsonWriter json;
  json.begin_object();
  json.key("architectures").begin_array().value("FoveaRecurrent").end_array();
  json.field("model_type", "fovea-recurrent").field("is_encoder_decoder", true);
  json.field("cell", name_of(config.cell))
      .field("encoder_layers", config.encoder_layers)
      .field("decoder_layers", config.decoder_layers)
      .field("bidirectional", config.bidirectional)
      .field("hidden_size", config.width)
      .field("embedding_size", config.embedding)
      .field("attention", config.score)
      .field("attention_width", config.attention_width)
      .field("attention_heads", config.attention_heads)
      .field("match_layers", config.match_layers)
      .field("normaliser", attention::name_of(config.normaliser))
      .field("monotonic_noise", config.monotonic_noise)
      .field("window", name_of(config.window))
      .field("reach", config.reach)
      .field("order", name_of(config.order))
      .field("input_feeding", config.input_feeding)
      .field("coverage", config.coverage)
      .field("coverage_loss", config.coverage_loss)
      .field("copy", config.copy)
      .field("decoder_start", name_of(config.start));
  json.field("max_position_embeddings", config.max_positions)
      .field("vocab_size", config.source_vocabulary)
      .field("decoder_vocab_size", config.target_vocabulary)
      .field("share_encoder_decoder_embeddings", config.tie_source_target)
      .field("tie_word_embeddings", config.tie_output)
      .field("dropout", config.dropout)
      .field("variational_dropout", config.variational)
      .field("attention_dropout", config.attention_dropout);
  json.field("eos_token_id", config.eos)
      .field("unk_token_id", config.unk)
      .field("pad_token_id", config.pad)
      .field("decoder_start_token_id", config.pad)
      .field("num_beams", generation.beam)
      .field("length_penalty", generation.length_penalty)
      .field("torch_dtype", weights == DType::bf16 ? "bfloat16" : "float32");
  return json.end_object().finish();
}

RecurrentConfig read_recurrent_config(const Json& config) {
  RecurrentConfig model;
  model.cell = value_in(cells, config.at("cell"));
  model.encoder_layers = config.at("encoder_layers").integer(1, 100);
  model.decoder_layers = config.at("decoder_layers").integer(1, 100);
  model.bidirectional = config.at("bidirectional").boolean();
  model.width = config.at("hidden_size").integer(1, 65536);
  model.embedding = config.at("embedding_size").integer(1, 65536);
  const Json score = config.at("attention");
  if (!is_known_score(score.text())) score.reject("unknown attention '" + printable(score.text()) + "'");
  model.score = score.text();
  model.attention_width = config.at("attention_width").integer(1, 65536);
  model.attention_heads = config.integer_or("attention_heads", 1, 1, 1024);
  model.match_layers = config.integer_or("match_layers", 1, 1, 100);
  constexpr std::array normalisers{
      Named{"softmax", Normaliser::softmax}, Named{"sparsemax", Normaliser::sparsemax},
      Named{"hardmax", Normaliser::hardmax}, Named{"monotonic", Normaliser::monotonic}};
  model.normaliser = value_in(normalisers, config.at("normaliser"));
  model.monotonic_noise = static_cast<float>(config.number_or("monotonic_noise", 1.0, 0.0, 1e3));
  model.window = value_in(windows, config.at("window"));
  model.reach = config.integer_or("reach", 10, 0, 1 << 20);
  model.order = value_in(orders, config.at("order"));
  model.input_feeding = config.boolean_or("input_feeding", false);
  model.coverage = config.boolean_or("coverage", false);
  model.coverage_loss = static_cast<float>(config.number_or("coverage_loss", 0.0, 0.0, 1e3));
  model.copy = config.boolean_or("copy", false);
  model.start = value_in(starts, config.at("decoder_start"));
  model.max_positions = config.at("max_position_embeddings").integer(1, 1 << 20);
  model.source_vocabulary = config.at("vocab_size").integer(1, largest);
  model.target_vocabulary = config.at("decoder_vocab_size").integer(1, largest);
  model.tie_source_target = config.at("share_encoder_decoder_embeddings").boolean();
  model.tie_output = config.at("tie_word_embeddings").boolean();
  model.dropout = share_of(config, "dropout");
  model.variational = config.boolean_or("variational_dropout", false);
  model.attention_dropout = share_of(config, "attention_dropout");
  model.eos = token_id(config, "eos_token_id");
  model.unk = token_id(config, "unk_token_id");
  model.pad = token_id(config, "pad_token_id");
  validate(model, Error::Kind::model, "config.json");
  return model;
}

}  // namespace fovea::models
