#include "fovea/metrics/perplexity.h"

#include <algorithm>
#include <string>

#include "fovea/base/error.h"

namespace fovea::metrics {
namespace {

constexpr std::int64_t widest_by_default = 2048;

/// Reads windows, several at once.
class Reading {
 public:
  Reading(const models::LanguageModel& model, const PerplexityOptions& options,
          const kernels::Execution& exec)
      : model_(model), options_(options) {
    ctx_.exec = exec;
  }

  void add(std::span<const std::int32_t> document) {
    const std::int64_t predictions = std::ssize(document) - 1;
    std::int64_t end = std::min(options_.window, predictions);
    for (std::int64_t counted = 0; counted < predictions;) {
      add_window(document, std::max<std::int64_t>(0, end - options_.window), end, counted);
      counted = end;
      end = std::min(end + options_.stride, predictions);
    }
  }

  Perplexity finish() {
    read();
    return sum_;
  }

 private:
  // Predictions [begin, end) of a document; those before `counted` were made by the window before.
  void add_window(std::span<const std::int32_t> document, std::int64_t begin, std::int64_t end,
                  std::int64_t counted) {
    if (std::ssize(tokens_) + end - begin > options_.batch_tokens) read();
    tokens_.insert(tokens_.end(), document.begin() + begin, document.begin() + end);
    next_.insert(next_.end(), document.begin() + begin + 1, document.begin() + end + 1);
    start_.push_back(static_cast<std::int32_t>(tokens_.size()));
    counts_.resize(static_cast<std::size_t>(start_.back() - (end - std::max(begin, counted))), false);
    counts_.resize(tokens_.size(), true);
  }

  void read() {
    if (tokens_.empty()) return;
    const auto losses = model_.losses(ctx_, {tokens_, next_, start_});
    for (std::size_t i = 0; i < losses.size(); ++i) {
      if (!counts_[i]) continue;
      sum_.nats += losses[i];
      ++sum_.tokens;
    }
    tokens_.clear();
    next_.clear();
    counts_.clear();
    start_.assign(1, 0);
  }

  const models::LanguageModel& model_;
  const PerplexityOptions& options_;
  ops::Context ctx_;
  std::vector<std::int32_t> tokens_, next_, start_{0};
  std::vector<bool> counts_;  // of each row: whether its prediction does
  Perplexity sum_;
};

}  // namespace

PerplexityOptions complete(PerplexityOptions options, const models::LanguageModel& model) {
  const std::int64_t positions = model.max_positions();
  if (options.window == 0) options.window = std::min(positions, widest_by_default);
  if (options.window < 1 || options.window > positions)
    throw Error(Error::Kind::usage, "--window",
                std::to_string(options.window) + " tokens cannot be read at once",
                "the model takes from 1 to " + std::to_string(positions));
  if (options.stride == 0) options.stride = std::max<std::int64_t>(1, options.window / 2);
  if (options.stride < 1 || options.stride > options.window)
    throw Error(Error::Kind::usage, "--stride", std::to_string(options.stride) + " would leave tokens out",
                "use from 1 to the window, " + std::to_string(options.window));
  return options;
}

Perplexity perplexity(const models::LanguageModel& model,
                      std::span<const std::vector<std::int32_t>> documents, const PerplexityOptions& options,
                      const kernels::Execution& exec) {
  const PerplexityOptions completed = complete(options, model);
  Reading reading(model, completed, exec);
  for (const auto& document : documents)
    if (document.size() > 1) reading.add(document);
  return reading.finish();
}

}  // namespace fovea::metrics
