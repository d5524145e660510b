#include "fovea/training/document_texts.h"

#include "fovea/data/document_text.h"

namespace fovea::training {
namespace {

using Texts = std::vector<std::string>;

Texts read(const Texts& names, const std::filesystem::path& folder, const TextOptions& options,
           const char* what, const Notes& notes) {
  Texts paths;
  for (const auto& name : names) paths.push_back((folder / name).string());
  data::DocumentStatistics found;
  auto texts =
      data::read_documents(paths, {.documents = options.documents, .column = options.column}, &found);
  if (found.repaired > 0)
    notes(std::string(what) + ": " + std::to_string(found.repaired) +
          " places are not UTF-8 and were repaired, the first at " + found.first_repaired);
  return texts;
}

}  // namespace

DocumentTexts read_document_texts(const Recipe& recipe, const std::filesystem::path& folder,
                                  const Notes& notes) {
  const TextOptions& options = recipe.text;
  DocumentTexts texts{read(options.train, folder, options, "training data", notes), {}};
  if (!options.valid.empty())
    texts.valid = read(options.valid, folder, options, "validation data", notes);
  else if (options.valid_share > 0)
    texts.valid = data::take_end(texts.train, options.documents, options.valid_share);
  return texts;
}

}  // namespace fovea::training
