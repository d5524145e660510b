#include "fovea/data/document_corpus.h"

#include <string>

#include "fovea/base/error.h"
#include "fovea/data/fingerprint.h"

namespace fovea::data {

bool DocumentCorpus::add(std::span<const std::int32_t> ids) {
  if (ids.size() < 2) return ++left_out_, false;
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  offsets_.push_back(std::ssize(ids_));
  return true;
}

void DocumentCorpus::expect_documents(std::string_view where) const {
  if (size() > 0) return;
  throw Error(Error::Kind::data, where, left_out_ > 0 ? "has no document of two tokens or more" : "is empty");
}

std::span<const std::int32_t> DocumentCorpus::document(std::int64_t i) const {
  const std::int64_t begin = offsets_[static_cast<std::size_t>(i)];
  return {ids_.data() + begin, static_cast<std::size_t>(offsets_[static_cast<std::size_t>(i) + 1] - begin)};
}

std::uint64_t DocumentCorpus::fingerprint() const {
  Fingerprint fingerprint;
  for (std::int64_t i = 0; i < size(); ++i) fingerprint.add(document(i));
  return fingerprint.value();
}

}  // namespace fovea::data
