// fovea synthesise: text for tasks whose alignment is known exactly.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "fovea/base/file.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/data/synthetic.h"

namespace fovea::cli {
namespace {

struct Options {
  data::SyntheticOptions what;
  std::string task, output;
  std::size_t pairs = 20000, held_out = 1000;
};

void write_part(const std::filesystem::path& folder, const std::string& name,
                const std::vector<data::SyntheticPair>& pairs) {
  std::string source, target, links;
  for (const auto& pair : pairs) {
    source += pair.source + "\n";
    target += pair.target + "\n";
    links += text::pharaoh(pair.links) + "\n";
  }
  write_atomically(folder / (name + ".source"), source);
  write_atomically(folder / (name + ".target"), target);
  write_atomically(folder / (name + ".links"), links);
}

void synthesise(Options options) {
  using data::SyntheticSplit;
  options.what.task = data::parse_synthetic_task(options.task);
  const std::filesystem::path folder = options.output.empty() ? options.task : options.output;
  // All are made before any is written.
  const auto train = data::synthetic_pairs(options.what, SyntheticSplit::train, options.pairs);
  const auto valid = data::synthetic_pairs(options.what, SyntheticSplit::valid, options.held_out);
  const auto test = data::synthetic_pairs(options.what, SyntheticSplit::test, options.held_out);
  make_folders(folder);
  write_part(folder, "train", train);
  write_part(folder, "valid", valid);
  write_part(folder, "test", test);
  print(shown(folder) + ": train " + std::to_string(train.size()) + ", valid " +
        std::to_string(valid.size()) + ", test " + std::to_string(test.size()) +
        " pairs (.source, .target, .links)\n");
}

}  // namespace

void add_synthesise(CLI::App& fovea) {
  CLI::App* command =
      fovea.add_subcommand("synthesise", "Make text for tasks whose alignment is known exactly");
  const auto options = std::make_shared<Options>();
  command->add_option("task", options->task, "copy, reversal, sorting or dates")
      ->required()
      ->type_name("TASK");
  command->add_option("--output", options->output, "Folder for the files (default: the task's name)")
      ->type_name("DIR");
  command->add_option("--pairs", options->pairs, "Training pairs")
      ->check(CLI::Range(1, 10000000))
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--held-out", options->held_out, "Validation pairs, and as many test pairs")
      ->check(CLI::Range(1, 1000000))
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--seed", options->what.seed, "Another seed, another text")
      ->type_name("S")
      ->capture_default_str();
  command->add_option("--symbols", options->what.symbols, "Different symbols, 2 to 26; not of dates")
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("--min-length", options->what.min_length, "Symbols of the shortest sequence; not of dates")
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--max-length", options->what.max_length, "Symbols of the longest")
      ->type_name("N")
      ->capture_default_str();
  command->footer(
      "Writes train, valid and test as .source, .target and .links (0-0 1-2, possible ones 0?3): what "
      "train,\n"
      "translate and align read. No target of one part is in another.\n"
      "Example: fovea synthesise dates --output /tmp/dates");
  command->callback([options] { synthesise(*options); });
}

}  // namespace fovea::cli
