#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace fovea::text {

/// A word as symbols, and how often it occurs.
struct SymbolWord {
  std::vector<std::int32_t> symbols;
  std::int64_t count = 0;
};

/// At most `merges` pairs of symbols to be merged, in order: each time the pair of neighbours that occurs
/// most often, of equals the one whose symbols have the lowest numbers; never one that occurs only once.
/// Symbols are 0 .. symbols - 1; what merge i makes is symbols + i. Source   Sennrich et al. 2016,
/// section 3.2
std::vector<std::pair<std::int32_t, std::int32_t>> learn_byte_pairs(std::vector<SymbolWord> words,
                                                                    std::int32_t symbols, std::size_t merges);

}  // namespace fovea::text
