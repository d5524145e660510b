#include "fovea/text/jinja/lexer.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "fovea/base/error.h"
#include "fovea/text/utf8.h"

namespace fovea::text::jinja {
namespace {

using Kind = Token::Kind;

constexpr std::size_t npos = std::string_view::npos;

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// "\r\n" and "\r" as "\n", without the last newline.
std::string with_plain_lines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out.push_back('\n');
      i += i + 1 < source.size() && source[i + 1] == '\n';
    } else {
      out.push_back(source[i]);
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  Lexer(std::string source, const std::string& where)
      : source_(std::move(source)), rest_(source_), where_(where) {}

  std::vector<Token> run() {
    while (!rest_.empty()) read_text_and_tag();
    add(Kind::end, "");
    return std::move(tokens_);
  }

 private:
  void add(Kind kind, std::string_view text) { tokens_.push_back({kind, std::string(text), line_}); }
  void add_text(std::string_view text) {
    if (!text.empty()) add(Kind::text, text);
  }

  std::string_view take(std::size_t length) {
    const std::string_view taken = rest_.substr(0, length);
    rest_.remove_prefix(taken.size());
    line_ += static_cast<int>(std::count(taken.begin(), taken.end(), '\n'));
    if (!taken.empty()) line_begins_ = taken.back() == '\n';
    return taken;
  }
  void take_spaces() { take(rest_.size() - stripped_left(rest_).size()); }

  static std::size_t find_tag(std::string_view text) {
    for (std::size_t at = 0; (at = text.find('{', at)) != npos; ++at)
      if (at + 1 < text.size() && (text[at + 1] == '{' || text[at + 1] == '%' || text[at + 1] == '#'))
        return at;
    return npos;
  }

  /// What is left of the text before a tag.
  std::string_view before_tag(std::string_view text, char sign, char mark) const {
    if (mark == '-') return stripped_right(text);
    if (mark == '+' || sign == '{') return text;
    const std::size_t line = text.rfind('\n') + 1;  // 0 if there is none
    const bool only_spaces = stripped_left(text.substr(line)).empty();
    return only_spaces && (line > 0 || line_begins_) ? text.substr(0, line) : text;
  }

  static char mark_of(std::string_view tag) {
    return tag.size() > 2 && (tag[2] == '-' || tag[2] == '+') ? tag[2] : '\0';
  }

  void read_text_and_tag() {
    const std::size_t at = find_tag(rest_);
    if (at == npos) return add_text(take(rest_.size()));
    const std::string_view tag = rest_.substr(at);
    const char sign = tag[1], mark = mark_of(tag);
    const std::string_view text = before_tag(rest_.substr(0, at), sign, mark);
    add_text(text);
    take(at);
    if (sign == '%' && read_raw()) return;
    const int line = line_;
    take(mark ? 3 : 2);
    if (sign == '#') return skip_comment(line);
    add(sign == '%' ? Kind::block_begin : Kind::output_begin, "");
    read_tokens(sign == '%' ? "%}" : "}}", line);
  }

  /// Takes what follows the end of a block or comment, of which `mark` stood before the end.
  void after_block(char mark) {
    if (mark == '-') take_spaces();
    if (mark == '\0' && rest_.starts_with('\n')) take(1);
  }

  void skip_comment(int line) {
    const std::size_t end = rest_.find("#}");
    if (end == npos) fail_at(where_, line, "a comment that does not end");
    const char last = end > 0 ? rest_[end - 1] : '\0';
    take(end + 2);
    after_block(last == '-' || last == '+' ? last : '\0');
  }

  /// Length of the tag at the beginning of `text` that holds nothing but `word`; 0 if there is none. `mark`
  /// receives what stands before its end.
  static std::size_t tag_of(std::string_view text, std::string_view word, char& mark) {
    if (!text.starts_with("{%")) return 0;
    std::string_view rest = stripped_left(text.substr(mark_of(text) ? 3 : 2));
    if (!rest.starts_with(word)) return 0;
    rest = stripped_left(rest.substr(word.size()));
    mark = rest.starts_with("-%}") || rest.starts_with("+%}") ? rest[0] : '\0';
    if (mark) rest.remove_prefix(1);
    return rest.starts_with("%}") ? text.size() - rest.size() + 2 : 0;
  }

  /// {% raw %} text {% endraw %}, if that is what comes.
  bool read_raw() {
    char mark = '\0';
    const std::size_t begin = tag_of(rest_, "raw", mark);
    if (begin == 0) return false;
    const int line = line_;
    take(begin);
    if (mark == '-') take_spaces();
    line_begins_ = false;
    for (std::size_t at = 0; (at = rest_.find("{%", at)) != npos; ++at) {
      const std::size_t length = tag_of(rest_.substr(at), "endraw", mark);
      if (length == 0) continue;
      add_text(before_tag(rest_.substr(0, at), '%', mark_of(rest_.substr(at))));
      take(at + length);
      after_block(mark);
      return true;
    }
    fail_at(where_, line, "{% raw %} without {% endraw %}");
  }

  void read_tokens(std::string_view end, int line) {
    std::string open;  // brackets
    while (true) {
      take_spaces();
      if (rest_.empty()) fail_at(where_, line, "a tag that does not end");
      const char mark = rest_[0] == '-' || (rest_[0] == '+' && end == "%}") ? rest_[0] : '\0';
      if (open.empty() && rest_.substr(mark ? 1 : 0).starts_with(end)) return read_end(end, mark);
      read_token(open);
    }
  }

  void read_end(std::string_view end, char mark) {
    add(end == "%}" ? Kind::block_end : Kind::output_end, "");
    take(end.size() + (mark ? 1 : 0));
    if (end == "%}") return after_block(mark);
    if (mark == '-') take_spaces();
  }

  void read_token(std::string& open) {
    const char c = rest_[0];
    if (is_letter(c)) return read_name();
    if (is_digit(c)) return read_number();
    if (c == '\'' || c == '"') return read_string();
    read_symbol(open);
  }

  void read_name() {
    std::size_t length = 1;
    while (length < rest_.size() && (is_letter(rest_[length]) || is_digit(rest_[length]))) ++length;
    add(Kind::name, take(length));
  }

  void read_number() {
    const auto digits = [&](std::size_t at) {
      while (at < rest_.size() &&
             (is_digit(rest_[at]) || (rest_[at] == '_' && at + 1 < rest_.size() && is_digit(rest_[at + 1]))))
        ++at;
      return at;
    };
    const auto begins_number = [&](std::size_t at) { return at < rest_.size() && is_digit(rest_[at]); };
    std::size_t end = digits(0);
    const std::size_t whole = end;
    const bool after_point = !tokens_.empty() && tokens_.back().is(Kind::symbol, ".");
    if (!after_point && end < rest_.size() && rest_[end] == '.' && begins_number(end + 1))
      end = digits(end + 1);
    if (!after_point && end < rest_.size() && (rest_[end] == 'e' || rest_[end] == 'E')) {
      const bool sign = end + 1 < rest_.size() && (rest_[end + 1] == '+' || rest_[end + 1] == '-');
      if (begins_number(end + (sign ? 2 : 1))) end = digits(end + (sign ? 2 : 1));
    }
    std::string text(take(end));
    std::erase(text, '_');
    add(end == whole ? Kind::integer : Kind::real, text);
  }

  void read_string() {
    const char quote = rest_[0];
    std::size_t end = 1;
    while (end < rest_.size() && rest_[end] != quote) end += rest_[end] == '\\' ? 2 : 1;
    if (end >= rest_.size()) fail_at(where_, line_, "a string that does not end");
    const int line = line_;
    const std::string text = unescaped(take(end + 1).substr(1, end - 1));
    tokens_.push_back({Kind::string, text, line});
  }

  /// The number of `digits` hexadecimal digits at the beginning of `text`.
  std::uint32_t hexadecimal(std::string_view text, std::size_t digits) const {
    std::uint32_t value = 0;
    const char* end = text.data() + std::min(digits, text.size());
    if (text.size() < digits || std::from_chars(text.data(), end, value, 16).ptr != end)
      fail_at(where_, line_, "an escape without its hexadecimal digits");
    return value;
  }

  /// A string with its escapes as Python reads them.
  std::string unescaped(std::string_view text) const {
    static constexpr std::string_view names = "abfnrtv\\'\"", values = "\a\b\f\n\r\t\v\\'\"";
    std::string out;
    while (!text.empty()) {
      const std::size_t plain = std::min(text.find('\\'), text.size());
      out.append(text.substr(0, plain));
      text.remove_prefix(plain);
      if (text.size() < 2) break;
      const char c = text[1];
      text.remove_prefix(2);
      if (const std::size_t named = names.find(c); named != npos) {
        out.push_back(values[named]);
      } else if (c == 'x' || c == 'u' || c == 'U') {
        const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        append_utf8(out, hexadecimal(text, digits));
        text.remove_prefix(digits);
      } else if (c >= '0' && c <= '7') {
        char32_t value = static_cast<char32_t>(c - '0');
        for (int i = 0; i < 2 && !text.empty() && text[0] >= '0' && text[0] <= '7';
             ++i, text.remove_prefix(1))
          value = value * 8 + static_cast<char32_t>(text[0] - '0');
        append_utf8(out, value);
      } else if (c != '\n') {
        out.push_back('\\');
        out.push_back(c);
      }
    }
    return out;
  }

  void read_symbol(std::string& open) {
    static constexpr std::string_view opening = "([{", closing = ")]}";
    for (const std::string_view two : {"//", "**", "==", "!=", ">=", "<="})
      if (rest_.starts_with(two)) return add(Kind::symbol, take(2));
    const char c = rest_[0];
    if (std::string_view("+-/*%~[](){}><=.:|,").find(c) == npos)
      fail_at(where_, line_, "unexpected '" + printable(rest_.substr(0, decode_utf8(rest_).length)) + "'");
    if (opening.find(c) != npos) open.push_back(c);
    if (const std::size_t kind = closing.find(c); kind != npos) {
      if (open.empty() || open.back() != opening[kind])
        fail_at(where_, line_, std::string("unexpected '") + c + "'");
      open.pop_back();
    }
    add(Kind::symbol, take(1));
  }

  std::string source_;
  std::string_view rest_;
  const std::string& where_;
  std::vector<Token> tokens_;
  int line_ = 1;
  bool line_begins_ = true;
};

}  // namespace

std::vector<Token> tokenise(std::string_view source, const std::string& where) {
  return Lexer(with_plain_lines(source), where).run();
}

void fail_at(const std::string& where, int line, const std::string& what) {
  throw Error(Error::Kind::model, where + ": chat template, line " + std::to_string(line), what);
}

bool is_python_space(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

std::string_view stripped_left(std::string_view text) {
  while (!text.empty()) {
    const Decoded next = decode_utf8(text);
    if (!is_python_space(next.code_point)) break;
    text.remove_prefix(next.length);
  }
  return text;
}

std::string_view stripped_right(std::string_view text) {
  while (!text.empty()) {
    std::size_t begin = text.size() - 1;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
    if (!is_python_space(decode_utf8(text.substr(begin)).code_point)) break;
    text = text.substr(0, begin);
  }
  return text;
}

}  // namespace fovea::text::jinja
