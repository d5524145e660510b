#pragma once

#include "fovea/text/pipeline/pre_tokeniser.h"

/// The kinds of pre-tokenizer, each made of its JSON.
namespace fovea::text::pipeline {

std::unique_ptr<const PreTokeniser> make_bert_pre_tokeniser();
std::unique_ptr<const PreTokeniser> make_whitespace();
std::unique_ptr<const PreTokeniser> make_whitespace_split();
std::unique_ptr<const PreTokeniser> make_punctuation(const formats::Json& json);
std::unique_ptr<const PreTokeniser> make_digits(const formats::Json& json);
std::unique_ptr<const PreTokeniser> make_char_delimiter_split(const formats::Json& json);
std::unique_ptr<const PreTokeniser> make_fixed_length(const formats::Json& json);
std::unique_ptr<const PreTokeniser> make_split(const formats::Json& json);
std::unique_ptr<const PreTokeniser> make_byte_level(const formats::Json& json);
std::unique_ptr<const PreTokeniser> make_metaspace(const formats::Json& json);

/// The one character that the text `json` must be, in UTF-8.
std::string_view character_of(const formats::Json& json);

/// The options that the pre-tokenizer and the decoder Metaspace share.
struct MetaspaceOptions {
  enum class Prepend { always, first, never };
  std::string replacement;  ///< one character, U+2581 mostly
  Prepend prepend;
  bool split;
};
MetaspaceOptions parse_metaspace(const formats::Json& json);

}  // namespace fovea::text::pipeline
