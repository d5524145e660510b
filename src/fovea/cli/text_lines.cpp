#include "fovea/cli/text_lines.h"

#include <CLI/CLI.hpp>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/cli/common.h"
#include "fovea/data/lines.h"

namespace fovea::cli {
namespace {

decoding::InputText parted(const std::string& line, bool pair, const std::string& where) {
  if (!pair) return {line};
  const auto tab = line.find('\t');
  if (tab == std::string::npos || line.find('\t', tab + 1) != std::string::npos)
    throw Error(Error::Kind::data, where, "is not two texts with a tab between");
  return {line.substr(0, tab), line.substr(tab + 1)};
}

}  // namespace

void TextLines::add_to(CLI::App& command) {
  command.add_option("text", arguments, "Texts (default: the lines of --input)")->type_name("TEXT");
  command.add_option("--input", input, "Texts, one a line, plain or .gz; - is standard input, the default")
      ->type_name("FILE");
}

void TextLines::add_pair_flag(CLI::App& command) {
  command.add_flag("--pair", pair, "Texts come in twos: with a tab between them on a line, or two arguments");
}

void TextLines::for_each(std::size_t most, const std::function<void(const Texts&)>& handle) const {
  if (!arguments.empty() && !input.empty())
    throw Error(Error::Kind::usage, "--input", "stands beside texts", "give one of them");
  Texts next;
  const auto flush = [&] {
    if (!next.texts.empty()) handle(next);
    next = {};
  };
  if (!arguments.empty()) {
    if (pair && arguments.size() % 2 != 0)
      throw Error(Error::Kind::usage, "--pair",
                  "needs texts in twos, there are " + std::to_string(arguments.size()));
    for (std::size_t i = 0; i < arguments.size(); i += pair ? 2 : 1) {
      next.where.push_back("text " + std::to_string(i + 1));
      next.texts.push_back({argument_line(arguments[i], next.where.back())});
      if (pair) next.texts.back().second = argument_line(arguments[i + 1], next.where.back());
    }
    return flush();
  }
  data::LineReader reader(input.empty() ? "-" : input);
  while (const auto line = reader.next()) {
    next.where.push_back(shown(reader.name()) + ":" + std::to_string(reader.line_number()));
    next.texts.push_back(parted(std::string(*line), pair, next.where.back()));
    if (next.texts.size() >= most || !reader.has_line()) flush();
  }
  flush();
  warn_of_repairs(reader.statistics());
}

std::vector<text::Encoding> encode(const decoding::TextEncoder& encoder, const TextLines::Texts& texts) {
  std::vector<text::Encoding> encodings;
  for (std::size_t i = 0; i < texts.texts.size(); ++i) {
    encodings.push_back(encoder.encode(texts.texts[i]));
    if (encodings.back().ids.empty())
      throw Error(Error::Kind::data, texts.where[i], "has no token", "is the line empty?");
  }
  return encodings;
}

void warn_of_cuts(const decoding::TextEncoder& encoder) {
  if (encoder.cut() > 0)
    warn(counted(static_cast<std::size_t>(encoder.cut()), "text") + " cut to the " +
         std::to_string(encoder.max_tokens()) + " tokens that the model takes");
}

}  // namespace fovea::cli
