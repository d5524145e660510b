#pragma once

#include <map>
#include <string>
#include <vector>

#include "fovea/ops/context.h"

namespace fovea::attention {

/// Keeps the attention weights of a forward pass, by place ("encoder.0", "decoder.3.self",
/// "decoder.3.cross").
class Record : public ops::Recorder {
 public:
  /// Keeps what happens at places that end in `suffix`: "cross" for the attention between two sides; all if
  /// it is empty.
  explicit Record(std::string suffix = {}) : suffix_(std::move(suffix)) {}

  bool wants(std::string_view place) const override { return place.ends_with(suffix_); }
  void attention(std::string_view place, const Tensor& weights) override {
    weights_[std::string(place)] = weights;
  }

  /// Weights by place: sequence after sequence, each [H, T, S].
  const std::map<std::string, Tensor>& weights() const { return weights_; }

 private:
  std::string suffix_;
  std::map<std::string, Tensor> weights_;
};

/// The mean over heads of weights [H, T, S]: [T, S].
Tensor mean_over_heads(const Tensor& weights, std::int64_t heads, std::int64_t T, std::int64_t S);

}  // namespace fovea::attention
