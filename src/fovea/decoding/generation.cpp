#include "fovea/decoding/generation.h"

#include <algorithm>

#include "fovea/formats/json.h"
#include "fovea/kernels/top_k.h"

namespace fovea::decoding {

TranslateOptions generation_options(const std::filesystem::path& folder) {
  TranslateOptions options;
  BeamOptions& beam = options.beam;
  const auto path = folder / "generation_config.json";
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return options;
  const auto json = formats::read_json(path, Error::Kind::model);
  beam.beam = std::min(kernels::top_k_limit / 2, json.integer_or("num_beams", beam.beam, 1, 1024));
  beam.length_penalty.alpha = json.number_or("length_penalty", 1.0, -10, 10);
  beam.length_penalty.kind = json.text_or("fovea_length_penalty_kind", "power") == "gnmt"
                                 ? LengthPenalty::Kind::gnmt
                                 : LengthPenalty::Kind::power;
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
  if (!json.boolean_or("do_sample", false)) return options;
  beam.sampling = Sampling{.temperature = json.number_or("temperature", 1.0, 1e-3, 1e3),
                           .top_k = json.integer_or("top_k", 50, 0, 1 << 30),
                           .top_p = json.number_or("top_p", 1.0, 1e-9, 1),
                           .min_p = json.number_or("min_p", 0.0, 0, 1)};
  beam.beam = 1;
  return options;
}

}  // namespace fovea::decoding
