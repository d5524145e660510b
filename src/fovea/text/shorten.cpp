#include "fovea/text/shorten.h"

#include <array>
#include <string>

#include "fovea/base/error.h"

namespace fovea::text {

bool shorten(Encoding& encoding, std::size_t limit) {
  if (encoding.size() <= limit) return false;
  std::array<std::size_t, 2> keep{};
  std::size_t special = 0;
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    if (encoding.special[i])
      ++special;
    else
      ++keep.at(encoding.sequences[i] == 1);
  }
  if (special > limit)
    throw Error(Error::Kind::data, "text",
                "cannot be cut to " + std::to_string(limit) + " tokens: " + std::to_string(special) +
                    " of them are special");
  const bool second_is_shorter = keep[1] < keep[0];
  while (special + keep[0] + keep[1] > limit) {
    const bool second = keep[0] == keep[1] ? second_is_shorter : keep[1] > keep[0];
    --keep.at(second);
  }
  Encoding cut;
  std::array<std::size_t, 2> seen{};
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    const std::size_t text = encoding.sequences[i] == 1;
    if (!encoding.special[i] && seen.at(text)++ >= keep.at(text)) continue;
    cut.append(encoding.ids[i], encoding.ranges[i], encoding.words[i], encoding.types[i],
               encoding.sequences[i], encoding.special[i] != 0);
  }
  encoding = std::move(cut);
  return true;
}

}  // namespace fovea::text
