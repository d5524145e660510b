#include "fovea/text/marian_tokenizer.h"

namespace fovea::text {
namespace {

/// One token a word, since pieces know no words; </s> at the end is special.
Encoding encoding_of(TranslationTokenizer::Read read, std::int8_t sequence,
                     const Tokenizer::Options& options) {
  Encoding out;
  const std::size_t last = read.ids.size() - 1;
  for (std::size_t i = 0; i < read.ids.size(); ++i) {
    const bool end = i == last;
    if (end && !options.add_special) break;
    const TextRange range = options.ranges ? read.ranges[i] : TextRange{};
    out.append(read.ids[i], range, end ? -1 : static_cast<std::int32_t>(i), sequence,
               static_cast<std::int8_t>(end ? -1 : sequence), end);
  }
  return out;
}

}  // namespace

MarianTokenizer::MarianTokenizer(TranslationTokenizer tokenizer) : tokenizer_(std::move(tokenizer)) {
  const Vocabulary& vocabulary = tokenizer_.target_vocabulary();
  special_.eos = vocabulary.eos();
  special_.unk = vocabulary.unk();
  special_.pad = vocabulary.pad();
  max_length_ = static_cast<std::size_t>(tokenizer_.settings().max_length);
}

Encoding MarianTokenizer::encode(std::string_view text, const Options& options) const {
  return encoding_of(tokenizer_.read_source(text), 0, options);
}

Encoding MarianTokenizer::encode_pair(std::string_view first, std::string_view second,
                                      const Options& options) const {
  Encoding out = encode(first, options);
  out.append(encoding_of(tokenizer_.read_source(second), 1, options));
  return out;
}

Encoding MarianTokenizer::encode_target(std::string_view text, const Options& options) const {
  return encoding_of(tokenizer_.read_target(text), 0, options);
}

std::string MarianTokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  if (skip_special) return tokenizer_.decode_target(ids);
  std::string out, text;
  std::vector<std::int32_t> run;
  const auto flush = [&] {
    text = tokenizer_.decode_target(run);
    if (!text.empty() && !out.empty()) out.push_back(' ');
    out.append(text);
    run.clear();
  };
  for (const std::int32_t id : ids) {
    if (id != special_.eos && id != special_.pad && id != special_.unk) {
      run.push_back(id);
      continue;
    }
    flush();
    out.append(out.empty() ? "" : " ").append(piece(id));
  }
  flush();
  return out;
}

std::string MarianTokenizer::piece(std::int32_t id) const {
  const Vocabulary& vocabulary = tokenizer_.target_vocabulary();
  return id < 0 || id >= vocabulary.size() ? std::string() : std::string(vocabulary.piece(id));
}

}  // namespace fovea::text
