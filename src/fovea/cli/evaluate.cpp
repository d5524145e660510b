// fovea evaluate: how good translations are, as SacreBLEU counts it.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/data/lines.h"
#include "fovea/metrics/bleu.h"
#include "fovea/metrics/chrf.h"

namespace fovea::cli {
namespace {

struct Options {
  std::string hypothesis;
  std::vector<std::string> references;
  std::string tokenizer = "13a";
  bool lowercase = false, json = false;
};

struct Scores {
  metrics::BleuScore bleu;
  metrics::ChrfScore chrf;
  std::string bleu_signature, chrf_signature;
};

Scores score(const std::vector<std::string>& hypotheses, const metrics::References& references,
             const Options& options) {
  metrics::BleuOptions bleu;
  bleu.tokenizer = metrics::parse_mt_tokenizer(options.tokenizer);
  bleu.lowercase = options.lowercase;
  metrics::ChrfOptions chrf;
  chrf.lowercase = options.lowercase;
  return {metrics::corpus_bleu(hypotheses, references, bleu),
          metrics::corpus_chrf(hypotheses, references, chrf),
          metrics::bleu_signature(bleu, references.size()), metrics::chrf_signature(chrf, references.size())};
}

/// One object a metric, with the names SacreBLEU's own JSON uses.
std::string as_json(const Scores& scores) {
  const nlohmann::ordered_json bleu = {{"name", "BLEU"},
                                       {"score", scores.bleu.score},
                                       {"signature", scores.bleu_signature},
                                       {"verbose_score", scores.bleu.details()}};
  const nlohmann::ordered_json chrf = {
      {"name", scores.chrf.name}, {"score", scores.chrf.score}, {"signature", scores.chrf_signature}};
  return nlohmann::ordered_json::array({bleu, chrf}).dump(1) + "\n";
}

std::string as_text(const Scores& scores) {
  return scores.bleu.text(scores.bleu_signature) + "\n" + scores.chrf.text(scores.chrf_signature) + "\n";
}

std::vector<std::string> read_text(const std::string& path) {
  data::LineStatistics found;
  auto lines = data::read_lines(path, {}, &found);
  if (found.invalid_lines > 0)
    warn(found.first_invalid + ": not UTF-8; replaced by U+FFFD in " +
         counted(static_cast<std::size_t>(found.invalid_lines), "line"));
  return lines;
}

/// Every text has one line a segment, or the scores would compare the wrong sentences.
void check_line_counts(const Options& options, const std::vector<std::string>& hypotheses,
                       const metrics::References& references) {
  for (std::size_t i = 0; i < references.size(); ++i)
    if (references[i].size() != hypotheses.size())
      throw Error(Error::Kind::data, options.references[i],
                  "has " + counted(references[i].size(), "line") + ", but " + options.hypothesis + " has " +
                      std::to_string(hypotheses.size()),
                  "each line must be the reference of its translation");
}

void evaluate(const Options& options) {
  const auto hypotheses = read_text(options.hypothesis);
  metrics::References references;
  for (const std::string& path : options.references) references.push_back(read_text(path));
  check_line_counts(options, hypotheses, references);
  const Scores scores = score(hypotheses, references, options);
  print(options.json ? as_json(scores) : as_text(scores));
}

}  // namespace

void add_evaluate(CLI::App& fovea) {
  CLI::App* command =
      fovea.add_subcommand("evaluate", "Score translations: BLEU and chrF2 as SacreBLEU counts them");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("--hypothesis", options->hypothesis,
                   "Translations, one a line, plain or .gz; - is standard input")
      ->required()
      ->type_name("FILE");
  command
      ->add_option("--reference", options->references,
                   "Reference translations, line by line; several are allowed")
      ->required()
      ->type_name("FILE");
  command->add_flag("--lowercase", options->lowercase, "Ignore case");
  command->add_option("--tokenize", options->tokenizer, "How BLEU cuts words: 13a, zh, char, intl or none")
      ->check(CLI::IsMember({"13a", "zh", "char", "intl", "none"}))
      ->type_name("")
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print scores, signatures and details as JSON");
  command->footer("Example: fovea evaluate --hypothesis translations.de --reference test.de");
  command->callback([options] { evaluate(*options); });
}

}  // namespace fovea::cli
