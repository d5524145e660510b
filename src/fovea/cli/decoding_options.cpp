#include "fovea/cli/decoding_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string_view>

#include "fovea/base/error.h"
#include "fovea/decoding/generation.h"

namespace fovea::cli {
namespace {

models::LengthPenaltyKind kind_named(std::string_view name) {
  return name == "gnmt" ? models::LengthPenaltyKind::gnmt : models::LengthPenaltyKind::power;
}

}  // namespace

decoding::Stop stop_named(std::string_view name) {
  return name == "true"    ? decoding::Stop::first
         : name == "never" ? decoding::Stop::exact
                           : decoding::Stop::bound;
}

void DecodingFlags::add_to(CLI::App& command, bool cuts) {
  command.add_option("--beam", beam, "Hypotheses kept alive (default: the model's own)")
      ->check(CLI::Range(std::int64_t{1}, decoding::widest_beam))
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
      .add_option("--early-stopping", early_stopping,
                  "Once --beam translations are complete: go on while one may well be better (false), while "
                  "one can be (never), or stop (true)")
      ->check(CLI::IsMember({"false", "true", "never"}))
      ->type_name("");
  command
      .add_option("--coverage-penalty", coverage_penalty,
                  "Above 0 favours translations that looked at the whole source; 0.2 is usual")
      ->check(CLI::Range(0.0, 100.0))
      ->type_name("B");
  command.add_flag("--replace-unknown", replace_unknown,
                   "Words the model cannot spell become the words of the source it looked at");
  command.add_flag("--no-defaults", no_defaults, "Leave the model's generation_config.json aside");
  if (cuts)
    command
        .add_option("--max-tokens", max_tokens,
                    "A longer line is cut into sentences or parts and joined again")
        ->check(CLI::Range(2, 1 << 20))
        ->type_name("N")
        ->capture_default_str();
  command
      .add_option(
          "--max-source-tokens", max_source_tokens,
          "Cut no line into parts, but read N tokens of it and no more; 0: cut (default: the model's own)")
      ->check(CLI::Range(0, 1 << 20))
      ->type_name("N");
  command
      .add_option("--shortlist", shortlist,
                  "What fovea shortlist has learnt: faster, by the words that the source may become alone")
      ->type_name("FILE");
  command.add_option("--batch", batch, "Sentences translated at once, at most")
      ->check(CLI::Range(1, 1 << 16))
      ->type_name("N")
      ->capture_default_str();
}

std::shared_ptr<const models::Shortlist> DecodingFlags::read_shortlist(
    const text::TranslationTokenizer& tokenizer) const {
  if (shortlist.empty()) return {};
  return std::make_shared<const models::Shortlist>(models::Shortlist::read(shortlist, tokenizer));
}

decoding::TranslateOptions translate_options(const std::string& folder, const DecodingFlags& flags,
                                             std::int64_t nbest) {
  return translate_options(models::read_generation_defaults(folder), flags, nbest);
}

decoding::TranslateOptions translate_options(const models::GenerationDefaults& defaults,
                                             const DecodingFlags& flags, std::int64_t nbest) {
  decoding::TranslateOptions options =
      decoding::options_of(flags.no_defaults ? models::GenerationDefaults() : defaults);
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
  if (!flags.early_stopping.empty()) options.beam.stop = stop_named(flags.early_stopping);
  if (flags.coverage_penalty) options.beam.coverage_penalty.beta = *flags.coverage_penalty;
  options.replace_unknown = options.replace_unknown || flags.replace_unknown;
  if (nbest > 0) options.beam.nbest = nbest;
  if (flags.beam > 0) options.beam.nbest = std::min(options.beam.nbest, flags.beam);
  if (!options.beam.sampling) options.beam.beam = std::max(options.beam.beam, options.beam.nbest);
  if (options.beam.beam % options.beam.diverse.groups != 0) options.beam.diverse.groups = 1;
  options.max_tokens = flags.max_tokens;
  if (flags.max_source_tokens) options.max_source_tokens = *flags.max_source_tokens;
  options.batches.max_rows = flags.batch;
  return options;
}

}  // namespace fovea::cli
