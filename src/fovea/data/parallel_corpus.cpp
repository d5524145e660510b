#include "fovea/data/parallel_corpus.h"

#include <algorithm>
#include <utility>

#include "fovea/base/error.h"
#include "fovea/data/json_lines.h"

namespace fovea::data {
namespace {

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos;
}

// Column `column` (from 1) of a line; nothing if the line has fewer.
std::optional<std::string_view> column_of(std::string_view line, int column) {
  for (int i = 1; i < column; ++i) {
    const std::size_t tab = line.find('\t');
    if (tab == std::string_view::npos) return std::nullopt;
    line.remove_prefix(tab + 1);
  }
  return line.substr(0, line.find('\t'));
}

const ParallelFiles& checked(const ParallelFiles& files) {
  if (files.source == "-" && files.target == "-")
    throw Error(Error::Kind::usage, "standard input", "cannot be source and target both",
                "name a file for one");
  if (files.source_field.empty() != files.target_field.empty())
    throw Error(Error::Kind::usage, printable(files.source, 400), "one field of JSON lines is named",
                "name that of the source and that of the target");
  if (!files.is_tsv()) return files;
  if (files.source_column < 1 || files.target_column < 1)
    throw Error(Error::Kind::usage, printable(files.source, 400),
                "columns " + std::to_string(files.source_column) + " and " +
                    std::to_string(files.target_column) + " asked for",
                "columns are numbered from 1");
  if (files.source_column == files.target_column)
    throw Error(Error::Kind::usage, printable(files.source, 400),
                "source and target are both column " + std::to_string(files.source_column),
                "name two columns");
  return files;
}

}  // namespace

PairReader::PairReader(ParallelFiles files, LineOptions options)
    : files_(checked(files)), source_(files_.source, options) {
  if (!files_.target.empty()) target_.emplace(files_.target, options);
}

std::optional<TextPair> PairReader::next() {
  const auto read = [this] {
    return target_ ? next_of_files() : files_.is_json() ? next_of_json() : next_of_tsv();
  };
  while (const auto pair = read()) {
    if (is_blank(pair->source) || is_blank(pair->target)) {
      ++statistics_.empty_pairs;
      continue;
    }
    ++statistics_.pairs;
    return pair;
  }
  return std::nullopt;
}

// A reader that skips malformed lines runs ahead of the other; the line numbers bring them together again.
std::optional<TextPair> PairReader::next_of_files() {
  const std::int64_t before = std::max(source_.line_number(), target_->line_number());
  auto source = source_.next(), target = target_->next();
  while (source && target && source_.line_number() != target_->line_number()) {
    if (source_.line_number() < target_->line_number()) {
      source = source_.next();
    } else {
      target = target_->next();
    }
  }
  if (source && target) {
    statistics_.skipped_pairs += source_.line_number() - before - 1;
    return TextPair{*source, *target};
  }
  while (source_.next()) {
  }
  while (target_->next()) {
  }
  expect_same_end();
  statistics_.skipped_pairs += source_.line_number() - before;
  return std::nullopt;
}

void PairReader::expect_same_end() {
  const std::int64_t source = source_.line_number(), target = target_->line_number();
  if (source == target) return;
  throw Error(Error::Kind::data, printable(files_.source, 400),
              "has " + std::to_string(source) + " lines, but " + printable(files_.target, 400) + " has " +
                  std::to_string(target),
              "line n of one must translate line n of the other");
}

std::optional<TextPair> PairReader::next_of_tsv() {
  const std::int64_t before = source_.line_number();
  const auto line = source_.next();
  statistics_.skipped_pairs += source_.line_number() - before - (line ? 1 : 0);
  if (!line) return std::nullopt;
  const auto source = column_of(*line, files_.source_column), target = column_of(*line, files_.target_column);
  if (source && target) return TextPair{*source, *target};
  const auto columns = std::count(line->begin(), line->end(), '\t') + 1;
  throw Error(Error::Kind::data, printable(files_.source, 400) + ":" + std::to_string(source_.line_number()),
              "has " + std::to_string(columns) + (columns == 1 ? " column" : " columns") + ", but columns " +
                  std::to_string(files_.source_column) + " and " + std::to_string(files_.target_column) +
                  " are needed",
              "columns are separated by tabs");
}

std::optional<TextPair> PairReader::next_of_json() {
  const std::int64_t before = source_.line_number();
  const auto line = source_.next();
  statistics_.skipped_pairs += source_.line_number() - before - (line ? 1 : 0);
  if (!line) return std::nullopt;
  const formats::Json object = json_of_line(*line, source_);
  source_text_ = text_of(object, files_.source_field);
  const auto targets = texts_of(object, files_.target_field);
  target_text_ = targets.empty() ? std::string() : targets.front();
  return TextPair{source_text_, target_text_};
}

ParallelStatistics PairReader::statistics() const {
  ParallelStatistics statistics = statistics_;
  statistics.source = source_.statistics();
  if (target_) statistics.target = target_->statistics();
  return statistics;
}

ParallelText read_parallel(const ParallelFiles& files, LineOptions options) {
  PairReader reader(files, options);
  ParallelText text;
  while (const auto pair = reader.next()) {
    text.source.emplace_back(pair->source);
    text.target.emplace_back(pair->target);
  }
  text.statistics = reader.statistics();
  if (!text.source.empty()) return text;
  throw Error(Error::Kind::data, printable(files.source, 400),
              "no pair of sentences is left of " + std::to_string(text.statistics.source.lines) + " lines (" +
                  std::to_string(text.statistics.empty_pairs) + " empty, " +
                  std::to_string(text.statistics.skipped_pairs) + " not UTF-8)");
}

}  // namespace fovea::data
