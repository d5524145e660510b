#include "fovea/training/log.h"

#include <cmath>
#include <string>

#include "fovea/base/file.h"
#include "fovea/formats/json.h"
#include "fovea/formats/json_writer.h"

namespace fovea::training {
namespace {

constexpr std::uint64_t most_bytes = std::uint64_t{1} << 30;

formats::JsonWriter line() { return formats::JsonWriter(formats::JsonWriter::Layout::compact); }

// A whole line of the log; nothing for the torn last line of a killed run.
std::optional<formats::Json> parse(const std::string& text, const std::filesystem::path& path) {
  try {
    auto json = formats::Json::parse(text, {shown(path), Error::Kind::model});
    if (json.is_object() && json.at("update").integer(0) >= 0) return json;
  } catch (const Error&) {
  }
  return std::nullopt;
}

// Whether a run at `state` has written this line.
bool known(const formats::Json& line, const TrainingState& state) {
  const std::int64_t update = line.at("update").integer();
  if (update != state.update) return update < state.update;
  return line.has("valid_loss") ? state.validated == update : state.window.updates == 0;
}

std::vector<std::string> lines_of(const std::filesystem::path& path) {
  std::vector<std::string> lines;
  if (!std::filesystem::exists(path)) return lines;
  const std::string text = read_file(path, most_bytes, Error::Kind::model);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

}  // namespace

Log::Log(std::filesystem::path path, const TrainingState& state) : path_(std::move(path)) {
  std::string kept;
  for (const auto& text : lines_of(path_)) {
    const auto json = parse(text, path_);
    if (json && known(*json, state)) kept += text + "\n";
  }
  write_atomically(path_, kept);
  out_.open(path_, std::ios::app);
}

void Log::append(const std::string& text) {
  out_ << text << '\n' << std::flush;
  if (!out_) throw Error(Error::Kind::machine, shown(path_), "cannot be written", "is the disk full?");
}

void Log::write(const LogEntry& entry) {
  auto json = line();
  json.begin_object().field("update", entry.update).field("epoch", entry.epoch).field("loss", entry.loss);
  if (std::isfinite(entry.perplexity))
    json.field("perplexity", entry.perplexity);  // exp of the loss may overflow
  json.field("rate", entry.rate)
      .field("gradient_norm", entry.gradient_norm)
      .field(std::string(entry.unit) + "s_per_second", entry.units_per_second)
      .field("skipped", entry.skipped)
      .end_object();
  append(json.finish());
}

void Log::write(std::int64_t update, const ValidationResult& result, bool best) {
  auto json = line();
  json.begin_object().field("update", update).field("valid_loss", result.loss);
  for (const auto& [metric, value] : result.metrics) json.field(metric->key, value);
  json.field("best", best).end_object();
  append(json.finish());
}

std::vector<views::LearningPoint> read_log(const std::filesystem::path& path, const Metric* metric) {
  std::vector<views::LearningPoint> points;
  const auto number = [](const formats::Json& json, std::string_view key) -> std::optional<double> {
    const auto value = json.find(key);
    return value ? std::optional(value->number()) : std::nullopt;
  };
  for (const auto& text : lines_of(path)) {
    const auto json = parse(text, path);
    if (!json) continue;
    points.push_back({json->at("update").integer(), number(*json, "loss"), number(*json, "valid_loss"),
                      metric ? number(*json, metric->key) : std::nullopt});
  }
  return points;
}

}  // namespace fovea::training
