#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fovea/decoding/jobs.h"
#include "fovea/decoding/translation.h"
#include "fovea/text/sentences.h"
#include "fovea/text/translation_tokenizer.h"

namespace fovea::decoding {

/// A line as requests for a model, or what was found for those as a line. Thread-safe.
class LineCodec {
 public:
  /// `tokenizer` and `options` must outlive it. `max_positions` is the model's.
  LineCodec(const text::TranslationTokenizer& tokenizer, std::int64_t max_positions,
            const TranslateOptions& options);

  /// The line, or what fits the model of it, part by part. `number` decides what sampling draws. Throws
  /// Error(model) if the model cannot read a single character of it.
  std::unique_ptr<Job> encode(Line line, std::uint64_t number) const;
  /// A job of encode()'s when it is done.
  Translation decode(Job& job) const;

 private:
  struct LineJob;
  Request request(std::vector<std::int32_t> source, std::uint64_t draw) const;
  std::string spell(const text::Chunk& chunk, std::size_t source, const Hypothesis& hypothesis) const;
  Translation single(LineJob& job) const;
  Translation join(const LineJob& job) const;

  const text::TranslationTokenizer& tokenizer_;
  std::int64_t max_positions_;
  const TranslateOptions& options_;
  std::size_t frame_;  // tokens of a line without text
};

}  // namespace fovea::decoding
