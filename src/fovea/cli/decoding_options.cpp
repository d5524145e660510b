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

decoding::LengthPenalty::Kind kind_named(std::string_view name) {
  return name == "gnmt" ? decoding::LengthPenalty::Kind::gnmt : decoding::LengthPenalty::Kind::power;
}

void read_defaults(const std::filesystem::path& folder, decoding::TranslateOptions& options) {
  decoding::BeamOptions& beam = options.beam;
  const auto path = folder / "generation_config.json";
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return;
  const auto json = formats::read_json(path, Error::Kind::model);
  beam.beam = std::min(widest_beam, json.integer_or("num_beams", beam.beam, 1, 1024));
  beam.length_penalty.alpha = json.number_or("length_penalty", 1.0, -10, 10);
  beam.length_penalty.kind = kind_named(json.text_or("fovea_length_penalty_kind", "power"));
  beam.coverage_penalty.beta = json.number_or("fovea_coverage_penalty", 0.0, 0, 100);
  options.replace_unknown = json.boolean_or("fovea_replace_unknown", false);
  // Hugging Face counts the start token in lengths. The greatest is usually that of the model's positions,
  // which a translation may fill here.
  beam.min_length = std::max<std::int64_t>(0, json.integer_or("min_length", 0, 0, 1 << 20) - 1);
  beam.max_length = json.integer_or("max_length", beam.max_length, 1, 1 << 20);
  beam.diverse = {json.integer_or("num_beam_groups", 1, 1, 1024),
                  json.number_or("diversity_penalty", 0.0, 0, 1e3)};
  if (beam.beam % beam.diverse.groups != 0) beam.diverse.groups = 1;
  options.repetition_penalty = json.number_or("repetition_penalty", 1.0, 1e-3, 1e3);
  options.no_repeat_ngram = json.integer_or("no_repeat_ngram_size", 0, 0, 1 << 20);
  if (!json.boolean_or("do_sample", false)) return;
  beam.sampling = decoding::Sampling{.temperature = json.number_or("temperature", 1.0, 1e-3, 1e3),
                                     .top_k = json.integer_or("top_k", 50, 0, 1 << 30),
                                     .top_p = json.number_or("top_p", 1.0, 1e-9, 1),
                                     .min_p = json.number_or("min_p", 0.0, 0, 1)};
  beam.beam = 1;
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
  decoding::TranslateOptions options;
  read_defaults(folder, options);
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
