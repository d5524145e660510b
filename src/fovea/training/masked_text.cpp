#include "fovea/training/masked_text.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "fovea/training/document_texts.h"

namespace fovea::training {
namespace {

using Texts = std::vector<std::string>;

// The lines of a text that hold anything.
Texts lines_of(std::string_view text) {
  Texts lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const auto line = text.substr(begin, end - begin);
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) lines.emplace_back(line);
    begin = end + 1;
  }
  return lines;
}

// What a tokenizer puts around a text.
data::MaskedCorpus::Frame frame_of(const text::Tokenizer& tokenizer, std::int64_t max_tokens) {
  const auto encoding = tokenizer.encode("a");
  data::MaskedCorpus::Frame frame;
  frame.most = max_tokens;
  std::size_t begin = 0, end = encoding.size();
  while (begin < end && encoding.special[begin]) frame.front.push_back(encoding.ids[begin++]);
  while (end > begin && encoding.special[end - 1]) --end;
  frame.back.assign(encoding.ids.begin() + static_cast<std::ptrdiff_t>(end), encoding.ids.end());
  if (max_tokens <= std::ssize(frame.front) + std::ssize(frame.back))
    throw Error(Error::Kind::usage, "recipe: model.max_positions",
                std::to_string(max_tokens) + " leaves no room for a text", "raise it");
  return frame;
}

data::MaskedCorpus encode(const Texts& texts, const text::Tokenizer& tokenizer, std::int64_t max_tokens) {
  data::MaskedCorpus corpus(frame_of(tokenizer, max_tokens));
  for (const auto& text : texts) {
    std::vector<std::int32_t> ids;
    std::vector<std::uint8_t> begins;
    for (const auto& line : lines_of(text)) {
      const auto encoding = tokenizer.encode(line, {.add_special = false, .ranges = false});
      for (std::size_t i = 0; i < encoding.size(); ++i) {
        ids.push_back(encoding.ids[i]);
        begins.push_back(i == 0 || encoding.words[i] != encoding.words[i - 1]);
      }
    }
    corpus.add(ids, begins);
  }
  return corpus;
}

}  // namespace

MaskedText prepare_masked_text(const Recipe& recipe, const std::filesystem::path& folder,
                               std::optional<GivenTokenizer> tokenizer, std::int64_t max_tokens,
                               const Notes& notes) {
  const auto [train, valid] = read_document_texts(recipe, folder, notes);
  if (!tokenizer) {
    Texts lines;
    for (const auto& text : train)
      for (auto& line : lines_of(text)) lines.push_back(std::move(line));
    tokenizer = learn_tokenizer(recipe, lines);
  }
  auto train_ids = encode(train, *tokenizer->tokenizer, max_tokens);
  auto valid_ids = encode(valid, *tokenizer->tokenizer, max_tokens);
  train_ids.as_pairs().expect_pairs("training data");
  return {*std::move(tokenizer), std::move(train_ids), std::move(valid_ids), std::ssize(train)};
}

data::Masking masking_of(const Recipe& recipe, const text::Tokenizer& tokenizer) {
  const auto& special = tokenizer.special();
  if (special.mask < 0)
    throw Error(Error::Kind::model, "tokenizer", "has no token that masks others",
                "begin with a model that was trained with masks");
  data::Masking masking{.share = recipe.masking.share,
                        .whole_words = recipe.masking.whole_words,
                        .mask = special.mask,
                        .others = {},
                        .seed = static_cast<std::uint64_t>(recipe.training.seed)};
  const auto apart = {special.bos, special.eos, special.unk, special.sep,
                      special.pad, special.cls, special.mask};
  for (std::int32_t id = 0; id < tokenizer.size(); ++id)
    if (std::ranges::find(apart, id) == apart.end()) masking.others.push_back(id);
  return masking;
}

}  // namespace fovea::training
