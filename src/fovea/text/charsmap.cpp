#include "fovea/text/charsmap.h"

#include <algorithm>
#include <cstring>

#include "fovea/base/error.h"

namespace fovea::text {
namespace {

constexpr bool ends_rule(std::uint32_t unit) { return unit >> 8 & 1; }
constexpr std::uint32_t label_of(std::uint32_t unit) { return unit & 0x800000FFu; }
constexpr std::uint32_t offset_of(std::uint32_t unit) { return (unit >> 10) << ((unit & 0x200) >> 6); }
constexpr std::uint32_t value_of(std::uint32_t unit) { return unit & 0x7FFFFFFFu; }

[[noreturn]] void fail(std::string_view where, std::string_view what) {
  throw Error(Error::Kind::model, where,
              "the character map of its normaliser is broken: " + std::string(what));
}

std::uint32_t read_u32(const char* bytes) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

Charsmap::Charsmap(std::string_view blob, std::string_view where) {
  if (blob.empty()) return;
  if (blob.size() < 4) fail(where, "no size");
  const std::size_t size = read_u32(blob.data());
  blob.remove_prefix(4);
  if (size > blob.size())
    fail(where, "a trie of " + std::to_string(size) + " bytes in " + std::to_string(blob.size()));
  if (size == 0 || size % 4 != 0) fail(where, "a trie of " + std::to_string(size) + " bytes");
  units_.resize(size / 4);
  for (std::size_t i = 0; i < units_.size(); ++i) units_[i] = read_u32(blob.data() + 4 * i);
  replacements_ = blob.substr(size);
  if (replacements_.empty() || replacements_.back() != '\0') fail(where, "the last replacement does not end");
  for (std::size_t at = 0; at < replacements_.size();) {
    const std::size_t length = std::strlen(replacements_.c_str() + at);
    if (length > max_length) fail(where, "a replacement of " + std::to_string(length) + " bytes");
    at += length + 1;
  }
  check(where);
  find_ascii_pairs();
}

/// The node of the child by `label`; 0 if there is none (the root is nobody's child in a map that passed
/// check()).
inline std::uint32_t Charsmap::child(std::uint32_t node, unsigned char label) const {
  const std::uint64_t at = node ^ offset_of(units_[node]) ^ label;
  return at < units_.size() && label_of(units_[at]) == label ? static_cast<std::uint32_t>(at) : 0;
}

/// Checks that the rule ending at `node` has a value, and that this is the place of a replacement.
void Charsmap::check_rule(std::uint32_t node, std::string_view where) const {
  const std::uint64_t leaf = node ^ offset_of(units_[node]);
  if (leaf >= units_.size()) fail(where, "a rule's value lies outside the trie");
  if (value_of(units_[leaf]) >= replacements_.size()) fail(where, "a rule points past the replacements");
}

/// Walks, depth first, over all that can be reached; a node met again while its own subtree is open closes a
/// circle.
void Charsmap::check(std::string_view where) const {
  // Unit i with label c is a child of every node with base i ^ c, which shares its block of 256: children by
  // base.
  constexpr std::uint32_t none = 0xFFFFFFFF;
  std::vector<std::uint32_t> first((units_.size() + 255) / 256 * 256, none), sibling(units_.size(), none);
  for (std::uint32_t i = 0; i < units_.size(); ++i) {
    const std::uint32_t label = label_of(units_[i]), base = i ^ label;
    if (label == 0 || label > 255) continue;
    sibling[i] = first[base];
    first[base] = i;
  }
  const auto first_child = [&](std::uint32_t node) {
    const std::uint64_t base = node ^ offset_of(units_[node]);
    return base < first.size() ? first[base] : none;
  };

  struct Step {
    std::uint32_t node, next_child, height;
  };
  constexpr std::uint32_t unseen = none, open = none - 1;
  std::vector<std::uint32_t> height(units_.size(), unseen);  // bytes of the longest rule below
  std::vector<Step> path;
  const auto enter = [&](std::uint32_t node) {
    if (path.size() > max_length) fail(where, "a rule is too long");
    if (ends_rule(units_[node])) check_rule(node, where);
    height[node] = open;
    path.push_back({node, first_child(node), 0});
  };
  enter(0);
  while (!path.empty()) {
    Step& step = path.back();
    if (step.next_child == none) {
      const std::uint32_t below = step.height;
      if (below > max_length) fail(where, "a rule is too long");
      height[step.node] = below;
      path.pop_back();
      if (!path.empty()) path.back().height = std::max(path.back().height, below + 1);
      continue;
    }
    const std::uint32_t child = step.next_child;
    step.next_child = sibling[child];
    if (height[child] == open) fail(where, "its trie runs in a circle");
    if (height[child] == unseen)
      enter(child);
    else
      step.height = std::max(step.height, height[child] + 1);
  }
}

void Charsmap::find_ascii_pairs() {
  for (unsigned first = 1; first < 128; ++first) {
    const std::uint32_t node = child(0, static_cast<unsigned char>(first));
    if (node == 0) continue;
    alone_[first] = ends_rule(units_[node]);
    for (unsigned second = 0; second < 256; ++second)
      pairs_[first][second] = alone_[first] || child(node, static_cast<unsigned char>(second)) != 0;
  }
}

Charsmap::Match Charsmap::match(std::string_view text, bool first) const {
  Match match;
  if (units_.empty()) return match;
  std::uint32_t node = 0;
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < text.size() && i < max_length; ++i) {
    if (text[i] == '\0') break;  // no rule holds a NUL: it is the label of the values
    node = child(node, static_cast<unsigned char>(text[i]));
    if (node == 0) break;
    if (ends_rule(units_[node])) {
      match.length = i + 1;
      value = value_of(units_[node ^ offset_of(units_[node])]);
      if (first) break;
    }
  }
  if (match.length > 0) match.replacement = std::string_view(replacements_.c_str() + value);
  return match;
}

}  // namespace fovea::text
