#include "fovea/formats/json_events.h"

#include <cstring>
#include <nlohmann/json.hpp>

namespace fovea::formats {
namespace {

// nlohmann's events, passed on with the limits kept. Its parser has no recursion of its own.
class Adapter {
 public:
  using Base = nlohmann::json;
  Adapter(const JsonSource& source, const JsonLimits& limits, JsonEvents& events)
      : source_(source), limits_(limits), events_(events) {}

  bool null() { return value(), events_.null(), true; }
  bool boolean(bool value_seen) { return value(), events_.boolean(value_seen), true; }
  bool number_unsigned(Base::number_unsigned_t number) { return value(), events_.natural(number), true; }
  bool number_integer(Base::number_integer_t number) { return value(), events_.negative(number), true; }
  bool number_float(Base::number_float_t number, const std::string&) {
    return value(), events_.real(number), true;
  }
  bool string(std::string& text) { return value(), check(text), events_.text(text), true; }
  bool binary(Base::binary_t&) { return false; }
  bool key(std::string& name) { return check(name), events_.key(name), true; }
  bool start_object(std::size_t) { return value(), deeper(), events_.begin_object(), true; }
  bool start_array(std::size_t) { return value(), deeper(), events_.begin_array(), true; }
  bool end_object() { return --depth_, events_.end_object(), true; }
  bool end_array() { return --depth_, events_.end_array(), true; }

  // "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error ...": from "line" on, it
  // is good.
  bool parse_error(std::size_t, const std::string&, const Base::exception& error) {
    std::string_view what = error.what();
    const auto line = what.find("line ");
    const auto bracket = what.find("] ");
    if (line != std::string_view::npos)
      what.remove_prefix(line);
    else if (bracket != std::string_view::npos)
      what.remove_prefix(bracket + 2);
    throw Error(source_.kind, source_.name, "is not valid JSON: " + printable(what, 240));
  }

 private:
  void value() {
    if (++values_ > limits_.values) refuse("holds more than " + std::to_string(limits_.values) + " values");
  }
  void deeper() {
    if (++depth_ > limits_.depth) refuse("nests deeper than " + std::to_string(limits_.depth) + " levels");
  }
  void check(const std::string& text) {
    if (text.size() > limits_.string_bytes)
      refuse("holds a string longer than " + std::to_string(limits_.string_bytes) + " bytes: \"" +
             printable(text, 40) + "\"");
  }
  [[noreturn]] void refuse(const std::string& what) { throw Error(source_.kind, source_.name, what); }

  const JsonSource& source_;
  const JsonLimits& limits_;
  JsonEvents& events_;
  std::size_t depth_ = 0;
  std::size_t values_ = 0;
};

// The bytes of the sequence that starts with `lead`, 0 if none does; `least` and `most` bound its second
// byte.
std::size_t sequence_length(unsigned char lead, unsigned char& least, unsigned char& most) {
  least = 0x80;
  most = 0xbf;
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) {
    if (lead == 0xe0) least = 0xa0;  // shorter forms exist
    if (lead == 0xed) most = 0x9f;   // surrogates
    return 3;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    if (lead == 0xf0) least = 0x90;
    if (lead == 0xf4) most = 0x8f;  // beyond U+10FFFF
    return 4;
  }
  return 0;
}

}  // namespace

std::optional<std::size_t> first_invalid_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    // Eight bytes of ASCII at a time.
    std::uint64_t word = 0;
    if (text.size() - at >= 8) {
      std::memcpy(&word, text.data() + at, 8);
      if (!(word & 0x8080808080808080ULL)) {
        at += 8;
        continue;
      }
    }
    unsigned char least = 0, most = 0;
    const std::size_t length = sequence_length(static_cast<unsigned char>(text[at]), least, most);
    if (length == 0 || length > text.size() - at) return at;
    for (std::size_t i = 1; i < length; ++i) {
      const auto byte = static_cast<unsigned char>(text[at + i]);
      if (byte < least || byte > most) return at;
      least = 0x80;
      most = 0xbf;
    }
    at += length;
  }
  return std::nullopt;
}

void parse_json(std::string_view text, const JsonSource& source, const JsonLimits& limits,
                JsonEvents& events) {
  const auto refuse = [&](const std::string& what, std::string_view remedy = {}) {
    throw Error(source.kind, source.name, what, remedy);
  };
  if (text.size() > limits.bytes)
    refuse("is JSON longer than the " + std::to_string(limits.bytes) + " bytes allowed");
  if (const auto bad = first_invalid_utf8(text)) refuse("is not valid UTF-8 at byte " + std::to_string(*bad));
  if (text.starts_with("\xef\xbb\xbf"))
    refuse("starts with a byte order mark", "save it as UTF-8 without one");
  // The parser takes a NUL for the end of the text: what follows it would pass unseen.
  const auto nul = text.find('\0');
  if (nul != std::string_view::npos) refuse("is not valid JSON: a NUL at byte " + std::to_string(nul));
  Adapter adapter(source, limits, events);
  nlohmann::json::sax_parse(text.data(), text.data() + text.size(), &adapter);
}

}  // namespace fovea::formats
