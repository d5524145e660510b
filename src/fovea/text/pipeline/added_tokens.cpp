#include "fovea/text/pipeline/added_tokens.h"

#include <algorithm>

#include "fovea/text/pipeline/characters.h"
#include "fovea/text/utf8.h"

namespace fovea::text::pipeline {
namespace {

constexpr std::size_t most_tokens = 1'000'000;

char32_t last_character(std::string_view text) {
  std::size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return decode_utf8(text.substr(at)).code_point;
}

/// Where the white space at the end of `text` begins.
std::size_t end_without_spaces(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0) {
    std::size_t at = end - 1;
    while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
    if (!is_space(decode_utf8(text.substr(at)).code_point)) break;
    end = at;
  }
  return end;
}

/// Normalises each part that is no token by itself.
SplitText normalised_parts(const SplitText& text, const Normaliser& normaliser) {
  SplitText out{text.text.part(0, 0), {}};
  for (const Split& split : text.splits) {
    AlignedText part = text.text.part(split.begin, split.end);
    if (split.token < 0) normaliser.normalise(part);
    const auto begin = static_cast<std::uint32_t>(out.text.size());
    out.text.append(part);
    const auto end = static_cast<std::uint32_t>(out.text.size());
    if (begin < end) out.splits.push_back({begin, end, split.token});
  }
  return out;
}

/// Bytes of white space at the beginning of `text`.
std::size_t leading_spaces(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const Decoded c = decode_utf8(text.substr(at));
    if (!is_space(c.code_point)) break;
    at += c.length;
  }
  return at;
}

}  // namespace

void AddedTokens::Finder::add(std::string_view pattern, std::int32_t id) {
  if (!pattern.empty()) keys.emplace_back(pattern, id);
}

void AddedTokens::Finder::build() {
  std::ranges::sort(keys);
  const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
  keys.erase(std::unique(keys.begin(), keys.end(), same), keys.end());  // of equals the smallest id stays
  for (const auto& key : keys) begins[static_cast<unsigned char>(key.first[0])] = true;
  trie = PieceTrie(keys);
}

AddedTokens::AddedTokens(const formats::Json& json, const PieceTable& pieces, const Normaliser* normaliser) {
  if (json.size() > most_tokens) json.reject("has more than a million tokens");
  auto next = static_cast<std::int32_t>(pieces.size());
  for (const formats::Json& entry : json.elements()) {
    const formats::Json content = entry.at("content");
    if (content.text().empty()) content.reject("is empty");
    if (content.text().size() > PieceTable::longest_piece) content.reject("is longer than 4096 bytes");
    if (content.text().find('\0') != std::string_view::npos) content.reject("holds a NUL");
    entry.at("id").integer(0, std::numeric_limits<std::int32_t>::max());
    const std::string text(content.text());
    const std::int32_t known = ids_.contains(text) ? ids_.at(text) : pieces.find(text);
    const std::int32_t id = known >= 0 ? known : next++;
    Token token{text,
                text,
                entry.boolean_or("single_word", false),
                entry.boolean_or("lstrip", false),
                entry.boolean_or("rstrip", false),
                entry.boolean_or("normalized", true),
                entry.boolean_or("special", false)};
    if (token.normalised && normaliser != nullptr) {
      AlignedText normalised(text, false);
      normaliser->normalise(normalised);
      token.pattern = normalised.text();
    }
    if (const auto found = tokens_.find(id); found != tokens_.end()) ids_.erase(found->second.content);
    const Token& kept = tokens_[id] = std::move(token);
    ids_[kept.content] = id;
    end_ = std::max(end_, id + 1);
  }
  for (auto& [id, token] : tokens_) {
    // As in the library, by the text that decoders see: a special token that is looked for in a normalised
    // form is hidden only if that is the content of one, too.
    const std::int32_t shown = find(token.pattern);
    token.hidden = shown >= 0 && tokens_.at(shown).special;
    (token.normalised ? after_ : before_).add(token.pattern, id);
  }
  before_.build();
  after_.build();
}

/// Whether a token found in `text` counts as one, which then takes the white space it asks for, down to byte
/// `from`.
bool AddedTokens::accept(std::string_view text, std::size_t from, Match& match) const {
  const Token& token = tokens_.at(match.id);
  if (token.single_word) {
    if (match.begin > 0 && is_word(last_character(text.substr(0, match.begin)))) return false;
    if (match.end < text.size() && is_word(decode_utf8(text.substr(match.end)).code_point)) return false;
  }
  if (token.strips_left) match.begin = std::max(from, end_without_spaces(text.substr(0, match.begin)));
  if (token.strips_right) match.end += leading_spaces(text.substr(match.end));
  return true;
}

std::vector<AddedTokens::Match> AddedTokens::matches_in(std::string_view text, const Finder& finder) const {
  std::vector<Match> out;
  if (finder.keys.empty()) return out;
  std::size_t taken = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (!finder.begins[static_cast<unsigned char>(text[at])]) {
      ++at;
      continue;
    }
    Match match{at, at, -1};
    PieceTrie::Node node = finder.trie.root();
    for (std::size_t end = at; end < text.size() && !node.nowhere();) {
      node = finder.trie.step(node, text[end++]);
      if (!node.nowhere() && node.value() >= 0) match = {at, end, node.value()};
    }
    at = match.id < 0 ? at + 1 : match.end;
    if (match.id < 0 || match.begin < taken || !accept(text, taken, match)) continue;
    taken = match.end;
    out.push_back(match);
  }
  return out;
}

/// The parts of bytes [begin, end) of a text.
void AddedTokens::cut_at(const AlignedText& text, const Finder& finder, std::uint32_t begin,
                         std::uint32_t end, std::vector<Split>& out) const {
  const auto add = [&](std::size_t from, std::size_t to, std::int32_t token) {
    if (from < to)
      out.push_back(
          {begin + static_cast<std::uint32_t>(from), begin + static_cast<std::uint32_t>(to), token});
  };
  std::size_t done = 0;
  for (const Match& match : matches_in(text.text().substr(begin, end - begin), finder)) {
    add(done, match.begin, -1);
    add(match.begin, match.end, match.id);
    done = match.end;
  }
  add(done, end - begin, -1);
}

SplitText AddedTokens::cut(std::string_view text, bool tracks, const Normaliser* normaliser) const {
  SplitText whole{AlignedText(text, tracks), {}};
  cut_at(whole.text, before_, 0, static_cast<std::uint32_t>(whole.text.size()), whole.splits);
  const bool uncut = whole.splits.size() == 1 && whole.splits[0].token < 0;
  if (normaliser != nullptr && uncut) {
    normaliser->normalise(whole.text);
    whole.splits[0].end = static_cast<std::uint32_t>(whole.text.size());
    if (whole.text.size() == 0) whole.splits.clear();
  } else if (normaliser != nullptr) {
    whole = normalised_parts(whole, *normaliser);
  }
  if (after_.keys.empty()) return whole;
  std::vector<Split> parts;
  for (const Split& split : whole.splits) {
    if (split.token >= 0)
      parts.push_back(split);
    else
      cut_at(whole.text, after_, split.begin, split.end, parts);
  }
  whole.splits = std::move(parts);
  return whole;
}

std::int32_t AddedTokens::find(std::string_view content) const {
  const auto found = ids_.find(content);
  return found == ids_.end() ? -1 : found->second;
}

bool AddedTokens::is_special(std::int32_t id) const {
  const auto found = tokens_.find(id);
  return found != tokens_.end() && found->second.hidden;
}

std::string_view AddedTokens::text_of(std::int32_t id) const {
  const auto found = tokens_.find(id);
  return found == tokens_.end() ? std::string_view() : std::string_view(found->second.pattern);
}

std::string_view AddedTokens::content_of(std::int32_t id) const {
  const auto found = tokens_.find(id);
  return found == tokens_.end() ? std::string_view() : std::string_view(found->second.content);
}

}  // namespace fovea::text::pipeline
