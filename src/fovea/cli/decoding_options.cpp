#include "fovea/cli/decoding_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

#include "fovea/base/error.h"
#include "fovea/formats/json.h"
#include "fovea/kernels/top_k.h"

namespace fovea::cli {
namespace {

constexpr std::int64_t widest_beam = kernels::top_k_limit / 2;

void read_defaults(const std::filesystem::path& folder, decoding::BeamOptions& beam) {
  const auto path = folder / "generation_config.json";
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return;
  const auto json = formats::read_json(path, Error::Kind::model);
  beam.beam = std::min(widest_beam, json.integer_or("num_beams", beam.beam, 1, 1024));
  beam.length_penalty.alpha = json.number_or("length_penalty", 1.0, -10, 10);
}

}  // namespace

void DecodingFlags::add_to(CLI::App& command) {
  command.add_option("--beam", beam, "Hypotheses kept alive (default: the model's own)")
      ->check(CLI::Range(std::int64_t{1}, widest_beam))
      ->type_name("N");
  command.add_option("--length-penalty", length_penalty, "Exponent of the length that scores are divided by")
      ->check(CLI::Range(-10.0, 10.0))
      ->type_name("A");
  command
      .add_option("--max-tokens", max_tokens, "A longer line is cut into sentences or parts and joined again")
      ->check(CLI::Range(2, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--batch", batch, "Sentences translated at once, at most")
      ->check(CLI::Range(1, 1 << 16))
      ->type_name("N")
      ->capture_default_str();
}

decoding::TranslateOptions translate_options(const std::string& folder, const DecodingFlags& flags,
                                             std::int64_t nbest) {
  decoding::TranslateOptions options;
  read_defaults(folder, options.beam);
  if (flags.beam > 0 && nbest > flags.beam)
    throw Error(Error::Kind::usage, "--nbest",
                std::to_string(nbest) + " translations of " + std::to_string(flags.beam) + " hypotheses",
                "use a --beam of at least " + std::to_string(nbest));
  if (flags.beam > 0) options.beam.beam = flags.beam;
  if (flags.length_penalty) options.beam.length_penalty.alpha = *flags.length_penalty;
  options.beam.nbest = nbest;
  options.beam.beam = std::max(options.beam.beam, nbest);
  options.max_tokens = flags.max_tokens;
  options.batches.max_rows = flags.batch;
  return options;
}

}  // namespace fovea::cli
