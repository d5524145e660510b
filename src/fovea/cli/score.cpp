// fovea score: how probable models find translations that are given.
#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "fovea/base/decimal.h"
#include "fovea/base/error.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/cli/ensemble_flags.h"
#include "fovea/cli/signals.h"
#include "fovea/data/lines.h"
#include "fovea/decoding/pair_scorer.h"

namespace fovea::cli {
namespace {

struct Options {
  EnsembleFlags ensemble;
  std::string source, target;
  bool mean = false, tokens = false;
  int threads = 0;
};

using decoding::PairScorer;

double sum_of(const PairScorer::Scores& scores) {
  double sum = 0.0;
  for (const float score : scores) sum += static_cast<double>(score);
  return sum;
}

std::string number(double value) { return fixed(value, 4); }

class Scoring {
 public:
  explicit Scoring(const Options& options)
      : options_(options),
        source_(options.source),
        target_(options.target),
        exec_(options.threads),
        loaded_(options.ensemble, exec_.get()),
        scorer_(loaded_.models, loaded_.tokenizer, exec_.get(), options.ensemble.mean()) {}

  void run() {
    while (read()) {
      const Signals signals;
      write(scorer_.score(pairs_));
      out_.flush();
      if (signals.caught()) signals.exit_as_caught();
    }
    warn_of_repairs(source_.statistics());
    warn_of_repairs(target_.statistics());
    if (too_long_ > 0)
      warn(counted(too_long_, "pair") + " longer than the model takes: -inf, the first in line " +
           std::to_string(first_too_long_));
  }

 private:
  // The next pairs; as many as a few batches hold.
  bool read() {
    constexpr std::size_t most_pairs = 2048, most_tokens = std::size_t{1} << 16;
    pairs_.clear();
    for (std::size_t tokens = 0; pairs_.size() < most_pairs && tokens < most_tokens;) {
      const auto source = source_.next(), target = target_.next();
      if (source.has_value() != target.has_value())
        throw Error(Error::Kind::data, source ? target_.name() : source_.name(),
                    "ends after line " + std::to_string(line_ + std::ssize(pairs_)) + ", before " +
                        (source ? source_.name() : target_.name()),
                    "each line must be the translation of its source");
      if (!source) break;
      pairs_.push_back(scorer_.pair_of(*source, *target));
      tokens += pairs_.back().source.size() + pairs_.back().target.size();
    }
    return !pairs_.empty();
  }

  void write(const std::vector<PairScorer::Scores>& scores) {
    for (std::size_t i = 0; i < scores.size(); ++i) {
      ++line_;
      if (scores[i].empty() && ++too_long_ == 1) first_too_long_ = line_;
      const double sum = scores[i].empty() ? -HUGE_VAL : sum_of(scores[i]);
      out_.write(
          number(options_.mean && !scores[i].empty() ? sum / static_cast<double>(scores[i].size()) : sum));
      if (options_.tokens) write_tokens(pairs_[i].target, scores[i]);
      out_.write("\n");
    }
  }

  void write_tokens(std::vector<std::int32_t> target, const PairScorer::Scores& scores) {
    target.push_back(loaded_.first().vocabulary().eos);
    const auto pieces = loaded_.tokenizer.target_pieces(target);
    for (std::size_t t = 0; t < scores.size(); ++t)
      out_.write((t == 0 ? "\t" : " ") + pieces[t] + " " + number(static_cast<double>(scores[t])));
  }

  const Options& options_;
  data::LineReader source_, target_;
  kernels::ExecutionOwner exec_;
  LoadedModels loaded_;
  PairScorer scorer_;
  std::vector<PairScorer::Pair> pairs_;
  Output out_;
  std::int64_t line_ = 0, first_too_long_ = 0;
  std::size_t too_long_ = 0;
};

}  // namespace

void add_score(CLI::App& fovea) {
  CLI::App* command =
      fovea.add_subcommand("score", "How probable a model, or several, find given translations");
  const auto options = std::make_shared<Options>();
  options->ensemble.add_to(*command);
  command
      ->add_option("--source", options->source, "Text, a sentence a line, plain or .gz; - is standard input")
      ->required()
      ->type_name("FILE");
  command->add_option("--target", options->target, "Its translations, line by line")
      ->required()
      ->type_name("FILE");
  command->add_flag("--mean", options->mean, "The mean over tokens in place of their sum");
  command->add_flag("--tokens", options->tokens, "After a tab each token and its log-probability");
  add_threads_option(*command, options->threads);
  command->footer(
      "One line a pair: the log-probability of the translation, in nats, its end of sentence included; of "
      "several models,\n"
      "by their mean distributions of each token.\n"
      "Example: fovea score --source <(echo Tom is here.) --target <(echo Tom ist hier.)");
  command->callback([options] {
    if (options->source == "-" && options->target == "-")
      throw Error(Error::Kind::usage, "--target", "only one text can be read from standard input",
                  "name a file for the other");
    Scoring(*options).run();
  });
}

}  // namespace fovea::cli
