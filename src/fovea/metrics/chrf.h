#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/metrics/segments.h"

/// chrF and chrF++ as SacreBLEU 2.6.0 counts them.
///   P, R  = averages of precision and recall over the character orders 1..6 (and word orders 1..2 in chrF++)
///   that
///           both sides have, from counts summed over the corpus
///   chrF  = 100 * (1 + beta^2) P R / (beta^2 P + R),  beta = 2
/// Characters are code points without white space. Of several references, a segment counts the one that gives
/// it the best score (the first of equals). In chrF++ a word longer than one character parts with one ASCII
/// punctuation mark: its last, or else its first. Source  Popović 2015 (chrF), 2017 (chrF++)
namespace fovea::metrics {

struct ChrfOptions {
  std::size_t character_order = 6;
  std::size_t word_order = 0;  ///< 2: chrF++
  int beta = 2;                ///< recall counts beta times as much as precision
  bool lowercase = false;
  bool whitespace = false;  ///< keep white space in the character n-grams
  bool epsilon_smoothing =
      false;  ///< average F over all orders, 1e-16 for what is missing (chrF++.py, NLTK, Moses)
};

/// Counts of one order; they add up over segments.
struct ChrfCounts {
  std::int64_t hypothesis = 0, reference = 0, matches = 0;
};
using ChrfStatistics = std::vector<ChrfCounts>;  // character orders, then word orders

struct ChrfScore {
  double score = 0;           ///< 0..100
  std::string name;           ///< "chrF2", "chrF2++"
  ChrfStatistics statistics;  ///< summed over the segments

  /// "chrF2|SIGNATURE = 56.33" with `digits` decimals.
  std::string text(std::string_view signature = {}, int digits = 2) const;
};

ChrfStatistics chrf_statistics(std::string_view hypothesis, const std::vector<std::string>& references,
                               const ChrfOptions& options);
ChrfScore chrf_score(ChrfStatistics statistics, const ChrfOptions& options);

/// chrF of a corpus. Throws Error (data) if line counts differ or there is nothing to score.
ChrfScore corpus_chrf(const std::vector<std::string>& hypotheses, const References& references,
                      const ChrfOptions& options = {});
ChrfScore sentence_chrf(std::string_view hypothesis, const std::vector<std::string>& references,
                        const ChrfOptions& options = {});

/// SacreBLEU's signature: "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0".
std::string chrf_signature(const ChrfOptions& options, std::size_t references,
                           std::string_view version = signature_version);

}  // namespace fovea::metrics
