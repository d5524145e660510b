#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "fovea/models/model.h"
#include "fovea/ops/context.h"
#include "fovea/ops/cross_entropy.h"

namespace fovea::models {

/// Texts packed one after another without padding; text b is [start[b], start[b + 1]).
struct TextBatch {
  std::span<const std::int32_t> tokens;  ///< [N]
  std::span<const std::int32_t> types;   ///< [N], the text of a pair that a token is of; or empty: all 0
  std::span<const std::int32_t> start;   ///< [B + 1]

  std::int64_t size() const { return std::ssize(start) - 1; }
};

/// What scores of classes mean: one class is right (softmax); any of them may be (sigmoid of each); the one
/// number is the answer.
enum class Problem { single_label, multi_label, regression };

/// The classes as a config.json has them.
struct ClassNames {
  std::vector<std::string> names;
  Problem problem = Problem::single_label;

  std::int64_t size() const { return std::ssize(names); }
  bool operator==(const ClassNames&) const = default;
};

/// Probabilities of the classes from their logits: what `problem` says.
std::vector<float> probabilities(std::span<const float> logits, Problem problem);

/// A model that says of a text which class it is of. Families say what of a text the last layer reads; all
/// else follows.
class TextClassifier : public Model {
 public:
  virtual const ClassNames& classes() const = 0;
  virtual std::int64_t vocabulary() const = 0;  ///< V
  virtual std::int64_t max_tokens() const = 0;  ///< of a text, special ones included

  formats::SafetensorsWriter weights_file(
      DType dtype, const std::map<std::string, std::string>& metadata = {}) const override;

  /// Logits [B, C].
  Tensor logits(const ops::Context& ctx, const TextBatch& batch) const;
  /// Cross-entropy of labels [B]; with a tape, backward() then adds the gradients of weight * (sum of
  /// losses).
  ops::LossSums loss(const ops::Context& ctx, const TextBatch& batch, std::span<const std::int32_t> labels,
                     float label_smoothing, float weight) const;

 protected:
  /// The last layer: logits = summary W^T + b.
  struct Output {
    const nn::Parameter* weight;  ///< [C, D]
    const nn::Parameter* bias;    ///< [C]
  };
  virtual Output output() const = 0;
  virtual Tensor summary(const ops::Context& ctx, const TextBatch& batch) const = 0;  ///< [B, D]

  /// Throws Error(bug) unless the batch holds texts of 1 to max_tokens() tokens of the vocabulary.
  void expect_batch(const TextBatch& batch) const;
};

}  // namespace fovea::models
