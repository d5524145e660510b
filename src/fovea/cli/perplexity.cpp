#include "fovea/cli/perplexity.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "fovea/base/error.h"
#include "fovea/cli/common.h"
#include "fovea/data/document_ids.h"
#include "fovea/data/document_text.h"
#include "fovea/metrics/perplexity.h"
#include "fovea/models/language_folder.h"
#include "fovea/text/load_tokenizer.h"

namespace fovea::cli {
namespace {

using data::Documents;

/// A text as a model is to predict it.
struct EncodedText {
  std::vector<std::vector<std::int32_t>> documents;
  std::int64_t characters = 0;  ///< that are predicted
  std::int64_t unknown = 0;     ///< tokens that stand for what the tokenizer does not know
};

Documents documents_named(const std::string& name) {
  return name == "lines" ? Documents::lines : name == "paragraphs" ? Documents::paragraphs : Documents::file;
}

std::vector<std::string> read(const PerplexityFlags& flags) {
  data::DocumentStatistics found;
  auto documents = data::read_documents(
      flags.text, {.documents = documents_named(flags.documents), .column = flags.column}, &found);
  if (found.repaired > 0)
    warn(counted(static_cast<std::size_t>(found.repaired), "place") +
         " not UTF-8 and repaired, the first in " + found.first_repaired);
  return documents;
}

data::DocumentFrame frame_of(const models::LanguageVocabulary& vocabulary, Documents documents) {
  data::DocumentFrame frame{.begin = vocabulary.bos, .end = {}};
  // A file may go on elsewhere; what is one of many documents ends where it ends.
  if (documents != Documents::file && !vocabulary.eos.empty()) frame.end = vocabulary.eos.front();
  return frame;
}

// Characters of the first token, which nothing stands before.
std::int64_t characters_of_first(const text::Tokenizer& tokenizer, const std::string& document) {
  const auto encoding = tokenizer.encode(document, {.add_special = false, .ranges = true});
  return encoding.ranges.empty()
             ? 0
             : data::count_characters(std::string_view(document).substr(0, encoding.ranges.front().end));
}

EncodedText encode(const std::vector<std::string>& texts, const text::Tokenizer& tokenizer,
                   const data::DocumentFrame& frame) {
  EncodedText encoded;
  const std::int32_t unknown = tokenizer.special().unk;
  for (const std::string& text : texts) {
    auto ids = data::document_ids(tokenizer, frame, text);
    encoded.characters += data::count_characters(text);
    if (!frame.begin) encoded.characters -= characters_of_first(tokenizer, text);
    if (unknown >= 0) encoded.unknown += std::ranges::count(ids, unknown);
    encoded.documents.push_back(std::move(ids));
  }
  return encoded;
}

std::string as_text(const nlohmann::ordered_json& report) {
  char text[400];
  const auto number = [&](const char* key) { return report[key].get<double>(); };
  const auto count = [&](const char* key) { return report[key].get<long long>(); };
  const std::string documents = counted(report["documents"].get<std::size_t>(), "document");
  std::snprintf(text, sizeof text,
                "perplexity          %.4f\n"
                "nats per token      %.4f  (%lld tokens)\n"
                "nats per character  %.4f  (%lld characters)\n"
                "%s, read in windows of %lld tokens, %lld apart\n",
                number("perplexity"), number("nats_per_token"), count("tokens"), number("nats_per_character"),
                count("characters"), documents.c_str(), count("window"), count("stride"));
  return text;
}

}  // namespace

void PerplexityFlags::add_to(CLI::App& command) {
  constexpr auto group = "Perplexity of a language model";
  command.add_option("--text", text, "Text that the model is to predict, plain or .gz; - is standard input")
      ->type_name("FILE")
      ->group(group);
  command.add_option("--documents", documents, "What of a file is one text: file, paragraphs or lines")
      ->check(CLI::IsMember({"file", "paragraphs", "lines"}))
      ->type_name("")
      ->capture_default_str()
      ->group(group);
  command.add_option("--column", column, "Of lines, the part between tabs that counts, from 1; 0: all")
      ->check(CLI::Range(0, 1000))
      ->type_name("N")
      ->group(group);
  command
      .add_option("--window", window, "Tokens read at once (default: all that the model takes, 2048 at most)")
      ->check(CLI::Range(1, 1 << 30))
      ->type_name("N")
      ->group(group);
  command
      .add_option("--stride", stride,
                  "Tokens from one window to the next; each counts in the first that has it (default: half a "
                  "window)")
      ->check(CLI::Range(1, 1 << 30))
      ->type_name("N")
      ->group(group);
}

std::string perplexity_report(const std::string& folder, const PerplexityFlags& flags, const DTypeFlag& dtype,
                              int threads, bool json) {
  refuse_checkpoint(folder);
  const auto texts = read(flags);
  const kernels::ExecutionOwner exec(threads);
  const auto tokenizer = text::load_tokenizer(folder);
  const auto model = models::load_language_model_for_inference(folder, exec.get(), dtype.wanted());
  const auto vocabulary = model->vocabulary();
  if (tokenizer->size() > vocabulary.size)
    throw Error(Error::Kind::model, folder,
                "its tokenizer has " + std::to_string(tokenizer->size()) + " tokens, its model " +
                    std::to_string(vocabulary.size));
  const auto encoded = encode(texts, *tokenizer, frame_of(vocabulary, documents_named(flags.documents)));
  const auto options = metrics::complete({.window = flags.window, .stride = flags.stride}, *model);
  const auto found = metrics::perplexity(*model, encoded.documents, options, exec.get());
  if (found.tokens == 0 || encoded.characters == 0)
    throw Error(Error::Kind::data, flags.text.front(), "has nothing to be predicted");
  if (encoded.unknown > 0)
    warn(std::to_string(encoded.unknown) + " of " + std::to_string(found.tokens) +
         " tokens are unknown to the tokenizer: the text is harder than the figures say");
  const nlohmann::ordered_json report = {
      {"perplexity", found.perplexity()},
      {"nats_per_token", found.per_token()},
      {"nats_per_character", found.nats / static_cast<double>(encoded.characters)},
      {"nats", found.nats},
      {"tokens", found.tokens},
      {"unknown_tokens", encoded.unknown},
      {"characters", encoded.characters},
      {"documents", encoded.documents.size()},
      {"window", options.window},
      {"stride", options.stride}};
  return json ? report.dump(1) + "\n" : as_text(report);
}

}  // namespace fovea::cli
