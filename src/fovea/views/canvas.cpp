#include "fovea/views/canvas.h"

namespace fovea::views {
namespace {

std::string colour_code(Colour colour, bool background, ColourDepth depth) {
  const std::string kind = background ? "48" : "38";
  if (depth == ColourDepth::indexed) return ";" + kind + ";5;" + std::to_string(nearest_indexed(colour));
  return ";" + kind + ";2;" + std::to_string(colour.red) + ";" + std::to_string(colour.green) + ";" +
         std::to_string(colour.blue);
}

/// The escape sequence that sets exactly this paint.
std::string escape(const Paint& paint, ColourDepth depth) {
  std::string code = "\x1b[0";
  if (paint.bold) code += ";1";
  if (paint.faint) code += ";2";
  if (depth == ColourDepth::sixteen) {
    if (paint.foreground) code += ";33";  // yellow reads on dark and light; shades of it carry the weight
  } else {
    if (paint.foreground) code += colour_code(*paint.foreground, false, depth);
    if (paint.background) code += colour_code(*paint.background, true, depth);
  }
  return code + "m";
}

}  // namespace

int Canvas::put(int x, int y, const std::vector<Glyph>& glyphs, const Paint& paint) {
  if (y >= height()) rows_.resize(static_cast<std::size_t>(y) + 1);
  auto& row = rows_[static_cast<std::size_t>(y)];
  for (const auto& glyph : glyphs) {
    if (x < 0 || x + glyph.width > width_) break;
    const auto end = static_cast<std::size_t>(x + glyph.width);
    if (row.size() < end) row.resize(end);
    row[end - 1] = {"", paint};
    row[static_cast<std::size_t>(x)] = {glyph.text, paint};
    x += glyph.width;
  }
  return x;
}

int Canvas::put(int x, int y, std::string_view text, const Paint& paint) {
  return put(x, y, glyphs(text), paint);
}

std::string Canvas::text(const TerminalStyle& style) const {
  std::string out;
  for (const auto& row : rows_) {
    std::size_t end = row.size();
    while (end > 0 && row[end - 1].text == " " && !row[end - 1].paint.background) --end;
    Paint current;
    for (std::size_t x = 0; x < end; ++x) {
      if (style.colours != ColourDepth::none && row[x].paint != current) {
        current = row[x].paint;
        out += escape(current, style.colours);
      }
      out += row[x].text;
    }
    if (current != Paint{}) out += "\x1b[0m";
    out += '\n';
  }
  return out;
}

}  // namespace fovea::views
