#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fovea::text::jinja {

struct Token {
  enum class Kind {
    text,
    output_begin,
    output_end,
    block_begin,
    block_end,
    name,
    string,
    integer,
    real,
    symbol,
    end
  };
  Kind kind;
  std::string text;  ///< of strings what they say
  int line;

  bool is(Kind k, std::string_view t) const { return kind == k && text == t; }
};

/// The tokens of a template, with Kind::end last. Whitespace is cut as transformers sets Jinja up:
/// trim_blocks and lstrip_blocks on, the last newline dropped, "-" and "+" beside the signs obeyed. Comments
/// are gone; what stands in {% raw %} is text. Throws Error(model) naming `where` and the line.
std::vector<Token> tokenise(std::string_view source, const std::string& where);

[[noreturn]] void fail_at(const std::string& where, int line, const std::string& what);

/// Whether Python's strip() takes it away.
bool is_python_space(char32_t c);
std::string_view stripped_left(std::string_view text);
std::string_view stripped_right(std::string_view text);

}  // namespace fovea::text::jinja
