#pragma once

#include <string>

#include "fovea/models/generation_defaults.h"
#include "fovea/text/translation_tokenizer.h"

namespace CLI {
class App;
}

namespace fovea::cli {

/// Which of a model's languages are meant, for one that knows several.
struct LanguageFlags {
  std::string from, to;  ///< empty: not given

  /// --from and --to, written to this object, which must outlive the parsing.
  void add_to(CLI::App& command);

  /// Tells the tokenizer, and gives what the model in `folder` is to be asked with: for T5 the task between
  /// the two ("translation_en_to_de") and what its texts begin with. Throws Error(usage) for a language that
  /// the model does not know, and if it needs to be told which is wanted and is not.
  models::TaskDefaults choose(const std::string& folder, text::TranslationTokenizer& tokenizer) const;
};

}  // namespace fovea::cli
