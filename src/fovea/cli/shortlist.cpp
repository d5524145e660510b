// fovea shortlist: which target tokens each source token may become, learnt from parallel text.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/cli/model_folder.h"
#include "fovea/cli/signals.h"
#include "fovea/data/parallel_corpus.h"
#include "fovea/models/shortlist_learner.h"

namespace fovea::cli {
namespace {

struct Options {
  std::string model, source, target, pairs, output, check;
  models::ShortlistSize size;
  int threads = 0;
};

[[noreturn]] void misused(const std::string& what, const std::string& remedy) {
  throw Error(Error::Kind::usage, "shortlist", what, remedy);
}

void check_usage(const Options& options) {
  const bool files = !options.source.empty() && !options.target.empty();
  if (options.pairs.empty() ? !files : !options.source.empty() || !options.target.empty())
    misused(options.pairs.empty() ? "no parallel text" : "--pairs excludes --source and --target",
            "name --source FILE and --target FILE, or --pairs FILE");
  if (options.output.empty() == options.check.empty())
    misused(options.output.empty() ? "nothing to write or to check" : "--check excludes --output",
            "name --output FILE to learn a shortlist, or --check FILE to measure one");
}

data::PairReader open(const Options& options) {
  return options.pairs.empty() ? data::PairReader({.source = options.source, .target = options.target})
                               : data::PairReader({.source = options.pairs});
}

/// Some of the pairs, in memory; none at the end of the text.
std::vector<std::pair<std::string, std::string>> next_pairs(data::PairReader& reader) {
  constexpr std::size_t most = 2048;
  std::vector<std::pair<std::string, std::string>> pairs;
  while (pairs.size() < most) {
    const auto pair = reader.next();
    if (!pair) break;
    pairs.emplace_back(pair->source, pair->target);
  }
  return pairs;
}

std::string number(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

void learn(const Options& options, const LoadedModel& loaded) {
  auto reader = open(options);
  models::ShortlistLearner learner(*loaded.model, loaded.tokenizer, options.threads);
  for (auto pairs = next_pairs(reader); !pairs.empty(); pairs = next_pairs(reader)) {
    const Signals signals;
    std::vector<models::ShortlistLearner::Pair> views;
    for (const auto& [source, target] : pairs) views.push_back({source, target});
    learner.read(views);
    if (signals.caught()) signals.exit_as_caught();
  }
  if (learner.pairs() == 0)
    throw Error(Error::Kind::data, options.pairs.empty() ? options.source : options.pairs,
                "holds no pair that the model can read", "name parallel text in the model's languages");
  const auto shortlist = learner.shortlist(options.size);
  shortlist.save(options.output);
  if (learner.left_out() > 0)
    warn(counted(static_cast<std::size_t>(learner.left_out()), "pair") +
         " without words or longer than the model takes taught nothing");
  const double each = static_cast<double>(shortlist.size() - shortlist.anywhere().size()) /
                      static_cast<double>(std::max<std::int64_t>(1, shortlist.source_vocabulary()));
  print(shown(options.output) + " holds " + number(each, 1) + " target tokens a source token and " +
        std::to_string(shortlist.anywhere().size()) + " for every sentence, of " +
        std::to_string(shortlist.target_vocabulary()) + "; learnt from " +
        counted(static_cast<std::size_t>(learner.pairs()), "pair") + "\n");
}

/// How many target tokens of given translations a shortlist would have let pass.
void measure(const Options& options, const text::TranslationTokenizer& tokenizer) {
  const auto shortlist = models::Shortlist::read(options.check, tokenizer);
  auto reader = open(options);
  std::size_t pairs = 0, tokens = 0, held = 0, whole = 0, candidates = 0;
  while (const auto pair = reader.next()) {
    const auto allowed = shortlist.candidates(tokenizer.encode_source(pair->source));
    std::size_t missing = 0;
    const auto target = tokenizer.encode_target(pair->target);
    for (const auto token : target) missing += !std::ranges::binary_search(allowed, token);
    ++pairs;
    tokens += target.size();
    held += target.size() - missing;
    whole += missing == 0;
    candidates += allowed.size();
  }
  if (pairs == 0)
    throw Error(Error::Kind::data, options.pairs.empty() ? options.source : options.pairs, "holds no pair");
  const auto share = [](std::size_t part, std::size_t all) {
    return static_cast<double>(part) / static_cast<double>(all);
  };
  print(number(100 * share(held, tokens), 2) + " % of " + counted(tokens, "target token") + " and " +
        number(100 * share(whole, pairs), 1) + " % of " + counted(pairs, "sentence") +
        " are in the shortlist; " + number(share(candidates, pairs), 0) + " candidates a sentence, of " +
        std::to_string(shortlist.target_vocabulary()) + "\n");
}

void shortlist(const Options& options) {
  check_usage(options);
  const std::string folder = model_folder(options.model);
  if (!options.check.empty()) return measure(options, text::TranslationTokenizer::read(folder));
  learn(options, load_model(folder, kernels::ExecutionOwner(options.threads).get()));
}

}  // namespace

void add_shortlist(CLI::App& fovea) {
  CLI::App* command = fovea.add_subcommand(
      "shortlist", "Learn which words each word may become, for faster translation of large vocabularies");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("--model", options->model, "Model directory (default: the bundled English-German model)")
      ->type_name("DIR");
  command->add_option("--source", options->source, "Sentences, one a line, plain or .gz")->type_name("FILE");
  command->add_option("--target", options->target, "Their translations, line by line")->type_name("FILE");
  command->add_option("--pairs", options->pairs, "Or both in one file: source, tab, target")
      ->type_name("FILE");
  command->add_option("--output", options->output, "The shortlist, for fovea translate --shortlist")
      ->type_name("FILE");
  command
      ->add_option("--check", options->check,
                   "In place of learning: how many words of these translations that shortlist holds")
      ->type_name("FILE");
  command->add_option("--best", options->size.best, "Target tokens of a source token, at most")
      ->check(CLI::Range(1, 1000))
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("--frequent", options->size.frequent,
                   "The most frequent target tokens, which every sentence may hold")
      ->check(CLI::Range(0, 1 << 20))
      ->type_name("M")
      ->capture_default_str();
  add_threads_option(*command, options->threads);
  command->footer(
      "The text is best what the model was trained on. What belongs together is seen by the model's own "
      "attention.\n"
      "Example: fovea shortlist --pairs <(printf 'Tom is here.\\tTom ist hier.\\n') --output tom.shortlist");
  command->callback([options] { shortlist(*options); });
}

}  // namespace fovea::cli
