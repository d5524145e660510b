#include "fovea/text/pipeline/normaliser.h"

#include "fovea/text/pipeline/normalisers.h"
#include "fovea/text/pipeline/unicode_form.h"

namespace fovea::text::pipeline {
namespace {

class FormNormaliser final : public Normaliser {
 public:
  explicit FormNormaliser(UnicodeForm form) : form_(form) {}
  void normalise(AlignedText& text) const override { to_unicode_form(text, form_); }

 private:
  UnicodeForm form_;
};

class NormaliserSequence final : public Normaliser {
 public:
  explicit NormaliserSequence(const formats::Json& json) {
    for (const formats::Json& part : json.at("normalizers").elements())
      parts_.push_back(parse_normaliser(part));
  }
  void normalise(AlignedText& text) const override {
    for (const auto& part : parts_) part->normalise(text);
  }

 private:
  std::vector<std::unique_ptr<const Normaliser>> parts_;
};

}  // namespace

std::unique_ptr<const Normaliser> parse_normaliser(const formats::Json& json) {
  const std::string_view type = json.at("type").text();
  if (type == "Sequence") return std::make_unique<NormaliserSequence>(json);
  if (type == "NFC") return std::make_unique<FormNormaliser>(UnicodeForm::nfc);
  if (type == "NFD") return std::make_unique<FormNormaliser>(UnicodeForm::nfd);
  if (type == "NFKC") return std::make_unique<FormNormaliser>(UnicodeForm::nfkc);
  if (type == "NFKD") return std::make_unique<FormNormaliser>(UnicodeForm::nfkd);
  if (type == "Lowercase") return make_lowercase();
  if (type == "StripAccents") return make_strip_accents();
  if (type == "Strip") return make_strip(json);
  if (type == "Nmt") return make_nmt();
  if (type == "Prepend") return make_prepend(json);
  if (type == "Replace") return make_replace(json);
  if (type == "ByteLevel") return make_byte_level_normaliser();
  if (type == "BertNormalizer") return make_bert_normaliser(json);
  if (type == "Precompiled") return make_precompiled(json);
  json.at("type").reject("a normalizer that fovea does not have");
}

}  // namespace fovea::text::pipeline
