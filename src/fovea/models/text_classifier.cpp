#include "fovea/models/text_classifier.h"

#include <algorithm>
#include <cmath>

#include "fovea/base/error.h"
#include "fovea/models/weights_on_disk.h"
#include "fovea/nn/layers.h"

namespace fovea::models {

std::vector<float> probabilities(std::span<const float> logits, Problem problem) {
  std::vector<float> p(logits.begin(), logits.end());
  if (problem == Problem::multi_label)
    for (float& x : p) x = static_cast<float>(1.0 / (1.0 + std::exp(-double{x})));
  if (problem != Problem::single_label || p.empty()) return p;
  const float most = *std::ranges::max_element(logits);
  double sum = 0.0;
  for (const float x : logits) sum += std::exp(double{x} - most);
  for (float& x : p) x = static_cast<float>(std::exp(double{x} - most) / sum);
  return p;
}

formats::SafetensorsWriter TextClassifier::weights_file(
    DType dtype, const std::map<std::string, std::string>& metadata) const {
  formats::SafetensorsWriter file(metadata);
  add_parameters(file, parameters_, dtype);
  return file;
}

void TextClassifier::expect_batch(const TextBatch& batch) const {
  const auto fail = [](const std::string& what) { throw Error(Error::Kind::bug, "classifier", what); };
  if (batch.start.empty() || batch.start.front() != 0 || batch.start.back() != std::ssize(batch.tokens))
    fail("texts do not cover the tokens");
  for (std::size_t b = 0; b + 1 < batch.start.size(); ++b)
    if (const auto length = batch.start[b + 1] - batch.start[b]; length < 1 || length > max_tokens())
      fail("a text has " + std::to_string(length) + " tokens, the model takes 1 to " +
           std::to_string(max_tokens()));
  if (!batch.types.empty() && batch.types.size() != batch.tokens.size())
    fail(std::to_string(batch.types.size()) + " types for " + std::to_string(batch.tokens.size()) +
         " tokens");
}

Tensor TextClassifier::logits(const ops::Context& ctx, const TextBatch& batch) const {
  expect_batch(batch);
  return nn::linear(ctx, summary(ctx, batch), *output().weight, output().bias->value);
}

ops::LossSums TextClassifier::loss(const ops::Context& ctx, const TextBatch& batch,
                                   std::span<const std::int32_t> labels, float label_smoothing,
                                   float weight) const {
  expect_batch(batch);
  return ops::linear_cross_entropy(ctx, summary(ctx, batch), output().weight->value, output().bias->value,
                                   ops::ids_tensor(labels), label_smoothing, weight);
}

}  // namespace fovea::models
