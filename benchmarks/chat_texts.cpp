// What chat templates make of conversations, for peers/chat_templates_jinja.py to hold against Jinja itself.
//   chat_texts REQUEST.json
// The request: [{"template": TEXT, "messages": [...], "variables": {...}, "prompt": true}]. Standard output
// is a JSON list: of each {"text"} or {"error"}.
#include <cstdio>
#include <string>

#include "fovea/base/error.h"
#include "fovea/formats/json.h"
#include "fovea/formats/json_writer.h"
#include "fovea/text/chat_template.h"

namespace fovea {
namespace {

void write_case(formats::JsonWriter& json, const formats::Json& request) {
  text::ChatOptions options;
  options.add_generation_prompt = request.boolean_or("prompt", true);
  options.bos_token = "<s>";
  options.eos_token = "</s>";
  if (const auto variables = request.find("variables"))
    for (const auto& [name, value] : variables->members())
      options.variables.emplace_back(std::string(name), value);
  json.begin_object();
  try {
    const auto chat = text::ChatTemplate::parse(request.at("template").text(), "request");
    json.field("text", chat.render(request.at("messages"), options));
  } catch (const Error& error) {
    json.field("error", error.what());
  }
  json.end_object();
}

int run(int count, char** arguments) {
  if (count != 2) return std::fputs("usage: chat_texts REQUEST.json\n", stderr), 2;
  const auto limits = formats::JsonLimits::tokenizer();
  const auto request = formats::read_json(arguments[1], Error::Kind::data, limits);
  formats::JsonWriter json(formats::JsonWriter::Layout::compact);
  json.begin_array();
  for (const auto& one : request.elements()) write_case(json, one);
  const std::string text = json.end_array().finish();
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

}  // namespace
}  // namespace fovea

int main(int count, char** arguments) {
  try {
    return fovea::run(count, arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "chat_texts: %s\n", error.what());
    return 1;
  }
}
