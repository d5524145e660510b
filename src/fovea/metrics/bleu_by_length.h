#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/metrics/bleu.h"

namespace fovea::metrics {

/// Sources of `shortest` to `longest` tokens, and BLEU of the translations of these alone.
struct LengthBucket {
  std::size_t shortest = 0, longest = 0;  ///< tokens
  std::size_t segments = 0;
  double mean_length = 0;  ///< tokens, of the sources in it
  BleuScore bleu;
};

struct LengthBuckets {
  std::size_t width = 5;  ///< tokens: 1 to 5, 6 to 10, ...
  std::size_t least_segments =
      10;  ///< a bucket with fewer is joined with the next; the last with the one before
};

/// Tokens of a source as tok:zh cuts it: words, punctuation marks, and each Chinese character.
std::size_t source_length(std::string_view source);

/// BLEU by the length of the source: the curve with which Bahdanau et al. 2015 (figure 2) showed that
/// attention keeps long sentences. Which bucket a segment is in depends on the sources alone, so that curves
/// of several systems share them. Empty sources are left out. Throws Error(data) as corpus_bleu does, and if
/// there are not as many sources.
std::vector<LengthBucket> bleu_by_length(const std::vector<std::string>& sources,
                                         const std::vector<std::string>& hypotheses,
                                         const References& references, const BleuOptions& options = {},
                                         const LengthBuckets& buckets = {});

}  // namespace fovea::metrics
