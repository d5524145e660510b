#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

/// fovea evaluate --dictionary: words that a model pronounces, against a pronouncing dictionary.
namespace fovea::cli {

struct DictionaryOptions {
  std::string file;  ///< empty: not asked for
  double share = 0;  ///< of its words, held out as a recipe's data.valid_share; 0: all
  bool stress = false;

  bool wanted() const { return !file.empty(); }
  void add_to(CLI::App& command);
};

/// Lines in, one line out for each.
using Pronounce = std::function<std::vector<std::string>(const std::vector<std::string>&)>;

/// Phoneme and word error rate of `pronounce` as text, or as JSON. Throws Error(data) as
/// data::read_pronunciations() does, and if the share holds no word.
std::string pronouncing_report(const DictionaryOptions& options, const Pronounce& pronounce, bool json);

}  // namespace fovea::cli
