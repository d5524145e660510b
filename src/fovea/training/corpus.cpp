#include "fovea/training/corpus.h"

#include <algorithm>

#include "fovea/base/file.h"
#include "fovea/data/languages.h"
#include "fovea/data/parallel_corpus.h"
#include "fovea/data/pronunciations.h"
#include "fovea/text/sentencepiece_trainer.h"

namespace fovea::training {
namespace {

constexpr std::uint64_t most_model_bytes = std::uint64_t{256} << 20;

data::ParallelFiles parallel_files(const std::filesystem::path& folder, const std::string& source,
                                   const std::string& target, const std::string& tsv,
                                   const DataOptions& options) {
  if (tsv.empty()) return {(folder / source).string(), (folder / target).string()};
  const auto& columns = options.tsv_columns;
  return {(folder / tsv).string(),      "",
          static_cast<int>(columns[0]), static_cast<int>(columns[1]),
          options.source_field,         options.target_field};
}

void note_statistics(const char* what, const data::ParallelStatistics& found, const Notes& notes) {
  if (found.empty_pairs > 0)
    notes(std::string(what) + ": " + std::to_string(found.empty_pairs) +
          " pairs with an empty side left out");
  for (const auto* side : {&found.source, &found.target})
    if (side->invalid_lines > 0)
      notes(std::string(what) + ": " + std::to_string(side->invalid_lines) +
            " lines are not UTF-8 and were repaired, the first at " + side->first_invalid);
}

data::ParallelText read_text(const DataOptions& options, const data::ParallelFiles& files, const char* what,
                             const Notes& notes) {
  if (!files.target.empty())
    if (const auto doubt = data::swapped_languages(files.source, files.target, options.source_language,
                                                   options.target_language))
      notes(*doubt);
  auto text = data::read_parallel(files);
  note_statistics(what, text.statistics, notes);
  return text;
}

struct Texts {
  data::ParallelText train, valid;
};

Texts read_dictionaries(const DataOptions& options, const std::filesystem::path& folder) {
  const auto read = [&](const std::string& name) {
    return data::read_pronunciations((folder / name).string(), {.stress = options.stress});
  };
  if (options.valid_share > 0) {
    auto [train, valid] = data::split_by_source(read(options.train_dictionary), options.valid_share);
    return {std::move(train), std::move(valid)};
  }
  return {read(options.train_dictionary),
          options.valid_dictionary.empty() ? data::ParallelText{} : read(options.valid_dictionary)};
}

Texts read_texts(const DataOptions& options, const std::filesystem::path& folder, const Notes& notes) {
  if (!options.train_dictionary.empty()) return read_dictionaries(options, folder);
  if (options.train_tsv.empty() && (options.train_source.empty() || options.train_target.empty()))
    throw Error(Error::Kind::usage, "recipe", "names no training text",
                "set data.train_source and data.train_target, or data.train_tsv");
  Texts texts;
  texts.train = read_text(
      options, parallel_files(folder, options.train_source, options.train_target, options.train_tsv, options),
      "training data", notes);
  if (!options.valid_tsv.empty() || !options.valid_source.empty())
    texts.valid = read_text(
        options,
        parallel_files(folder, options.valid_source, options.valid_target, options.valid_tsv, options),
        "validation data", notes);
  return texts;
}

text::SentencePieceTraining::Kind piece_kind(TokenizerKind kind) {
  using Kind = text::SentencePieceTraining::Kind;
  switch (kind) {
    case TokenizerKind::bpe:
      return Kind::bpe;
    case TokenizerKind::characters:
      return Kind::characters;
    case TokenizerKind::words:
      return Kind::words;
    default:
      return Kind::unigram;
  }
}

text::SentencePieceModel train_side(const TokenizerOptions& options, TokenizerKind kind,
                                    const std::vector<std::string>& lines) {
  text::SentencePieceTraining training;
  training.kind = piece_kind(kind);
  training.vocabulary_size = static_cast<std::int32_t>(options.vocabulary);
  training.byte_fallback = options.byte_fallback;
  training.character_coverage = options.character_coverage;
  training.normalisation = options.normalisation;
  training.seed = static_cast<std::uint64_t>(options.seed);
  return text::SentencePieceModel::parse(text::train_sentencepiece(training, lines), "the new tokenizer");
}

text::TranslationTokenizer make_tokenizer(const Recipe& recipe, const data::ParallelText& train) {
  const text::TranslationTokenizer::Settings settings{recipe.data.source_language,
                                                      recipe.data.target_language,
                                                      static_cast<std::int32_t>(recipe.model.max_positions)};
  const TokenizerOptions& options = recipe.tokenizer;
  if (!options.model.empty())
    return {text::SentencePieceModel::parse(read_file(options.model, most_model_bytes, Error::Kind::model),
                                            options.model),
            settings};
  const TokenizerKind target_kind =
      options.target_kind == TokenizerKind::as_source ? options.kind : options.target_kind;
  if (!options.joint)
    return {train_side(options, options.kind, train.source), train_side(options, target_kind, train.target),
            settings};
  std::vector<std::string> lines = train.source;
  lines.insert(lines.end(), train.target.begin(), train.target.end());
  return {train_side(options, options.kind, lines), settings};
}

// Ids of the text alone: the batcher adds the end of sentence.
std::vector<std::int32_t> without_eos(std::vector<std::int32_t> ids) {
  if (!ids.empty()) ids.pop_back();
  return ids;
}

bool within_ratio(std::size_t source, std::size_t target, double most) {
  const auto [shorter, longer] = std::minmax(source, target);
  return most <= 0 ||
         static_cast<double>(longer) <= most * static_cast<double>(std::max<std::size_t>(1, shorter));
}

/// What becomes of pairs that are long or unlike.
struct Limits {
  std::int64_t max_tokens, max_source_tokens;
  double max_ratio;
};

data::TokenCorpus encode(const text::TranslationTokenizer& tokenizer, const data::ParallelText& text,
                         const Limits& limits, const char* what, const Notes& notes) {
  const auto [max_tokens, max_source_tokens, max_ratio] = limits;
  data::TokenCorpus corpus(max_tokens);
  std::int64_t unlike = 0, shortened = 0;
  for (std::size_t i = 0; i < text.source.size(); ++i) {
    auto source = without_eos(tokenizer.encode_source(text.source[i]));
    if (max_source_tokens > 0 && std::ssize(source) >= max_source_tokens) {
      source.resize(static_cast<std::size_t>(max_source_tokens - 1));  // and its end
      ++shortened;
    }
    const auto target = without_eos(tokenizer.encode_target(text.target[i]));
    if (within_ratio(source.size(), target.size(), max_ratio)) {
      corpus.add(source, target);
    } else {
      ++unlike;
    }
  }
  corpus.expect_pairs(what);
  const auto& found = corpus.statistics();
  if (found.too_long > 0)
    notes(std::string(what) + ": " + std::to_string(found.too_long) + " pairs longer than " +
          std::to_string(max_tokens) + " tokens left out");
  if (shortened > 0)
    notes(std::string(what) + ": " + std::to_string(shortened) + " sources read to token " +
          std::to_string(max_source_tokens) + " alone");
  if (unlike > 0)
    notes(std::string(what) + ": " + std::to_string(unlike) + " pairs beyond data.max_ratio left out");
  return corpus;
}

}  // namespace

Corpus prepare_corpus(const Recipe& recipe, const std::filesystem::path& folder,
                      std::optional<text::TranslationTokenizer> tokenizer, const Notes& notes) {
  const DataOptions& options = recipe.data;
  auto [train, valid] = read_texts(options, folder, notes);
  if (!tokenizer) tokenizer = make_tokenizer(recipe, train);
  const std::int64_t most = std::min(options.max_tokens, recipe.model.max_positions);
  Corpus corpus{
      *tokenizer,
      encode(*tokenizer, train, {most, options.max_source_tokens, options.max_ratio}, "training data", notes),
      data::TokenCorpus(recipe.model.max_positions), std::move(valid.source), std::move(valid.target)};
  if (!corpus.valid_source.empty())
    corpus.valid =
        encode(*tokenizer, {corpus.valid_source, corpus.valid_target, {}},
               {recipe.model.max_positions, options.max_source_tokens, 0}, "validation data", notes);
  return corpus;
}

}  // namespace fovea::training
