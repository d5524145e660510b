#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/metrics/mt_tokenizers.h"
#include "fovea/metrics/segments.h"

/// BLEU as SacreBLEU 2.6.0 counts it, to the last digit.
///   p_n   = 100 * sum_segments clipped matches of n-grams / sum_segments n-grams of the hypothesis,  n
///   = 1..4 BP    = 1 if hypothesis_length >= reference_length, else exp(1 - reference_length /
///   hypothesis_length) BLEU  = BP * exp( sum_n ln p_n / 4 )
/// A segment's matches are clipped by the largest count over its references; its reference length is the one
/// closest to the hypothesis, the shorter of two equally close. Source  Papineni et al. 2002; Post 2018, "A
/// call for clarity in reporting BLEU scores"
namespace fovea::metrics {

inline constexpr std::size_t bleu_order = 4;

/// What stands in for a precision of zero matches (Chen and Cherry 2014): exp halves it at each such order
/// (mteval), floor takes `smoothing_value` matches (0.1), add_k adds it (1) to matches and totals of n > 1,
/// none leaves zero.
enum class Smoothing { exp, floor, add_k, none };
/// The smoothing named "exp", "floor", "add-k" or "none". Throws Error (usage) listing the names.
Smoothing parse_smoothing(std::string_view name);

struct BleuOptions {
  MtTokenizer tokenizer = MtTokenizer::v13a;
  bool lowercase = false;
  Smoothing smoothing = Smoothing::exp;
  std::optional<double> smoothing_value = {};  ///< of floor and add_k; SacreBLEU's default if absent
  bool effective_order = false;  ///< average only over the orders the hypothesis has: for single sentences
};

/// Counts that add up over segments.
struct BleuStatistics {
  std::array<std::int64_t, bleu_order> matches{}, totals{};
  std::int64_t hypothesis_length = 0, reference_length = 0;  // tokens

  BleuStatistics& operator+=(const BleuStatistics& other);
};

struct BleuScore {
  double score = 0;  ///< 0..100; rounding may leave 100.00000000000004
  std::array<double, bleu_order> counts{},
      totals{};                                 ///< matches and n-grams, add-k included as SacreBLEU has them
  std::array<double, bleu_order> precisions{};  ///< percent, smoothed
  double brevity_penalty = 1;
  std::int64_t hypothesis_length = 0, reference_length = 0;  ///< tokens

  /// hypothesis_length / reference_length, or 0 without reference.
  double ratio() const;
  /// "72.7/42.1/12.5/7.7 (BP = 0.956 ratio = 0.957 hyp_len = 22 ref_len = 23)"
  std::string details() const;
  /// "BLEU|SIGNATURE = 22.26 72.7/42.1/12.5/7.7 (BP = ...)" with `digits` decimals of the score.
  std::string text(std::string_view signature = {}, int digits = 2) const;
};

/// The counts of one segment against its references (one or more).
BleuStatistics bleu_statistics(std::string_view hypothesis, const std::vector<std::string>& references,
                               const BleuOptions& options);
/// The score of summed counts.
BleuScore bleu_score(const BleuStatistics& statistics, const BleuOptions& options);

/// BLEU of a corpus. Throws Error (data) if line counts differ or there is nothing to score.
BleuScore corpus_bleu(const std::vector<std::string>& hypotheses, const References& references,
                      const BleuOptions& options = {});
/// BLEU of one sentence; `options.effective_order` is taken as set, as SacreBLEU's sentence_bleu does.
BleuScore sentence_bleu(std::string_view hypothesis, const std::vector<std::string>& references,
                        BleuOptions options = {});

/// SacreBLEU's signature: "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0".
std::string bleu_signature(const BleuOptions& options, std::size_t references,
                           std::string_view version = signature_version);

}  // namespace fovea::metrics
