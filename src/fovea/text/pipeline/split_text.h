#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "fovea/formats/json.h"
#include "fovea/text/pipeline/aligned_text.h"

namespace fovea::text::pipeline {

/// A part of a text: to be cut further, or an added token found there.
struct Split {
  std::uint32_t begin, end;  ///< bytes; never empty
  std::int32_t token = -1;   ///< the added token's id
};

/// A normalised text and the parts it is cut into, in order; what lies between parts is dropped.
struct SplitText {
  AlignedText text;
  std::vector<Split> splits;

  std::string_view of(const Split& split) const {
    return text.text().substr(split.begin, split.end - split.begin);
  }
};

/// What becomes of the delimiters at which a text is cut: "a-b" at "-".
enum class Delimiters {
  removed,               ///< a, b
  isolated,              ///< a, -, b
  merged_with_previous,  ///< a-, b
  merged_with_next,      ///< a, -b
  contiguous,            ///< as isolated, but neighbouring delimiters are one part
};

/// "Removed", "Isolated", ... Throws Error(model) for any other.
Delimiters parse_delimiters(const formats::Json& json);

/// Cuts a part at its delimiters.
class Cutter {
 public:
  explicit Cutter(Delimiters kind) : kind_(kind) {}
  /// Begins with a part of a text that reaches from `begin`; its parts will be appended to `out`.
  void begin(std::uint32_t begin, std::vector<Split>& out);
  /// The next bytes of the part, up to `end`: a delimiter, or a stretch between two.
  void add(std::uint32_t end, bool delimiter);
  void finish();

 private:
  void emit();

  Delimiters kind_;
  std::vector<Split>* out_ = nullptr;
  std::uint32_t begin_ = 0, end_ = 0;  // the part being made
  bool pending_ = false;               // whether it is to be kept
  bool ends_in_delimiter_ = false;     // whether the last bytes added were a delimiter
};

/// Cuts every part of `text` that is no token: `cut(part, add)` calls add(end, delimiter) with offsets in the
/// part, ascending to its size.
template <class Cut>
void cut_splits(SplitText& text, Delimiters kind, const Cut& cut) {
  std::vector<Split> out;
  out.reserve(text.splits.size() + text.text.size() / 4);
  Cutter cutter(kind);
  for (const Split& split : text.splits) {
    if (split.token >= 0) {
      out.push_back(split);
      continue;
    }
    cutter.begin(split.begin, out);
    cut(text.of(split), [&](std::size_t end, bool delimiter) {
      cutter.add(split.begin + static_cast<std::uint32_t>(end), delimiter);
    });
    cutter.finish();
  }
  text.splits = std::move(out);
}

/// Writes the text anew: `write(part, begin, out)` writes what takes the place of the part that began at byte
/// `begin`; added tokens stay as they are.
template <class Write>
void rewrite_splits(SplitText& text, const Write& write) {
  Rewriter out(text.text);
  std::size_t kept = 0;
  for (Split split : text.splits) {
    const auto begin = static_cast<std::uint32_t>(out.written());
    if (split.token >= 0)
      out.copy(split.begin, split.end);
    else
      write(text.of(split), split.begin, out);
    const auto end = static_cast<std::uint32_t>(out.written());
    if (begin < end) text.splits[kept++] = {begin, end, split.token};
  }
  text.splits.resize(kept);
  out.finish();
}

}  // namespace fovea::text::pipeline
