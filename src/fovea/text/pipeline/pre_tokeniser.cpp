#include "fovea/text/pipeline/pre_tokeniser.h"

#include <algorithm>

#include "fovea/text/pipeline/pre_tokenisers.h"

namespace fovea::text::pipeline {
namespace {

class PreTokeniserSequence final : public PreTokeniser {
 public:
  explicit PreTokeniserSequence(const formats::Json& json) {
    for (const formats::Json& part : json.at("pretokenizers").elements())
      parts_.push_back(parse_pre_tokeniser(part));
  }
  void split(SplitText& text) const override {
    for (const auto& part : parts_) part->split(text);
  }
  bool needs_origins() const override {
    return std::ranges::any_of(parts_, [](const auto& part) { return part->needs_origins(); });
  }

 private:
  std::vector<std::unique_ptr<const PreTokeniser>> parts_;
};

}  // namespace

std::unique_ptr<const PreTokeniser> parse_pre_tokeniser(const formats::Json& json) {
  const std::string_view type = json.at("type").text();
  if (type == "Sequence") return std::make_unique<PreTokeniserSequence>(json);
  if (type == "BertPreTokenizer") return make_bert_pre_tokeniser();
  if (type == "ByteLevel") return make_byte_level(json);
  if (type == "Split") return make_split(json);
  if (type == "Metaspace") return make_metaspace(json);
  if (type == "Whitespace") return make_whitespace();
  if (type == "WhitespaceSplit") return make_whitespace_split();
  if (type == "Punctuation") return make_punctuation(json);
  if (type == "Digits") return make_digits(json);
  if (type == "CharDelimiterSplit") return make_char_delimiter_split(json);
  if (type == "FixedLength") return make_fixed_length(json);
  json.at("type").reject("a pre_tokenizer that fovea does not have");
}

}  // namespace fovea::text::pipeline
