#include "fovea/text/pipeline/aligned_text.h"

#include <algorithm>

#include "fovea/base/error.h"
#include "fovea/text/pipeline/known_utf8.h"
#include "fovea/text/utf8.h"

namespace fovea::text::pipeline {
namespace {

constexpr std::size_t largest = 0x7FFFFFFF;

void expect_fits(std::size_t bytes) {
  if (bytes > largest)
    throw Error(Error::Kind::data, "tokenizer", "a text of " + std::to_string(bytes) + " bytes",
                "cut it: 2 GB is the most");
}

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// The bytes of `original` for each byte of it repaired.
std::vector<TextRange> origins_of_repaired(std::string_view original) {
  std::vector<TextRange> origins;
  origins.reserve(original.size() + original.size() / 2);
  for (std::uint32_t at = 0; at < original.size();) {
    const Decoded c = decode_utf8(original.substr(at));
    origins.insert(origins.end(), c.valid ? c.length : replacement_utf8.size(), {at, at + c.length});
    at += c.length;
  }
  return origins;
}

}  // namespace

AlignedText::AlignedText(std::string_view original, bool tracks) : tracks_(tracks) {
  expect_fits(original.size());
  if (is_valid_utf8(original)) {
    text_ = original;
    return;
  }
  text_ = repair_utf8(original).text;
  expect_fits(text_.size());
  if (tracks) origins_ = origins_of_repaired(original);
}

TextRange AlignedText::origin_of(std::size_t byte) const {
  if (!origins_.empty()) return origins_[byte];
  std::size_t begin = byte, end = byte + 1;
  while (begin > 0 && continues(text_[begin])) --begin;
  while (end < text_.size() && continues(text_[end])) ++end;
  return {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
}

TextRange AlignedText::origin(std::size_t begin, std::size_t end) const {
  if (begin >= end) return {};
  return {origin_of(begin).begin, origin_of(end - 1).end};
}

AlignedText AlignedText::part(std::size_t begin, std::size_t end) const {
  std::vector<TextRange> origins;
  for (std::size_t at = begin; tracks_ && at < end; ++at) origins.push_back(origin_of(at));
  return {text_.substr(begin, end - begin), std::move(origins), tracks_};
}

void AlignedText::append(const AlignedText& other) {
  text_.append(other.text_);
  origins_.insert(origins_.end(), other.origins_.begin(), other.origins_.end());
}

Rewriter::Rewriter(AlignedText& text) : text_(text) {
  out_.reserve(text.text_.size() + text.text_.size() / 8 + 16);
  if (text.tracks_) origins_.reserve(out_.capacity());
}

void Rewriter::copy(std::size_t begin, std::size_t end) {
  out_.append(text_.text_, begin, end - begin);
  if (!text_.tracks_) return;
  if (!text_.origins_.empty()) {
    const auto first = text_.origins_.begin();
    origins_.insert(origins_.end(), first + static_cast<std::ptrdiff_t>(begin),
                    first + static_cast<std::ptrdiff_t>(end));
    return;
  }
  for (std::size_t at = begin; at < end;) {
    const TextRange origin = text_.origin_of(at);
    for (; at < end && at < origin.end; ++at) origins_.push_back(origin);
  }
}

void Rewriter::put(std::string_view bytes, std::size_t at) {
  out_.append(bytes);
  if (!text_.tracks_) return;
  origins_.insert(origins_.end(), bytes.size(), at == nowhere ? TextRange{} : text_.origin_of(at));
}

void Rewriter::put(char32_t character, std::size_t at) {
  std::string bytes;
  append_utf8(bytes, character);
  put(bytes, at);
}

void Rewriter::finish() {
  expect_fits(out_.size());
  text_.text_ = std::move(out_);
  text_.origins_ = std::move(origins_);
}

void ChangeWriter::add(char32_t character, int change) {
  const std::string_view text = old();
  if (change > 0 || text.empty()) {
    out_.put(character, reading_ == 0 ? Rewriter::nowhere : reading_ - 1);
    return;
  }
  out_.put(character, std::min(reading_, text.size() - 1));
  for (int taken = change; taken <= 0 && reading_ < text.size(); ++taken)
    reading_ += character_at(text, reading_).length;
}

void ChangeWriter::copy_until(std::size_t end) {
  out_.copy(reading_, end);
  reading_ = end;
}

}  // namespace fovea::text::pipeline
