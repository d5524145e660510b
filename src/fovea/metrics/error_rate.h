#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Error rates of sequences of symbols that stand between spaces, such as phonemes: how many symbols must
/// change (Levenshtein distance), and how many sequences are not right as a whole. Where a sequence has
/// several right forms, the nearest counts; among equally near ones the first.
///   symbol error rate   = sum of edits / sum of the lengths of the nearest forms   (phonemes: PER)
///   sequence error rate = sequences that equal none of their forms / sequences     (words by their phonemes:
///   WER)
namespace fovea::metrics {

/// Counts that add up over sequences.
struct ErrorRate {
  std::int64_t edits = 0, symbols = 0;  ///< of the nearest forms
  std::int64_t wrong = 0, sequences = 0;

  double symbol_rate() const;  ///< may exceed 1; of no symbols: 0 without edits, else 1
  double sequence_rate() const;
};

/// Of one sequence. Throws Error(data) without references.
ErrorRate error_rate(std::string_view hypothesis, std::span<const std::string> references);

/// Of all: references[i] holds the right forms of hypotheses[i]. Throws Error(data) if the counts differ, if
/// there is nothing to score, or a reference is missing.
ErrorRate error_rate(const std::vector<std::string>& hypotheses,
                     const std::vector<std::vector<std::string>>& references);

/// Each source once, in the order of its first pair, with all its targets.
struct GroupedPairs {
  std::vector<std::string> sources;
  std::vector<std::vector<std::string>> references;
};
GroupedPairs group_by_source(const std::vector<std::string>& sources,
                             const std::vector<std::string>& targets);

}  // namespace fovea::metrics
