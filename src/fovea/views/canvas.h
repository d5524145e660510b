#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/views/colour.h"
#include "fovea/views/display_text.h"
#include "fovea/views/terminal_style.h"

namespace fovea::views {

/// How characters are painted. Absent colours are the terminal's own.
struct Paint {
  std::optional<Colour> foreground = {}, background = {};
  bool bold = false, faint = false;

  bool operator==(const Paint&) const = default;
};

/// A grid of characters to draw on, turned into lines of text with the escape sequences that a terminal
/// understands.
class Canvas {
 public:
  explicit Canvas(int width) : width_(width) {}

  int width() const { return width_; }
  int height() const { return static_cast<int>(rows_.size()); }

  /// Draws from column x of row y on; what would stand outside the width is left out. Returns the column
  /// after it.
  int put(int x, int y, const std::vector<Glyph>& glyphs, const Paint& paint = {});
  /// The same for text of the program's own (no user's text: it is not cut at a wide character).
  int put(int x, int y, std::string_view text, const Paint& paint = {});

  /// The lines, each ending in a newline, without blanks at their ends; colours as the style allows.
  std::string text(const TerminalStyle& style) const;

 private:
  struct Cell {
    std::string text = " ";  // empty: the right half of a wide character
    Paint paint;
  };
  std::vector<std::vector<Cell>> rows_;
  int width_;
};

}  // namespace fovea::views
