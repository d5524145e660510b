#include "fovea/cli/language_flags.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>

#include "fovea/base/error.h"

namespace fovea::cli {

void LanguageFlags::add_to(CLI::App& command) {
  command
      .add_option("--from", from,
                  "Language of the text, for a model that knows several, as it names it: de, deu_Latn")
      ->type_name("L");
  command.add_option("--to", to, "Language wanted, likewise")->type_name("L");
}

models::TaskDefaults LanguageFlags::choose(const std::string& folder,
                                           text::TranslationTokenizer& tokenizer) const {
  const auto general = models::read_generation_defaults(folder);
  if (tokenizer.languages().empty() && !to.empty()) {
    const std::string pair = (from.empty() ? "" : "translation_" + from) + "_to_" + to;
    if (const auto task = models::read_task(folder, pair, general)) return *task;
  }
  tokenizer.choose_languages(from, to);
  if (tokenizer.needs_target() && general.forced_bos_token_id < 0)
    throw Error(
        Error::Kind::usage, "--to",
        "is not given, and the model writes " + std::to_string(tokenizer.languages().size()) + " languages",
        "name one, such as --to " + tokenizer.languages().front());
  return {{}, {}, general};
}

}  // namespace fovea::cli
