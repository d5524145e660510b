#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/metrics/segments.h"

/// Translation edit rate as SacreBLEU 2.6.0 counts it (after Tercom), its default tokenization: white space,
/// lower case.
///   TER = 100 * sum_segments edits / sum_segments reference length
/// An edit inserts, removes or substitutes a word, or moves a run of at most 10 words up to 50 words away.
/// Moves are found greedily. Of several references the fewest edits count, and the average length. Source
/// Snover et al. 2006, "A study of translation edit rate with targeted human annotation"
namespace fovea::metrics {

struct TerOptions {
  bool case_sensitive = false;
};

/// Counts that add up over segments.
struct TerStatistics {
  std::int64_t edits = 0;
  double reference_length = 0;  ///< words, the average over the references
};

struct TerScore {
  double score = 0;  ///< percent; 0 is best, and it may exceed 100
  std::int64_t edits = 0;
  double reference_length = 0;

  /// "TER|SIGNATURE = 38.89" with `digits` decimals.
  std::string text(std::string_view signature = {}, int digits = 2) const;
};

TerStatistics ter_statistics(std::string_view hypothesis, const std::vector<std::string>& references,
                             const TerOptions& options);
TerScore ter_score(const TerStatistics& statistics);

/// TER of a corpus. Throws Error (data) if line counts differ or there is nothing to score.
TerScore corpus_ter(const std::vector<std::string>& hypotheses, const References& references,
                    const TerOptions& options = {});

/// SacreBLEU's signature: "nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:2.6.0".
std::string ter_signature(const TerOptions& options, std::size_t references,
                          std::string_view version = signature_version);

}  // namespace fovea::metrics
