#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "fovea/decoding/model.h"
#include "fovea/decoding/search_options.h"

namespace fovea::decoding {

/// How much is decoded at once.
struct BatchLimits {
  std::int64_t max_rows = 64;      ///< sentences, at most
  std::int64_t max_tokens = 4096;  ///< of their sources, at most; a longer sentence is decoded alone
};

/// Where a search takes its requests from and leaves what it found. Several searches may share what is behind
/// their exchanges.
class Exchange {
 public:
  virtual ~Exchange() = default;
  /// The next request. An idle search has nothing else to do: the call may wait, and nothing says that there
  /// will be no more. Others go on with what they have if there is nothing at hand, and ask again.
  virtual std::optional<Request> next(bool idle) = 0;
  /// What was found for the request of that number.
  virtual void found(std::size_t number, std::vector<Hypothesis> hypotheses) = 0;
  /// Looked at before each step: whether to leave it at what has been found.
  virtual bool stopped() const { return false; }
};

/// The hypotheses for each request of the exchange, left there as soon as its sentence is finished, in
/// whatever order. Complete ones come first, then by score, best first; sampled ones and alternatives in
/// their own order. There is at least one; fewer than `nbest` if the model offers no more.
///
/// At each step the 2 * beam most probable continuations of a sentence's running hypotheses are candidates,
/// ranked by log-probability, then by rank of the parent, then by token. A candidate that ends the sentence
/// is complete if it is among the `beam` first (as in Hugging Face's search), else dropped; the first `beam`
/// others run on; a coverage penalty has its say in scores alone. (Of a model with n > 1 end tokens 1 + n
/// times as many are candidates.) At the greatest length running hypotheses are returned as they are, with
/// complete = false. Groups of diverse beams, samples and alternatives are searches of this kind side by
/// side, with a beam of their own each.
///
/// The batch is kept full: a sentence that is finished leaves at once, and when a quarter of the batch is
/// free new ones are asked for, which join the others in mid-sentence. Sums are in double, each sentence is
/// searched by itself: what is found depends on its rows of logits alone, not on the batch, the order of
/// requests or the number of threads. Memory does not grow with the number of requests.
///
/// Probabilities are softmax over the ids that are neither banned nor suppressed (end of sentence counts as
/// banned below min_length). A logit of -infinity is probability 0; where nothing can follow, a sentence ends
/// with what it has, complete = false.
///
/// Returns whether it went to the end; not if it was stopped or cancelled. Throws Error(usage) if an option
/// is out of range (a beam of at most 32 with a vocabulary above 64), options exclude each other, a prefix
/// leaves no room or holds a token that is none; or for a coverage penalty or `attention` of a model that has
/// none (a model is asked for its weights only then); Error(model) naming sentence, step and token if a logit
/// is NaN or +infinity; Error(bug) if the model breaks its contract (shapes).
bool beam_search(const StepModel& model, Exchange& exchange, const BeamOptions& options = {},
                 const BatchLimits& limits = {});

/// The same for requests that `next` gives, until it gives none, and results that `found` takes.
bool beam_search(const StepModel& model, const std::function<std::optional<Request>()>& next,
                 const std::function<void(std::size_t, std::vector<Hypothesis>)>& found,
                 const BeamOptions& options = {}, const BatchLimits& limits = {});

/// The same for sources that are all there, decoded together: results in their order. What was cancelled is
/// empty.
std::vector<std::vector<Hypothesis>> beam_search(const StepModel& model,
                                                 const std::vector<std::vector<std::int32_t>>& sources,
                                                 const BeamOptions& options = {});
std::vector<std::vector<Hypothesis>> beam_search(const StepModel& model, std::vector<Request> requests,
                                                 const BeamOptions& options, const BatchLimits& limits);

}  // namespace fovea::decoding
