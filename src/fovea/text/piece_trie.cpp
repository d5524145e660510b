#include "fovea/text/piece_trie.h"

#include <algorithm>
#include <span>
#include <string>

namespace fovea::text {

/// Places nodes so that the children of each find free units at base ^ label. Blocks of 256 units stay open
/// while they are promising; at most `max_open` are tried, which bounds the work a node.
class PieceTrieBuilder {
 public:
  using Keys = std::span<const std::pair<std::string_view, std::int32_t>>;

  explicit PieceTrieBuilder(std::vector<std::uint64_t>& units) : units_(units) {
    open_block();
    taken_[0] = true;         // the root
    units_[0] = 0xFF;         // a label that no walk can find there,
    base_used_[0xFF] = true;  // since only this base would lead to it
    base_used_[0] = true;     // means "no children"
  }

  void build(Keys keys) {
    struct Task {
      std::size_t begin, end, depth;
      std::uint32_t unit;
    };
    std::vector<Task> tasks{{0, keys.size(), 0, 0}};
    std::vector<std::size_t> starts;
    while (!tasks.empty()) {
      const Task task = tasks.back();
      tasks.pop_back();
      std::size_t begin = task.begin;
      if (keys[begin].first.size() == task.depth) {
        units_[task.unit] |= std::uint64_t(keys[begin].second + 1) << 8;
        ++begin;
      }
      if (begin == task.end) continue;
      starts.clear();
      labels_.clear();
      for (std::size_t i = begin; i < task.end; ++i) {
        const auto label = static_cast<unsigned char>(keys[i].first[task.depth]);
        if (!labels_.empty() && labels_.back() == label) continue;
        labels_.push_back(label);
        starts.push_back(i);
      }
      const std::uint32_t base = place();
      units_[task.unit] |= std::uint64_t{base} << 32;
      for (std::size_t k = 0; k < labels_.size(); ++k) {
        units_[base ^ labels_[k]] = labels_[k];
        tasks.push_back(
            {starts[k], k + 1 < starts.size() ? starts[k + 1] : task.end, task.depth + 1, base ^ labels_[k]});
      }
    }
  }

 private:
  static constexpr std::size_t max_open = 4;
  static constexpr int max_failures = 8;

  struct Block {
    std::uint32_t begin;
    int failures = 0;
  };

  std::uint32_t open_block() {
    const auto begin = static_cast<std::uint32_t>(units_.size());
    units_.resize(units_.size() + 256, 0);
    taken_.resize(units_.size(), false);
    base_used_.resize(units_.size(), false);
    if (open_.size() == max_open) open_.erase(open_.begin());
    open_.push_back({begin});
    return begin;
  }

  bool fits(std::uint32_t base) const {
    return !base_used_[base] &&
           std::all_of(labels_.begin(), labels_.end(), [&](unsigned label) { return !taken_[base ^ label]; });
  }

  std::uint32_t take(std::uint32_t base) {
    base_used_[base] = true;
    for (const unsigned label : labels_) taken_[base ^ label] = true;
    return base;
  }

  std::uint32_t place() {
    for (std::size_t b = 0; b < open_.size();) {
      const std::uint32_t begin = open_[b].begin;
      for (std::uint32_t unit = begin; unit < begin + 256; ++unit)
        if (!taken_[unit] && fits(unit ^ labels_[0])) return take(unit ^ labels_[0]);
      if (++open_[b].failures >= max_failures)
        open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(b));
      else
        ++b;
    }
    return take(open_block());
  }

  std::vector<std::uint64_t>& units_;
  std::vector<char> taken_, base_used_;
  std::vector<Block> open_;
  std::vector<unsigned> labels_;
};

PieceTrie::PieceTrie(std::vector<std::pair<std::string_view, std::int32_t>> keys) {
  if (keys.empty()) return;
  std::sort(keys.begin(), keys.end());
  PieceTrieBuilder(units_).build(keys);
}

std::size_t PieceTrie::longest_prefix(std::string_view text) const {
  std::size_t longest = 0;
  Node node = root();
  for (std::size_t i = 0; i < text.size() && !node.nowhere(); ++i) {
    node = step(node, text[i]);
    if (!node.nowhere() && node.value() >= 0) longest = i + 1;
  }
  return longest;
}

}  // namespace fovea::text
