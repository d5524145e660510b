#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/kernels/execution.h"
#include "fovea/kernels/top_k.h"
#include "fovea/tensor/tensor.h"

/// All that a search sees of a model: start(sources), then step(state, tokens) again and again.
namespace fovea::decoding {

/// What a model remembers between steps: encoded sources and the past of every row. A row is one hypothesis
/// in the making. The past of a row is found by index; reordering copies no keys and values.
class DecodingState {
 public:
  virtual ~DecodingState() = default;

  /// Rows alive: how many tokens the next step takes.
  virtual std::int64_t rows() const = 0;

  /// Row i of the next step continues what is row parents[i] now. Rows are dropped by leaving them out,
  /// repeated by naming them twice; parents.size() becomes the number of rows. A search calls this between
  /// steps, and only when something changes.
  virtual void reorder(std::span<const std::int32_t> parents) = 0;
};

/// Ids of tokens, ascending; shared by the rows that have them.
using TokenSet = std::shared_ptr<const std::vector<std::int32_t>>;

/// Where the rows of a step looked: for each row its weights on the tokens of its source, not negative, their
/// sum at most about 1.
struct StepAttention {
  std::vector<float> weights;      ///< row after row
  std::vector<std::size_t> start;  ///< [rows + 1]; row i is weights[start[i]] .. weights[start[i + 1] - 1]
};

/// A model that generates a token at a time. It does not change while it decodes: what changes is in the
/// state, so that several threads may decode with one model, each with a state (and an execution) of its own.
class StepModel {
 public:
  virtual ~StepModel() = default;

  /// A state with one row a source, in order. Sources are ids as the encoder reads them (with its end of
  /// sentence); of a model that continues them, prompts.
  virtual std::unique_ptr<DecodingState> start(
      const std::vector<std::vector<std::int32_t>>& sources) const = 0;

  /// Adds a row for each of further sources, after those there are, at its first step, while the others are
  /// in mid-sentence; they do not notice.
  virtual void admit(DecodingState& state, const std::vector<std::vector<std::int32_t>>& sources) const = 0;

  /// Feeds tokens[i] to row i and returns logits [rows, V], f32, for what follows it. A row's logits must not
  /// depend on the rows beside it: then no answer depends on the batch it was computed in. The caller may
  /// overwrite them, until the next step.
  virtual Tensor step(DecodingState& state, std::span<const std::int32_t> tokens) const = 0;

  /// The same logits, bit for bit, and where each row looked as they were made. Throws Error(usage) if the
  /// model has no attention to its source, as by default.
  virtual Tensor step_watched(DecodingState& state, std::span<const std::int32_t> tokens,
                              StepAttention& attention) const;

  /// From the next step on row i is asked of the tokens of sets[i] alone: logits are [rows, W], W the same
  /// for all and at least kernels::top_k_limit; a row has first those of its tokens, in order, then
  /// -infinity. A row keeps its set when it is reordered; rows that are admitted need another call. What a
  /// row gives depends on its own set alone. Throws Error(usage) if the model cannot compute some outputs
  /// alone, as by default.
  virtual void restrict_to(DecodingState& state, std::span<const TokenSet> sets) const;

  /// Whether step_top() serves.
  virtual bool ranks() const { return false; }
  /// As step(), for who wants no logits but the best of each row, log_probs and ids [rows, k]: to the bit
  /// what kernels::top_k_log_softmax makes of them. Throws Error(bug) unless ranks(), and after
  /// restrict_to().
  virtual void step_top(DecodingState& state, std::span<const std::int32_t> tokens,
                        const kernels::TopKChoice& choice, float* log_probs, std::int32_t* ids) const;
  /// The logits that step_top() did not write the last time.
  virtual Tensor last_logits(const DecodingState& state) const;

  /// The same logits, bit for bit, and how much the newest token of each row is like what the row has read
  /// before: the greatest cosine of the states that the output layer reads, or -1 before there is anything.
  /// Throws Error(usage) if the model does not compare, as by default.
  virtual Tensor step_compared(DecodingState& state, std::span<const std::int32_t> tokens,
                               std::vector<float>& likeness) const;

  /// What the row of a source is fed at the first step.
  virtual std::int32_t start_token(std::span<const std::int32_t> source) const = 0;
  /// Each of them ends a hypothesis; with none, hypotheses go on to their greatest length.
  virtual std::span<const std::int32_t> ends() const = 0;
  virtual std::int64_t vocabulary() const = 0;  ///< V
  /// Steps the model can take for a source.
  virtual std::int64_t most_steps(std::span<const std::int32_t> source) const = 0;
  /// Whether hypotheses continue their source, as those of a language model: then what looks back over what
  /// has been said (LogitProcessor::reads_prompts) looks back over the source, too.
  virtual bool continues() const { return false; }
  /// Ids that are never generated, such as the pad token.
  virtual std::span<const std::int32_t> banned() const { return {}; }

  /// The threads and memory that the search's own kernels use.
  virtual const kernels::Execution& execution() const = 0;
};

/// What a model that looks at nothing says when it is asked where it looked.
Error no_attention();

}  // namespace fovea::decoding
