#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "fovea/metrics/bleu_by_length.h"

namespace CLI {
class App;
}

/// fovea evaluate --by-length: BLEU by the length of the source, of one system or of several.
namespace fovea::cli {

struct ByLengthOptions {
  bool table = false;
  std::string curve;                ///< SVG file to draw
  std::string name;                 ///< of the first system; empty: as its file or model
  std::vector<std::string> series;  ///< further systems, NAME=FILE
  std::size_t bucket = 5;           ///< tokens

  bool wanted() const { return table || !curve.empty() || !series.empty(); }
  void add_to(CLI::App& command);
};

/// A system's translations and how good they are at each length.
struct LengthSeries {
  std::string name;
  std::vector<std::string> translations;
  std::vector<metrics::LengthBucket> buckets;
};

/// The lines of a file, with a warning if some are not UTF-8.
std::vector<std::string> read_text(const std::string& path);

/// The system evaluated, without its translations, and those of --series with theirs. Throws Error(usage) for
/// a series that is not NAME=FILE, Error(data) if it or the source has another number of lines than
/// `segments`.
std::vector<LengthSeries> read_series(const ByLengthOptions& options, const std::string& hypothesis,
                                      const std::string& model, const std::vector<std::string>& source,
                                      std::size_t segments);

/// Fills in the buckets of each.
void measure(std::vector<LengthSeries>& series, const std::vector<std::string>& source,
             const metrics::References& references, const metrics::BleuOptions& bleu,
             const ByLengthOptions& options);

std::string by_length_table(const std::vector<LengthSeries>& series);
nlohmann::ordered_json by_length_json(const std::vector<LengthSeries>& series);

/// Writes the picture to options.curve; `source` is named below its title.
void draw(const std::vector<LengthSeries>& series, const ByLengthOptions& options, const std::string& source);

}  // namespace fovea::cli
