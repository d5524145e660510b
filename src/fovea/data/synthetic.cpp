#include "fovea/data/synthetic.h"

#include <algorithm>
#include <numeric>

#include "fovea/base/error.h"
#include "fovea/data/synthetic_dates.h"

namespace fovea::data {
namespace {

constexpr std::uint32_t first_site = 100;  // of the random numbers: a task, a site

void check(const SyntheticOptions& options) {
  const auto fail = [](const std::string& what, const std::string& remedy) {
    throw Error(Error::Kind::usage, "synthetic data", what, remedy);
  };
  if (options.symbols < 2 || options.symbols > 26)
    fail(std::to_string(options.symbols) + " symbols", "give a number from 2 to 26");
  if (options.min_length < 1 || options.max_length > 1000 || options.min_length > options.max_length)
    fail("lengths from " + std::to_string(options.min_length) + " to " + std::to_string(options.max_length),
         "give lengths from 1 to 1000, the least first");
}

std::vector<char> random_symbols(const RandomKey& key, const SyntheticOptions& options) {
  const auto spread = static_cast<std::uint32_t>(options.max_length - options.min_length + 1);
  const auto length = static_cast<std::uint32_t>(options.min_length) + below(key, 0, spread);
  std::vector<char> out;
  for (std::uint32_t i = 1; i <= length; ++i)
    out.push_back(static_cast<char>('a' + below(key, i, static_cast<std::uint32_t>(options.symbols))));
  return out;
}

std::string spaced(const std::vector<char>& symbols) {
  std::string out;
  for (const char c : symbols) {
    if (!out.empty()) out.push_back(' ');
    out.push_back(c);
  }
  return out;
}

/// For each target symbol the source symbol that it is.
std::vector<std::size_t> origins(SyntheticTask task, const std::vector<char>& source) {
  std::vector<std::size_t> out(source.size());
  std::iota(out.begin(), out.end(), std::size_t{0});
  if (task == SyntheticTask::reversal) std::ranges::reverse(out);
  if (task == SyntheticTask::sorting)
    std::ranges::stable_sort(out, {}, [&](std::size_t i) { return source[i]; });
  return out;
}

/// 64-bit FNV-1a.
std::uint64_t hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325ull;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return value;
}

}  // namespace

const std::vector<std::string>& synthetic_task_names() {
  static const std::vector<std::string> names{"copy", "reversal", "sorting", "dates"};
  return names;
}

SyntheticTask parse_synthetic_task(std::string_view name) {
  const auto& names = synthetic_task_names();
  const auto found = std::ranges::find(names, name);
  if (found == names.end())
    throw Error(Error::Kind::usage, "synthetic data", "unknown task '" + printable(name) + "'",
                "use copy, reversal, sorting or dates");
  return static_cast<SyntheticTask>(found - names.begin());
}

SyntheticPair synthetic_pair(const SyntheticOptions& options, std::uint64_t index) {
  check(options);
  const auto key = RandomKey::of(options.seed, static_cast<std::uint32_t>(index),
                                 first_site + static_cast<std::uint32_t>(options.task));
  if (options.task == SyntheticTask::dates) return date_pair(key);
  const auto source = random_symbols(key, options);
  const auto from = origins(options.task, source);
  std::vector<char> target;
  SyntheticPair pair;
  for (std::size_t j = 0; j < from.size(); ++j) {
    target.push_back(source[from[j]]);
    pair.links.sure.insert({static_cast<std::int32_t>(from[j]), static_cast<std::int32_t>(j)});
  }
  pair.links.possible = pair.links.sure;
  pair.source = spaced(source);
  pair.target = spaced(target);
  return pair;
}

SyntheticSplit split_of(const SyntheticPair& pair) {
  const std::uint64_t tenth = (hash(pair.target) >> 32) % 10;
  return tenth == 0 ? SyntheticSplit::test : tenth == 1 ? SyntheticSplit::valid : SyntheticSplit::train;
}

std::vector<SyntheticPair> synthetic_pairs(const SyntheticOptions& options, SyntheticSplit split,
                                           std::size_t count) {
  constexpr std::uint64_t most_draws = 0xffffffff;
  std::vector<SyntheticPair> out;
  for (std::uint64_t index = 0; out.size() < count; ++index) {
    if (index == most_draws || index > 200 * (out.size() + 50))
      throw Error(Error::Kind::usage, "synthetic data",
                  "only " + std::to_string(out.size()) + " of " + std::to_string(count) +
                      " pairs were found that belong to one part alone",
                  "ask for longer sequences, more symbols or fewer pairs");
    auto pair = synthetic_pair(options, index);
    if (split_of(pair) == split) out.push_back(std::move(pair));
  }
  return out;
}

}  // namespace fovea::data
