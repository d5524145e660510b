#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "fovea/decoding/model.h"

namespace fovea::decoding {

/// The tokens of all hypotheses of a search as one tree: a hypothesis is a node, its past the path to the
/// root. What hypotheses share is stored once, and taking one further costs one node, not a copy.
class History {
 public:
  using Node = std::int64_t;
  static constexpr Node none = -1;  ///< the empty past

  /// The hypothesis `past` with one more token; `log_probability` is that token's, in nats, `attention` the
  /// place of what was looked at for it, or `none`.
  Node add(Node past, std::int32_t token, float log_probability, std::int64_t attention = none) {
    entries_.push_back({past, token, log_probability, attention});
    return static_cast<Node>(entries_.size()) - 1;
  }

  /// Keeps the weights of a step; returns the place of row 0, from which row i is start[i] away.
  std::int64_t keep(const StepAttention& attention) {
    const auto place = static_cast<std::int64_t>(attention_.size());
    attention_.insert(attention_.end(), attention.weights.begin(), attention.weights.end());
    return place;
  }

  std::int32_t token(Node node) const { return entries_[static_cast<std::size_t>(node)].token; }

  /// Tokens and what is known of each, from first to last.
  struct Path {
    std::vector<std::int32_t> tokens;
    std::vector<float> log_probabilities;
    std::vector<float> attention;  ///< [tokens, source]; empty if none was kept
  };
  /// `source` is the number of weights that were kept for a token.
  Path path(Node node, std::size_t source = 0) const {
    std::size_t length = 0;
    for (Node at = node; at != none; at = entries_[static_cast<std::size_t>(at)].past) ++length;
    Path path{std::vector<std::int32_t>(length), std::vector<float>(length),
              std::vector<float>(length * source)};
    for (Node at = node; at != none; at = entries_[static_cast<std::size_t>(at)].past) {
      const Entry& entry = entries_[static_cast<std::size_t>(at)];
      path.tokens[--length] = entry.token;
      path.log_probabilities[length] = entry.log_probability;
      std::copy_n(attention_.begin() + std::max(entry.attention, std::int64_t{0}), source,
                  path.attention.begin() + static_cast<std::ptrdiff_t>(length * source));
    }
    return path;
  }

 private:
  struct Entry {
    Node past;
    std::int32_t token;
    float log_probability;
    std::int64_t attention;
  };
  std::vector<Entry> entries_;
  std::vector<float> attention_;
};

}  // namespace fovea::decoding
