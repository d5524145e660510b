#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace fovea::decoding {

/// What a hypothesis pays for words of the source that it never looked at:
///   cp = beta sum_i log(min(sum_j p_ij, 1)),  p_ij the weight of step j on source token i
/// Source   Wu et al. 2016, section 7, equation (14); beta there 0.2
struct CoveragePenalty {
  double beta = 0.0;  ///< 0 = none; above 0 favours hypotheses that looked at everything

  /// A token that got less counts as if it had got so much: weights of sparsemax, hardmax and local attention
  /// are often exactly 0, and one word left out must not be infinitely bad.
  static constexpr double least = 1e-6;

  /// cp, at most 0, of what each token of the source got in all.
  double operator()(std::span<const double> covered) const {
    double sum = 0.0;
    for (const double got : covered) sum += std::log(std::clamp(got, least, 1.0));
    return beta == 0.0 ? 0.0 : beta * sum;
  }
};

/// What the rows of a sentence have looked at: for each the sum of its weights so far on every token of the
/// source.
class Coverage {
 public:
  /// One row that has looked at nothing, of a source of so many tokens.
  void begin(std::size_t source);
  /// Adds the weights [rows, source] of a step. Throws Error(bug) if they are not of as many rows.
  void add(std::span<const float> attention);
  /// Row i goes on from what was row parents[i].
  void reorder(std::span<const std::int32_t> parents);

  std::span<const double> row(std::size_t i) const { return std::span(sums_).subspan(i * source_, source_); }

 private:
  std::size_t source_ = 0;
  std::vector<double> sums_, before_;
};

}  // namespace fovea::decoding
