#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fovea/base/error.h"

namespace fovea::formats {

/// What a JSON text may cost before it is refused.
struct JsonLimits {
  std::size_t bytes = std::size_t{16} << 20;         ///< of the text
  std::size_t depth = 64;                            ///< of nested objects and arrays
  std::size_t string_bytes = std::size_t{16} << 20;  ///< of one string or key, decoded
  std::size_t values = 4'000'000;  ///< of any kind, keys not counted; bounds the memory taken

  /// For tokenizer.json, vocabularies and the like.
  static constexpr JsonLimits tokenizer() {
    return {std::size_t{256} << 20, 64, std::size_t{16} << 20, 32'000'000};
  }
};

/// Where a text came from, for messages: the file (escaped), and the kind of the errors it gives.
struct JsonSource {
  std::string name;
  Error::Kind kind = Error::Kind::model;
};

/// Receives a JSON text piece by piece. Strings may be moved from.
class JsonEvents {
 public:
  virtual ~JsonEvents() = default;
  virtual void null() = 0;
  virtual void boolean(bool value) = 0;
  virtual void natural(std::uint64_t value) = 0;  ///< an integer >= 0 without sign, point or exponent
  virtual void negative(std::int64_t value) = 0;  ///< an integer with a minus sign ("-0" too)
  virtual void real(double value) = 0;            ///< any other number; finite
  virtual void text(std::string& value) = 0;
  virtual void key(std::string& name) = 0;
  virtual void begin_object() = 0;
  virtual void end_object() = 0;
  virtual void begin_array() = 0;
  virtual void end_array() = 0;
};

/// Reads `text` strictly (RFC 8259: no comments, no NaN, no trailing commas, nothing after the value; also no
/// byte order mark and no NUL) and reports it to `events`. What an event throws ends the reading. Duplicate
/// keys are the receiver's to refuse. Throws Error(source.kind): a limit passed, not UTF-8 (with the byte),
/// not JSON (with line and column).
void parse_json(std::string_view text, const JsonSource& source, const JsonLimits& limits,
                JsonEvents& events);

/// The offset of the first byte that is not part of well-formed UTF-8 (no overlong forms, no surrogates), if
/// any.
std::optional<std::size_t> first_invalid_utf8(std::string_view text);

}  // namespace fovea::formats
