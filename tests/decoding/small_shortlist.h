#pragma once

#include <cstdint>
#include <vector>

#include "fovea/models/shortlist.h"
#include "tests/decoding/small_model.h"

namespace fovea::test {

/// For test::small_tokenizer(): every sentence may hold `ids` and its end, and nothing else.
inline models::Shortlist shortlist_of(std::vector<std::int32_t> ids) {
  const auto& tokenizer = small_tokenizer();
  models::Shortlist::Table table;
  table.offsets.resize(static_cast<std::size_t>(tokenizer.source_vocabulary().size()) + 1, 0);
  ids.insert(ids.begin(), tokenizer.target_vocabulary().eos());
  return models::Shortlist(tokenizer, std::move(ids), table);
}

}  // namespace fovea::test
