#pragma once

#include <cstdint>

#include "fovea/text/word_alignment.h"

namespace fovea::metrics {

/// What found links A and the sure and possible ones S and P of a gold alignment have in common; adds up over
/// sentences.
struct AlignmentCounts {
  std::int64_t links = 0;           ///< |A|
  std::int64_t sure = 0;            ///< |S|
  std::int64_t links_sure = 0;      ///< |A and S|
  std::int64_t links_possible = 0;  ///< |A and P|

  AlignmentCounts& operator+=(const AlignmentCounts& other);
};

AlignmentCounts alignment_counts(const text::Alignment& found, const text::GoldAlignment& gold);

/// How good an alignment is; all from 0 to 1.
///   precision  = |A and P| / |A|                          (1 if nothing was found)
///   recall     = |A and S| / |S|                          (1 if nothing was to be found)
///   error_rate = 1 - (|A and S| + |A and P|) / (|A| + |S|)  (0 if both are empty): AER, lower is better
/// Source: Och and Ney 2003, "A systematic comparison of various statistical alignment models", section 6.
struct AlignmentScore {
  double precision = 1, recall = 1, error_rate = 0;
};

AlignmentScore alignment_score(const AlignmentCounts& counts);

}  // namespace fovea::metrics
