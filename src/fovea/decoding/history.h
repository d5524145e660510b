#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace fovea::decoding {

/// The tokens of all hypotheses of a sentence as one tree: a hypothesis is a node, its past the path to the
/// root. What hypotheses share is stored once, and taking one further costs one node, not a copy.
class History {
 public:
  using Node = std::int64_t;
  static constexpr Node none = -1;  ///< the empty past

  /// Forgets everything; keeps the memory.
  void clear() {
    entries_.clear();
    attention_.clear();
  }

  /// The hypothesis `past` with one more token; `log_probability` is that token's, in nats, `attention` the
  /// place of what was looked at for it, or `none`.
  Node add(Node past, std::int32_t token, float log_probability, std::int64_t attention = none) {
    entries_.push_back({past, length(past) + 1, attention, token, log_probability});
    return static_cast<Node>(entries_.size()) - 1;
  }

  /// Keeps the weights of a step; returns their place.
  std::int64_t keep(std::span<const float> attention) {
    const auto place = static_cast<std::int64_t>(attention_.size());
    attention_.insert(attention_.end(), attention.begin(), attention.end());
    return place;
  }

  std::int32_t token(Node node) const { return entry(node).token; }
  float log_probability(Node node) const { return entry(node).log_probability; }
  /// Tokens of a hypothesis.
  std::int64_t length(Node node) const { return node == none ? 0 : entry(node).length; }

  /// The longest past that both have.
  Node shared(Node a, Node b) const {
    while (a != b) {
      Node& longer = length(a) >= length(b) ? a : b;
      longer = entry(longer).past;
    }
    return a;
  }

  /// The first `count` tokens of a hypothesis.
  Node first(Node node, std::int64_t count) const {
    while (length(node) > count) node = entry(node).past;
    return node;
  }

  /// Tokens from first to last, into memory that is used again and again.
  void tokens(Node node, std::vector<std::int32_t>& tokens) const {
    tokens.resize(static_cast<std::size_t>(length(node)));
    for (auto at = tokens.rbegin(); node != none; node = entry(node).past) *at++ = token(node);
  }

  /// Tokens and what is known of each, from first to last.
  struct Path {
    std::vector<std::int32_t> tokens;
    std::vector<float> log_probabilities;
    std::vector<float> attention;  ///< [tokens, source]; empty if none was kept
  };
  /// `source` is the number of weights that were kept for a token.
  Path path(Node node, std::size_t source = 0) const {
    auto at = static_cast<std::size_t>(length(node));
    Path path{std::vector<std::int32_t>(at), std::vector<float>(at), std::vector<float>(at * source)};
    for (; node != none; node = entry(node).past) {
      path.tokens[--at] = token(node);
      path.log_probabilities[at] = log_probability(node);
      std::copy_n(attention_.begin() + std::max(entry(node).attention, std::int64_t{0}), source,
                  path.attention.begin() + static_cast<std::ptrdiff_t>(at * source));
    }
    return path;
  }

 private:
  struct Entry {
    Node past;
    std::int64_t length, attention;
    std::int32_t token;
    float log_probability;
  };
  const Entry& entry(Node node) const { return entries_[static_cast<std::size_t>(node)]; }

  std::vector<Entry> entries_;
  std::vector<float> attention_;
};

}  // namespace fovea::decoding
