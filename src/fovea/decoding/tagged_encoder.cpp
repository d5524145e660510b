#include "fovea/decoding/tagged_encoder.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "fovea/base/file.h"
#include "fovea/text/given_words.h"
#include "fovea/text/shorten.h"

namespace fovea::decoding {

EncodedTags encode_tagged(const data::TaggedText& text, const std::string& file,
                          const text::Tokenizer& tokenizer, const data::Labels& labels,
                          std::int64_t max_tokens) {
  EncodedTags encoded;
  for (const auto& sentence : text.sentences) {
    const std::string where = shown(file) + ":" + std::to_string(sentence.line);
    std::vector<std::int32_t> classes;
    for (const auto& label : sentence.labels) classes.push_back(labels.at(label, where));
    const auto given = text::GivenWords::joined(sentence.words);
    auto encoding = tokenizer.encode(given.text);
    encoded.cut += text::shorten(encoding, static_cast<std::size_t>(max_tokens));
    const auto first = given.first_tokens(encoding);
    encoded.lost_words += std::ranges::count(first, -1);
    if (!encoded.corpus.add(encoding.ids, first, classes)) encoded.unread.push_back(std::move(classes));
  }
  return encoded;
}

}  // namespace fovea::decoding
