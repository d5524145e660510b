#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

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

  /// Whether `tokens` is to begin with the source where hypotheses continue it (StepModel::continues): for
  /// what looks back, as in Hugging Face's generate(). Not by default.
  virtual bool reads_prompts() const { return false; }

  /// A token that it may make the only possible one whatever the model says: a sentence that is restricted to
  /// tokens of its own (Request::allowed) may hold it too. None by default.
  virtual std::optional<std::int32_t> forced() const { return {}; }
};

/// No n tokens in a row occur twice in a hypothesis (Paulus et al. 2018, section 2.5;
/// `no_repeat_ngram_size`).
class NoRepeatNgram : public LogitProcessor {
 public:
  /// Throws Error(usage) if n is below 1.
  explicit NoRepeatNgram(std::int64_t n);
  void process(std::size_t source, std::span<const std::int32_t> tokens,
               std::span<float> logits) const override;
  bool reads_prompts() const override { return true; }

 private:
  std::size_t n_;
};

/// What has been said becomes less likely: for each token of the hypothesis its logit is divided by the
/// penalty if it is above 0, else multiplied. Above 1 discourages, below 1 encourages repetition.
/// Source   Keskar et al. 2019 (CTRL), section 4.1; `repetition_penalty`, on logits as in CTranslate2
class RepetitionPenalty : public LogitProcessor {
 public:
  /// Throws Error(usage) unless the penalty is above 0.
  explicit RepetitionPenalty(double penalty);
  void process(std::size_t source, std::span<const std::int32_t> tokens,
               std::span<float> logits) const override;
  bool reads_prompts() const override { return true; }

 private:
  float penalty_;
};

/// Sequences of tokens that no hypothesis contains (Hugging Face's `bad_words_ids`, CTranslate2's
/// `suppress_sequences`): the last token of one is forbidden where the others have just been said.
class SuppressSequences : public LogitProcessor {
 public:
  /// Throws Error(usage) if one is empty.
  explicit SuppressSequences(std::vector<std::vector<std::int32_t>> sequences);
  void process(std::size_t source, std::span<const std::int32_t> tokens,
               std::span<float> logits) const override;
  bool reads_prompts() const override { return true; }

 private:
  std::vector<std::vector<std::int32_t>> sequences_;
};

/// Tokens that no hypothesis begins with (`begin_suppress_tokens`). A prefix is no choice: after one nothing
/// is the first token any more.
class SuppressFirst : public LogitProcessor {
 public:
  explicit SuppressFirst(std::vector<std::int32_t> tokens) : tokens_(std::move(tokens)) {}
  void process(std::size_t source, std::span<const std::int32_t> tokens,
               std::span<float> logits) const override;

 private:
  std::vector<std::int32_t> tokens_;
};

/// The token that every hypothesis without a prefix begins with, with probability 1
/// (`forced_bos_token_id`: the language of a multilingual model).
class ForceFirst : public LogitProcessor {
 public:
  explicit ForceFirst(std::int32_t token) : token_(token) {}
  /// Throws Error(model) if the vocabulary has no such token.
  void process(std::size_t source, std::span<const std::int32_t> tokens,
               std::span<float> logits) const override;
  std::optional<std::int32_t> forced() const override { return token_; }

 private:
  std::int32_t token_;
};

}  // namespace fovea::decoding
