#include "fovea/text/pipeline/characters.h"
#include "fovea/text/pipeline/each_character.h"
#include "fovea/text/pipeline/normalisers.h"
#include "fovea/text/pipeline/unicode_form.h"

namespace fovea::text::pipeline {
namespace {

bool is_dropped(char32_t c) { return c == 0 || c == replacement_character || is_control(c); }

/// What BERT does to a text: control characters go, white space becomes spaces, ideographs get spaces around
/// them, accents and capitals go. Source: google-research/bert, tokenization.py, BasicTokenizer.
class BertNormaliser final : public Normaliser {
 public:
  explicit BertNormaliser(const formats::Json& json)
      : cleans_(json.at("clean_text").boolean()),
        spaces_chinese_(json.at("handle_chinese_chars").boolean()),
        lowers_(json.at("lowercase").boolean()),
        strips_accents_(json.boolean_or("strip_accents", lowers_)) {}

  void normalise(AlignedText& text) const override {
    if (cleans_)
      change_characters(
          text, [](char32_t c) { return c != ' ' && (is_space(c) || is_dropped(c)); },
          [](char32_t c, std::size_t at, Rewriter& out) {
            if (!is_dropped(c)) out.put(" ", at);
          });
    if (spaces_chinese_)
      change_characters(text, is_chinese, [](char32_t c, std::size_t at, Rewriter& out) {
        out.put(" ", at);
        out.put(c, at);
        out.put(" ", at);
      });
    if (strips_accents_) {
      to_unicode_form(text, UnicodeForm::nfd);
      drop_characters(text, is_nonspacing_mark);
    }
    if (lowers_) to_lower(text);
  }

 private:
  bool cleans_, spaces_chinese_, lowers_, strips_accents_;
};

}  // namespace

std::unique_ptr<const Normaliser> make_bert_normaliser(const formats::Json& json) {
  return std::make_unique<BertNormaliser>(json);
}

}  // namespace fovea::text::pipeline
