#pragma once

#include <filesystem>

#include "fovea/text/legacy_settings.h"
#include "fovea/text/legacy_tokenizer.h"

namespace fovea::text::legacy {

/// The tokenizer of T5, XLM-R, mBART or Llama whose pieces a SentencePiece file holds: by what the settings
/// say of it, else by the name of the file. Throws Error(model) for a class of other rules, or a model of
/// another kind.
LegacyTokenizer of_sentencepiece(const std::filesystem::path& path, LegacySettings& settings);

}  // namespace fovea::text::legacy
