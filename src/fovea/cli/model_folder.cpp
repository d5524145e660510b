#include "fovea/cli/model_folder.h"

#include <cstdlib>
#include <filesystem>

#include "fovea/base/error.h"
#include "fovea/models/marian.h"

namespace fovea::cli {
namespace {

constexpr auto bundled = "tatoeba-en-de";

}  // namespace

std::string model_folder(const std::string& name) {
  if (!name.empty()) return name;
  if (const char* chosen = std::getenv("FOVEA_MODEL"); chosen && *chosen) return chosen;
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  // build/release/fovea in a source tree, or bin/fovea of an installation.
  for (const auto& place : {program / "../../models", program / "../share/fovea/models"}) {
    const auto folder = (place / bundled).lexically_normal();
    if (std::filesystem::exists(folder / "config.json", error)) return folder.string();
  }
  throw Error(Error::Kind::model, "model", "there is no bundled model beside this program", "name one with --model DIR");
}

LoadedModel load_model(const std::string& folder) {
  return {models::load_transformer(folder), text::TranslationTokenizer::read(folder)};
}

}  // namespace fovea::cli
