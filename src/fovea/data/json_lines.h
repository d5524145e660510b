#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/data/lines.h"
#include "fovea/formats/json.h"

/// Text in JSON lines: an object a line, of which members are texts or lists of texts.
namespace fovea::data {

/// The object that a line is. Throws Error(data) naming file and line: no JSON, or no object.
formats::Json json_of_line(std::string_view line, const LineReader& reader);

/// The texts that member `field` has, each as one line: line ends and tabs in them become spaces. Throws
/// Error(data) naming file, line and field: missing, or neither a text nor a list of texts.
std::vector<std::string> texts_of(const formats::Json& object, std::string_view field);

/// All of them as one text: a document that is stored sentence by sentence.
std::string text_of(const formats::Json& object, std::string_view field);

/// A field of each line of a file.
std::vector<std::string> read_json_texts(const std::string& path, std::string_view field,
                                         LineOptions options = {});
/// The same, each of its texts for itself, as references are.
std::vector<std::vector<std::string>> read_json_lists(const std::string& path, std::string_view field,
                                                      LineOptions options = {});

}  // namespace fovea::data
