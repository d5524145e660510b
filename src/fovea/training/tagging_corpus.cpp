#include "fovea/training/tagging_corpus.h"

#include "fovea/data/tagged_text.h"
#include "fovea/text/given_words.h"

namespace fovea::training {
namespace {

using data::TaggedText;

TaggedText read(const Recipe& recipe, const std::filesystem::path& folder, const std::string& name,
                const Notes& notes) {
  auto text = data::read_tagged({.path = (folder / name).string(),
                                 .word = static_cast<int>(recipe.tagging.word_column),
                                 .label = static_cast<int>(recipe.tagging.label_column)});
  if (text.invalid_lines > 0)
    notes(name + ": " + std::to_string(text.invalid_lines) +
          " lines are not UTF-8 and were repaired, the first at " + text.first_invalid);
  return text;
}

std::vector<std::string> lines_of(const TaggedText& text) {
  std::vector<std::string> lines;
  for (const auto& sentence : text.sentences) lines.push_back(text::GivenWords::joined(sentence.words).text);
  return lines;
}

data::Labels labels_of(const Recipe& recipe, const TaggedText& train) {
  if (!recipe.tagging.labels.empty()) return data::Labels(recipe.tagging.labels);
  std::vector<std::string> labels;
  for (const auto& sentence : train.sentences)
    labels.insert(labels.end(), sentence.labels.begin(), sentence.labels.end());
  return data::Labels::among(labels, recipe.tagging.train);
}

decoding::EncodedTags encode(const TaggedText& text, const std::string& name,
                             const text::Tokenizer& tokenizer, const data::Labels& labels,
                             std::int64_t max_tokens, const Notes& notes) {
  auto encoded = decoding::encode_tagged(text, name, tokenizer, labels, max_tokens);
  if (encoded.cut > 0)
    notes(name + ": " + std::to_string(encoded.cut) + " sentences cut to " + std::to_string(max_tokens) +
          " tokens");
  if (encoded.lost_words > 0)
    notes(name + ": " + std::to_string(encoded.lost_words) + " words have no token to bear their label");
  return encoded;
}

}  // namespace

TaggingCorpus prepare_tagging(const Recipe& recipe, const std::filesystem::path& folder,
                              std::optional<GivenTokenizer> tokenizer, std::int64_t max_tokens,
                              const Notes& notes) {
  const TaggingOptions& options = recipe.tagging;
  TaggedText train = read(recipe, folder, options.train, notes), valid;
  std::string valid_name = options.train;
  if (options.valid_share > 0) {
    valid = data::split_off(train, options.valid_share, static_cast<std::uint64_t>(recipe.training.seed));
  } else if (!options.valid.empty()) {
    valid_name = options.valid;
    valid = read(recipe, folder, valid_name, notes);
  }
  data::Labels labels = labels_of(recipe, train);
  if (!tokenizer) tokenizer = learn_tokenizer(recipe, lines_of(train));
  const auto& read_by = *tokenizer->tokenizer;
  auto train_ids = encode(train, options.train, read_by, labels, max_tokens, notes);
  auto valid_ids = encode(valid, valid_name, read_by, labels, max_tokens, notes);
  return {*std::move(tokenizer), std::move(labels), std::move(train_ids.corpus), std::move(valid_ids)};
}

}  // namespace fovea::training
