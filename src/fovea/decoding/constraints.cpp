#include "fovea/decoding/constraints.h"

#include <memory>
#include <utility>

#include "fovea/decoding/logit_processor.h"

namespace fovea::decoding {

void Constraints::add_to(BeamOptions& search) const {
  if (repetition_penalty != 1.0)
    search.processors.push_back(std::make_shared<RepetitionPenalty>(repetition_penalty));
  if (no_repeat_ngram > 0) search.processors.push_back(std::make_shared<NoRepeatNgram>(no_repeat_ngram));
  std::vector<std::vector<std::int32_t>> sequences;
  for (const auto& one : suppressed) {
    if (one.size() == 1)
      search.suppressed.push_back(one.front());
    else
      sequences.push_back(one);
  }
  if (!sequences.empty())
    search.processors.push_back(std::make_shared<SuppressSequences>(std::move(sequences)));
}

}  // namespace fovea::decoding
