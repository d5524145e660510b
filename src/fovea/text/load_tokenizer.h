#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fovea/text/tokenizer.h"

namespace fovea::text {

/// Whether texts are cut and filled up as tokenizer.json says, or not at all: Transformers leaves that to the
/// caller.
enum class Lengths { as_the_file_says, free };

/// The tokenizer of a model directory: tokenizer.json if it is there, else a MarianTokenizer's source.spm,
/// target.spm and vocab.json, else what text/legacy_tokenizer.h reads. tokenizer_config.json and
/// special_tokens_map.json say which tokens are special and how many a model takes. Throws Error(model)
/// naming file and fault, or the files looked for if the directory has none of them.
std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& directory,
                                                Lengths lengths = Lengths::as_the_file_says);

/// Every file of a model directory, or of the base if it is an adapter's, that its tokenizer may be made of:
/// names and contents, for a copy that loads alike. Throws Error(model) as reading does.
std::vector<std::pair<std::string, std::string>> tokenizer_files(const std::filesystem::path& directory);

}  // namespace fovea::text
