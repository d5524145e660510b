#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "fovea/decoding/coverage.h"
#include "fovea/decoding/length_penalty.h"
#include "fovea/decoding/logit_processor.h"
#include "fovea/decoding/sampling.h"
#include "fovea/kernels/top_k.h"

namespace fovea::decoding {

/// A sentence to be searched for.
struct Request {
  std::vector<std::int32_t> source;  ///< as the encoder reads it, with its end of sentence
  /// The first tokens of every hypothesis (CTranslate2's `target_prefix`): each counts as a token of
  /// probability 1, in lengths too.
  std::vector<std::int32_t> prefix = {};
  std::uint64_t draw = 0;  ///< which random numbers sampling takes, such as the number of a line
  /// What results, streamed tokens, processors and messages call it; not given: the how manieth it came.
  std::optional<std::size_t> number = {};
  /// The only tokens that hypotheses may hold after the prefix, ascending; the end of sentence and what a
  /// processor forces are of them in any case. None: all tokens. All requests of a search have such a set, or
  /// none has. Probabilities are shares of these tokens alone.
  std::shared_ptr<const std::vector<std::int32_t>> allowed = {};
  std::int64_t max_length = 0;  ///< as BeamOptions::max_length, where that is more; 0: that
};

/// What ended a hypothesis.
enum class Ending {
  end_token,  ///< one of the model's, which is not among the tokens
  rule,       ///< BeamOptions::stops; the tokens are all there
  cut,        ///< the greatest length, a listener that wants no more, or nothing could follow
};

/// A generated sentence.
struct Hypothesis {
  std::vector<std::int32_t> tokens;  ///< without start token and end of sentence
  double score = 0.0;                ///< log_probability / length_penalty(length) + coverage penalty
  double log_probability = 0.0;      ///< nats, end of sentence included
  std::vector<float> token_log_probabilities;  ///< of each token and, if there was one, of the end token
  bool complete = true;                        ///< not cut
  std::vector<float> attention = {};  ///< [those tokens, source], if BeamOptions::attention; else empty
  Ending ending = Ending::end_token;
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

/// Beams in groups that keep away from each other's words. At each step the groups choose in order; a token
/// that n running hypotheses of the groups before have just chosen ranks as if its log-probability were
/// penalty * n less. That decides the choice alone: scores are the model's, as in the paper (Hugging Face
/// carries the penalty on in the sums). Each group is a search of beam / groups of its own; what is returned
/// are the best of all.
/// Source   Vijayakumar et al. 2016, "Diverse beam search", section 3, with Hamming diversity
struct DiverseBeams {
  std::int64_t groups = 1;  ///< they divide the beam (`num_beam_groups`)
  double penalty = 0.5;     ///< lambda, nats (`diversity_penalty`)
};

/// Several hypotheses at a position: after the prefix the `nbest` most probable next tokens (never the end of
/// sentence) each begin a hypothesis, which a search of its own finishes. They are returned in the order of
/// those tokens.
/// Source   CTranslate2's return_alternatives
struct Alternatives {
  /// Tokens less probable begin none, save the first (CTranslate2's min_alternative_expansion_prob).
  double min_probability = 0.0;
};

/// Contrastive search: of the k most probable next tokens v the one with the greatest
///   (1 - alpha) p(v) - alpha max_j cos(h_v, h_j),
/// h_v the model's state once it has read v, h_j those of all it read before, the prompt included: what is
/// probable, and does not repeat. All k are read at each step, a row each. For models that compare
/// (StepModel::step_compared).
/// Source   Su et al. 2022, "A contrastive framework for neural text generation", equation (5)
struct Contrastive {
  double alpha = 0.6;  ///< 0: greedy search (`penalty_alpha`)
  std::int64_t k = 4;  ///< (`top_k`)
};

/// Whether a hypothesis ends with its last token, of the sentence of that number, though that is no end
/// token. Must depend on these alone.
using StopRule = std::function<bool(std::size_t sentence, std::span<const std::int32_t> tokens)>;

/// A token that will stay: every hypothesis that can still be returned as number `hypothesis` has it.
struct StreamedToken {
  std::size_t sentence;     ///< number of its request
  std::int64_t hypothesis;  ///< which of those returned: 0, or any if they are drawn or alternatives
  std::int64_t position;    ///< in its tokens
  std::int32_t token;
  float log_probability;
  std::size_t part = 0;  ///< of a line that was cut: which of line_parts()
};
/// Returns whether to go on; if not, the hypothesis ends with this token, complete = false, and is the only
/// one of its sentence unless they are drawn or alternatives.
using OnToken = std::function<bool(const StreamedToken&)>;

/// A step looks at twice as many candidates as there are hypotheses; with n end tokens at 1 + n times as
/// many, so that enough are left that go on.
inline constexpr std::int64_t widest_beam = kernels::top_k_limit / 2;
inline std::int64_t candidates_of(std::int64_t beam, std::int64_t ends) {
  return (ends > 1 ? 1 + ends : 2) * beam;
}

struct BeamOptions {
  std::int64_t beam = 5;   ///< hypotheses kept alive a sentence, up to widest_beam; 1 = greedy search
  std::int64_t nbest = 1;  ///< hypotheses returned: at most `beam`, unless drawn or alternatives
  LengthPenalty length_penalty{};
  CoveragePenalty coverage_penalty{};
  bool attention = false;  ///< hypotheses say where they looked
  Stop stop = Stop::bound;

  /// Greatest length in tokens, end of sentence counted: min(ratio * source length + extra, max_length), and
  /// never more than the model's positions. The source's length is that of the ids given to start(), or the
  /// prefix's if that is longer.
  double max_length_ratio = 2.0;
  std::int64_t max_length_extra = 32;
  std::int64_t max_length = 512;
  std::int64_t min_length = 0;  ///< tokens before end of sentence is allowed

  std::vector<std::shared_ptr<const LogitProcessor>> processors = {};  ///< constraints, applied in this order
  std::vector<std::int32_t> suppressed = {};                           ///< ids that are never generated

  /// Draw `nbest` hypotheses, each by itself, in place of searching for the best: the beam is 1. They are
  /// returned in the order of their draws; number i is the same however many there are.
  std::optional<Sampling> sampling = {};
  DiverseBeams diverse = {};
  std::optional<Alternatives> alternatives = {};
  std::optional<Contrastive> contrastive = {};  ///< in place of a beam, which is 1

  StopRule stops = {};    ///< asked of each hypothesis when it has got a token
  OnToken on_token = {};  ///< told of tokens as soon as they are sure
  /// Looked at before each step: once true, the search ends with what it has delivered.
  const std::atomic<bool>* cancelled = nullptr;

  /// Whether hypotheses are returned in an order of their own, not by score.
  bool numbered() const { return sampling || alternatives; }
};

}  // namespace fovea::decoding
