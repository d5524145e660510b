// What a tokenizer makes of texts, and how fast, for peers/tokenizers_huggingface.py to hold against the
// libraries that define the formats.
//   tokenizing TOKENIZER.json|DIRECTORY REQUEST.json
// The request: {"texts": [TEXT], "pairs": [[TEXT, TEXT]], "passes": N}; pairs and passes may be missing.
// Standard output is a JSON object: "texts" and "pairs", of each {"ids", "ranges" (begin, end, begin, end,
// ... in bytes), "types", "words", "special", "attention", "text" (decoded), "visible" (decoded without
// special tokens)}; and with passes the seconds of the fastest pass over all texts: "load" (of the file),
// "ids", "ranges", "decode".
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/formats/json.h"
#include "fovea/formats/json_writer.h"
#include "fovea/text/load_tokenizer.h"
#include "fovea/text/tokenizer_json.h"

namespace fovea {
namespace {

using formats::Json;
using formats::JsonWriter;
using text::Tokenizer;

/// A tokenizer.json, or whatever a model directory has.
std::shared_ptr<const Tokenizer> load(const char* path) {
  if (std::filesystem::is_directory(path)) return text::load_tokenizer(path);
  return text::TokenizerJson::parse(read_file(path, std::uint64_t{1} << 30, Error::Kind::model), path);
}

template <class List>
void write_list(JsonWriter& json, std::string_view key, const List& list) {
  json.key(key).begin_array();
  for (const auto value : list) json.value(static_cast<std::int64_t>(value));
  json.end_array();
}

void write(JsonWriter& json, const Tokenizer& tokenizer, const text::Encoding& encoding) {
  json.begin_object();
  write_list(json, "ids", encoding.ids);
  json.key("ranges").begin_array();
  for (const text::TextRange range : encoding.ranges)
    json.value(static_cast<std::int64_t>(range.begin)).value(static_cast<std::int64_t>(range.end));
  json.end_array();
  write_list(json, "types", encoding.types);
  write_list(json, "words", encoding.words);
  write_list(json, "special", encoding.special);
  write_list(json, "attention", encoding.attention);
  json.field("text", tokenizer.decode(encoding.ids, false))
      .field("visible", tokenizer.decode(encoding.ids, true));
  json.end_object();
}

/// Seconds of the fastest of so many runs.
template <class Run>
double fastest(std::int64_t passes, const Run& run) {
  double best = std::numeric_limits<double>::infinity();
  for (std::int64_t i = 0; i < passes; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

void write_times(JsonWriter& json, const char* path, const Tokenizer& tokenizer, const Json& texts,
                 std::int64_t passes) {
  std::vector<std::vector<std::int32_t>> ids;
  for (const Json& text : texts.elements()) ids.push_back(tokenizer.encode(text.text()).ids);
  std::size_t tokens = 0;
  const auto encode_all = [&](bool ranges) {
    for (const Json& text : texts.elements())
      tokens += tokenizer.encode(text.text(), {.ranges = ranges}).size();
  };
  json.field("load", fastest(1, [&] { load(path); }));
  json.field("ids", fastest(passes, [&] { encode_all(false); }));
  json.field("ranges", fastest(passes, [&] { encode_all(true); }));
  json.field("decode", fastest(passes, [&] {
               for (const auto& list : ids) tokens += tokenizer.decode(list).size();
             }));
  if (tokens == 0) std::fprintf(stderr, "no tokens\n");
}

void run(const char* path, const char* request_path) {
  const auto tokenizer = load(path);
  const Json request = formats::read_json(request_path, Error::Kind::data, formats::JsonLimits::tokenizer());
  const Json texts = request.at("texts");
  JsonWriter json(JsonWriter::Layout::compact);
  json.begin_object();
  if (const auto passes = request.integer_or("passes", 0, 0, 1000); passes > 0)
    write_times(json, path, *tokenizer, texts, passes);
  json.key("texts").begin_array();
  for (const Json& text : texts.elements()) write(json, *tokenizer, tokenizer->encode(text.text()));
  json.end_array().key("pairs").begin_array();
  if (const auto pairs = request.find("pairs"))
    for (const Json& pair : pairs->elements()) {
      auto part = pair.elements().begin();
      const std::string_view first = (*part).text();
      ++part;
      write(json, *tokenizer, tokenizer->encode_pair(first, (*part).text(), {}));
    }
  std::puts(json.end_array().end_object().finish().c_str());
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: tokenizing TOKENIZER.json|DIRECTORY REQUEST.json\n");
    return 2;
  }
  try {
    fovea::run(argv[1], argv[2]);
  } catch (const fovea::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
  return 0;
}
