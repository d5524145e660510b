#pragma once

#include <filesystem>
#include <memory>

#include "fovea/text/tokenizer.h"

namespace fovea::text {

/// The tokenizer of a model directory: tokenizer.json if it is there, else a MarianTokenizer's source.spm,
/// target.spm and vocab.json, else what text/legacy_tokenizer.h reads. tokenizer_config.json and special_tokens_map.json say which tokens are special
/// and how many a model takes. Texts are cut and filled up only as tokenizer.json says. Throws Error(model)
/// naming file and fault, or the files looked for if the directory has none of them.
std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& directory);

}  // namespace fovea::text
