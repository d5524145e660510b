#include "fovea/training/language_corpus.h"

#include <algorithm>

#include "fovea/base/file.h"
#include "fovea/data/document_text.h"
#include "fovea/formats/adapter.h"
#include "fovea/formats/json.h"
#include "fovea/text/language_tokenizer.h"
#include "fovea/text/load_tokenizer.h"
#include "fovea/text/tokenizer_json.h"
#include "fovea/training/document_texts.h"

namespace fovea::training {
namespace {

using Path = std::filesystem::path;
using Texts = std::vector<std::string>;

constexpr auto tokenizer_name = "tokenizer.json";
constexpr auto settings_name = "tokenizer_config.json";

struct Read {
  FolderFiles files;
  std::shared_ptr<const text::Tokenizer> tokenizer;
};

// The tokenizer of a model directory, and the files that a copy of the model needs.
Read read_tokenizer(const Path& folder) {
  return {text::tokenizer_files(folder), text::load_tokenizer(folder)};
}

text::LanguageTokenizerTraining training_of(const Recipe& recipe) {
  return {.kind = recipe.text_tokenizer.kind,
          .least_count = recipe.text_tokenizer.least_count,
          .size = recipe.text_tokenizer.vocabulary,
          .begins = recipe.text.documents != data::Documents::file};
}

// A tokenizer from its bytes; end_of_text, where it is a token, begins and ends texts.
Read make_tokenizer(std::string json, const std::string& name, const Recipe& recipe) {
  const auto tokenizer = text::TokenizerJson::parse(json, name);
  text::SpecialIds special;
  special.bos = special.eos = tokenizer->find(text::end_of_text);
  tokenizer->set_special(special);
  return {{{tokenizer_name, std::move(json)},
           {settings_name,
            text::language_tokenizer_config_json(recipe.text_tokenizer.kind, recipe.model.max_positions)}},
          tokenizer};
}

Read choose_tokenizer(const Recipe& recipe, const Path& given, const Texts& train) {
  if (!given.empty()) return read_tokenizer(given);
  if (!recipe.init.empty()) return read_tokenizer(recipe.init);
  const std::string& file = recipe.text_tokenizer.file;
  if (!file.empty())
    return make_tokenizer(read_file(file, formats::JsonLimits::tokenizer().bytes, Error::Kind::model), file,
                          recipe);
  return make_tokenizer(text::language_tokenizer_json(training_of(recipe), train), "the new tokenizer",
                        recipe);
}

std::optional<std::int32_t> token(std::int32_t id) { return id < 0 ? std::nullopt : std::optional(id); }

std::int64_t characters_of(const Texts& texts) {
  std::int64_t characters = 0;
  for (const auto& text : texts) characters += data::count_characters(text);
  return characters;
}

data::DocumentCorpus encode(const LanguageCorpus& corpus, const Texts& texts, const char* what,
                            const Notes& notes) {
  data::DocumentCorpus encoded;
  const std::int32_t unknown = corpus.tokenizer->special().unk;
  std::int64_t unknown_tokens = 0;
  for (const auto& text : texts) {
    const auto ids = data::document_ids(*corpus.tokenizer, corpus.frame, text);
    encoded.add(ids);
    if (unknown >= 0) unknown_tokens += std::ranges::count(ids, unknown);
  }
  encoded.expect_documents(what);
  if (unknown_tokens > 0)
    notes(std::string(what) + ": " + std::to_string(unknown_tokens) + " of " +
          std::to_string(encoded.predicted()) + " tokens are unknown to the tokenizer");
  return encoded;
}

}  // namespace

LanguageCorpus prepare_language_corpus(const Recipe& recipe, const Path& folder, const Path& tokenizer,
                                       const Notes& notes) {
  const auto [train, valid] = read_document_texts(recipe, folder, notes);
  auto [files, chosen] = choose_tokenizer(recipe, tokenizer, train);
  LanguageCorpus corpus;
  corpus.tokenizer_files = std::move(files);
  corpus.tokenizer = std::move(chosen);
  corpus.frame.begin = token(corpus.tokenizer->special().bos);
  if (recipe.text.documents != data::Documents::file)
    corpus.frame.end = token(corpus.tokenizer->special().eos);
  corpus.train_characters = characters_of(train);
  corpus.valid_characters = characters_of(valid);
  corpus.train = encode(corpus, train, "training data", notes);
  if (corpus.valid_characters > 0) corpus.valid = encode(corpus, valid, "validation data", notes);
  return corpus;
}

}  // namespace fovea::training
