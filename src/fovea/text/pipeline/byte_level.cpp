#include "fovea/text/pipeline/byte_alphabet.h"
#include "fovea/text/pipeline/pattern.h"
#include "fovea/text/pipeline/pre_tokenisers.h"

namespace fovea::text::pipeline {
namespace {

/// GPT-2's words. Source: openai/gpt-2, src/encoder.py.
constexpr std::string_view gpt2_words =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Cuts a text into GPT-2's words and writes their bytes in the byte alphabet.
class ByteLevel final : public PreTokeniser {
 public:
  explicit ByteLevel(const formats::Json& json)
      : adds_prefix_space_(json.at("add_prefix_space").boolean()),
        cuts_(json.boolean_or("use_regex", true)),
        words_(Regex(gpt2_words)) {}

  void split(SplitText& text) const override {
    if (adds_prefix_space_)
      rewrite_splits(text, [](std::string_view part, std::size_t begin, Rewriter& out) {
        if (!part.starts_with(' ')) out.put(" ", begin);
        out.copy(begin, begin + part.size());
      });
    if (cuts_)
      cut_splits(text, Delimiters::isolated, [this](std::string_view part, const auto& add) {
        std::size_t done = 0;
        words_.for_each_match(part, [&](TextRange match) {
          if (done != match.begin) add(match.begin, false);
          add(match.end, true);
          done = match.end;
        });
        if (done != part.size()) add(part.size(), false);
      });
    rewrite_splits(text, [](std::string_view part, std::size_t begin, Rewriter& out) {
      // Most of a text is characters that stand for themselves.
      for (std::size_t at = 0; at < part.size();) {
        std::size_t end = at;
        while (end < part.size() && part[end] > ' ' && part[end] < '\x7F') ++end;
        if (end > at) out.copy(begin + at, begin + end);
        if (end < part.size()) out.put(character_of_byte(static_cast<unsigned char>(part[end])), begin + end);
        at = end + 1;
      }
    });
  }

 private:
  bool adds_prefix_space_, cuts_;
  Pattern words_;
};

}  // namespace

std::unique_ptr<const PreTokeniser> make_byte_level(const formats::Json& json) {
  return std::make_unique<ByteLevel>(json);
}

}  // namespace fovea::text::pipeline
