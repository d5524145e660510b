#include "fovea/data/json_lines.h"

#include <utility>

#include "fovea/base/error.h"

namespace fovea::data {
namespace {

std::string on_one_line(std::string_view text) {
  std::string line(text);
  for (char& c : line)
    if (c == '\n' || c == '\r' || c == '\t' || c == '\0') c = ' ';
  return line;
}

template <class Take>
void each_line(const std::string& path, LineOptions options, const Take& take) {
  LineReader reader(path, options);
  while (const auto line = reader.next()) take(json_of_line(*line, reader));
}

}  // namespace

formats::Json json_of_line(std::string_view line, const LineReader& reader) {
  const std::string place = printable(reader.name(), 400) + ":" + std::to_string(reader.line_number());
  auto object = formats::Json::parse(line, {place, Error::Kind::data});
  if (!object.is_object())
    throw Error(Error::Kind::data, place, "is no JSON object", "one a line was expected");
  return object;
}

std::vector<std::string> texts_of(const formats::Json& object, std::string_view field) {
  const formats::Json value = object.at(field);
  if (!value.is_array()) return {on_one_line(value.text())};
  std::vector<std::string> texts;
  for (const formats::Json& text : value.elements()) texts.push_back(on_one_line(text.text()));
  return texts;
}

std::string text_of(const formats::Json& object, std::string_view field) {
  std::string whole;
  for (const std::string& text : texts_of(object, field)) whole += (whole.empty() ? "" : " ") + text;
  return whole;
}

std::vector<std::string> read_json_texts(const std::string& path, std::string_view field,
                                         LineOptions options) {
  std::vector<std::string> texts;
  each_line(path, options, [&](const formats::Json& object) { texts.push_back(text_of(object, field)); });
  return texts;
}

std::vector<std::vector<std::string>> read_json_lists(const std::string& path, std::string_view field,
                                                      LineOptions options) {
  std::vector<std::vector<std::string>> lists;
  each_line(path, options, [&](const formats::Json& object) { lists.push_back(texts_of(object, field)); });
  return lists;
}

}  // namespace fovea::data
