#include "fovea/text/encoding.h"

#include <algorithm>
#include <string>

#include "fovea/base/error.h"

namespace fovea::text {
namespace {

[[noreturn]] void cannot_cut(const std::string& what) {
  throw Error(Error::Kind::data, "truncation", what, "raise max_length, or choose another strategy");
}

/// Calls visit(list) for each list of an encoding that has one entry a token.
template <class From, class Visit>
void for_each_list(Encoding& to, From& from, const Visit& visit) {
  visit(to.ids, from.ids);
  visit(to.ranges, from.ranges);
  visit(to.words, from.words);
  visit(to.types, from.types);
  visit(to.sequences, from.sequences);
  visit(to.special, from.special);
  visit(to.attention, from.attention);
}

/// Keeps `length` tokens; what goes becomes overflow.
void cut(Encoding& encoding, std::size_t length, const Truncation& truncation) {
  const std::size_t size = encoding.size();
  if (length >= size) return;
  if (length == 0) {
    Encoding whole = std::move(encoding);
    encoding = {};
    encoding.overflow.push_back(std::move(whole));
    return;
  }
  if (truncation.stride >= length)
    cannot_cut("a stride of " + std::to_string(truncation.stride) + " with " + std::to_string(length) +
               " tokens of a text left");
  const std::size_t step = length - truncation.stride;
  std::vector<Encoding> windows;
  for (std::size_t at = 0;; at += step) {
    const std::size_t end = std::min(at + length, size);
    const bool left = truncation.direction == Truncation::Side::left;
    windows.push_back(left ? encoding.slice(size - end, size - at) : encoding.slice(at, end));
    if (end == size) break;
  }
  encoding = std::move(windows.front());
  encoding.overflow.assign(std::make_move_iterator(windows.begin() + 1),
                           std::make_move_iterator(windows.end()));
}

void cut_longest_first(Encoding& first, Encoding& second, std::size_t limit, const Truncation& truncation) {
  const std::size_t shorter = std::min(first.size(), second.size());
  std::size_t low = shorter, high = std::max(shorter, shorter > limit ? shorter : limit - shorter);
  if (low + high > limit) {
    low = limit / 2;
    high = low + limit % 2;
  }
  const bool swapped = first.size() > second.size();
  cut(first, swapped ? high : low, truncation);
  cut(second, swapped ? low : high, truncation);
}

void pad_one(Encoding& encoding, std::size_t length, const Padding& padding) {
  for (Encoding& window : encoding.overflow) pad_one(window, length, padding);
  if (encoding.size() >= length) return;
  const std::size_t missing = length - encoding.size();
  const auto fill = [&](auto& list, auto value) {
    list.insert(padding.direction == Padding::Side::left ? list.begin() : list.end(), missing, value);
  };
  fill(encoding.ids, padding.id);
  fill(encoding.ranges, TextRange{});
  fill(encoding.words, std::int32_t{-1});
  fill(encoding.types, padding.type);
  fill(encoding.sequences, std::int8_t{-1});
  fill(encoding.special, std::uint8_t{1});
  fill(encoding.attention, std::uint8_t{0});
}

}  // namespace

void Encoding::append(std::int32_t id, TextRange range, std::int32_t word, std::int32_t type,
                      std::int8_t sequence, bool is_special) {
  ids.push_back(id);
  ranges.push_back(range);
  words.push_back(word);
  types.push_back(type);
  sequences.push_back(sequence);
  special.push_back(is_special);
  attention.push_back(1);
}

void Encoding::append(const Encoding& other) {
  std::vector<Encoding> windows;
  const auto add = [&](const Encoding& left, const Encoding& right) {
    Encoding window = left;
    window.overflow.clear();
    window.append(right);
    window.overflow.clear();
    windows.push_back(std::move(window));
  };
  for (const Encoding& window : overflow) {
    add(window, other);
    for (const Encoding& theirs : other.overflow) add(window, theirs);
  }
  for (const Encoding& theirs : other.overflow) add(*this, theirs);
  for_each_list(*this, other,
                [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); });
  overflow = std::move(windows);
}

Encoding Encoding::slice(std::size_t begin, std::size_t end) const {
  Encoding out;
  for_each_list(out, *this, [&](auto& to, const auto& from) {
    to.assign(from.begin() + static_cast<std::ptrdiff_t>(begin),
              from.begin() + static_cast<std::ptrdiff_t>(end));
  });
  return out;
}

void truncate(Encoding& first, Encoding* second, std::size_t limit, const Truncation& truncation) {
  const std::size_t total = first.size() + (second != nullptr ? second->size() : 0);
  if (total <= limit && limit > 0) return;
  if (limit == 0) {
    cut(first, 0, truncation);
    if (second != nullptr) cut(*second, 0, truncation);
    return;
  }
  if (truncation.strategy == Truncation::Strategy::longest_first) {
    if (second != nullptr)
      cut_longest_first(first, *second, limit, truncation);
    else
      cut(first, limit, truncation);
    return;
  }
  Encoding* target = truncation.strategy == Truncation::Strategy::only_first ? &first : second;
  if (target == nullptr) cannot_cut("only the second text is to be cut, and there is none");
  if (target->size() <= total - limit) cannot_cut("the text to be cut is too short for that");
  cut(*target, target->size() - (total - limit), truncation);
}

void pad(std::vector<Encoding>& batch, const Padding& padding) {
  std::size_t length = padding.length;
  if (length == 0)
    for (const Encoding& encoding : batch) length = std::max(length, encoding.size());
  if (padding.multiple_of > 0 && length % padding.multiple_of > 0)
    length += padding.multiple_of - length % padding.multiple_of;
  for (Encoding& encoding : batch) pad_one(encoding, length, padding);
}

}  // namespace fovea::text
