#include "fovea/formats/json_writer.h"

#include <charconv>
#include <cmath>
#include <utility>

#include "fovea/base/error.h"
#include "fovea/formats/json_events.h"

namespace fovea::formats {
namespace {

[[noreturn]] void misuse(const char* what) { throw Error(Error::Kind::bug, "JSON writer", what); }

template <class Real>
std::string real_text(Real number) {
  if (!std::isfinite(number)) misuse("a number is not finite");
  char digits[64];
  std::string text(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";  // stays a real for those who care
  return text;
}

// UTF-8 with every byte that is not part of it replaced.
std::string repaired(std::string_view text) {
  std::string out;
  while (const auto bad = first_invalid_utf8(text)) {
    out.append(text.substr(0, *bad)).append("\xef\xbf\xbd");
    text.remove_prefix(*bad + 1);
  }
  return out.append(text);
}

}  // namespace

JsonWriter& JsonWriter::begin_object() { return begin('{', true); }
JsonWriter& JsonWriter::end_object() { return end('}', true); }
JsonWriter& JsonWriter::begin_array() { return begin('[', false); }
JsonWriter& JsonWriter::end_array() { return end(']', false); }
JsonWriter& JsonWriter::null() { return literal("null"); }
JsonWriter& JsonWriter::value(double number) { return literal(real_text(number)); }
JsonWriter& JsonWriter::value(float number) { return literal(real_text(number)); }

JsonWriter& JsonWriter::key(std::string_view name) {
  if (levels_.empty() || !levels_.back().object || after_key_) misuse("a key where none may stand");
  if (!std::exchange(levels_.back().empty, false)) out_ += ',';
  new_line();
  append_quoted(name);
  out_ += layout_ == Layout::pretty ? ": " : ":";
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  before_value();
  append_quoted(text);
  return *this;
}

JsonWriter& JsonWriter::literal(std::string_view text) {
  before_value();
  out_ += text;
  return *this;
}

JsonWriter& JsonWriter::begin(char bracket, bool object) {
  before_value();
  out_ += bracket;
  levels_.push_back({object});
  return *this;
}

JsonWriter& JsonWriter::end(char bracket, bool object) {
  if (levels_.empty() || levels_.back().object != object || after_key_)
    misuse("a bracket closed that is not open");
  const bool empty = levels_.back().empty;
  levels_.pop_back();
  if (!empty) new_line();
  out_ += bracket;
  return *this;
}

void JsonWriter::before_value() {
  if (std::exchange(after_key_, false)) return;
  if (levels_.empty() ? !out_.empty() : levels_.back().object) misuse("a value where none may stand");
  if (levels_.empty()) return;
  if (!std::exchange(levels_.back().empty, false)) out_ += ',';
  new_line();
}

void JsonWriter::new_line() {
  if (layout_ == Layout::compact) return;
  out_ += '\n';
  out_.append(2 * levels_.size(), ' ');
}

void JsonWriter::append_quoted(std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  const std::string repaired_text = first_invalid_utf8(text) ? repaired(text) : std::string();
  if (!repaired_text.empty()) text = repaired_text;
  out_ += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out_ += "\\\"";
        break;
      case '\\':
        out_ += "\\\\";
        break;
      case '\n':
        out_ += "\\n";
        break;
      case '\r':
        out_ += "\\r";
        break;
      case '\t':
        out_ += "\\t";
        break;
      case '\b':
        out_ += "\\b";
        break;
      case '\f':
        out_ += "\\f";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20)
          out_.append("\\u00").append(1, hex[c >> 4]).append(1, hex[c & 15]);
        else
          out_ += c;
    }
  }
  out_ += '"';
}

std::string JsonWriter::finish() {
  if (!levels_.empty() || after_key_ || out_.empty()) misuse("the text is not complete");
  if (layout_ == Layout::pretty) out_ += '\n';
  return std::exchange(out_, {});
}

}  // namespace fovea::formats
