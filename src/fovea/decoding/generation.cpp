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

void add_constraints(const models::GenerationDefaults& generation, TranslateOptions& options) {
  options.repetition_penalty = generation.repetition_penalty;
  options.no_repeat_ngram = generation.no_repeat_ngram_size;
  options.suppressed = generation.bad_words_ids;
  BeamOptions& search = options.beam;
  search.suppressed = generation.suppress_tokens;
  if (!generation.begin_suppress_tokens.empty())
    search.processors.push_back(std::make_shared<SuppressFirst>(generation.begin_suppress_tokens));
  if (generation.forced_bos_token_id >= 0)
    search.processors.push_back(std::make_shared<ForceFirst>(generation.forced_bos_token_id));
}

}  // namespace

TranslateOptions options_of(const models::GenerationDefaults& generation) {
  TranslateOptions options;
  BeamOptions& search = options.beam;
  search.beam = std::min(generation.beam, widest_beam);
  search.nbest = generation.nbest;
  search.length_penalty = {generation.length_penalty_kind, generation.length_penalty};
  search.coverage_penalty.beta = generation.coverage_penalty;
  search.stop = stop_of(generation.early_stopping);
  search.max_length_ratio = generation.max_length_ratio;
  search.max_length_extra = generation.max_length_extra;
  search.min_length = generation.min_length;
  if (generation.max_length > 0) search.max_length = generation.max_length;
  if (search.beam % generation.num_beam_groups == 0)
    search.diverse = {generation.num_beam_groups, generation.diversity_penalty};
  options.replace_unknown = generation.replace_unknown;
  options.max_source_tokens = generation.max_source_tokens;
  add_constraints(generation, options);
  if (!generation.do_sample) {
    search.nbest = std::min(search.nbest, search.beam);
    return options;
  }
  search.sampling = Sampling{.temperature = generation.temperature,
                             .top_k = generation.top_k,
                             .top_p = generation.top_p,
                             .min_p = generation.min_p};
  search.beam = 1;
  search.diverse = {};
  return options;
}

}  // namespace fovea::decoding
