#pragma once

#include <cstdint>
#include <vector>

namespace fovea::decoding {

/// The tokens of all hypotheses of a search as one tree: a hypothesis is a node, its past the path to the
/// root. What hypotheses share is stored once, and taking one further costs one node, not a copy.
class History {
 public:
  using Node = std::int64_t;
  static constexpr Node none = -1;  ///< the empty past

  /// The hypothesis `past` with one more token; `log_probability` is that token's, in nats.
  Node add(Node past, std::int32_t token, float log_probability) {
    entries_.push_back({past, token, log_probability});
    return static_cast<Node>(entries_.size()) - 1;
  }

  std::int32_t token(Node node) const { return entries_[static_cast<std::size_t>(node)].token; }

  /// Tokens and their log-probabilities from first to last.
  struct Path {
    std::vector<std::int32_t> tokens;
    std::vector<float> log_probabilities;
  };
  Path path(Node node) const {
    std::size_t length = 0;
    for (Node at = node; at != none; at = entries_[static_cast<std::size_t>(at)].past) ++length;
    Path path{std::vector<std::int32_t>(length), std::vector<float>(length)};
    for (Node at = node; at != none; at = entries_[static_cast<std::size_t>(at)].past) {
      const Entry& entry = entries_[static_cast<std::size_t>(at)];
      path.tokens[--length] = entry.token;
      path.log_probabilities[length] = entry.log_probability;
    }
    return path;
  }

 private:
  struct Entry {
    Node past;
    std::int32_t token;
    float log_probability;
  };
  std::vector<Entry> entries_;
};

}  // namespace fovea::decoding
