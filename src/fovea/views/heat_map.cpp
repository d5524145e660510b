#include "fovea/views/heat_map.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "fovea/views/canvas.h"

namespace fovea::views {
namespace {

using Label = std::vector<Glyph>;

constexpr int narrowest_map = 16;
constexpr std::size_t most_steps = 16;  // more steps than this stand taller than they help
constexpr int upright_height = 9;

constexpr Colour number_on_dark{235, 232, 245}, number_on_light{30, 20, 50};

/// Where the columns of one panel stand, and how their tokens are written.
struct Panel {
  enum class Header { across, steps, upright } header = Header::across;
  std::size_t first = 0;    // source tokens first, first+1, ...
  std::vector<int> widths;  // columns of the cells
  int left = 0;             // column where the cells begin
};

struct Drawing {
  const AttentionMatrix& matrix;
  const TerminalStyle& style;
  const HeatMapOptions& options;
  std::vector<Label> sources, targets;

  bool coloured() const { return style.colours >= ColourDepth::indexed; }
  bool ascii() const { return style.charset == Charset::ascii; }
};

std::vector<Label> labels(const std::vector<std::string>& tokens, std::size_t most, Charset charset) {
  std::vector<Label> out;
  for (std::size_t i = 0; i < std::min(most, tokens.size()); ++i)
    out.push_back(glyphs(label(tokens[i]), charset));
  return out;
}

int widest(const std::vector<Label>& labels) {
  int most = 0;
  for (const auto& label : labels) most = std::max(most, width(label));
  return most;
}

int sum(const std::vector<int>& widths) { return std::accumulate(widths.begin(), widths.end(), 0); }

/// Cells as wide as their tokens, all alike if that fits; nothing if neither does.
std::vector<int> widths_across(const std::vector<Label>& sources, int room) {
  const std::vector<int> alike(sources.size(), std::max(widest(sources) + 2, 4));
  if (sum(alike) <= room) return alike;
  std::vector<int> own;
  for (const auto& source : sources) own.push_back(std::max(width(source) + 2, 4));
  return sum(own) <= room ? own : std::vector<int>{};
}

/// The width of cells under steps with room for the tokens to the right of their step; 0 if there is none.
int step_width(const std::vector<Label>& sources, int room) {
  for (const int cell : {4, 3, 2}) {
    int right = cell * static_cast<int>(sources.size());
    for (std::size_t i = 0; i < sources.size(); ++i) {
      right = std::max(right, static_cast<int>(i) * cell + cell / 2 + 3 + width(sources[i]));
    }
    if (right <= room) return cell;
  }
  return 0;
}

std::vector<Panel> layout(const std::vector<Label>& sources, int left, int room) {
  Panel panel{
      .header = Panel::Header::across, .first = 0, .widths = widths_across(sources, room), .left = left};
  if (!panel.widths.empty()) return {panel};
  if (const int cell = sources.size() <= most_steps ? step_width(sources, room) : 0) {
    panel.header = Panel::Header::steps;
    panel.widths.assign(sources.size(), cell);
    return {panel};
  }
  panel.header = Panel::Header::upright;
  const auto total = static_cast<int>(sources.size());
  const int cell = total * 3 <= room ? 3 : 2;
  const int most = std::max(1, room / cell);
  const int panels = (total + most - 1) / most;
  std::vector<Panel> out;
  for (int i = 0, first = 0; i < panels; ++i) {
    const int count = (total - first + panels - i - 1) / (panels - i);  // panels of nearly equal length
    panel.first = static_cast<std::size_t>(first);
    panel.widths.assign(static_cast<std::size_t>(count), cell);
    out.push_back(panel);
    first += count;
  }
  return out;
}

int draw_across(Canvas& canvas, const Drawing& drawing, const Panel& panel, int y) {
  int x = panel.left;
  for (std::size_t i = 0; i < panel.widths.size(); ++i) {
    const auto& source = drawing.sources[panel.first + i];
    canvas.put(x + (panel.widths[i] - width(source)) / 2, y, source);
    x += panel.widths[i];
  }
  return y + 1;
}

int draw_steps(Canvas& canvas, const Drawing& drawing, const Panel& panel, int y) {
  const Paint faint{.faint = true};
  const int cell = panel.widths.front();
  for (std::size_t step = 0; step < panel.widths.size(); ++step, ++y) {
    for (std::size_t i = 0; i <= step; ++i) {
      const int x = panel.left + static_cast<int>(i) * cell + (cell - 1) / 2;
      const bool corner = i == step;
      canvas.put(x, y, drawing.ascii() ? (corner ? ".-" : "|") : (corner ? "╭╴" : "│"), faint);
      if (corner) canvas.put(x + 2 + (drawing.ascii() ? 1 : 0), y, drawing.sources[panel.first + i]);
    }
  }
  return y;
}

int draw_upright(Canvas& canvas, const Drawing& drawing, const Panel& panel, int y) {
  int height = 0;
  std::vector<Label> shown;
  for (std::size_t i = 0; i < panel.widths.size(); ++i) {
    shown.push_back(drawing.sources[panel.first + i]);
    if (static_cast<int>(shown.back().size()) > upright_height) {
      shown.back().resize(static_cast<std::size_t>(upright_height) - 1);
      shown.back().push_back({drawing.ascii() ? "~" : "⋮", 1});
    }
    height = std::max(height, static_cast<int>(shown.back().size()));
  }
  int x = panel.left;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const int top = y + height - static_cast<int>(shown[i].size());
    for (std::size_t k = 0; k < shown[i].size(); ++k) {
      canvas.put(x + (panel.widths[i] - 1) / 2, top + static_cast<int>(k), {shown[i][k]});
    }
    x += panel.widths[i];
  }
  return y + height;
}

/// The weight as a shade, for terminals without many colours; next to nothing is a dot in the middle.
void draw_shade(Canvas& canvas, double weight, int x, int y, int columns, bool ascii) {
  static constexpr std::array<const char*, 5> blocks{"·", "░", "▒", "▓", "█"},
      letters{".", ":", "=", "#", "@"};
  const auto level = static_cast<std::size_t>(std::min(4.0, std::floor(emphasis(weight) * 5)));
  const char* shade = (ascii ? letters : blocks)[level];
  if (level == 0) {
    canvas.put(x + (columns - 1) / 2, y, shade, {.faint = true});
    return;
  }
  for (int i = 0; i < columns; ++i) canvas.put(x + i, y, shade, {.foreground = Colour{}});
}

void draw_cell(Canvas& canvas, const Drawing& drawing, double weight, int x, int y, int columns) {
  if (!drawing.coloured()) {
    draw_shade(canvas, weight, x, y, columns, drawing.ascii());
    return;
  }
  const double level = emphasis(weight);
  const Colour colour = drawing.style.colours == ColourDepth::indexed ? ember_indexed(level) : ember(level);
  Paint paint{.foreground = lightness(colour) > 0.45 ? number_on_light : number_on_dark,
              .background = colour};
  std::string text(static_cast<std::size_t>(columns), ' ');
  const std::string percent = std::to_string(std::lround(100 * std::clamp(weight, 0.0, 1.0)));
  const auto padding = text.size() - std::min(text.size(), percent.size());
  if (drawing.options.numbers && columns >= 3 && percent.size() >= 2 && percent.size() <= text.size()) {
    text.replace((padding + 1) / 2, percent.size(), percent);
  }
  canvas.put(x, y, text, paint);
}

double finite(float weight) { return std::isfinite(weight) ? static_cast<double>(weight) : 0.0; }

/// "first -----" from x to `end`: the name of one of two texts.
void draw_name(Canvas& canvas, const Drawing& drawing, std::string_view name, int x, int end, int y) {
  std::string text(name);
  text += ' ';
  for (int i = x + static_cast<int>(text.size()); i < end; ++i) text += drawing.ascii() ? "-" : "─";
  canvas.put(x, y, fit(glyphs(text, drawing.style.charset), end - x, drawing.style.charset), {.faint = true});
}

/// Names of the texts that the columns are of, where there are two.
int draw_texts(Canvas& canvas, const Drawing& drawing, const Panel& panel, int y) {
  const std::size_t second = drawing.matrix.source_second;
  if (second == 0) return y;
  int x = panel.left, begin = x;
  for (std::size_t i = 0; i < panel.widths.size(); ++i) {
    const std::size_t token = panel.first + i;
    if (token == second && i > 0) {
      draw_name(canvas, drawing, "first", begin, x - 1, y);
      begin = x;
    }
    x += panel.widths[i];
  }
  const bool in_second = panel.first + panel.widths.size() > second;
  draw_name(canvas, drawing, in_second ? "second" : "first", begin, x, y);
  return y + 1;
}

/// The name of the text whose rows begin with row t, across its columns on a line of its own.
int draw_text_of_row(Canvas& canvas, const Drawing& drawing, const Panel& panel, std::size_t t, int y) {
  const std::size_t second = drawing.matrix.target_second;
  if (second == 0 || (t != 0 && t != second)) return y;
  draw_name(canvas, drawing, t == 0 ? "first" : "second", 0, panel.left + sum(panel.widths), y);
  return y + 1;
}

int draw_panel(Canvas& canvas, const Drawing& drawing, const Panel& panel, int y) {
  y = draw_texts(canvas, drawing, panel, y);
  switch (panel.header) {
    case Panel::Header::across:
      y = draw_across(canvas, drawing, panel, y);
      break;
    case Panel::Header::steps:
      y = draw_steps(canvas, drawing, panel, y);
      break;
    case Panel::Header::upright:
      y = draw_upright(canvas, drawing, panel, y);
      break;
  }
  for (std::size_t t = 0; t < drawing.targets.size(); ++t, ++y) {
    y = draw_text_of_row(canvas, drawing, panel, t, y);
    const Label target = fit(drawing.targets[t], panel.left - 1, drawing.style.charset);
    canvas.put(panel.left - 1 - width(target), y, target);
    int x = panel.left;
    for (std::size_t i = 0; i < panel.widths.size(); ++i) {
      draw_cell(canvas, drawing, finite(drawing.matrix.at(t, panel.first + i)), x, y, panel.widths[i]);
      x += panel.widths[i];
    }
  }
  return y;
}

/// "0 ▒▒▒▒ 100 % of a row", on a line of its own.
int draw_legend(Canvas& canvas, const Drawing& drawing, int left, int y) {
  constexpr int steps = 16;
  if (left + steps + 10 > canvas.width()) return y;
  int x = canvas.put(left, ++y, "0 ", {.faint = true});
  for (int i = 0; i < steps; ++i, ++x) {
    const double weight = std::pow(i / (steps - 1.0), 1 / 0.6);  // even steps of colour
    Drawing plain{drawing.matrix, drawing.style, {.numbers = false}, {}, {}};
    draw_cell(canvas, plain, weight, x, y, 1);
  }
  x = canvas.put(x, y, " 100 %", {.faint = true});
  constexpr std::string_view note = " of a row's attention";
  if (x + static_cast<int>(note.size()) <= canvas.width()) canvas.put(x, y, note, {.faint = true});
  return y + 1;
}

int draw_omissions(Canvas& canvas, const Drawing& drawing, int y) {
  const auto say = [&](const char* side, std::size_t shown, std::size_t all) {
    if (shown == all) return;
    const std::string text =
        "first " + std::to_string(shown) + " of " + std::to_string(all) + " " + side + " tokens";
    canvas.put(0, y++, fit(glyphs(text), canvas.width(), drawing.style.charset), {.faint = true});
  };
  say("source", drawing.sources.size(), drawing.matrix.source.size());
  say("target", drawing.targets.size(), drawing.matrix.target.size());
  return y;
}

/// Where there is no room for a map: each target token and the source token it looks at most.
std::string alignment_list(const Drawing& drawing) {
  Canvas canvas(drawing.style.width);
  int y = 0;
  for (std::size_t t = 0; t < drawing.targets.size(); ++t) {
    std::size_t best = 0;
    for (std::size_t s = 1; s < drawing.sources.size(); ++s) {
      if (finite(drawing.matrix.at(t, s)) > finite(drawing.matrix.at(t, best))) best = s;
    }
    Label line = drawing.targets[t];
    for (const auto& glyph : glyphs(drawing.ascii() ? "<-" : "←")) line.push_back(glyph);
    line.insert(line.end(), drawing.sources[best].begin(), drawing.sources[best].end());
    canvas.put(0, y++, fit(line, canvas.width(), drawing.style.charset));
  }
  return canvas.text(drawing.style);
}

}  // namespace

std::string heat_map(const AttentionMatrix& matrix, const TerminalStyle& style,
                     const HeatMapOptions& options) {
  check_matrix(matrix);
  const Drawing drawing{matrix, style, options, labels(matrix.source, options.most_tokens, style.charset),
                        labels(matrix.target, options.most_tokens, style.charset)};
  if (drawing.sources.empty() || drawing.targets.empty() || style.width < 1) return {};
  if (style.width < narrowest_map) return alignment_list(drawing);

  Canvas canvas(style.width);
  const int left = std::min(widest(drawing.targets), style.width / 3) + 1;
  int y = 0;
  for (const auto& panel : layout(drawing.sources, left, style.width - left)) {
    y = draw_panel(canvas, drawing, panel, y > 0 ? y + 1 : 0);
  }
  if (options.legend) y = draw_legend(canvas, drawing, left, y);
  draw_omissions(canvas, drawing, y);
  return canvas.text(style);
}

}  // namespace fovea::views
