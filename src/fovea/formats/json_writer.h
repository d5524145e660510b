#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

namespace fovea::formats {

/// Writes JSON, in the order of the calls:
///     JsonWriter json;
///     json.begin_object().field("d_model", 512).field("dropout",
///     0.1f).key("ids").begin_array().value(1).end_array(); write_atomically(path,
///     json.end_object().finish());
/// Numbers are the shortest text that reads back as the same bits; UTF-8 stays as it is; bytes that are no
/// UTF-8 become U+FFFD. Throws Error(bug) for calls in a wrong order and for numbers that JSON cannot hold
/// (NaN, infinities).
class JsonWriter {
 public:
  enum class Layout {
    pretty,   ///< a line a value, two spaces a level, as Python's json.dumps(indent=2)
    compact,  ///< one line without spaces
  };
  explicit JsonWriter(Layout layout = Layout::pretty) : layout_(layout) {}

  JsonWriter& begin_object();
  JsonWriter& end_object();
  JsonWriter& begin_array();
  JsonWriter& end_array();
  JsonWriter& key(std::string_view name);

  JsonWriter& null();
  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
  JsonWriter& value(std::same_as<bool> auto truth) { return literal(truth ? "true" : "false"); }
  template <std::integral Integer>
  requires(!std::same_as<Integer, bool>) JsonWriter& value(Integer number) {
    return literal(std::to_string(number));
  }
  JsonWriter& value(double number);
  JsonWriter& value(float number);

  /// key(name) and value(content).
  template <class Content>
  JsonWriter& field(std::string_view name, const Content& content) {
    return key(name).value(content);
  }

  /// The text; pretty ones end in a newline.
  std::string finish();

 private:
  struct Level {
    bool object;
    bool empty = true;
  };
  void before_value();
  void new_line();
  JsonWriter& literal(std::string_view text);
  JsonWriter& begin(char bracket, bool object);
  JsonWriter& end(char bracket, bool object);
  void append_quoted(std::string_view text);

  Layout layout_;
  std::string out_;
  std::vector<Level> levels_;
  bool after_key_ = false;
};

}  // namespace fovea::formats
