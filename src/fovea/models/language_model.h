#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "fovea/attention/causal.h"
#include "fovea/models/model.h"
#include "fovea/models/weights_on_disk.h"
#include "fovea/ops/context.h"
#include "fovea/ops/cross_entropy.h"

namespace fovea::models {

/// Tokens as a language model numbers them.
struct LanguageVocabulary {
  std::int64_t size = 0;            ///< V
  std::optional<std::int32_t> bos;  ///< begins a text, where the model knows such a token
  std::vector<std::int32_t> eos;    ///< each ends a text; there may be none
};

/// Texts packed one after another without padding; text b is [start[b], start[b + 1]).
struct LanguageBatch {
  std::span<const std::int32_t> tokens;  ///< y_0 .. y_{n-1}
  std::span<const std::int32_t> next;    ///< y_1 .. y_n
  std::span<const std::int32_t> start;
};

/// A model in mid-text: of each row what it has read. A row is one text in the making.
class LanguageState {
 public:
  /// One cache a layer.
  explicit LanguageState(std::vector<attention::KeyValueCache> caches) : caches_(std::move(caches)) {}

  std::int64_t rows() const { return caches_.front().sequences(); }
  /// Row i goes on from what was row parents[i]: rows are selected, dropped and repeated by index.
  void reorder(std::span<const std::int32_t> parents);
  /// Tokens that row i has read.
  std::int64_t length(std::int64_t i) const { return caches_.front().length(i); }
  std::span<attention::KeyValueCache> caches() { return caches_; }

 private:
  std::vector<attention::KeyValueCache> caches_;
};

/// A decoder alone: each token is predicted from those before it. Families say what a pass of tokens through
/// their layers is; all else follows from that.
class LanguageModel : public Model {
 public:
  virtual LanguageVocabulary vocabulary() const = 0;
  virtual std::int64_t max_positions() const = 0;  ///< tokens that a text may have

  formats::SafetensorsWriter weights_file(
      DType dtype, const std::map<std::string, std::string>& metadata = {}) const override;
  void read_weights(const formats::Weights& file, const Packing* packing = nullptr) override;

  /// Cross-entropy of a batch; with a tape, backward() then adds the gradients of weight * (sum of losses).
  ops::LossSums loss(const ops::Context& ctx, const LanguageBatch& batch, float label_smoothing,
                     float weight) const;
  /// What loss() sums, without smoothing: -log p(next), nats, of each row. A row's is the same whatever
  /// stands beside its text. Works with packed weights too; the logits exist some rows at a time.
  std::vector<float> losses(const ops::Context& ctx, const LanguageBatch& batch) const;
  /// Logits [N, V] of what follows each token of packed texts; start [B + 1].
  Tensor predict(const ops::Context& ctx, std::span<const std::int32_t> tokens,
                 std::span<const std::int32_t> start) const;
  /// Reads one text, for a recorder in ctx to watch.
  void read(const ops::Context& ctx, std::span<const std::int32_t> tokens) const;

  /// Reads the beginnings of texts, which may be empty, one row each; keys and values are kept as f32, or as
  /// bf16 by a model whose weights are packed as bf16 or i8. `states`, if given, gets what the
  /// output layer would read of their tokens, [N, D], one text after the other; undefined without tokens.
  std::unique_ptr<LanguageState> start(const ops::Context& ctx,
                                       std::span<const std::vector<std::int32_t>> texts,
                                       Tensor* states = nullptr) const;
  /// The same into a state whose rows are in mid-text, after those there are, which do not notice.
  void admit(const ops::Context& ctx, LanguageState& state, std::span<const std::vector<std::int32_t>> texts,
             Tensor* states = nullptr) const;
  /// One more token for every row; logits [rows, V] of what follows, and the states [rows, D] they are made
  /// of. Throws Error(bug) past max_positions().
  Tensor step(const ops::Context& ctx, LanguageState& state, std::span<const std::int32_t> tokens,
              Tensor* states = nullptr) const;

 protected:
  /// The states [N, D] that the output layer reads.
  virtual Tensor states(const ops::Context& ctx, std::span<const std::int32_t> tokens,
                        const attention::CausalPass& pass) const = 0;
  /// How the tensors of `file` are named.
  virtual FileNames names_in(const formats::Weights& file) const = 0;
  virtual const nn::Parameter& output() const = 0;                ///< [V, D]
  virtual std::vector<attention::CausalHeads> heads() const = 0;  ///< of each layer

 private:
  Tensor states_of(const ops::Context& ctx, std::span<const std::int32_t> tokens,
                   const attention::CausalPass& pass) const;
};

}  // namespace fovea::models
