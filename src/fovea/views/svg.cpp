#include "fovea/views/svg.h"

#include <unicode/utf8.h>

#include <cmath>
#include <cstdint>

#include "fovea/base/decimal.h"

namespace fovea::views {
namespace {

constexpr std::string_view replacement = "\uFFFD";

bool is_xml_character(UChar32 c) {
  return c == 0x9 || c == 0xA || c == 0xD || (c >= 0x20 && c <= 0xD7FF) || (c >= 0xE000 && c <= 0xFFFD) ||
         c >= 0x10000;
}

}  // namespace

std::string escape_xml(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const auto* data = reinterpret_cast<const std::uint8_t*>(text.data());
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t begin = i;
    UChar32 c = 0;
    U8_NEXT(data, i, text.size(), c);
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c >= 0 && is_xml_character(c) ? text.substr(begin, i - begin) : replacement;
    }
  }
  return out;
}

std::string svg_number(double value) {
  if (!std::isfinite(value)) return "0";
  std::string out = fixed(value, 2);
  while (out.back() == '0') out.pop_back();
  if (out.back() == '.') out.pop_back();
  return out == "-0" ? "0" : out;
}

Svg::Svg(double width, double height, std::string_view title, std::string_view background) {
  open("svg", {{"xmlns", "http://www.w3.org/2000/svg"},
               {"width", width},
               {"height", height},
               {"viewBox", "0 0 " + svg_number(width) + " " + svg_number(height)},
               {"role", "img"},
               {"font-family", svg_fonts}});
  out_ += "<title>" + escape_xml(title) + "</title>\n";
  element("rect", {{"width", width}, {"height", height}, {"fill", std::string(background)}});
}

void Svg::begin(std::string_view name, SvgAttributes attributes) {
  out_.append("<").append(name);
  for (const auto& [key, value] : attributes) {
    out_.append(" ").append(key).append("=\"").append(escape_xml(value.text())).append("\"");
  }
}

void Svg::element(std::string_view name, SvgAttributes attributes) {
  begin(name, attributes);
  out_ += "/>\n";
}

void Svg::text(double x, double y, std::string_view content, SvgAttributes attributes) {
  begin("text", attributes);
  out_.append(" x=\"").append(svg_number(x)).append("\" y=\"").append(svg_number(y)).append("\">");
  out_.append(escape_xml(content)).append("</text>\n");
}

void Svg::open(std::string_view name, SvgAttributes attributes) {
  begin(name, attributes);
  out_ += ">\n";
  open_.emplace_back(name);
}

void Svg::close() {
  out_.append("</").append(open_.back()).append(">\n");
  open_.pop_back();
}

std::string Svg::finish() {
  while (!open_.empty()) close();
  return std::move(out_);
}

}  // namespace fovea::views
