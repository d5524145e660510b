#include "fovea/data/token_corpus.h"

#include <algorithm>
#include <string>

#include "fovea/base/error.h"
#include "fovea/data/fingerprint.h"

namespace fovea::data {

TokenCorpus::TokenCorpus(std::int64_t max_tokens) : max_tokens_(max_tokens) {
  if (max_tokens < 2)
    throw Error(Error::Kind::usage, "max_tokens",
                std::to_string(max_tokens) + " leaves no room for any sentence",
                "use at least 2: a token and the end of the sentence");
}

void TokenCorpus::Side::add(std::span<const std::int32_t> sentence) {
  ids.insert(ids.end(), sentence.begin(), sentence.end());
  offsets.push_back(static_cast<std::int64_t>(ids.size()));
}

bool TokenCorpus::add(std::span<const std::int32_t> source, std::span<const std::int32_t> target) {
  if (source.empty() || target.empty()) return ++statistics_.empty, false;
  const auto source_length = static_cast<std::int64_t>(source.size());
  const auto target_length = static_cast<std::int64_t>(target.size());
  if (std::max(source_length, target_length) >= max_tokens_) return ++statistics_.too_long, false;
  source_.add(source);
  target_.add(target);
  ++statistics_.pairs;
  statistics_.source_tokens += source_length;
  statistics_.target_tokens += target_length;
  statistics_.longest_source = std::max(statistics_.longest_source, source_length);
  statistics_.longest_target = std::max(statistics_.longest_target, target_length);
  return true;
}

void TokenCorpus::expect_pairs(std::string_view where) const {
  if (size() > 0) return;
  if (statistics_.too_long > 0)
    throw Error(Error::Kind::data, where,
                "no sentence pair is left: " + std::to_string(statistics_.too_long) +
                    " are longer than max_tokens = " + std::to_string(max_tokens_),
                "raise max_tokens or split the lines");
  throw Error(Error::Kind::data, where,
              "no sentence pair to learn from (" + std::to_string(statistics_.empty) + " empty ones)");
}

std::uint64_t TokenCorpus::fingerprint() const {
  Fingerprint fingerprint;
  for (std::int64_t i = 0; i < size(); ++i) {
    fingerprint.add(source(i));
    fingerprint.add(target(i));
  }
  return fingerprint.value();
}

}  // namespace fovea::data
