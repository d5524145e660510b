#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fovea::views {

/// `text` safe inside XML, in content and in quoted attributes: & < > " ' escaped, characters that XML 1.0
/// forbids and bytes that are not UTF-8 replaced by U+FFFD.
std::string escape_xml(std::string_view text);

/// A number as SVG likes it: at most two decimals, no useless zeros, a point in every locale.
std::string svg_number(double value);

/// An attribute's value: a text (escaped when written) or a number.
class SvgValue {
 public:
  SvgValue(const char* text) : text_(text) {}
  SvgValue(std::string text) : text_(std::move(text)) {}
  SvgValue(double number) : text_(svg_number(number)) {}
  SvgValue(int number) : text_(std::to_string(number)) {}
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

using SvgAttributes = std::initializer_list<std::pair<std::string_view, SvgValue>>;

/// Writes one SVG picture, element after element. Lengths are in pixels. Texts and attribute values are
/// escaped, so no token can become markup; element and attribute names are the program's own and are not.
class Svg {
 public:
  /// A picture on a background; `title` is what screen readers say and browsers show on hovering.
  Svg(double width, double height, std::string_view title, std::string_view background);

  void element(std::string_view name, SvgAttributes attributes);
  void text(double x, double y, std::string_view content, SvgAttributes attributes = {});
  /// An element with content; every open needs a close.
  void open(std::string_view name, SvgAttributes attributes = {});
  void close();

  /// The whole document; closes what is open.
  std::string finish();

 private:
  void begin(std::string_view name, SvgAttributes attributes);

  std::string out_;
  std::vector<std::string> open_;
};

/// The fonts of all pictures: those of the reader's system.
inline constexpr const char* svg_fonts =
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', 'DejaVu Sans', sans-serif";

}  // namespace fovea::views
