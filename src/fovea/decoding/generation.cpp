#include "fovea/decoding/generation.h"

#include <algorithm>
#include <memory>

#include "fovea/decoding/logit_processor.h"

namespace fovea::decoding {

namespace {

Stop stop_of(models::EarlyStopping early) {
  switch (early) {
    case models::EarlyStopping::yes:
      return Stop::first;
    case models::EarlyStopping::never:
      return Stop::exact;
    case models::EarlyStopping::no:
      break;
  }
  return Stop::bound;
}

Constraints constraints_of(const models::GenerationDefaults& generation) {
  return {.repetition_penalty = generation.repetition_penalty,
          .no_repeat_ngram = generation.no_repeat_ngram_size,
          .suppressed = generation.bad_words_ids};
}

void add_processors(const models::GenerationDefaults& generation, BeamOptions& search) {
  search.suppressed = generation.suppress_tokens;
  if (!generation.begin_suppress_tokens.empty())
    search.processors.push_back(std::make_shared<SuppressFirst>(generation.begin_suppress_tokens));
  if (generation.forced_bos_token_id >= 0)
    search.processors.push_back(std::make_shared<ForceFirst>(generation.forced_bos_token_id));
}

// All but lengths.
BeamOptions search_of(const models::GenerationDefaults& generation, std::int64_t widest) {
  BeamOptions search;
  search.beam = std::min(generation.beam, widest);
  search.nbest = generation.nbest;
  search.length_penalty = {generation.length_penalty_kind, generation.length_penalty};
  search.coverage_penalty.beta = generation.coverage_penalty;
  search.stop = stop_of(generation.early_stopping);
  search.min_length = generation.min_length;
  if (search.beam % generation.num_beam_groups == 0)
    search.diverse = {generation.num_beam_groups, generation.diversity_penalty};
  add_processors(generation, search);
  if (!generation.do_sample) {
    search.nbest = std::min(search.nbest, search.beam);
    return search;
  }
  search.sampling = Sampling{.temperature = generation.temperature,
                             .top_k = generation.top_k,
                             .top_p = generation.top_p,
                             .min_p = generation.min_p};
  search.beam = 1;
  search.diverse = {};
  return search;
}

}  // namespace

TranslateOptions options_of(const models::GenerationDefaults& generation) {
  TranslateOptions options;
  options.beam = search_of(generation, widest_beam);
  options.beam.max_length_ratio = generation.max_length_ratio;
  options.beam.max_length_extra = generation.max_length_extra;
  if (generation.max_length > 0) options.beam.max_length = generation.max_length;
  options.replace_unknown = generation.replace_unknown;
  options.max_source_tokens = generation.max_source_tokens;
  static_cast<Constraints&>(options) = constraints_of(generation);
  return options;
}

GenerateOptions generate_options_of(const models::ContinuationDefaults& generation) {
  GenerateOptions options;
  const std::int64_t ends = generation.eos ? std::ssize(*generation.eos) : 1;
  options.beam = search_of(generation.search, kernels::top_k_limit / candidates_of(1, ends));
  options.constraints = constraints_of(generation.search);
  options.ends = generation.eos;
  options.stop = generation.stop_strings;
  options.max_length = generation.max_length;
  if (generation.search.max_length > 0) {
    options.max_new_tokens = generation.search.max_length;
    options.max_length = 0;  // the new one counts
  } else if (generation.max_length > 0) {
    options.max_new_tokens = generation.max_length;
  }
  if (options.beam.sampling)
    options.beam.sampling->typical_p = generation.typical_p;
  else if (generation.penalty_alpha > 0 && generation.contrastive_k > 1 && options.beam.beam == 1)
    options.beam.contrastive =
        Contrastive{generation.penalty_alpha, std::min(generation.contrastive_k, kernels::top_k_limit)};
  return options;
}

}  // namespace fovea::decoding
