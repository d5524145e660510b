#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "fovea/decoding/coverage.h"
#include "fovea/decoding/length_penalty.h"
#include "fovea/decoding/logit_processor.h"
#include "fovea/decoding/model.h"

namespace fovea::decoding {

/// A generated sentence.
struct Hypothesis {
  std::vector<std::int32_t> tokens;  ///< without start token and end of sentence
  double score = 0.0;                ///< log_probability / length_penalty(length) + coverage penalty
  double log_probability = 0.0;      ///< nats, end of sentence included
  std::vector<float> token_log_probabilities;  ///< of each token and, if complete, of the end of sentence
  bool complete = true;                        ///< false: cut at the greatest length, without end of sentence
  std::vector<float> attention = {};  ///< [those tokens, source], if BeamOptions::attention; else empty
};

/// When the search for a sentence ends. It always ends when nothing is left to continue or at the greatest
/// length; before that not until `beam` hypotheses are complete. Let `worst` be the worst score of the `beam`
/// best complete ones, `running` the greatest log-probability among those that go on, n their length.
enum class Stop {
  bound,  ///< when worst >= running / penalty(n): Hugging Face's early_stopping = false. With alpha > 0 a
          ///< longer hypothesis could still win, because its divisor grows: rare, and much work to rule out.
          ///< With a coverage penalty each running hypothesis counts with what it would pay now
  exact,  ///< when no continuation can win: worst >= running / penalty(greatest length) if alpha > 0, else as
          ///< `bound` (Hugging Face's "never"); no coverage penalty counts, since what is left may be covered
  first,  ///< at once (Hugging Face's true)
};

struct BeamOptions {
  std::int64_t beam = 5;   ///< hypotheses kept alive a sentence; 1 = greedy search
  std::int64_t nbest = 1;  ///< hypotheses returned, at most `beam`
  LengthPenalty length_penalty{};
  CoveragePenalty coverage_penalty{};
  bool attention = false;  ///< hypotheses say where they looked
  Stop stop = Stop::bound;

  /// Greatest length in tokens, end of sentence counted: min(ratio * source length + extra, max_length), and
  /// never more than the model's positions. The source's length is that of the ids given to start().
  double max_length_ratio = 2.0;
  std::int64_t max_length_extra = 32;
  std::int64_t max_length = 512;
  std::int64_t min_length = 0;  ///< tokens before end of sentence is allowed

  std::vector<std::shared_ptr<const LogitProcessor>> processors = {};  ///< constraints, applied in this order
};

/// The `nbest` best hypotheses for each source: complete ones first, then by score, best first. There is at
/// least one; fewer than `nbest` if the model offers no more.
///
/// At each step the 2 * beam most probable continuations of a sentence's running hypotheses are candidates,
/// ranked by log-probability, then by rank of the parent, then by token. A candidate that ends the sentence
/// is complete if it is among the `beam` first (as in Hugging Face's search), else dropped; the first `beam`
/// others run on; a coverage penalty has its say in scores alone. At the greatest length running hypotheses
/// are returned as they are, with complete = false.
///
/// A sentence that is finished leaves the batch at once. Sums are in double, each sentence is searched by
/// itself: what is found depends on its rows of logits alone, not on the batch, the order of sources or the
/// number of threads.
///
/// Probabilities are softmax over the ids that are not banned (end of sentence counts as banned below
/// min_length). A logit of -infinity is probability 0; where nothing can follow, a sentence ends with what it
/// has, complete = false. Throws Error(usage) if an option is out of range (a beam of at most 32 with a
/// vocabulary above 64), or for a coverage penalty or `attention` of a model that has none (a model is asked
/// for its weights only then); Error(model) naming sentence, step and token if a logit is NaN or +infinity;
/// Error(bug) if the model breaks its contract (shapes).
std::vector<std::vector<Hypothesis>> beam_search(const StepModel& model,
                                                 const std::vector<std::vector<std::int32_t>>& sources,
                                                 const BeamOptions& options = {});

}  // namespace fovea::decoding
