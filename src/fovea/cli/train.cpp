// fovea train: from text and a recipe to a model directory.
#include <unistd.h>
#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "fovea/base/decimal.h"
#include "fovea/base/error.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/cli/signals.h"
#include "fovea/training/recipe.h"
#include "fovea/training/run.h"
#include "fovea/views/progress.h"
#include "fovea/views/terminal_style.h"

namespace fovea::cli {
namespace {

using training::LogEntry;
using training::ValidationResult;

struct Options {
  std::string recipe, data = ".", output, print_recipe;
  std::vector<std::string> overrides;
  bool resume = false, allow_changed_data = false, dry_run = false;
  int threads = 0;
};

/// Shows how training goes on standard error: one line drawn over and over on a terminal, plain lines
/// elsewhere.
class Display {
 public:
  explicit Display(const training::Recipe& recipe)
      : style_(views::terminal_style_from_environment(STDERR_FILENO)) {
    progress_.updates = recipe.training.updates;
  }
  ~Display() { write(line_.clear()); }

  training::Reporter reporter() {
    return {.note = [this](const std::string& text) { say("fovea: " + text); },
            .updated = [this](const LogEntry& entry) { updated(entry); },
            .logged = [this](const LogEntry& entry) { logged(entry); },
            .validated = [this](std::int64_t update, const ValidationResult& result,
                                bool best) { validated(update, result, best); }};
  }

  void say(const std::string& text) { write(line_.clear() + text + "\n"); }

 private:
  void updated(const LogEntry& entry) {
    const auto now = views::RedrawnLine::Clock::now();
    progress_.unit = entry.unit == "token" ? "tok" : std::string(entry.unit) + "s";
    if (last_update_ > 0)
      rate_.add(static_cast<double>(entry.update - last_update_),
                std::chrono::duration<double>(now - last_).count());
    last_update_ = entry.update;
    last_ = now;
    if (!style_.interactive) return;
    show(entry);
    write(line_.redraw(views::progress_line(progress_, style_), now));
  }

  void logged(const LogEntry& entry) {
    if (style_.interactive) return;
    show(entry);
    write(views::plain_progress_line(progress_) + "\n");
  }

  void show(const LogEntry& entry) {
    progress_.update = entry.update;
    progress_.epoch = static_cast<double>(entry.epoch);
    progress_.loss = std::log(entry.perplexity);
    progress_.learning_rate = entry.rate;
    progress_.gradient_norm = entry.gradient_norm;
    progress_.units_per_second = entry.units_per_second;
    if (const auto rate = rate_.per_second(); rate && progress_.updates > 0)
      progress_.seconds_left = static_cast<double>(progress_.updates - entry.update) / *rate;
  }

  void validated(std::int64_t update, const ValidationResult& result, bool best) {
    std::string line = "update " + std::to_string(update) + ": validation ";
    line += progress_.unit == "tok" ? "perplexity " + views::perplexity_text(result.loss)
                                    : "loss " + fixed(result.loss, 4);
    for (const auto& [metric, value] : result.metrics)
      line.append(", ").append(metric->name).append(" ").append(text_of(*metric, value));
    if (!result.metrics.empty()) {
      const auto& [metric, value] = result.metrics.front();
      progress_.last_score = std::string(metric->name) + " " + text_of(*metric, value);
      if (best) progress_.best_score = text_of(*metric, value);
    }
    say(line + (best ? " (best)" : ""));
  }

  static void write(const std::string& text) { std::fputs(text.c_str(), stderr); }

  views::TerminalStyle style_;
  views::TrainingProgress progress_;
  views::RedrawnLine line_;
  views::SmoothedRate rate_;
  std::int64_t last_update_ = 0;
  views::RedrawnLine::Clock::time_point last_;
};

void dry_run(const training::Recipe& recipe, const training::RunOptions& options) {
  const auto plan = training::plan_training(recipe, options, {.note = warn});
  const std::string held =
      " of adapters to " + views::count_text(static_cast<double>(plan.held)) + " that stay as they are";
  char text[640];
  std::snprintf(text, sizeof text,
                "%-12s %lld (%s)\n"
                "parameters   %s%s\n"
                "an epoch     %lld batches\n"
                "memory       %.0f MB\n"
                "an update    %.2f s\n"
                "in all       %s, validation apart\n",
                plan.amount.examples.c_str(), static_cast<long long>(plan.amount.count),
                plan.amount.tokens.c_str(), views::count_text(static_cast<double>(plan.parameters)).c_str(),
                plan.held ? held.c_str() : "", static_cast<long long>(plan.amount.batches), plan.megabytes,
                plan.seconds_per_update,
                plan.seconds > 0 ? views::duration_text(plan.seconds).c_str() : "until it is stopped");
  print(text);
}

std::string ending_text(const training::RunResult& result, const std::string& output) {
  std::string text = "update " + std::to_string(result.state.update) + ": done; " + output + " holds the " +
                     (result.final.name.starts_with("update") ? "weights of " : "") + result.final.name;
  if (const auto& score = result.final.score) {
    if (score->metrics.empty() || score->by_loss)
      return text + ", validation perplexity " + views::perplexity_text(score->loss);
    const auto& [metric, value] = score->metrics.front();
    text += ", validation: " + std::string(metric->name) + " " + text_of(*metric, value);
  }
  return text;
}

void train(const Options& options) {
  if (!options.print_recipe.empty()) {
    auto preset = training::preset_recipe(options.print_recipe);
    preset.name.clear();  // a run is called as the file that this is written to
    return print(training::to_toml(preset));
  }
  if (options.recipe.empty())
    throw Error(Error::Kind::usage, "train", "needs a recipe",
                "see fovea train --print-recipe transformer-tiny");
  const auto recipe = training::read_recipe(options.recipe, options.overrides);
  training::RunOptions run{.data = options.data,
                           .output = options.output.empty() ? "runs/" + recipe.name : options.output,
                           .resume = options.resume,
                           .allow_changed_data = options.allow_changed_data,
                           .threads = options.threads};
  if (options.dry_run) return dry_run(recipe, run);
  Signals signals;
  Display display(recipe);
  const auto result = training::run_training(recipe, run, signals.caught(), display.reporter());
  if (result.ending == training::Ending::stopped) {
    display.say("fovea: stopped after update " + std::to_string(result.state.update) +
                "; go on with --resume");
    signals.exit_as_caught();
  }
  if (!result.ended_before) display.say(ending_text(result, run.output.string()));
}

}  // namespace

void add_train(CLI::App& fovea) {
  CLI::App* command = fovea.add_subcommand("train", "Train a model as a recipe says");
  const auto options = std::make_shared<Options>();
  command->add_option("recipe", options->recipe, "Recipe, a TOML file")->type_name("RECIPE");
  command->add_option("--data", options->data, "Folder that the recipe's data paths are relative to")
      ->type_name("DIR")
      ->capture_default_str();
  command->add_option("--output", options->output, "Folder of the run (default: runs/NAME)")
      ->type_name("DIR");
  command
      ->add_option("--set", options->overrides,
                   "Set a key of the recipe, as --set training.updates=2000; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command->add_flag("--resume", options->resume, "Go on with the run in the output folder");
  command->add_flag("--allow-changed-data", options->allow_changed_data,
                    "Resume although the training text is not what it was");
  command->add_flag("--dry-run", options->dry_run,
                    "Check recipe and data, say what training will cost, write nothing");
  command
      ->add_option("--print-recipe", options->print_recipe, "Print a complete recipe to start from, and stop")
      ->type_name("PRESET");
  add_threads_option(*command, options->threads);
  command->footer(
      "SIGINT and SIGTERM finish the update, save and stop; --resume then goes on as if nothing had "
      "happened.\n"
      "Example: fovea train recipes/tatoeba-en-de.toml --data data --set training.updates=2000");
  command->callback([options] { train(*options); });
}

}  // namespace fovea::cli
