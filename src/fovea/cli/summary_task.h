#pragma once

#include <optional>
#include <string>

#include "fovea/cli/decoding_options.h"
#include "fovea/cli/model_folder.h"
#include "fovea/models/generation_defaults.h"

namespace fovea::cli {

/// How the makers of the model in `folder` have it summarise: as its files say, those of T5 and BART by the
/// name of the task. `prefix`, if given, stands in the place of theirs.
models::TaskDefaults summary_task(const std::string& folder, const std::optional<std::string>& prefix = {});

/// The search for summaries: of a document the beginning is read, as many tokens as the flags, the model's
/// files or its tokenizer say.
decoding::TranslateOptions summary_options(const models::TaskDefaults& task, const DecodingFlags& flags,
                                           const LoadedModel& loaded);

}  // namespace fovea::cli
