#include "fovea/cli/pronouncing.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "fovea/base/error.h"
#include "fovea/data/pronunciations.h"
#include "fovea/metrics/error_rate.h"

namespace fovea::cli {
namespace {

std::string as_text(const metrics::ErrorRate& errors) {
  char text[256];
  std::snprintf(text, sizeof text,
                "PER = %.2f %% (%lld edits of %lld phonemes, of the nearest pronunciations)\n"
                "WER = %.2f %% (%lld of %lld words equal none of their pronunciations)\n",
                100 * errors.symbol_rate(), static_cast<long long>(errors.edits),
                static_cast<long long>(errors.symbols), 100 * errors.sequence_rate(),
                static_cast<long long>(errors.wrong), static_cast<long long>(errors.sequences));
  return text;
}

std::string as_json(const metrics::ErrorRate& errors) {
  const nlohmann::ordered_json json = nlohmann::ordered_json::array({{{"name", "PER"},
                                                                      {"score", errors.symbol_rate()},
                                                                      {"edits", errors.edits},
                                                                      {"phonemes", errors.symbols}},
                                                                     {{"name", "WER"},
                                                                      {"score", errors.sequence_rate()},
                                                                      {"wrong", errors.wrong},
                                                                      {"words", errors.sequences}}});
  return json.dump(1) + "\n";
}

}  // namespace

void DictionaryOptions::add_to(CLI::App& command) {
  command.option_defaults()->group("Error rates of pronunciations");
  command
      .add_option(
          "--dictionary", file,
          "Pronounce the words of this dictionary (WORD PH ON EM a line, as CMUdict) and count errors")
      ->type_name("FILE");
  command
      .add_option("--share", share,
                  "Only the words that training held out with data.valid_share, such as 0.1")
      ->check(CLI::Range(0.0, 1.0))
      ->type_name("S");
  command.add_flag("--stress", stress, "The stress of vowels counts too");
  command.option_defaults()->group("Options");
}

std::string pronouncing_report(const DictionaryOptions& options, const Pronounce& pronounce, bool json) {
  data::ParallelText text = data::read_pronunciations(options.file, {.stress = options.stress});
  if (options.share > 0) text = data::split_by_source(text, options.share).second;
  if (text.source.empty())
    throw Error(Error::Kind::data, options.file, "none of its words is held out", "give a greater --share");
  const auto words = metrics::group_by_source(text.source, text.target);
  const auto errors = metrics::error_rate(pronounce(words.sources), words.references);
  return json ? as_json(errors) : as_text(errors);
}

}  // namespace fovea::cli
