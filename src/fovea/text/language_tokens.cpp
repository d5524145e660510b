#include "fovea/text/language_tokens.h"

#include <algorithm>
#include <cctype>

#include "fovea/base/error.h"

namespace fovea::text {
namespace {

bool all(std::string_view text, int (*is)(int)) {
  return !text.empty() &&
         std::ranges::all_of(text, [&](char c) { return is(static_cast<unsigned char>(c)) != 0; });
}

// "de" of "__de__", ">>de<<", "de_DE"; "deu" of "deu_Latn"; "deu" too of ">>deu<<". Empty: no language.
std::string_view code_of(std::string_view piece) {
  for (const auto& [before, after] : {std::pair{"__", "__"}, std::pair{">>", "<<"}})
    if (piece.size() > 4 && piece.starts_with(before) && piece.ends_with(after))
      return piece.substr(2, piece.size() - 4);
  const std::size_t line = piece.find('_');
  if (line != 2 && line != 3) return {};
  const std::string_view code = piece.substr(0, line), rest = piece.substr(line + 1);
  const bool country = line == 2 && rest.size() == 2 && all(rest, std::isupper);
  const bool script = line == 3 && rest.size() == 4 && all(rest.substr(0, 1), std::isupper) &&
                      all(rest.substr(1), std::islower);
  return all(code, std::islower) && (country || script) ? code : std::string_view();
}

void put_first(std::vector<std::int32_t>& ids, std::vector<TextRange>* ranges, std::int32_t token) {
  if (token < 0) return;
  ids.insert(ids.begin(), token);
  if (ranges) ranges->insert(ranges->begin(), TextRange{});
}

}  // namespace

LanguageTokens::LanguageTokens(const Vocabulary& vocabulary, Place place, std::string_view source,
                               std::string_view target)
    : place_(place) {
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) {
    if (code_of(vocabulary.piece(id)).empty()) continue;
    languages_.emplace_back(vocabulary.piece(id));
    ids_.push_back(id);
  }
  if (languages_.empty()) place_ = Place::none;
  if (place_ == Place::none || place_ == Place::wanted) return;  // there a text names its own
  if (!source.empty()) source_ = find(vocabulary, source);
  if (!target.empty()) target_ = find(vocabulary, target);
}

std::int32_t LanguageTokens::find(const Vocabulary& vocabulary, std::string_view name) const {
  if (const auto id = vocabulary.find(name); is_language(id)) return id;
  std::int32_t found = -1;
  std::size_t several = 0;
  for (std::size_t i = 0; i < languages_.size(); ++i)
    if (code_of(languages_[i]) == name) found = ids_[i], ++several;
  if (several == 1) return found;
  std::string some;
  for (std::size_t i = 0; i < std::min<std::size_t>(languages_.size(), 12); ++i)
    some += (i ? ", " : "") + languages_[i];
  throw Error(Error::Kind::usage, "language",
              "'" + printable(name) + "' " + (several ? "is several" : "is none") + " of the model's " +
                  std::to_string(languages_.size()),
              "they are named " + some + (languages_.size() > 12 ? ", ..." : ""));
}

void LanguageTokens::choose(const Vocabulary& vocabulary, std::string_view source, std::string_view target) {
  if (source.empty() && target.empty()) return;
  if (place_ == Place::none)
    throw Error(Error::Kind::usage, "language",
                "the model knows one pair of languages, and no names for them", "leave out --from and --to");
  if (!source.empty() && place_ != Place::wanted) source_ = find(vocabulary, source);
  if (!target.empty()) target_ = find(vocabulary, target);
}

bool LanguageTokens::is_language(std::int32_t id) const {
  return place_ != Place::none && std::ranges::binary_search(ids_, id);
}

void LanguageTokens::frame_source(std::vector<std::int32_t>& ids, std::vector<TextRange>* ranges) const {
  if (place_ == Place::before) put_first(ids, ranges, source_);
  if (place_ == Place::wanted && (ids.empty() || !is_language(ids.front()))) put_first(ids, ranges, target_);
  if (place_ != Place::after || source_ < 0) return;
  ids.push_back(source_);
  if (ranges) ranges->push_back({});
}

void LanguageTokens::frame_target(std::vector<std::int32_t>& ids, std::vector<TextRange>* ranges) const {
  put_first(ids, ranges, first());
}

}  // namespace fovea::text
