#include "fovea/decoding/continued_text.h"

#include <algorithm>
#include <utility>

#include "fovea/base/error.h"
#include "fovea/text/utf8.h"

namespace fovea::decoding {
namespace {

// Of the prompt: what decides how the first token is written, such as whether a space stands before it.
constexpr std::size_t context = 8;
// No character takes so many tokens: what waits longer is none.
constexpr std::size_t longest_wait = 16;

// Bytes of a character that is not whole are U+FFFD.
bool waits(std::string_view text) { return text.ends_with("\xEF\xBF\xBD"); }

std::span<const std::int32_t> last(std::span<const std::int32_t> tokens, std::size_t count) {
  return tokens.last(std::min(tokens.size(), count));
}

}  // namespace

ContinuedText::ContinuedText(const text::Tokenizer& tokenizer, std::span<const std::int32_t> prompt)
    : tokenizer_(tokenizer), tokens_(last(prompt, context).begin(), prompt.end()), said_(tokens_.size()) {
  said_text_ = tokenizer_.decode(tokens_);
}

std::string ContinuedText::add(std::int32_t token) {
  tokens_.push_back(token);
  std::string text = tokenizer_.decode(tokens_);
  if (waits(text) && tokens_.size() - said_ < longest_wait) return {};
  return fresh(std::move(text));
}

std::string ContinuedText::finish() {
  return tokens_.size() == said_ ? std::string() : fresh(tokenizer_.decode(tokens_));
}

// What the tokens that wait add; they become what the next ones are seen with.
std::string ContinuedText::fresh(std::string text) {
  const auto waiting = std::span<const std::int32_t>(tokens_).subspan(said_);
  std::string added =
      text.starts_with(said_text_) ? text.substr(said_text_.size()) : tokenizer_.decode(waiting);
  if (!added.empty()) {  // a token without text is no context
    tokens_.erase(tokens_.begin(), tokens_.begin() + static_cast<std::ptrdiff_t>(said_));
    text = tokenizer_.decode(tokens_);
  }
  said_ = tokens_.size();
  said_text_ = std::move(text);
  return added;
}

StopStrings::StopStrings(std::vector<std::string> strings) : strings_(std::move(strings)) {
  for (const auto& one : strings_) {
    if (one.empty()) throw Error(Error::Kind::usage, "stop string", "is empty", "leave it out");
    if (!text::is_valid_utf8(one)) throw Error(Error::Kind::usage, "stop string", "is not UTF-8");
    longest_ = std::max(longest_, one.size());
  }
}

std::optional<StopStrings::Found> StopStrings::find(std::string_view text) const {
  std::optional<Found> first;
  std::size_t first_end = text.size() + 1;
  for (std::size_t i = 0; i < strings_.size(); ++i) {
    const std::size_t begin = text.find(strings_[i]);
    if (begin == std::string_view::npos) continue;
    const std::size_t end = begin + strings_[i].size();
    if (end > first_end || (end == first_end && begin >= first->begin)) continue;
    first = {begin, i};
    first_end = end;
  }
  return first;
}

std::size_t StopStrings::open_end(std::string_view text) const {
  for (std::size_t length = std::min(text.size(), longest_); length > 0; --length)
    for (const auto& one : strings_)
      if (length < one.size() && one.starts_with(text.substr(text.size() - length))) return length;
  return 0;
}

std::string StoppedText::release(const std::string& text, bool at_end) {
  if (stopped_by_) return {};
  held_ += text;
  std::size_t shown = at_end ? held_.size() : held_.size() - stops_.open_end(held_);
  if (const auto found = stops_.find(held_)) {
    shown = found->begin;
    stopped_by_ = found->which;
  }
  std::string out = held_.substr(0, shown);
  held_.erase(0, shown);
  return out;
}

bool makes_stop_string(const text::Tokenizer& tokenizer, const StopStrings& stops,
                       std::span<const std::int32_t> tokens) {
  // Most tokens are a byte at least; where many are none, more are looked at.
  for (std::size_t count = stops.longest() + context;; count *= 2) {
    const std::string text = tokenizer.decode(last(tokens, count));
    if (stops.find(text)) return true;
    if (count >= tokens.size() || text.size() >= stops.longest() + context) return false;
  }
}

}  // namespace fovea::decoding
