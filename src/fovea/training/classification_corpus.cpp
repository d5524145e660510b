#include "fovea/training/classification_corpus.h"

#include "fovea/base/file.h"
#include "fovea/data/labelled_text.h"
#include "fovea/formats/adapter.h"
#include "fovea/text/load_tokenizer.h"
#include "fovea/text/shorten.h"
#include "fovea/text/tokenizer_json.h"
#include "fovea/text/tokenizer_trainer.h"

namespace fovea::training {
namespace {

using data::LabelledText;

LabelledText read(const Recipe& recipe, const std::filesystem::path& folder, const std::string& name,
                  const Notes& notes) {
  const ClassificationOptions& options = recipe.classification;
  auto text = data::read_labelled({.path = (folder / name).string(),
                                   .text = static_cast<int>(options.text_column),
                                   .second = static_cast<int>(options.second_column),
                                   .label = static_cast<int>(options.label_column),
                                   .header = options.header});
  if (text.empty > 0) notes(name + ": " + std::to_string(text.empty) + " empty texts left out");
  if (text.invalid_lines > 0)
    notes(name + ": " + std::to_string(text.invalid_lines) +
          " lines are not UTF-8 and were repaired, the first at " + text.first_invalid);
  return text;
}

GivenTokenizer train_tokenizer(const Recipe& recipe, const LabelledText& train) {
  const ClassificationOptions& options = recipe.classification;
  std::vector<std::string> lines = train.text;
  lines.insert(lines.end(), train.second.begin(), train.second.end());
  std::string json = text::train_tokenizer_json({.kind = options.tokens,
                                                 .size = recipe.tokenizer.vocabulary,
                                                 .least_count = options.least_count,
                                                 .lowercase = options.lowercase},
                                                lines);
  const auto tokenizer = text::TokenizerJson::parse(json, "the new tokenizer");
  text::SpecialIds ids;
  ids.pad = tokenizer->find("[PAD]");
  ids.unk = tokenizer->find("[UNK]");
  ids.cls = tokenizer->find("[CLS]");
  ids.sep = tokenizer->find("[SEP]");
  ids.mask = tokenizer->find("[MASK]");
  tokenizer->set_special(ids);
  FolderFiles files;
  files.emplace_back("tokenizer.json", std::move(json));
  files.emplace_back("tokenizer_config.json", text::tokenizer_config_json(recipe.model.max_positions));
  return {tokenizer, std::move(files)};
}

data::Labels classes_of(const Recipe& recipe, const LabelledText& train) {
  const std::string& where = recipe.data.train_tsv;
  data::Labels found = data::Labels::among(train.label, where);
  if (recipe.classification.labels.empty()) return found;
  data::Labels named(recipe.classification.labels);
  for (std::size_t i = 0; i < train.label.size(); ++i)
    named.at(train.label[i], where + ":" + std::to_string(train.line[i]));
  return named;
}

class Encoder {
 public:
  Encoder(const text::Tokenizer& tokenizer, const data::Labels& labels, std::int64_t max_tokens,
          const Notes& notes)
      : tokenizer_(tokenizer), labels_(labels), max_tokens_(max_tokens), notes_(notes) {}

  data::LabelledCorpus encode(const LabelledText& text, const std::string& name) const {
    data::LabelledCorpus corpus;
    std::int64_t cut = 0;
    for (std::size_t i = 0; i < text.text.size(); ++i) {
      const std::int32_t label = labels_.at(text.label[i], name + ":" + std::to_string(text.line[i]));
      const text::Tokenizer::Options how{.ranges = false};
      text::Encoding encoding = text.second.empty()
                                    ? tokenizer_.encode(text.text[i], how)
                                    : tokenizer_.encode_pair(text.text[i], text.second[i], how);
      cut += text::shorten(encoding, static_cast<std::size_t>(max_tokens_));
      corpus.add(encoding.ids, encoding.types, label);
    }
    if (cut > 0)
      notes_(name + ": " + std::to_string(cut) + " texts cut to " + std::to_string(max_tokens_) + " tokens");
    return corpus;
  }

 private:
  const text::Tokenizer& tokenizer_;
  const data::Labels& labels_;
  std::int64_t max_tokens_;
  const Notes& notes_;
};

}  // namespace

GivenTokenizer GivenTokenizer::read(const std::filesystem::path& directory) {
  constexpr std::uint64_t most = std::uint64_t{256} << 20;
  const auto papers = formats::tokenizer_papers_of(directory);
  GivenTokenizer given{text::load_tokenizer(directory, text::Lengths::free), {}};
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt",
                           "vocab.json", "merges.txt", "added_tokens.json"}) {
    std::error_code error;
    if (std::filesystem::exists(papers / name, error))
      given.files.emplace_back(name, read_file(papers / name, most, Error::Kind::model));
  }
  return given;
}

ClassificationCorpus prepare_classification(const Recipe& recipe, const std::filesystem::path& folder,
                                            std::optional<GivenTokenizer> tokenizer, std::int64_t max_tokens,
                                            const Notes& notes) {
  const DataOptions& data = recipe.data;
  LabelledText train = read(recipe, folder, data.train_tsv, notes), valid;
  std::string valid_name = data.train_tsv;
  if (recipe.classification.valid_share > 0) {
    valid = data::split_off(train, recipe.classification.valid_share,
                            static_cast<std::uint64_t>(recipe.training.seed));
  } else if (!data.valid_tsv.empty()) {
    valid_name = data.valid_tsv;
    valid = read(recipe, folder, valid_name, notes);
  }
  data::Labels labels = classes_of(recipe, train);
  if (!tokenizer) tokenizer = train_tokenizer(recipe, train);
  const Encoder encoder(*tokenizer->tokenizer, labels, max_tokens, notes);
  auto train_ids = encoder.encode(train, data.train_tsv);
  auto valid_ids = encoder.encode(valid, valid_name);
  return {*std::move(tokenizer), std::move(labels), std::move(train_ids), std::move(valid_ids)};
}

}  // namespace fovea::training
