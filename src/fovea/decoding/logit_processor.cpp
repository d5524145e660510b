#include "fovea/decoding/logit_processor.h"

#include <algorithm>
#include <limits>
#include <string>

#include "fovea/base/error.h"

namespace fovea::decoding {

NoRepeatNgram::NoRepeatNgram(std::int64_t n) : n_(static_cast<std::size_t>(n)) {
  if (n < 1)
    throw Error(Error::Kind::usage, "no repeated n-gram", "n is " + std::to_string(n),
                "use at least 1, such as 3");
}

void NoRepeatNgram::process(std::size_t, std::span<const std::int32_t> tokens,
                            std::span<float> logits) const {
  if (tokens.size() < n_) return;
  const auto last = tokens.last(n_ - 1);  // what came after the same tokens before must not come again
  for (std::size_t begin = 0; begin + n_ <= tokens.size(); ++begin)
    if (std::ranges::equal(tokens.subspan(begin, n_ - 1), last))
      logits[static_cast<std::size_t>(tokens[begin + n_ - 1])] = -std::numeric_limits<float>::infinity();
}

}  // namespace fovea::decoding
