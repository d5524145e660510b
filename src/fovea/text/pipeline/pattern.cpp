#include "fovea/text/pipeline/pattern.h"

namespace fovea::text::pipeline {
namespace {

std::variant<std::string, Regex> parse(const formats::Json& json) {
  if (const auto text = json.find("String")) {
    if (text->text().empty())
      text->reject("an empty string is everywhere", "a string or a regular expression");
    return std::string(text->text());
  }
  const auto regex = json.find("Regex");
  if (!regex) json.reject("neither a \"String\" nor a \"Regex\"");
  try {
    return Regex(regex->text());
  } catch (const Error& error) {
    regex->reject(error.what());
  }
}

}  // namespace

Pattern::Pattern(const formats::Json& json) : sought_(parse(json)) {}

}  // namespace fovea::text::pipeline
