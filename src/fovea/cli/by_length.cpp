#include "fovea/cli/by_length.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "fovea/base/decimal.h"
#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/cli/common.h"
#include "fovea/data/lines.h"
#include "fovea/views/bleu_by_length.h"
#include "fovea/views/display_text.h"

namespace fovea::cli {
namespace {

constexpr int most_name_columns = 24;

/// What a system is called that was given no name: as its file, or its model's folder.
std::string default_name(const std::string& hypothesis, const std::string& model) {
  const std::filesystem::path path = (hypothesis.empty() ? model : hypothesis);
  const std::string name = (path.has_filename() ? path : path.parent_path()).filename().string();
  return name.empty() || name == "-" ? "translations" : name;
}

/// `text` to the right of `columns` columns.
std::string right(const std::string& text, int columns) {
  const auto shown = views::fit(views::glyphs(text), most_name_columns);
  const int blanks = std::max(columns - views::width(shown), 0);
  return std::string(static_cast<std::size_t>(blanks), ' ') + views::join(shown);
}

std::string range_text(const metrics::LengthBucket& bucket) {
  return std::to_string(bucket.shortest) + "-" + std::to_string(bucket.longest);
}

void expect_lines(const std::string& what, std::size_t lines, std::size_t expected) {
  if (lines != expected)
    throw Error(Error::Kind::data, what,
                "has " + counted(lines, "line") + ", expected " + std::to_string(expected),
                "every system translates the same text, line by line");
}

}  // namespace

void ByLengthOptions::add_to(CLI::App& command) {
  command.add_flag("--by-length", table, "Also BLEU by the length of --source, as a table");
  command.add_option("--curve", curve, "The same as a picture")->type_name("FILE.svg");
  command.add_option("--series", series, "Translations of another system, for table and picture")
      ->type_name("NAME=FILE");
  command.add_option("--name", name, "What the first system is called there")->type_name("NAME");
  command.add_option("--bucket", bucket, "Tokens a step of length")
      ->check(CLI::Range(1, 10000))
      ->type_name("N")
      ->capture_default_str();
}

std::vector<std::string> read_text(const std::string& path) {
  data::LineStatistics found;
  auto lines = data::read_lines(path, {}, &found);
  warn_of_repairs(found);
  return lines;
}

std::vector<LengthSeries> read_series(const ByLengthOptions& options, const std::string& hypothesis,
                                      const std::string& model, const std::vector<std::string>& source,
                                      std::size_t segments) {
  expect_lines("--source", source.size(), segments);
  std::vector<LengthSeries> out{
      {options.name.empty() ? default_name(hypothesis, model) : options.name, {}, {}}};
  for (const std::string& given : options.series) {
    const std::size_t equals = given.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == given.size())
      throw Error(Error::Kind::usage, "evaluate", "--series '" + printable(given) + "' is not NAME=FILE",
                  "give the system a name: --series \"no attention=FILE\"");
    const std::string file = given.substr(equals + 1);
    out.push_back({given.substr(0, equals), read_text(file), {}});
    expect_lines(printable(file, 400), out.back().translations.size(), segments);
  }
  return out;
}

void measure(std::vector<LengthSeries>& series, const std::vector<std::string>& source,
             const metrics::References& references, const metrics::BleuOptions& bleu,
             const ByLengthOptions& options) {
  for (LengthSeries& one : series)
    one.buckets =
        metrics::bleu_by_length(source, one.translations, references, bleu, {.width = options.bucket});
}

std::string by_length_table(const std::vector<LengthSeries>& series) {
  std::string out = "source tokens  sentences";
  std::vector<int> columns;
  for (const LengthSeries& one : series) {
    columns.push_back(std::clamp(views::display_width(one.name), 6, most_name_columns));
    out += "  " + right(one.name, columns.back());
  }
  out += "\n";
  for (std::size_t b = 0; b < series.front().buckets.size(); ++b) {
    const auto& bucket = series.front().buckets[b];
    out += right(range_text(bucket), 13) + right(std::to_string(bucket.segments), 11);
    for (std::size_t s = 0; s < series.size(); ++s)
      out += "  " + right(fixed(series[s].buckets[b].bleu.score, 2), columns[s]);
    out += "\n";
  }
  return out;
}

nlohmann::ordered_json by_length_json(const std::vector<LengthSeries>& series) {
  auto out = nlohmann::ordered_json::array();
  for (const LengthSeries& one : series) {
    auto buckets = nlohmann::ordered_json::array();
    for (const auto& bucket : one.buckets)
      buckets.push_back({{"shortest", bucket.shortest},
                         {"longest", bucket.longest},
                         {"mean_length", bucket.mean_length},
                         {"sentences", bucket.segments},
                         {"score", bucket.bleu.score}});
    out.push_back({{"system", printable(one.name, 400)}, {"buckets", buckets}});
  }
  return {{"name", "BLEU by source length"}, {"series", out}};
}

void draw(const std::vector<LengthSeries>& series, const ByLengthOptions& options,
          const std::string& source) {
  std::vector<views::LengthCurve> curves;
  for (const LengthSeries& one : series) {
    curves.push_back({one.name, {}});
    for (const auto& bucket : one.buckets)
      curves.back().points.push_back({bucket.mean_length, bucket.bleu.score, bucket.segments});
  }
  const std::string subtitle = std::filesystem::path(source).filename().string();
  write_atomically(options.curve, views::bleu_by_length_svg(curves, {.subtitle = subtitle}));
}

}  // namespace fovea::cli
