#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fovea/base/file_system.h"
#include "fovea/formats/json_events.h"

namespace fovea::formats {

/// A value in a JSON file: a cursor that shares the parsed document, so it may outlive what it was taken
/// from. Every getter checks the type and the range; its Error names the file, the path of the value in it,
/// what was found and what was expected:
///     config.at("d_model").integer(1, 1 << 20)
///     model/config.json: d_model: is the text "wide", but an integer from 1 to 1048576 was expected
class Json {
 public:
  enum class Type : std::uint8_t { null, boolean, natural, negative, real, text, array, object };
  struct Member;
  template <class Item>
  class Range;

  /// The root of the document `text`. Strict, with limits: see parse_json; a key given twice in an object is
  /// refused.
  static Json parse(std::string_view text, const JsonSource& source, const JsonLimits& limits = {});

  Type type() const;
  bool is_null() const { return type() == Type::null; }
  bool is_text() const { return type() == Type::text; }
  bool is_array() const { return type() == Type::array; }
  bool is_object() const { return type() == Type::object; }
  bool is_number() const {
    return type() == Type::natural || type() == Type::negative || type() == Type::real;
  }

  /// The member `key` of this object. Error if this is no object or has none.
  Json at(std::string_view key) const;
  /// The same, or nothing if there is none or it is null.
  std::optional<Json> find(std::string_view key) const;
  bool has(std::string_view key) const { return find(key).has_value(); }

  bool boolean() const;
  /// A number written without point or exponent, in [least, most].
  std::int64_t integer(std::int64_t least = std::numeric_limits<std::int64_t>::min(),
                       std::int64_t most = std::numeric_limits<std::int64_t>::max()) const;
  /// Any number in [least, most]; always finite.
  double number(double least = std::numeric_limits<double>::lowest(),
                double most = std::numeric_limits<double>::max()) const;
  /// Valid UTF-8; lives as long as any cursor of the document.
  std::string_view text() const;

  /// The member `key`, or `otherwise` if it is missing or null.
  bool boolean_or(std::string_view key, bool otherwise) const;
  std::int64_t integer_or(std::string_view key, std::int64_t otherwise,
                          std::int64_t least = std::numeric_limits<std::int64_t>::min(),
                          std::int64_t most = std::numeric_limits<std::int64_t>::max()) const;
  double number_or(std::string_view key, double otherwise,
                   double least = std::numeric_limits<double>::lowest(),
                   double most = std::numeric_limits<double>::max()) const;
  std::string text_or(std::string_view key, std::string_view otherwise) const;

  /// How many elements or members this array or object has.
  std::size_t size() const;
  /// for (const Json& element : json.elements()). Error if this is no array.
  Range<Json> elements() const;
  /// for (const auto& [key, value] : json.members()), in the order of the file. Error if this is no object.
  Range<Member> members() const;

  /// Where this value is in the file: "decoder.layers[3].name"; empty for the root. Costs a walk: for
  /// messages.
  std::string path() const;
  /// Throws the Error that says that this value is wrong: "FILE: PATH: WHAT; REMEDY".
  [[noreturn]] void reject(std::string_view what, std::string_view remedy = {}) const;

 private:
  struct Node;
  struct Document;
  class Builder;
  Json(std::shared_ptr<const Document> document, std::uint32_t node)
      : document_(std::move(document)), node_(node) {}
  const Node& node() const;
  std::optional<std::uint32_t> find_node(std::string_view key) const;
  [[noreturn]] void expected(std::string_view what) const;
  std::string found() const;

  std::shared_ptr<const Document> document_;
  std::uint32_t node_ = 0;
};

struct Json::Member {
  std::string_view key;
  Json value;
};

/// The children of an array or object.
template <class Item>
class Json::Range {
 public:
  class Iterator {
   public:
    Iterator(std::shared_ptr<const Document> document, std::uint32_t node)
        : document_(std::move(document)), node_(node) {}
    Item operator*() const;
    Iterator& operator++();
    bool operator==(const Iterator& other) const { return node_ == other.node_; }

   private:
    std::shared_ptr<const Document> document_;
    std::uint32_t node_;
  };
  Iterator begin() const { return {document_, first_}; }
  Iterator end() const { return {document_, end_}; }

 private:
  friend class Json;
  Range(std::shared_ptr<const Document> document, std::uint32_t first, std::uint32_t end)
      : document_(std::move(document)), first_(first), end_(end) {}
  std::shared_ptr<const Document> document_;
  std::uint32_t first_, end_;
};

template <>
Json Json::Range<Json>::Iterator::operator*() const;
template <>
Json::Range<Json>::Iterator& Json::Range<Json>::Iterator::operator++();
template <>
Json::Member Json::Range<Json::Member>::Iterator::operator*() const;
template <>
Json::Range<Json::Member>::Iterator& Json::Range<Json::Member>::Iterator::operator++();

/// The JSON file at `path`. Throws Error(kind) as read_file, parse_json and Json::parse do.
Json read_json(const std::filesystem::path& path, Error::Kind kind, const JsonLimits& limits = {},
               FileSystem& files = system_files());

}  // namespace fovea::formats
