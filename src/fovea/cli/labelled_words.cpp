#include "fovea/cli/labelled_words.h"

#include <algorithm>

#include "fovea/formats/adapter.h"
#include "fovea/formats/json.h"
#include "fovea/text/given_words.h"

namespace fovea::cli {
namespace {

LabelledWord labelled(const models::ClassNames& classes, std::span<const float> logits) {
  const auto p = models::probabilities(logits, classes.problem);
  const auto best = decoding::greatest(p, 1).front();
  return {"", {}, classes.names[best], p[best]};
}

/// Goes through the tokens of a text; the pieces of a word are one.
class Gatherer {
 public:
  Gatherer(const models::ClassNames& classes, const text::Encoding& encoding, const decoding::InputText& text)
      : classes_(classes), encoding_(encoding), text_(text) {}

  void add(std::size_t i, std::span<const float> logits) {
    if (encoding_.special[i]) return;
    const bool goes_on = !words_.empty() && encoding_.words[i] >= 0 && encoding_.words[i] == word_ &&
                         encoding_.sequences[i] == sequence_;
    word_ = encoding_.words[i];
    sequence_ = encoding_.sequences[i];
    const text::TextRange range = encoding_.ranges[i];
    if (goes_on) {
      words_.back().range.end = std::max(words_.back().range.end, range.end);
    } else {
      words_.push_back(labelled(classes_, logits));
      words_.back().range = range;
    }
    const std::string& whole = sequence_ == 1 && text_.second ? *text_.second : text_.text;
    const auto& of = words_.back().range;
    words_.back().text = whole.substr(of.begin, of.end - of.begin);
  }

  std::vector<LabelledWord> words() && { return std::move(words_); }

 private:
  const models::ClassNames& classes_;
  const text::Encoding& encoding_;
  const decoding::InputText& text_;
  std::int32_t word_ = -1;
  std::int8_t sequence_ = -1;
  std::vector<LabelledWord> words_;
};

/// The words between white space of one text, or of both of a pair.
std::vector<LabelledWord> spaced_words(const models::ClassNames& classes, const text::Encoding& encoding,
                                       const decoding::InputText& input, const float* logits) {
  const auto C = static_cast<std::size_t>(classes.size());
  std::vector<LabelledWord> words;
  const auto add = [&](const std::string& text, std::int8_t sequence) {
    auto of_text = encoding;  // tokens of the other text count as special
    for (std::size_t i = 0; i < of_text.size(); ++i)
      of_text.special[i] = of_text.special[i] || of_text.sequences[i] != sequence;
    const auto given = text::GivenWords::spaced(text);
    const auto first = given.first_tokens(of_text);
    for (std::size_t word = 0; word < first.size(); ++word) {
      LabelledWord found;
      if (first[word] >= 0)
        found = labelled(classes, {logits + static_cast<std::size_t>(first[word]) * C, C});
      found.text = given.word(word);
      found.range = given.ranges[word];
      words.push_back(std::move(found));
    }
  };
  add(input.text, 0);
  if (input.second) add(*input.second, 1);
  return words;
}

}  // namespace

bool labels_words(const std::string& folder) {
  const auto path = formats::papers_of(folder, {"config.json"}) / "config.json";
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return false;
  const auto config = formats::read_json(path, Error::Kind::model);
  if (!models::is_bert(config.text_or("model_type", ""))) return false;
  return models::read_bert_config(config).head == models::BertConfig::Head::token;
}

std::vector<std::vector<LabelledWord>> label_words(const ops::Context& ctx, const models::Bert& model,
                                                   std::span<const text::Encoding> encodings,
                                                   std::span<const decoding::InputText> texts,
                                                   WordKind kind) {
  constexpr std::int64_t batch_tokens = 4096;
  std::vector<std::vector<LabelledWord>> all;
  decoding::for_each_batch(encodings, batch_tokens, [&](const decoding::PackedTexts& packed) {
    const Tensor logits = model.token_logits(ctx, packed.batch());
    const std::int64_t C = logits.dim(1);
    for (std::size_t b = 0; b < packed.size(); ++b) {
      if (kind == WordKind::spaced) {
        all.push_back(spaced_words(model.classes(), encodings[packed.first + b], texts[packed.first + b],
                                   logits.f32() + packed.start[b] * C));
        continue;
      }
      Gatherer gatherer(model.classes(), encodings[packed.first + b], texts[packed.first + b]);
      for (std::int32_t row = packed.start[b]; row < packed.start[b + 1]; ++row)
        gatherer.add(static_cast<std::size_t>(row - packed.start[b]),
                     {logits.f32() + row * C, static_cast<std::size_t>(C)});
      all.push_back(std::move(gatherer).words());
    }
  });
  return all;
}

}  // namespace fovea::cli
