#include "fovea/cli/decoding_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "fovea/base/error.h"
#include "fovea/decoding/generation.h"
#include "fovea/kernels/top_k.h"

namespace fovea::cli {
namespace {

constexpr std::int64_t widest_beam = kernels::top_k_limit / 2;

decoding::LengthPenalty::Kind kind_named(std::string_view name) {
  return name == "gnmt" ? decoding::LengthPenalty::Kind::gnmt : decoding::LengthPenalty::Kind::power;
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
      .add_option("--length-penalty-kind", length_penalty_kind,
                  "Divide by the length's power, or by ((5 + length) / 6)^A")
      ->check(CLI::IsMember({"power", "gnmt"}))
      ->type_name("");
  command
      .add_option("--coverage-penalty", coverage_penalty,
                  "Above 0 favours translations that looked at the whole source; 0.2 is usual")
      ->check(CLI::Range(0.0, 100.0))
      ->type_name("B");
  command.add_flag("--replace-unknown", replace_unknown,
                   "Words the model cannot spell become the words of the source it looked at");
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
  decoding::TranslateOptions options = decoding::generation_options(folder);
  if (flags.beam > 0 && nbest > flags.beam)
    throw Error(Error::Kind::usage, "--nbest",
                std::to_string(nbest) + " translations of " + std::to_string(flags.beam) + " hypotheses",
                "use a --beam of at least " + std::to_string(nbest));
  if (flags.beam > 0) {
    options.beam.beam = flags.beam;
    options.beam.sampling.reset();
    options.beam.diverse.groups = 1;
  }
  if (flags.length_penalty) options.beam.length_penalty.alpha = *flags.length_penalty;
  if (!flags.length_penalty_kind.empty())
    options.beam.length_penalty.kind = kind_named(flags.length_penalty_kind);
  if (flags.coverage_penalty) options.beam.coverage_penalty.beta = *flags.coverage_penalty;
  options.replace_unknown = options.replace_unknown || flags.replace_unknown;
  options.beam.nbest = nbest;
  if (!options.beam.sampling) options.beam.beam = std::max(options.beam.beam, nbest);
  options.max_tokens = flags.max_tokens;
  options.batches.max_rows = flags.batch;
  return options;
}

}  // namespace fovea::cli
