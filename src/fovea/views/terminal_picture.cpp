#include "fovea/views/terminal_picture.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "fovea/views/canvas.h"
#include "fovea/views/svg.h"

namespace fovea::views {
namespace {

constexpr double cell_width = 8.43, cell_height = 19, font_size = 14, padding = 20, bar_height = 36;
constexpr Colour ground{13, 17, 23}, ink_on_ground{208, 212, 220}, yellow{229, 185, 75};
constexpr const char* mono_fonts =
    "ui-monospace, 'SF Mono', 'Cascadia Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace";

/// Glyphs next to each other that are painted alike.
struct Run {
  std::vector<Glyph> glyphs;
  Paint paint;
};

Colour indexed_colour(int index) {
  constexpr int levels[] = {0, 95, 135, 175, 215, 255};
  const auto byte = [](int value) { return static_cast<std::uint8_t>(value); };
  if (index >= 232)
    return {byte(8 + 10 * (index - 232)), byte(8 + 10 * (index - 232)), byte(8 + 10 * (index - 232))};
  const int cube = std::max(index - 16, 0);
  return {byte(levels[cube / 36]), byte(levels[cube / 6 % 6]), byte(levels[cube % 6])};
}

std::vector<int> numbers(std::string_view codes) {
  std::vector<int> out;
  for (const char* at = codes.data(); at < codes.data() + codes.size();) {
    int number = 0;
    at = std::from_chars(at, codes.data() + codes.size(), number).ptr + 1;
    out.push_back(std::clamp(number, 0, 255));
  }
  return out;
}

/// The paint that a colour sequence leaves: "0;1;38;2;R;G;B".
Paint applied(Paint paint, std::string_view codes) {
  const auto code = numbers(codes);
  for (std::size_t i = 0; i < code.size(); ++i) {
    if (code[i] == 0) paint = {};
    if (code[i] == 1) paint.bold = true;
    if (code[i] == 2) paint.faint = true;
    if (code[i] == 33) paint.foreground = yellow;
    if (code[i] != 38 && code[i] != 48) continue;
    auto& place = code[i] == 38 ? paint.foreground : paint.background;
    const auto byte = [&](std::size_t k) { return static_cast<std::uint8_t>(code[k]); };
    if (i + 2 < code.size() && code[i + 1] == 5) {
      place = indexed_colour(code[i + 2]);
      i += 2;
    } else if (i + 4 < code.size() && code[i + 1] == 2) {
      place = Colour{byte(i + 2), byte(i + 3), byte(i + 4)};
      i += 4;
    }
  }
  return paint;
}

/// The runs of one line; `paint` goes on to the next.
std::vector<Run> runs_of(std::string_view line, Paint& paint) {
  std::vector<Run> out;
  while (!line.empty()) {
    const auto escape = line.find("\x1b[");
    if (const auto text = line.substr(0, escape); !text.empty()) out.push_back({glyphs(text), paint});
    if (escape == std::string_view::npos) break;
    line.remove_prefix(escape + 2);
    const auto end = line.find_first_not_of("0123456789;");
    if (end == std::string_view::npos || line[end] != 'm') continue;  // not a colour: shown as it is
    paint = applied(paint, line.substr(0, end));
    line.remove_prefix(end + 1);
  }
  return out;
}

void draw_word(Svg& svg, double x, double y, const std::vector<Glyph>& word, const Paint& paint) {
  if (word.empty()) return;
  svg.text(x, y + 14, join(word),
           {{"fill", hex(paint.foreground.value_or(ink_on_ground))},
            {"font-weight", paint.bold ? "600" : "400"},
            {"opacity", paint.faint ? 0.55 : 1.0},
            {"textLength", width(word) * cell_width},
            {"lengthAdjust", "spacingAndGlyphs"}});
}

/// Draws a run; returns the x after it. Words are placed one by one, so that no font can shift the columns.
double draw_run(Svg& svg, double x, double y, const Run& run) {
  if (run.paint.background) {
    svg.element("rect", {{"x", x},
                         {"y", y},
                         {"width", width(run.glyphs) * cell_width + 0.3},
                         {"height", cell_height + 0.3},
                         {"fill", hex(*run.paint.background)}});
  }
  std::vector<Glyph> word;
  double word_x = x;
  for (const auto& glyph : run.glyphs) {
    const double next = x + glyph.width * cell_width;
    if (glyph.text == " ") {
      draw_word(svg, word_x, y, word, run.paint);
      word.clear();
      word_x = next;
    } else {
      word.push_back(glyph);
    }
    x = next;
  }
  draw_word(svg, word_x, y, word, run.paint);
  return x;
}

std::vector<std::vector<Run>> lines_of(std::string_view text) {
  std::vector<std::vector<Run>> out;
  Paint paint;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    out.push_back(runs_of(text.substr(0, end), paint));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

}  // namespace

std::string terminal_picture_svg(std::string_view text, const std::string& title, int columns) {
  const auto lines = lines_of(text);
  for (const auto& line : lines) {
    int sum = 0;
    for (const auto& run : line) sum += width(run.glyphs);
    columns = std::max(columns, sum);
  }
  const double picture_width = columns * cell_width + 2 * padding;
  const double height = bar_height + static_cast<double>(lines.size()) * cell_height + padding;
  Svg svg(picture_width, height, title.empty() ? "terminal" : title, "none");
  svg.element("rect", {{"width", picture_width}, {"height", height}, {"rx", 10}, {"fill", hex(ground)}});
  const char* buttons[] = {"#ff5f57", "#febc2e", "#28c840"};
  for (int i = 0; i < 3; ++i) {
    svg.element("circle", {{"cx", padding + 4 + 20 * i}, {"cy", 18}, {"r", 6}, {"fill", buttons[i]}});
  }
  svg.text(picture_width / 2, 22.5, join(glyphs(title)),
           {{"text-anchor", "middle"}, {"font-size", 13}, {"fill", hex(ink_on_ground)}, {"opacity", 0.6}});
  svg.open("g", {{"font-family", mono_fonts}, {"font-size", font_size}});
  double y = bar_height;
  for (const auto& line : lines) {
    double x = padding;
    for (const auto& run : line) x = draw_run(svg, x, y, run);
    y += cell_height;
  }
  return svg.finish();
}

}  // namespace fovea::views
