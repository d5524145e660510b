#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/text/any_text.h"
#include "fovea/text/language_tokens.h"
#include "fovea/text/sentencepiece.h"
#include "fovea/text/vocabulary.h"

namespace fovea::text {

/// The tokenizer of a model that reads a text and writes one. There are three kinds:
///   source.spm, target.spm, vocab.json         Marian's and fovea's own
///   sentencepiece.bpe.model, vocab.json        M2M100's
///   tokenizer.json, or what else load_tokenizer() reads: T5's, BART's, mBART's, NLLB's (AnyText)
/// The first is as Hugging Face's MarianTokenizer: SentencePiece for either
/// language, then a vocabulary that gives pieces the model's ids. For models that fovea trained those are
/// SentencePiece's ids; OPUS-MT models have Marian's. Pieces that the vocabulary lacks are `<unk>`. Unlike
/// there, `</s>` and its like written in a text are text, so that a user cannot end a sentence by writing so.
/// Source: huggingface/transformers, models/marian/tokenization_marian.py.
class TranslationTokenizer {
 public:
  struct Settings {
    std::string source_language;  ///< "en"; may be empty
    std::string target_language;
    std::int32_t max_length = 512;  ///< tokens a model takes, `</s>` included
  };

  /// One model for both languages.
  TranslationTokenizer(const SentencePieceModel& joint, Settings settings);
  /// A model, and so a vocabulary, for each.
  TranslationTokenizer(const SentencePieceModel& source, const SentencePieceModel& target, Settings settings);

  /// File names and contents as in a model directory: source.spm, target.spm, vocab.json, target_vocab.json
  /// if vocabularies are separate, and tokenizer_config.json if there is one.
  using Files = std::map<std::string, std::string>;

  /// Throws Error(model) naming file and fault. `where` is the directory, for messages.
  static TranslationTokenizer parse(Files files, const std::filesystem::path& where);
  /// Reads a tokenizer of any of the three kinds from a model directory.
  static TranslationTokenizer read(const std::filesystem::path& directory);
  /// All files that MarianTokenizer wants, special_tokens_map.json too; or those that it was read from.
  Files files() const;

  /// The languages that texts can be of or become, as the model names them; empty: one pair, unnamed.
  const std::vector<std::string>& languages() const { return languages_.languages(); }
  /// See LanguageTokens::choose().
  void choose_languages(std::string_view source, std::string_view target) {
    languages_.choose(source_vocabulary(), source, target);
  }
  /// What the decoder is to say first, as the model's languages have it; -1: nothing.
  std::int32_t first_target() const { return languages_.first(); }
  /// Whether the decoder has to be told a language, and has not been.
  bool needs_target() const { return languages_.needs_target(); }
  /// Tokens at the end of every source that are not text.
  std::int64_t closing() const { return languages_.closing(); }

  /// Ids of a sentence, `</s>` at the end, and the language where the model asks for it. A leading `>>xxx<<`
  /// that the vocabulary knows names the language wanted.
  std::vector<std::int32_t> encode_source(std::string_view text) const;
  std::vector<std::int32_t> encode_target(std::string_view text) const;
  /// The tokens of a part of a target, nothing put around them.
  std::vector<std::int32_t> target_tokens(std::string_view text) const;
  /// Ids of a sentence and, for each, the bytes of the text that it stands for, spaces aside: empty for
  /// `</s>` and the like. The bytes of one unknown character all stand for the whole of it.
  struct Read {
    std::vector<std::int32_t> ids;
    std::vector<TextRange> ranges;
  };
  Read read_source(std::string_view text) const;
  Read read_target(std::string_view text) const;
  /// Text of target ids; `</s>`, `<unk>` and `<pad>` are dropped, and spaces around the whole.
  std::string decode_target(std::span<const std::int32_t> ids) const;
  /// The same with something in the place of each `<unk>`, in order, as source_words() gives it.
  std::string decode_target(std::span<const std::int32_t> ids, std::span<const std::string> unknown) const;
  /// For each id of encode_source(text) what it stands for in the normalised text: an unknown one the
  /// characters that it is itself, others the whole word they are in, without the punctuation around it.
  /// U+2581 in front where a word begins. Empty for `</s>`, a leading language and spaces.
  std::vector<std::string> source_words(std::string_view text) const;
  /// The pieces of ids as people read them, U+2581 for a space: what a picture of attention is labelled with.
  std::vector<std::string> source_pieces(std::span<const std::int32_t> ids) const;
  std::vector<std::string> target_pieces(std::span<const std::int32_t> ids) const;

  const Vocabulary& source_vocabulary() const { return any_ ? any_->vocabulary() : *source_->vocabulary; }
  const Vocabulary& target_vocabulary() const { return any_ ? any_->vocabulary() : *target_->vocabulary; }
  /// Whether it is made of SentencePiece models; without, the next two throw Error(bug).
  bool has_sentencepiece() const { return source_.has_value(); }
  const SentencePieceModel& source_model() const { return side(source_).model; }
  const SentencePieceModel& target_model() const { return side(target_).model; }
  /// Whether source and target have vocabularies of their own; else ids mean the same on either side.
  bool has_separate_vocabularies() const { return !any_ && source_->vocabulary != target_->vocabulary; }
  const Settings& settings() const { return settings_; }

 private:
  /// A language: its pieces and the model's ids for them. Both sides share what is the same.
  struct Side {
    Side(SentencePieceModel model, std::shared_ptr<const Vocabulary> vocabulary);
    std::vector<std::int32_t> encode(std::string_view text) const;
    Read read(std::string_view text) const;
    std::vector<std::int32_t> ids(const SentencePieceModel::Encoding& encoding) const;
    std::vector<std::string> pieces(std::span<const std::int32_t> ids) const;
    std::int32_t id_of(const SentencePieceModel::Encoding& encoding,
                       const SentencePieceModel::Token& token) const;

    SentencePieceModel model;
    std::shared_ptr<const Vocabulary> vocabulary;
    std::vector<std::int32_t> to_vocabulary;  // id of the SentencePiece model -> id of the vocabulary
  };

  TranslationTokenizer(Side source, Side target, Settings settings);
  /// The id of the language that a source text begins by naming, which is then cut off `text`; -1 if none is.
  std::int32_t take_language(std::string_view& text) const;

  TranslationTokenizer(std::shared_ptr<const AnyText> any, const std::filesystem::path& directory);
  static TranslationTokenizer read_m2m100(const std::filesystem::path& directory);
  static const Side& side(const std::optional<Side>& side);
  Read read_any(std::string_view text, bool is_target) const;

  std::optional<Side> source_, target_;  // or
  std::shared_ptr<const AnyText> any_;
  std::map<std::string, std::string> read_from_;  // M2M100's files
  LanguageTokens languages_;
  Settings settings_;
};

}  // namespace fovea::text
