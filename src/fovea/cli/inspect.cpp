// fovea inspect: what a model is.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <memory>
#include <set>
#include <string>

#include "fovea/base/decimal.h"
#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/cli/architecture.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/cli/model_folder.h"
#include "fovea/cli/model_report.h"
#include "fovea/formats/json_writer.h"
#include "fovea/training/validation.h"

namespace fovea::cli {
namespace {

struct Options {
  std::string folder;
  bool json = false, tensors = false, check = false;
};

std::string number_text(double value, const char* format = "%.4g") {
  char text[40];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string types_text(const ModelReport& report) {
  std::set<std::string> types;
  for (const auto& tensor : report.tensors) types.insert(tensor.type);
  std::string text;
  for (const auto& type : types) text += (text.empty() ? "" : ", ") + type;
  return text;
}

std::string packed_text(const ModelReport& report) {
  std::string text;
  for (const auto& type : report.packed) text += (text.empty() ? "" : ", ") + type;
  return text;
}

std::string vocabulary_text(const VocabularyReport& vocabulary) {
  std::string text = counted(static_cast<std::size_t>(vocabulary.pieces), "piece");
  if (vocabulary.kind.empty()) return text;
  text += ", " + vocabulary.kind;
  text += vocabulary.byte_fallback ? " with byte fallback" : " without byte fallback";
  if (!vocabulary.normaliser.empty()) text += ", " + printable(vocabulary.normaliser);
  if (vocabulary.samples == 0) return text + ", no self-test";
  return text + ", self-test: " + std::to_string(vocabulary.samples - vocabulary.failures) + " of " +
         std::to_string(vocabulary.samples) + " agree";
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

/// "NAME  VALUE" lines, the values below each other.
class Lines {
 public:
  void add(std::string name, const std::string& value) {
    if (value.empty()) return;
    name.resize(14, ' ');
    text_ += name + value + "\n";
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

void add_architecture(Lines& lines, const ModelReport& report) {
  for (const auto& [name, value] : architecture_lines(report.config)) lines.add(name, value);
  lines.add("parameters", report.parameters ? std::to_string(report.parameters) : "");
  lines.add("weights", counted(report.tensors.size(), "tensor") + ", " + types_text(report) + ", " +
                           number_text(static_cast<double>(report.bytes) / 1e6, "%.2f") + " MB");
  lines.add("packed", packed_text(report));
}

void add_vocabulary(Lines& lines, const ModelReport& report) {
  if (!report.source) return;
  lines.add("vocabulary", vocabulary_text(*report.source) + (!report.target ? ""
                                                             : report.joint ? ", for both languages"
                                                                            : ", source"));
  if (report.target && !report.joint) lines.add("", vocabulary_text(*report.target) + ", target");
  if (!report.source_language.empty() || !report.target_language.empty())
    lines.add("languages", printable(report.source_language) + " to " + printable(report.target_language));
}

/// "1 epoch", "2 epochs", "99.5 core-minutes".
std::string amount_text(double amount, const char* unit) {
  const double whole = std::round(amount);
  if (std::abs(amount - whole) < 0.05) return counted(static_cast<std::size_t>(whole), unit);
  return fixed(amount, 1) + " " + unit + "s";
}

/// Writes what training.json says, whoever wrote it: fields of other types are passed over.
void add_training(Lines& lines, const formats::Json& training) {
  std::string trained, scores;
  const auto add = [](std::string& text, const std::string& part) {
    text += (text.empty() ? "" : ", ") + part;
  };
  const auto number = [&](const char* key) -> std::optional<double> {
    const auto value = training.find(key);
    return value && value->is_number() ? std::optional(value->number()) : std::nullopt;
  };
  for (const char* key : {"recipe", "weights"})
    if (const auto value = training.find(key); value && value->is_text())
      add(trained, printable(value->text()));
  for (const auto& [key, unit] : {std::pair("updates", "update"),
                                  {"epochs", "epoch"},
                                  {"pairs", "pair"},
                                  {"texts", "text"},
                                  {"sentences", "sentence"},
                                  {"documents", "document"},
                                  {"core_minutes", "core-minute"}})
    if (const auto value = number(key); value && *value >= 0 && *value < 1e15)
      add(trained, amount_text(*value, unit));
  for (const auto* metric : training::all_metrics)
    if (const auto value = number(("valid_" + std::string(metric->key)).c_str()))
      add(scores, "validation " + std::string(metric->name) + " " + text_of(*metric, *value));
  if (const auto beam = number("valid_beam"); beam && !scores.empty())
    scores += " (beam " + number_text(*beam, "%.0f") + ")";
  if (const auto loss = number("valid_loss"); loss && !number("valid_accuracy"))
    add(scores, "validation perplexity " + number_text(std::exp(*loss)));
  lines.add("trained", trained);
  lines.add("scores", scores);
}

std::string tensor_table(const std::vector<TensorReport>& tensors) {
  std::size_t widest = 4;
  for (const auto& tensor : tensors) widest = std::max(widest, printable(tensor.name, 200).size());
  const auto row = [&](std::string name, const std::string& shape, const std::string& type,
                       const std::string& least, const std::string& greatest, const std::string& mean) {
    name.resize(widest, ' ');
    char rest[160];
    std::snprintf(rest, sizeof rest, "  %-16s %-5s %11s %11s %11s\n", shape.c_str(), type.c_str(),
                  least.c_str(), greatest.c_str(), mean.c_str());
    return name + rest;
  };
  const auto value = [](const std::optional<double>& number) { return number ? number_text(*number) : "-"; };
  std::string text = row("name", "shape", "dtype", "min", "max", "mean");
  for (const auto& tensor : tensors)
    text += row(printable(tensor.name, 200), shape_text(tensor.shape), tensor.type, value(tensor.least),
                value(tensor.greatest), value(tensor.mean));
  return text;
}

std::string as_text(const ModelReport& report, bool tensors) {
  Lines lines;
  lines.add("model", shown(report.folder));
  lines.add("adapter", report.adapter);
  add_architecture(lines, report);
  add_vocabulary(lines, report);
  if (report.training && report.training->is_object()) add_training(lines, *report.training);
  if (report.why_not_marian)
    lines.add("MarianMTModel",
              report.why_not_marian->empty() ? "can hold it" : "cannot hold it: " + *report.why_not_marian);
  if (report.faults.empty()) lines.add("faults", "none");
  for (const auto& fault : report.faults) lines.add("fault", fault);
  return lines.text() + (tensors ? "\n" + tensor_table(report.tensors) : "");
}

void write_number(formats::JsonWriter& json, const formats::Json& value) {
  constexpr double exact = 9e15;  // below it a double holds every integer
  const double number = value.number();
  if (value.type() == formats::Json::Type::real || std::abs(number) > exact)
    json.value(number);
  else
    json.value(value.integer());
}

void write_value(formats::JsonWriter& json, const formats::Json& value) {
  using Type = formats::Json::Type;
  switch (value.type()) {
    case Type::null:
      json.null();
      return;
    case Type::boolean:
      json.value(value.boolean());
      return;
    case Type::natural:
    case Type::negative:
    case Type::real:
      write_number(json, value);
      return;
    case Type::text:
      json.value(value.text());
      return;
    case Type::array:
      json.begin_array();
      for (const auto& element : value.elements()) write_value(json, element);
      json.end_array();
      return;
    case Type::object:
      json.begin_object();
      for (const auto& [key, member] : value.members()) write_value(json.key(key), member);
      json.end_object();
  }
}

void write_vocabulary(formats::JsonWriter& json, const VocabularyReport& vocabulary) {
  json.begin_object()
      .field("pieces", vocabulary.pieces)
      .field("kind", vocabulary.kind)
      .field("byte_fallback", vocabulary.byte_fallback)
      .field("normaliser", vocabulary.normaliser)
      .field("self_test_samples", vocabulary.samples)
      .field("self_test_failures", vocabulary.failures)
      .end_object();
}

void write_tensors(formats::JsonWriter& json, const std::vector<TensorReport>& tensors) {
  const auto number = [&](const char* name, const std::optional<double>& value) {
    json.key(name);
    value ? json.value(*value) : json.null();
  };
  json.key("tensors").begin_array();
  for (const auto& tensor : tensors) {
    json.begin_object().field("name", tensor.name).field("dtype", tensor.type).key("shape").begin_array();
    for (const auto extent : tensor.shape) json.value(extent);
    json.end_array();
    number("min", tensor.least);
    number("max", tensor.greatest);
    number("mean", tensor.mean);
    json.field("not_finite", tensor.not_finite).end_object();
  }
  json.end_array();
}

std::string as_json(const ModelReport& report, bool tensors) {
  formats::JsonWriter json;
  json.begin_object().field("model", report.folder);
  if (!report.adapter.empty()) json.field("adapter", report.adapter);
  write_architecture(json, report.config);
  json.field("parameters", report.parameters)
      .field("weights_dtype", types_text(report))
      .field("weights_bytes", report.bytes);
  json.key("packed").begin_array();
  for (const auto& type : report.packed) json.value(type);
  json.end_array();
  if (report.source && !report.target) {
    json.field("vocabulary", report.source->pieces);
  } else if (report.source) {
    write_vocabulary(json.key("source_tokenizer"), *report.source);
    write_vocabulary(json.key("target_tokenizer"), *report.target);
    json.field("joint_vocabulary", report.joint)
        .field("source_language", report.source_language)
        .field("target_language", report.target_language);
  }
  if (report.training) write_value(json.key("training"), *report.training);
  if (report.why_not_marian)
    json.field("marian", report.why_not_marian->empty()).field("why_not_marian", *report.why_not_marian);
  json.key("faults").begin_array();
  for (const auto& fault : report.faults) json.value(fault);
  json.end_array();
  if (tensors) write_tensors(json, report.tensors);
  return json.end_object().finish();
}

void inspect(const Options& options) {
  const ModelReport report = report_on(model_folder(options.folder));
  print(options.json ? as_json(report, options.tensors) : as_text(report, options.tensors));
  if (options.check && !report.faults.empty())
    throw Error(Error::Kind::model, shown(report.folder), counted(report.faults.size(), "fault") + " found");
}

}  // namespace

void add_inspect(CLI::App& fovea) {
  CLI::App* command =
      fovea.add_subcommand("inspect", "Show what a model is: architecture, vocabulary, training, faults");
  const auto options = std::make_shared<Options>();
  command->add_option("model", options->folder, "Model directory (default: the bundled English-German model)")
      ->type_name("DIR");
  command->add_flag("--tensors", options->tensors,
                    "List every tensor: shape, type, least, greatest and mean value");
  command->add_flag("--json", options->json, "Print it as JSON");
  command->add_flag("--check", options->check, "Exit with code 4 if anything is wrong with the model");
  command->footer("Example: fovea inspect models/tatoeba-en-de --tensors");
  command->callback([options] { inspect(*options); });
}

}  // namespace fovea::cli
