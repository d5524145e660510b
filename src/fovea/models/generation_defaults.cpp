#include "fovea/models/generation_defaults.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "fovea/formats/adapter.h"
#include "fovea/formats/json.h"
#include "fovea/formats/json_writer.h"
#include "fovea/models/config_checks.h"
#include "fovea/models/translation_model.h"

namespace fovea::models {
namespace {

using formats::Json;
using formats::JsonWriter;
using Ids = std::vector<std::int32_t>;

constexpr std::int64_t most_tokens = 1 << 20, most_ids = 4'000'000;

// ---- Writing

void write_ids(JsonWriter& json, const Ids& ids) {
  json.begin_array();
  for (const auto id : ids) json.value(id);
  json.end_array();
}

void write_lengths(JsonWriter& json, std::int64_t max_positions, const GenerationDefaults& generation) {
  const std::int64_t longest =
      generation.max_length > 0 ? std::min(generation.max_length, max_positions) : max_positions;
  json.field("max_length", longest + 1);  // the start token counts there
  if (generation.min_length > 0) json.field("min_length", generation.min_length + 1);
}

void write_search(JsonWriter& json, const GenerationDefaults& generation) {
  json.field("num_beams", generation.do_sample ? 1 : generation.beam)  // more would draw by beams there
      .field("length_penalty", generation.length_penalty);
  if (generation.nbest != 1) json.field("num_return_sequences", generation.nbest);
  if (generation.early_stopping == EarlyStopping::yes) json.field("early_stopping", true);
  if (generation.early_stopping == EarlyStopping::never) json.field("early_stopping", "never");
  if (generation.num_beam_groups > 1)
    json.field("num_beam_groups", generation.num_beam_groups)
        .field("diversity_penalty", generation.diversity_penalty);
}

// All of them: what is left out has other defaults there than here.
void write_sampling(JsonWriter& json, const GenerationDefaults& generation) {
  if (!generation.do_sample) return;
  json.field("do_sample", true)
      .field("temperature", generation.temperature)
      .field("top_k", generation.top_k)
      .field("top_p", generation.top_p)
      .field("min_p", generation.min_p);
}

void write_constraints(JsonWriter& json, const GenerationDefaults& generation,
                       std::span<const std::int32_t> banned) {
  std::vector<Ids> bad;
  for (const auto id : banned) bad.push_back({id});  // MarianMT's own: pad is never generated
  for (const auto& sequence : generation.bad_words_ids)
    if (std::ranges::count(bad, sequence) == 0) bad.push_back(sequence);
  if (!bad.empty()) {
    json.key("bad_words_ids").begin_array();
    for (const auto& sequence : bad) write_ids(json, sequence);
    json.end_array();
  }
  if (generation.repetition_penalty != 1.0) json.field("repetition_penalty", generation.repetition_penalty);
  if (generation.no_repeat_ngram_size > 0)
    json.field("no_repeat_ngram_size", generation.no_repeat_ngram_size);
  if (!generation.suppress_tokens.empty()) write_ids(json.key("suppress_tokens"), generation.suppress_tokens);
  if (!generation.begin_suppress_tokens.empty())
    write_ids(json.key("begin_suppress_tokens"), generation.begin_suppress_tokens);
  if (generation.forced_bos_token_id >= 0) json.field("forced_bos_token_id", generation.forced_bos_token_id);
}

void write_ours(JsonWriter& json, const GenerationDefaults& generation) {
  const GenerationDefaults none;
  if (generation.length_penalty_kind == LengthPenaltyKind::gnmt)
    json.field("fovea_length_penalty_kind", "gnmt");
  if (generation.coverage_penalty != 0.0) json.field("fovea_coverage_penalty", generation.coverage_penalty);
  if (generation.replace_unknown) json.field("fovea_replace_unknown", true);
  if (generation.max_source_tokens > 0) json.field("fovea_max_source_tokens", generation.max_source_tokens);
  if (generation.max_length_ratio != none.max_length_ratio)
    json.field("fovea_max_length_ratio", generation.max_length_ratio);
  if (generation.max_length_extra != none.max_length_extra)
    json.field("fovea_max_length_extra", generation.max_length_extra);
}

// ---- Reading

struct File {
  std::string name;
  Json json;
};

std::optional<File> read_file_of(const std::filesystem::path& folder) {
  std::error_code error;
  for (const char* name : {"generation_config.json", "config.json"})
    if (const auto path = formats::papers_of(folder, {name}) / name; std::filesystem::exists(path, error))
      return File{name, formats::read_json(path, Error::Kind::model)};
  return {};
}

Ids ids_of(const Json& list) {
  Ids ids;
  for (const Json& id : list.elements()) ids.push_back(static_cast<std::int32_t>(id.integer(0, most_ids)));
  return ids;
}

Ids ids_or_none(const Json& json, std::string_view key) {
  const auto found = json.find(key);
  return found ? ids_of(*found) : Ids{};
}

EarlyStopping early_stopping_of(const Json& json) {
  const auto found = json.find("early_stopping");
  if (!found) return EarlyStopping::no;
  if (found->is_text() && found->text() == "never") return EarlyStopping::never;
  if (found->is_text()) found->reject("is neither true, false nor \"never\"");
  return found->boolean() ? EarlyStopping::yes : EarlyStopping::no;
}

LengthPenaltyKind length_penalty_kind_of(const Json& json) {
  const auto found = json.find("fovea_length_penalty_kind");
  if (!found || found->text() == "power") return LengthPenaltyKind::power;
  if (found->text() != "gnmt") found->reject("is neither \"power\" nor \"gnmt\"");
  return LengthPenaltyKind::gnmt;
}

void read_search(const Json& json, GenerationDefaults& generation) {
  generation.beam = json.integer_or("num_beams", generation.beam, 1, 1024);
  generation.nbest = json.integer_or("num_return_sequences", generation.nbest, 1, 1024);
  generation.length_penalty = json.number_or("length_penalty", generation.length_penalty, -10, 10);
  generation.length_penalty_kind = length_penalty_kind_of(json);
  generation.early_stopping = early_stopping_of(json);
  generation.num_beam_groups = json.integer_or("num_beam_groups", 1, 1, 1024);
  generation.diversity_penalty = json.number_or("diversity_penalty", generation.diversity_penalty, 0, 1e3);
  generation.coverage_penalty = json.number_or("fovea_coverage_penalty", 0.0, 0, 100);
  generation.replace_unknown = json.boolean_or("fovea_replace_unknown", false);
}

// Of the least lengths the greater counts, of the greatest the new one, as there.
void read_lengths(const Json& json, GenerationDefaults& generation) {
  const auto less_start = [&](const char* key) {
    return std::max<std::int64_t>(0, json.integer_or(key, 1, 0, most_tokens) - 1);
  };
  generation.min_length =
      std::max(less_start("min_length"), json.integer_or("min_new_tokens", 0, 0, most_tokens));
  const std::int64_t longest =
      json.has("max_length") ? std::max<std::int64_t>(1, less_start("max_length")) : 0;
  generation.max_length = json.integer_or("max_new_tokens", longest, 1, most_tokens);
  generation.max_length_ratio = json.number_or("fovea_max_length_ratio", generation.max_length_ratio, 0, 100);
  generation.max_source_tokens = json.integer_or("fovea_max_source_tokens", 0, 0, most_tokens);
  generation.max_length_extra =
      json.integer_or("fovea_max_length_extra", generation.max_length_extra, 0, 10000);
}

// What a task says beside what holds for all.
void add_task(const Json& task, GenerationDefaults& generation) {
  const GenerationDefaults general = generation;
  generation.beam = task.integer_or("num_beams", general.beam, 1, 1024);
  generation.length_penalty = task.number_or("length_penalty", general.length_penalty, -10, 10);
  generation.no_repeat_ngram_size =
      task.integer_or("no_repeat_ngram_size", general.no_repeat_ngram_size, 0, most_tokens);
  if (task.has("early_stopping")) generation.early_stopping = early_stopping_of(task);
  read_lengths(task, generation);
  if (!task.has("min_length") && !task.has("min_new_tokens")) generation.min_length = general.min_length;
  if (!task.has("max_length") && !task.has("max_new_tokens")) generation.max_length = general.max_length;
  generation.max_length_ratio = general.max_length_ratio;
  generation.max_length_extra = general.max_length_extra;
  generation.max_source_tokens = general.max_source_tokens;
}

void read_sampling(const Json& json, GenerationDefaults& generation) {
  generation.do_sample = json.boolean_or("do_sample", false);
  if (!generation.do_sample) return;  // what else stands there counts for nothing
  generation.temperature = json.number_or("temperature", 1.0, 1e-3, 1e3);
  generation.top_k = json.integer_or("top_k", 50, 0, 1 << 30);
  generation.top_p = json.number_or("top_p", 1.0, 1e-9, 1);
  generation.min_p = json.number_or("min_p", 0.0, 0, 1);
}

void read_constraints(const Json& json, GenerationDefaults& generation) {
  generation.repetition_penalty = json.number_or("repetition_penalty", 1.0, 1e-3, 1e3);
  generation.no_repeat_ngram_size = json.integer_or("no_repeat_ngram_size", 0, 0, most_tokens);
  generation.suppress_tokens = ids_or_none(json, "suppress_tokens");
  generation.begin_suppress_tokens = ids_or_none(json, "begin_suppress_tokens");
  generation.forced_bos_token_id =
      static_cast<std::int32_t>(json.integer_or("forced_bos_token_id", -1, 0, most_ids));
  const auto sequences = json.find("bad_words_ids");
  if (!sequences) return;
  const std::int64_t pad = json.integer_or("pad_token_id", -1, -1, most_ids);
  for (const Json& sequence : sequences->elements()) {
    Ids ids = ids_of(sequence);
    if (ids.empty()) sequence.reject("has no tokens");
    if (ids.size() > 1 || ids.front() != pad) generation.bad_words_ids.push_back(std::move(ids));
  }
}

/// A key that is not known here, and the value at which it changes nothing.
struct Unknown {
  const char* key;
  double neutral;
};
constexpr std::array unknown_keys{Unknown{"epsilon_cutoff", 0.0},
                                  Unknown{"eta_cutoff", 0.0},
                                  Unknown{"encoder_repetition_penalty", 1.0},
                                  Unknown{"encoder_no_repeat_ngram_size", 0.0},
                                  Unknown{"guidance_scale", 1.0},
                                  Unknown{"force_words_ids", 0.0},
                                  Unknown{"forced_decoder_ids", 0.0},
                                  Unknown{"sequence_bias", 0.0},
                                  Unknown{"exponential_decay_length_penalty", 0.0},
                                  Unknown{"dola_layers", 0.0},
                                  Unknown{"watermarking_config", 0.0}};
/// Of these, too, for those who do not continue a text; and for those who do.
constexpr std::array unknown_to_translators{Unknown{"typical_p", 1.0}, Unknown{"penalty_alpha", 0.0},
                                            Unknown{"stop_strings", 0.0}};
constexpr std::array unknown_to_continuers{Unknown{"min_length", 0.0}, Unknown{"forced_bos_token_id", -1.0}};

bool changes_something(const Json& value, double neutral) {
  if (value.is_number()) return value.number() != neutral;
  return value.is_text() || ((value.is_array() || value.is_object()) && value.size() > 0);
}

// Those of the keys that are not known at all, and of these, that the file of a folder has.
std::vector<std::string> keys_among(const std::filesystem::path& folder, std::span<const Unknown> others) {
  const auto file = read_file_of(folder);
  std::vector<std::string> found;
  if (!file) return found;
  for (const std::span<const Unknown> keys : {others, std::span<const Unknown>(unknown_keys)})
    for (const auto& [key, neutral] : keys)
      if (const auto value = file->json.find(key); value && changes_something(*value, neutral))
        found.push_back(file->name + ": " + key);
  return found;
}

}  // namespace

std::string generation_config_json(const TranslationVocabulary& vocabulary, std::int64_t max_positions,
                                   const GenerationDefaults& generation) {
  JsonWriter json;
  json.begin_object();
  write_constraints(json, generation, vocabulary.never());
  json.field("bos_token_id", vocabulary.eos)
      .field("decoder_start_token_id", vocabulary.start)
      .field("eos_token_id", vocabulary.eos)
      .field("forced_eos_token_id", vocabulary.eos)
      .field("pad_token_id", vocabulary.pad);
  write_lengths(json, max_positions, generation);
  write_search(json, generation);
  write_sampling(json, generation);
  json.field("renormalize_logits", true);
  write_ours(json, generation);
  return json.end_object().finish();
}

GenerationDefaults read_generation_defaults(const std::filesystem::path& folder) {
  GenerationDefaults generation;
  const auto file = read_file_of(folder);
  if (!file) return generation;
  read_search(file->json, generation);
  read_lengths(file->json, generation);
  read_sampling(file->json, generation);
  read_constraints(file->json, generation);
  return generation;
}

std::optional<TaskDefaults> read_task(const std::filesystem::path& folder, std::string_view name,
                                      const GenerationDefaults& general) {
  std::error_code error;
  const auto config = formats::papers_of(folder, {"config.json"}) / "config.json";
  if (!std::filesystem::exists(config, error)) return {};
  const auto tasks = formats::read_json(config, Error::Kind::model).find("task_specific_params");
  if (!tasks) return {};
  std::optional<TaskDefaults> found;
  for (const auto& [key, task] : tasks->members()) {
    if (key != name && !(name.starts_with('_') && key.ends_with(name))) continue;
    if (found) return {};
    found = TaskDefaults{std::string(key), task.text_or("prefix", ""), general};
    add_task(task, found->generation);
  }
  return found;
}

ContinuationDefaults read_continuation_defaults(const std::filesystem::path& folder) {
  ContinuationDefaults defaults;
  const auto file = read_file_of(folder);
  if (!file) return defaults;
  const Json& json = file->json;
  read_search(json, defaults.search);
  read_sampling(json, defaults.search);
  read_constraints(json, defaults.search);
  defaults.search.forced_bos_token_id = -1;
  defaults.search.min_length = json.integer_or("min_new_tokens", 0, 0, most_tokens);
  defaults.search.max_length = json.integer_or("max_new_tokens", 0, 1, most_tokens);
  defaults.max_length = json.integer_or("max_length", 0, 1, most_tokens);
  if (json.has("eos_token_id")) defaults.eos = token_ids(json, "eos_token_id");
  defaults.typical_p = json.number_or("typical_p", 1.0, 1e-9, 1);
  defaults.penalty_alpha = json.number_or("penalty_alpha", 0.0, 0, 1);
  defaults.contrastive_k = json.integer_or("top_k", 50, 0, 1 << 30);
  if (const auto strings = json.find("stop_strings")) {
    if (strings->is_text())
      defaults.stop_strings.emplace_back(strings->text());
    else
      for (const Json& one : strings->elements()) defaults.stop_strings.emplace_back(one.text());
  }
  return defaults;
}

std::vector<std::string> ignored_generation_keys(const std::filesystem::path& folder) {
  return keys_among(folder, unknown_to_translators);
}

std::vector<std::string> ignored_continuation_keys(const std::filesystem::path& folder) {
  return keys_among(folder, unknown_to_continuers);
}

}  // namespace fovea::models
