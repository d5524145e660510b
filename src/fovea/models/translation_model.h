#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "fovea/kernels/top_k.h"
#include "fovea/models/model.h"
#include "fovea/nn/partial_linear.h"
#include "fovea/ops/context.h"
#include "fovea/ops/cross_entropy.h"

namespace fovea::models {

/// Sentence pairs, packed one after another without padding; sentence b of a side is [start[b], start[b+1]).
struct TranslationBatch {
  std::span<const std::int32_t> source;  ///< each ends in eos
  std::span<const std::int32_t> source_start;
  std::span<const std::int32_t> target_in;   ///< the start token, y_1 .. y_n
  std::span<const std::int32_t> target_out;  ///< y_1 .. y_n, eos
  std::span<const std::int32_t> target_start;
  /// Scheduled sampling (Bengio et al. 2015): the share of target_in after the start that the model draws
  /// from its own predictions instead, token by token, in training. 0: none.
  float own_token_share = 0.0f;
};

/// Tokens as a model numbers them.
struct TranslationVocabulary {
  std::int64_t source = 0, target = 0;  ///< how many there are on a side
  std::int32_t eos = 0, unk = 1, pad = 2;
  std::int32_t start = pad;    ///< what the decoder reads first
  bool generates_pad = false;  ///< whether pad may be generated as any token: Marian's never is
  bool operator==(const TranslationVocabulary&) const = default;

  /// What is never generated.
  std::span<const std::int32_t> never() const {
    return {&pad, static_cast<std::size_t>(generates_pad ? 0 : 1)};
  }
};

/// A decoder in mid-sentence: for each row what it has read and the sentence that it translates. A row is one
/// hypothesis in the making.
class TranslationState {
 public:
  virtual ~TranslationState() = default;
  virtual std::int64_t rows() const = 0;
  /// Row i goes on from what was row parents[i]: rows are selected, dropped and repeated by index.
  virtual void reorder(std::span<const std::int32_t> parents) = 0;

  /// What step() computes of the output layer, as TranslationModel::output_for() made it; none: all of it.
  std::shared_ptr<const nn::PartialLinear> output = {};
};

/// A model that translates, whatever it is built of: what training, decoding and the views see of it.
class TranslationModel : public Model {
 public:
  virtual TranslationVocabulary vocabulary() const = 0;
  virtual std::int64_t max_positions() const = 0;  ///< tokens of a side

  /// Cross-entropy of a batch; with a tape, backward() then adds the gradients of weight * (sum of losses).
  virtual ops::LossSums loss(const ops::Context& ctx, const TranslationBatch& batch, float label_smoothing,
                             float weight) const = 0;

  /// Reads source sentences, one row each; the first step's tokens are vocabulary().start.
  virtual std::unique_ptr<TranslationState> start(
      const ops::Context& ctx, std::span<const std::vector<std::int32_t>> sources) const = 0;
  /// Reads more source sentences into a state whose rows are in mid-sentence: one row each, after those there
  /// are, and at its first step. What the rows beside it give stays the same to the bit, and so does what a
  /// new row gives, as if it had been started alone. Forgets what no row looks at any more.
  virtual void admit(const ops::Context& ctx, TranslationState& state,
                     std::span<const std::vector<std::int32_t>> sources) const = 0;
  /// One more token for every row; logits [rows, V] of what follows, or of the tokens of state.output alone,
  /// the same bits. Throws Error(bug) past max_positions().
  virtual Tensor step(const ops::Context& ctx, TranslationState& state,
                      std::span<const std::int32_t> tokens) const = 0;

  /// The output layer of `tokens` alone, in their order: what a shortlist leaves of it (models/shortlist.h).
  /// Throws Error(usage) for a model that copies tokens of its source whatever its output layer says.
  virtual std::shared_ptr<const nn::PartialLinear> output_for(const kernels::Execution& exec,
                                                              std::span<const std::int32_t> tokens) const = 0;

  /// Whether step_top() serves: else there are logits alone.
  virtual bool ranks() const { return false; }
  /// As step() of the whole output layer, but the best of each row alone, log_probs and ids [rows, k]: to the
  /// bit what kernels::top_k_log_softmax makes of the logits, which are not written. Throws Error(bug) unless
  /// ranks().
  virtual void step_top(const ops::Context& ctx, TranslationState& state,
                        std::span<const std::int32_t> tokens, const kernels::TopKChoice& choice,
                        float* log_probs, std::int32_t* ids) const;
  /// The logits that step_top() did not write the last time.
  virtual Tensor last_logits(const ops::Context& ctx, const TranslationState& state) const;

  /// Logits [N, V] of every target_out token, given all before it; what step() says of them, but for
  /// rounding. Without gradient.
  virtual Tensor predict(const ops::Context& ctx, const TranslationBatch& batch) const = 0;

  /// Reads a pair with every target token given, for a recorder in ctx to watch. source ends in eos, target
  /// has neither start nor eos; row t of what the decoder looks at is the step that produced target[t], the
  /// last row the one that produced eos.
  virtual void read(const ops::Context& ctx, std::span<const std::int32_t> source,
                    std::span<const std::int32_t> target) const = 0;
};

}  // namespace fovea::models
