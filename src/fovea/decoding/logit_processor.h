#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace fovea::decoding {

/// A constraint on what is generated: sees the logits of each running hypothesis before the search does and
/// may change them. -infinity forbids a token; the probabilities of the others grow accordingly, since
/// softmax comes afterwards.
class LogitProcessor {
 public:
  virtual ~LogitProcessor() = default;

  /// `source` is the index of the sentence among those given to the search, `tokens` the hypothesis so far
  /// (without the start token), `logits` [V] what the model says of the next token. Must depend on these
  /// alone.
  virtual void process(std::size_t source, std::span<const std::int32_t> tokens,
                       std::span<float> logits) const = 0;
};

/// No n tokens in a row occur twice in a hypothesis (Paulus et al. 2018, section 2.5;
/// `no_repeat_ngram_size`).
class NoRepeatNgram : public LogitProcessor {
 public:
  /// Throws Error(usage) if n is below 1.
  explicit NoRepeatNgram(std::int64_t n);
  void process(std::size_t source, std::span<const std::int32_t> tokens,
               std::span<float> logits) const override;

 private:
  std::size_t n_;
};

}  // namespace fovea::decoding
