#include "fovea/cli/model_folder.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/cli/common.h"
#include "fovea/cli/new_folder.h"
#include "fovea/formats/adapter.h"
#include "fovea/formats/json.h"
#include "fovea/formats/weights.h"
#include "fovea/models/classifier_folder.h"
#include "fovea/models/language_folder.h"
#include "fovea/models/translation_folder.h"
#include "fovea/text/load_tokenizer.h"

namespace fovea::cli {
namespace {

constexpr auto bundled = "tatoeba-en-de";

// Some makers pad the embedding to a multiple of 64 or 128 rows.
constexpr std::int64_t usual_padding = 128;

bool shares_sides(const text::TranslationTokenizer& tokenizer) {
  return !tokenizer.has_separate_vocabularies() &&
         tokenizer.source_model().bytes() == tokenizer.target_model().bytes();
}

std::size_t pieces_without_id(const text::SentencePieceModel& model, const text::Vocabulary& vocabulary) {
  std::size_t missing = 0;
  for (std::int32_t id = 0; id < model.size(); ++id) missing += vocabulary.find(model.piece(id)) < 0;
  return missing;
}

void doubt_side(std::vector<std::string>& found, const std::string& side,
                const text::SentencePieceModel& model, const text::Vocabulary& vocabulary,
                std::int64_t rows) {
  if (rows - vocabulary.size() >= usual_padding)
    found.push_back("the " + side + " vocabulary has " + std::to_string(vocabulary.size()) +
                    " pieces, the model " + std::to_string(rows) + ": do they belong together?");
  const std::size_t missing = pieces_without_id(model, vocabulary);
  if (2 * missing > static_cast<std::size_t>(model.size()))
    found.push_back(std::to_string(missing) + " of " +
                    counted(static_cast<std::size_t>(model.size()), "piece") + " of " + side +
                    ".spm are not in its vocabulary: are the tokenizers swapped?");
  if (const auto test = model.self_test(); test.failures > 0)
    found.push_back(side + ".spm: " + std::to_string(test.failures) + " of the " +
                    std::to_string(test.samples) +
                    " samples it brings to test its reader come out otherwise");
}

}  // namespace

std::string model_folder(const std::string& name) {
  if (!name.empty()) return name;
  if (const char* chosen = std::getenv("FOVEA_MODEL"); chosen && *chosen) return chosen;
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  // build/release/fovea in a source tree, or bin/fovea of an installation.
  for (const auto& place : {program / "../../models", program / "../share/fovea/models"}) {
    const auto folder = (place / bundled).lexically_normal();
    if (std::filesystem::exists(folder / "config.json", error)) return folder.string();
  }
  throw Error(Error::Kind::model, "model", "there is no bundled model beside this program",
              "name one with --model DIR");
}

void add_model_option(CLI::App& command, std::string& folder) {
  command.add_option("--model", folder, "Model directory (default: the bundled English-German model)")
      ->type_name("DIR");
}

void refuse_checkpoint(const std::filesystem::path& folder) {
  std::error_code error;
  if (!std::filesystem::exists(folder / "training_state.json", error) ||
      std::filesystem::exists(folder / "config.json", error))
    return;
  throw Error(Error::Kind::model, shown(folder), "is a checkpoint of a run, not a model directory",
              "name the folder of the run, or make a model of checkpoints: fovea average");
}

std::vector<std::string> doubts_of_weights(const std::string& folder, const models::Model& model) {
  std::vector<std::string> found;
  if (const auto names = models::non_finite_tensors(model); !names.empty())
    found.push_back("NaN or infinite weights in " + names.front() +
                    (names.size() > 1 ? " and " + counted(names.size() - 1, "other tensor") : ""));
  for (auto& doubt : doubts_of_config(folder)) found.push_back(std::move(doubt));
  return found;
}

std::vector<std::string> doubts_of_config(const std::string& folder) {
  std::vector<std::string> found;
  const auto json = formats::read_config_of(folder);
  for (const char* key : {"auto_map", "custom_pipelines"})
    if (json.has(key)) found.push_back(std::string("config.json: ") + key + " names code to be run: ignored");
  return found;
}

std::vector<std::string> doubts(const std::string& folder, const models::TranslationModel& model,
                                const text::TranslationTokenizer& tokenizer) {
  std::vector<std::string> found = doubts_of_weights(folder, model);
  for (auto& doubt : doubts_of_tokenizer(folder, model, tokenizer)) found.push_back(std::move(doubt));
  return found;
}

std::vector<std::string> doubts_of_tokenizer(const std::string& folder, const models::TranslationModel& model,
                                             const text::TranslationTokenizer& tokenizer) {
  std::vector<std::string> found;
  const auto rows = model.vocabulary();
  if (tokenizer.has_sentencepiece()) {
    doubt_side(found, "source", tokenizer.source_model(), tokenizer.source_vocabulary(), rows.source);
    if (!shares_sides(tokenizer))
      doubt_side(found, "target", tokenizer.target_model(), tokenizer.target_vocabulary(), rows.target);
  }
  for (const std::string& key : models::ignored_generation_keys(folder))
    found.push_back(key + " is not built here: ignored");
  return found;
}

void copy_papers_of(const models::Model& model, const std::filesystem::path& from, DType stored,
                    const std::filesystem::path& to) {
  const bool adapter = formats::is_adapter(from);
  if (adapter) copy_papers(formats::base_of_adapter(from), to);
  copy_papers(from, to);
  std::error_code error;
  std::filesystem::remove(to / formats::adapter_config_name, error);
  const auto* bert = dynamic_cast<const models::Bert*>(&model);
  if (adapter && bert && !std::filesystem::exists(from / "config.json", error))  // the head is its own
    write_atomically(to / "config.json", models::config_json(bert->config(), stored));
}

DType dtype_named(const std::string& name) {
  return name == "int8" ? DType::i8 : name == "bf16" ? DType::bf16 : DType::f32;
}

void DTypeFlag::add_to(CLI::App& command) {
  command
      .add_option(
          "--dtype", name,
          "Type of the weights while it runs: f32, bf16 or int8 (default: int8 if stored so, else f32)")
      ->check(CLI::IsMember({"f32", "bf16", "int8"}))
      ->type_name("TYPE");
}

std::optional<DType> DTypeFlag::wanted() const {
  return name.empty() ? std::nullopt : std::optional(dtype_named(name));
}

LoadedModel load_model(const std::string& folder, const kernels::Execution& exec, const DTypeFlag& dtype) {
  refuse_checkpoint(folder);
  LoadedModel loaded{models::load_for_inference(folder, exec, dtype.wanted()),
                     text::TranslationTokenizer::read(folder)};
  for (const auto& doubt : doubts(folder, *loaded.model, loaded.tokenizer))
    warn(printable(folder, 400) + ": " + doubt);
  return loaded;
}

LoadedLanguageModel load_language_model(const std::string& folder, const kernels::Execution& exec,
                                        const DTypeFlag& dtype) {
  refuse_checkpoint(folder);
  formats::Weights::open(folder);  // first: it says best what a folder is that is no model's
  auto tokenizer = text::load_tokenizer(folder);
  LoadedLanguageModel loaded{models::load_language_model_for_inference(folder, exec, dtype.wanted()),
                             std::move(tokenizer)};
  auto found = doubts_of_weights(folder, *loaded.model);
  for (const std::string& key : models::ignored_continuation_keys(folder))
    found.push_back(key + " is not built here: ignored");
  for (const auto& doubt : found) warn(printable(folder, 400) + ": " + doubt);
  return loaded;
}

}  // namespace fovea::cli
