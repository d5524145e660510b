// fovea align: which words of a sentence and its translation belong together, by what a model looks at.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fovea/base/decimal.h"
#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/cli/model_folder.h"
#include "fovea/data/aligned_text.h"
#include "fovea/decoding/word_aligner.h"
#include "fovea/formats/json_writer.h"
#include "fovea/text/symmetrise.h"

namespace fovea::cli {
namespace {

using decoding::WordAligner;
using models::AttentionPick;

struct Options {
  data::AlignedFiles files;
  std::string model, reverse_model, best_on, baseline, output;
  std::string rule = "best", symmetrise;
  std::optional<int> layer, head, reverse_layer, reverse_head;
  bool mean = false, rollout = false, shift = false, detokenise = false, every_head = false, json = false,
       raw = false;
  double threshold = 0;
  int threads = 0;

  bool reports() const { return json || every_head; }
};

struct Outcome {
  std::vector<text::Alignment> alignments;
  std::vector<std::string> attention;      ///< where the links of each direction come from
  std::vector<WordAligner::Scored> heads;  ///< with --every-head
  std::optional<metrics::AlignmentScore> score;
  metrics::AlignmentCounts counts;
};

[[noreturn]] void misused(const std::string& what, const std::string& remedy) {
  throw Error(Error::Kind::usage, "align", what, remedy);
}

void check_text_options(const Options& options) {
  const auto& files = options.files;
  if (files.pairs.empty() == (files.source.empty() && files.target.empty()))
    misused(files.pairs.empty() ? "nothing to align" : "--pairs excludes --source and --target",
            "name --source FILE and --target FILE, or --pairs FILE");
  if (files.pairs.empty() && (files.source.empty() || files.target.empty()))
    misused("--source and --target need each other", "name both files");
  if (!files.pairs.empty() && !files.gold.empty())
    misused("--pairs excludes --gold", "put the links into the third column");
}

void check_attention_options(const Options& options) {
  const int ways = options.layer.has_value() + options.mean + options.rollout + !options.best_on.empty();
  if (ways > 1) misused("--layer, --mean, --rollout and --best-on exclude each other", "choose one");
  if (options.head && !options.layer) misused("--head needs --layer", "name the layer of that head");
  if (!options.best_on.empty() && options.shift) misused("--best-on excludes --shift", "it tries both");
  if (options.reverse_model.empty() &&
      (!options.symmetrise.empty() || options.reverse_layer || options.reverse_head))
    misused("--symmetrise, --reverse-layer and --reverse-head need --reverse-model",
            "name a model of the other direction");
  if (options.reverse_head && !options.reverse_layer)
    misused("--reverse-head needs --reverse-layer", "name the layer of that head");
  if (options.baseline.empty()) return;
  if (ways > 0 || options.shift || !options.model.empty() || !options.reverse_model.empty() ||
      options.every_head)
    misused("--baseline excludes a model and its attention", "it looks at the lengths of sentences alone");
}

AttentionPick pick_of(const Options& options, std::optional<int> layer, std::optional<int> head) {
  AttentionPick pick{.shift = options.shift};
  if (options.rollout) pick.from = AttentionPick::From::rollout;
  if (layer) pick.from = head ? AttentionPick::From::head : AttentionPick::From::layer_mean;
  pick.layer = layer.value_or(0);
  pick.head = head.value_or(0);
  return pick;
}

models::LinkOptions link_options(const Options& options) {
  using Rule = models::LinkOptions::Rule;
  const auto rule = options.rule == "best"     ? Rule::best
                    : options.rule == "mutual" ? Rule::mutual
                    : options.rule == "joined" ? Rule::joined
                                               : Rule::all;
  return {rule, !options.raw, static_cast<float>(options.threshold)};
}

std::vector<decoding::WordPair> words_of(const data::AlignedText& text, bool detokenise) {
  const auto words = [&](const std::string& line) {
    return detokenise ? text::detokenised_words(line) : text::split_words(line);
  };
  std::vector<decoding::WordPair> pairs;
  pairs.reserve(text.source.size());
  for (std::size_t i = 0; i < text.source.size(); ++i)
    pairs.push_back({words(text.source[i]), words(text.target[i])});
  return pairs;
}

/// The same text for a model of the other direction.
data::AlignedText turned(data::AlignedText text) {
  std::swap(text.source, text.target);
  for (auto& gold : text.gold) gold = text::transposed(gold);
  return text;
}

std::string percent(double share) { return fixed(100 * share, 1); }

void tell(const std::string& line) { std::fprintf(stderr, "fovea: %s\n", line.c_str()); }

/// One direction: a model, the text in its order, and the attention that links come from.
class Direction {
 public:
  Direction(const Options& options, const std::string& model, bool reverse)
      : options_(options),
        reverse_(reverse),
        folder_(model_folder(model)),
        loaded_(load_model(folder_, kernels::ExecutionOwner(options.threads).get())),
        aligner_(*loaded_.model, loaded_.tokenizer, options.threads) {
    pick_ = reverse && (options.reverse_layer || options.layer)
                ? pick_of(options, options.reverse_layer ? options.reverse_layer : options.layer,
                          options.reverse_layer ? options.reverse_head : options.head)
                : pick_of(options, options.layer, options.head);
    if (!options.best_on.empty()) pick_ = best_on();
  }

  const AttentionPick& pick() const { return pick_; }

  std::vector<WordAligner::Scored> score_all(const data::AlignedText& text) const {
    const auto ordered = reverse_ ? turned(text) : text;
    return aligner_.score_all(words_of(ordered, options_.detokenise), ordered.gold, link_options(options_));
  }

  std::vector<text::Alignment> align(const data::AlignedText& text) const {
    const auto pairs = words_of(reverse_ ? turned(text) : text, options_.detokenise);
    auto result = aligner_.align(pairs, pick_, link_options(options_));
    if (!result.too_long.empty())
      warn(counted(result.too_long.size(), "pair") + " longer than the " +
           std::to_string(loaded_.model->max_positions()) + " tokens that " + printable(folder_, 400) +
           " takes: no links there; the first is line " + std::to_string(result.too_long.front() + 1));
    if (reverse_)
      for (auto& alignment : result.alignments) alignment = text::transposed(alignment);
    return std::move(result.alignments);
  }

 private:
  AttentionPick best_on() const {
    const auto text = data::read_aligned({.pairs = options_.best_on, .swapped = options_.files.swapped});
    if (text.gold.empty())
      throw Error(Error::Kind::data, printable(options_.best_on, 400), "has no links to choose a head by",
                  "write source, tab, target, tab, links");
    const auto scored = score_all(text);
    const auto best = std::ranges::min_element(
        scored, {}, [](const WordAligner::Scored& one) { return one.score.error_rate; });
    if (best == scored.end())
      throw Error(Error::Kind::data, printable(options_.best_on, 400), "has no pair that the model can read");
    tell("best on " + printable(options_.best_on, 400) + ": " + text_of(best->pick) + " (AER " +
         percent(best->score.error_rate) + ")");
    return best->pick;
  }

  const Options& options_;
  bool reverse_;
  std::string folder_;
  LoadedModel loaded_;
  WordAligner aligner_;
  AttentionPick pick_;
};

Outcome align_by_model(const Options& options, const data::AlignedText& text) {
  Outcome outcome;
  const Direction forward(options, options.model, false);
  if (options.every_head) outcome.heads = forward.score_all(text);
  outcome.alignments = forward.align(text);
  outcome.attention.push_back(text_of(forward.pick()));
  if (options.reverse_model.empty()) return outcome;
  const Direction backward(options, options.reverse_model, true);
  const auto others = backward.align(text);
  outcome.attention.push_back(text_of(backward.pick()));
  const auto how =
      text::parse_symmetrisation(options.symmetrise.empty() ? "grow-diag-final-and" : options.symmetrise);
  for (std::size_t i = 0; i < others.size(); ++i)
    outcome.alignments[i] = text::symmetrise(outcome.alignments[i], others[i], how);
  return outcome;
}

Outcome align_by_diagonal(const data::AlignedText& text) {
  Outcome outcome;
  outcome.attention.push_back("none: the diagonal");
  for (std::size_t i = 0; i < text.source.size(); ++i)
    outcome.alignments.push_back(text::diagonal_alignment(text::split_words(text.source[i]).size(),
                                                          text::split_words(text.target[i]).size()));
  return outcome;
}

void score(Outcome& outcome, const std::vector<text::GoldAlignment>& gold) {
  for (std::size_t i = 0; i < outcome.alignments.size(); ++i)
    outcome.counts += metrics::alignment_counts(outcome.alignments[i], gold[i]);
  outcome.score = metrics::alignment_score(outcome.counts);
}

std::string as_text(const metrics::AlignmentScore& score) {
  return "AER " + percent(score.error_rate) + "  precision " + percent(score.precision) + "  recall " +
         percent(score.recall);
}

/// A line each: AER, precision, recall, of which attention; the best marked.
std::string table(const std::vector<WordAligner::Scored>& heads) {
  const auto best = std::ranges::min_element(
      heads, {}, [](const WordAligner::Scored& one) { return one.score.error_rate; });
  std::string out = "   AER  precision  recall\n";
  for (auto head = heads.begin(); head != heads.end(); ++head) {
    char line[64];
    std::snprintf(line, sizeof line, "%6s %10s %7s  ", percent(head->score.error_rate).c_str(),
                  percent(head->score.precision).c_str(), percent(head->score.recall).c_str());
    out.append(line).append(text_of(head->pick)).append(head == best ? "  (best)\n" : "\n");
  }
  return out;
}

formats::JsonWriter& add(formats::JsonWriter& json, const metrics::AlignmentScore& score) {
  return json.field("aer", score.error_rate)
      .field("precision", score.precision)
      .field("recall", score.recall);
}

std::string as_json(const Outcome& outcome) {
  formats::JsonWriter json;
  json.begin_object().field("pairs", outcome.alignments.size()).key("attention").begin_array();
  for (const auto& text : outcome.attention) json.value(text);
  json.end_array();
  add(json, *outcome.score);
  json.field("links", outcome.counts.links).field("sure", outcome.counts.sure);
  json.field("links_sure", outcome.counts.links_sure).field("links_possible", outcome.counts.links_possible);
  if (!outcome.heads.empty()) {
    json.key("heads").begin_array();
    for (const auto& head : outcome.heads)
      add(json.begin_object().field("attention", text_of(head.pick)), head.score).end_object();
    json.end_array();
  }
  return json.end_object().finish();
}

std::string pharaoh_lines(const std::vector<text::Alignment>& alignments) {
  std::string out;
  for (const auto& alignment : alignments) out.append(text::pharaoh(alignment)).push_back('\n');
  return out;
}

/// Links go to --output, or to standard output unless a report goes there.
void write(const Options& options, const Outcome& outcome) {
  const bool to_output = options.output.empty() || options.output == "-";
  if (!to_output)
    write_atomically(options.output, pharaoh_lines(outcome.alignments));
  else if (!options.reports())
    print(pharaoh_lines(outcome.alignments));
  if (options.json) return print(as_json(outcome));
  if (options.every_head) print(table(outcome.heads));
  if (outcome.score)
    tell(as_text(*outcome.score) + "  (" + counted(outcome.alignments.size(), "pair") + ", " +
         counted(static_cast<std::size_t>(outcome.counts.links), "link") + ", " +
         std::to_string(outcome.counts.sure) + " sure in the gold)");
}

void align(const Options& options) {
  check_text_options(options);
  check_attention_options(options);
  const auto text = data::read_aligned(options.files);
  if (options.reports() && text.gold.empty())
    misused("--json and --every-head need gold alignments",
            "name --gold FILE, or --pairs with three columns");
  Outcome outcome = options.baseline.empty() ? align_by_model(options, text) : align_by_diagonal(text);
  if (!text.gold.empty()) score(outcome, text.gold);
  write(options, outcome);
}

void add_text_options(CLI::App& command, Options& options) {
  command.add_option("--source", options.files.source, "Sentences, one a line, plain or .gz")
      ->type_name("FILE");
  command.add_option("--target", options.files.target, "Their translations, line by line")->type_name("FILE");
  command
      .add_option("--gold", options.files.gold,
                  "Links made by hand, line by line (0-0 1-2, possible ones 0?3): prints the error rate")
      ->type_name("FILE");
  command
      .add_option("--pairs", options.files.pairs,
                  "Or all in one file: source, tab, target, and perhaps tab, links")
      ->type_name("FILE");
  command.add_flag("--swapped", options.files.swapped,
                   "--pairs and --best-on have the target first, --gold its words");
  command.add_flag(
      "--detokenise", options.detokenise,
      "The text is tokenised: the model reads it as people write (\"Yes .\" as \"Yes.\", no spaces "
      "in Chinese); links count the words of the lines all the same");
}

void add_attention_options(CLI::App& command, Options& options) {
  command.add_option("--layer", options.layer, "Take this decoder layer, from 0: the mean of its heads")
      ->check(CLI::NonNegativeNumber)
      ->type_name("L");
  command.add_option("--head", options.head, "Take this head of it, from 0")
      ->check(CLI::NonNegativeNumber)
      ->type_name("H");
  command.add_flag("--mean", options.mean, "Take the mean of all heads (the default)");
  command.add_flag("--rollout", options.rollout, "Take attention rollout through encoder and decoder");
  command
      .add_option("--best-on", options.best_on,
                  "Take the head or mean with the least error rate on these pairs with links, as in --pairs")
      ->type_name("FILE");
  command.add_flag("--shift", options.shift,
                   "Take the step that reads a target token, not the one that produces it");
  command
      .add_option(
          "--links", options.rule,
          "Which become links: best (of each target word), mutual (best both ways), joined (best of either "
          "side, grown from the mutual ones), all")
      ->check(CLI::IsMember({"best", "mutual", "joined", "all"}))
      ->type_name("")
      ->capture_default_str();
  command.add_flag("--raw", options.raw,
                   "Compare weights as they are, not as shares of what their source word gets in all");
  command.add_option("--threshold", options.threshold, "Weights below make no link, 0 to 1")
      ->check(CLI::Range(0.0, 1.0))
      ->type_name("W")
      ->capture_default_str();
  command
      .add_option("--reverse-model", options.reverse_model, "A model of the other direction, to join with")
      ->type_name("DIR");
  command.add_option("--reverse-layer", options.reverse_layer, "Its layer, if it is another one")
      ->check(CLI::NonNegativeNumber)
      ->type_name("L");
  command.add_option("--reverse-head", options.reverse_head, "Its head")
      ->check(CLI::NonNegativeNumber)
      ->type_name("H");
  command
      .add_option("--symmetrise", options.symmetrise,
                  "How the directions are joined: intersection, union, grow, grow-diag, grow-diag-final, "
                  "grow-diag-final-and (the default)")
      ->check(CLI::IsMember(text::symmetrisation_names()))
      ->type_name("");
  command.add_option("--baseline", options.baseline, "No model: the diagonal, to compare with")
      ->check(CLI::IsMember({"diagonal"}))
      ->type_name("");
}

}  // namespace

void add_align(CLI::App& fovea) {
  CLI::App* command =
      fovea.add_subcommand("align", "Link the words of sentences and translations by a model's attention");
  const auto options = std::make_shared<Options>();
  add_model_option(*command, options->model);
  add_text_options(*command, *options);
  add_attention_options(*command, *options);
  command->add_option("--output", options->output, "A file for the links; - is standard output")
      ->type_name("FILE");
  command->add_flag("--every-head", options->every_head,
                    "Print the error rate of every head and mean, shifted and not, in place of the links");
  command->add_flag("--json", options->json, "Print the scores as JSON in place of the links");
  add_threads_option(*command, options->threads);
  command->footer(
      "N pairs in, N lines of links out: SOURCE-TARGET, words counted from 0. Words are what spaces stand "
      "between.\n"
      "Example: fovea align --source <(echo The dog runs .) --target <(echo Der Hund läuft .)");
  command->callback([options] { align(*options); });
}

}  // namespace fovea::cli
