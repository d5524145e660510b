#include "fovea/data/document_ids.h"

#include "fovea/base/error.h"

namespace fovea::data {

std::vector<std::int32_t> document_ids(const text::Tokenizer& tokenizer, const DocumentFrame& frame,
                                       std::string_view document) {
  const auto encoding = tokenizer.encode(document, {.add_special = false, .ranges = false});
  if (!encoding.overflow.empty())
    throw Error(Error::Kind::model, "tokenizer.json", "cuts texts short", "set its \"truncation\" to null");
  std::vector<std::int32_t> ids;
  ids.reserve(encoding.ids.size() + 2);
  if (frame.begin) ids.push_back(*frame.begin);
  for (std::size_t i = 0; i < encoding.size(); ++i)
    if (encoding.attention[i] != 0) ids.push_back(encoding.ids[i]);
  if (frame.end) ids.push_back(*frame.end);
  return ids;
}

}  // namespace fovea::data
