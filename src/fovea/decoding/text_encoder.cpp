#include "fovea/decoding/text_encoder.h"

#include <algorithm>
#include <numeric>

#include "fovea/base/error.h"
#include "fovea/text/shorten.h"

namespace fovea::decoding {

TextEncoder::TextEncoder(std::shared_ptr<const text::Tokenizer> tokenizer, std::int64_t vocabulary,
                         std::int64_t max_tokens, std::string_view where, std::int64_t limit)
    : tokenizer_(std::move(tokenizer)), max_tokens_(max_tokens) {
  if (tokenizer_->size() > vocabulary)
    throw Error(Error::Kind::model, where,
                "the tokenizer has " + std::to_string(tokenizer_->size()) + " tokens, the model knows " +
                    std::to_string(vocabulary),
                "do they belong together?");
  const std::int64_t least = limit > 0 ? limit : static_cast<std::int64_t>(tokenizer_->max_length());
  if (least > 0) max_tokens_ = std::min(max_tokens_, least);
}

text::Encoding TextEncoder::encode(const InputText& text) const {
  text::Encoding encoding =
      text.second ? tokenizer_->encode_pair(text.text, *text.second, {}) : tokenizer_->encode(text.text);
  cut_ += text::shorten(encoding, static_cast<std::size_t>(max_tokens_));
  return encoding;
}

void for_each_batch(std::span<const text::Encoding> texts, std::int64_t batch_tokens,
                    const std::function<void(const PackedTexts&)>& run) {
  for (std::size_t begin = 0; begin < texts.size();) {
    PackedTexts packed;
    packed.first = begin;
    std::size_t end = begin;
    while (end < texts.size() &&
           (end == begin || std::ssize(packed.tokens) + std::ssize(texts[end].ids) <= batch_tokens)) {
      const auto& text = texts[end++];
      packed.tokens.insert(packed.tokens.end(), text.ids.begin(), text.ids.end());
      packed.types.insert(packed.types.end(), text.types.begin(), text.types.end());
      packed.start.push_back(static_cast<std::int32_t>(packed.tokens.size()));
    }
    run(packed);
    begin = end;
  }
}

std::vector<std::vector<float>> classify(const ops::Context& ctx, const models::TextClassifier& model,
                                         std::span<const text::Encoding> texts, std::int64_t batch_tokens) {
  std::vector<std::vector<float>> all;
  for_each_batch(texts, batch_tokens, [&](const PackedTexts& packed) {
    const Tensor logits = model.logits(ctx, packed.batch());
    const std::int64_t C = logits.dim(1);
    for (std::int64_t b = 0; b < logits.dim(0); ++b)
      all.push_back(models::probabilities({logits.f32() + b * C, static_cast<std::size_t>(C)},
                                          model.classes().problem));
  });
  return all;
}

std::vector<std::size_t> greatest(std::span<const float> values, std::size_t count) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  count = std::min(count, order.size());
  std::partial_sort(
      order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
      [&](std::size_t a, std::size_t b) { return values[a] != values[b] ? values[a] > values[b] : a < b; });
  order.resize(count);
  return order;
}

}  // namespace fovea::decoding
