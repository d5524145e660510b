#include <array>

#include "fovea/base/base64.h"
#include "fovea/text/charsmap.h"
#include "fovea/text/pipeline/graphemes.h"
#include "fovea/text/pipeline/known_utf8.h"
#include "fovea/text/pipeline/normalisers.h"
#include "fovea/text/utf8.h"

namespace fovea::text::pipeline {
namespace {

Charsmap charsmap_of(const formats::Json& json) {
  const auto found = json.find("precompiled_charsmap");
  if (!found) return {};
  const auto blob = base64_decoded(found->text());
  if (!blob) found->reject("is no base64");
  try {
    return Charsmap(*blob, "precompiled_charsmap");
  } catch (const Error& error) {
    found->reject(error.what());
  }
}

/// SentencePiece's character map as Hugging Face applies it: to grapheme clusters of fewer than 6 bytes as a
/// whole where any rule fits their beginning, else to each character. SentencePiece itself takes the longest
/// rule at each place (see text/normaliser.h); mostly that comes to the same.
class PrecompiledNormaliser final : public Normaliser {
 public:
  explicit PrecompiledNormaliser(const formats::Json& json) : charsmap_(charsmap_of(json)) {}

  void normalise(AlignedText& text) const override {
    if (charsmap_.empty()) return;
    std::vector<Change> changes;
    changes.reserve(text.size());
    bool modified = false;
    for (std::string_view rest = text.text(); !rest.empty();) {
      const std::string_view cluster = rest.substr(0, first_grapheme(rest));
      rest.remove_prefix(cluster.size());
      if (cluster.size() < 6 && replace(cluster, changes)) {
        modified = true;
        continue;
      }
      for (std::string_view left = cluster; !left.empty();) {
        const Decoded c = character_at(left, 0);
        if (replace(left.substr(0, c.length), changes))
          modified = true;
        else
          changes.push_back({c.code_point, 0});
        left.remove_prefix(c.length);
      }
    }
    if (!modified) return;
    ChangeWriter out(text);
    for (const Change& change : changes) out.add(change.c, change.change);
    out.finish();
  }

 private:
  struct Change {
    char32_t c;
    int change;  // as for ChangeWriter
  };

  /// Appends what the map makes of `part`; false if it has no rule for its beginning.
  bool replace(std::string_view part, std::vector<Change>& changes) const {
    const auto first = static_cast<unsigned char>(part[0]);
    if (!charsmap_.may_match(first, part.size() > 1 ? static_cast<unsigned char>(part[1]) : 0)) return false;
    const Charsmap::Match match = charsmap_.shortest_match(part);
    if (match.length == 0) return false;
    int surplus = 0;  // characters more than there were
    for (std::string_view left = part; !left.empty(); --surplus) left.remove_prefix(decode_utf8(left).length);
    const std::size_t begin = changes.size();
    for (std::string_view left = match.replacement; !left.empty(); ++surplus) {
      const Decoded c = decode_utf8(left);
      changes.push_back({c.code_point, 0});
      left.remove_prefix(c.length);
    }
    for (std::size_t i = changes.size(); surplus > 0 && i > begin; --surplus) changes[--i].change = 1;
    // What vanishes belongs to the character before, even one of another cluster.
    if (surplus < 0 && !changes.empty()) changes.back().change += surplus;
    return true;
  }

  Charsmap charsmap_;
};

}  // namespace

std::unique_ptr<const Normaliser> make_precompiled(const formats::Json& json) {
  return std::make_unique<PrecompiledNormaliser>(json);
}

}  // namespace fovea::text::pipeline
