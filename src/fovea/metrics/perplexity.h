#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "fovea/models/language_model.h"

namespace fovea::metrics {

struct PerplexityOptions {
  std::int64_t window = 0;  ///< tokens read at once; 0: as many as the model has positions, 2,048 at most
  std::int64_t stride = 0;  ///< by which the next window lies further on; 0: half a window
  std::int64_t batch_tokens = 4096;  ///< of windows that are read together; at least one is
};

/// How well a language model predicts.
struct Perplexity {
  double nats = 0.0;        ///< the sum of -log p of all predictions
  std::int64_t tokens = 0;  ///< how many they are

  double per_token() const { return nats / static_cast<double>(tokens); }
  double perplexity() const { return std::exp(per_token()); }
};

/// How well a model predicts each token of each document but its first, from those before it. A document
/// longer than a window is read in windows that lie `stride` tokens apart, the last one at its end, and each
/// prediction counts once, in the first window that makes it: those of later windows are made from
/// window - stride + 1 tokens at least. The same bits for any number of threads.
/// Throws Error(usage) for a window that the model does not have or a stride beyond the window.
/// Cost   window / stride times that of reading each token once
/// Source Hugging Face, "Perplexity of fixed-length models", with the last window as full as the others
Perplexity perplexity(const models::LanguageModel& model,
                      std::span<const std::vector<std::int32_t>> documents, const PerplexityOptions& options,
                      const kernels::Execution& exec);

/// The options as perplexity() takes them: without zeros.
PerplexityOptions complete(PerplexityOptions options, const models::LanguageModel& model);

}  // namespace fovea::metrics
