#include "fovea/views/terminal_style.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace fovea::views {
namespace {

constexpr int default_width = 80, widest = 10000;

std::string value(const Environment& environment, const char* name) { return environment(name).value_or(""); }

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

std::string lower_ascii(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

ColourDepth colours(const Environment& environment, bool is_terminal) {
  const std::string term = value(environment, "TERM"), force = value(environment, "CLICOLOR_FORCE");
  if (!value(environment, "NO_COLOR").empty()) return ColourDepth::none;
  const bool forced = !force.empty() && force != "0";
  if (!forced && (!is_terminal || term.empty() || term == "dumb")) return ColourDepth::none;
  const std::string colorterm = lower_ascii(value(environment, "COLORTERM"));
  if (colorterm == "truecolor" || colorterm == "24bit" || contains(term, "-direct"))
    return ColourDepth::true_colour;
  if (contains(term, "256color") || contains(term, "kitty") || contains(term, "alacritty"))
    return ColourDepth::indexed;
  return ColourDepth::sixteen;
}

Charset charset(const Environment& environment) {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string locale = lower_ascii(value(environment, name));
    if (locale.empty()) continue;
    return contains(locale, "utf-8") || contains(locale, "utf8") ? Charset::unicode : Charset::ascii;
  }
  const std::string term = value(environment, "TERM");
  return term.empty() || term == "dumb" || term.starts_with("vt") ? Charset::ascii : Charset::unicode;
}

int columns(const Environment& environment, int window_columns) {
  if (window_columns > 0) return std::min(window_columns, widest);
  const std::string text = value(environment, "COLUMNS");
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool valid = error == std::errc() && end == text.data() + text.size() && number > 0;
  return valid ? std::min(number, widest) : default_width;
}

}  // namespace

TerminalStyle terminal_style(const Environment& environment, bool is_terminal, int window_columns) {
  TerminalStyle style;
  style.colours = colours(environment, is_terminal);
  style.charset = charset(environment);
  style.width = columns(environment, window_columns);
  style.interactive = is_terminal && value(environment, "TERM") != "dumb";
  return style;
}

TerminalStyle terminal_style_from_environment(int file_descriptor) {
  const Environment environment = [](const char* name) -> std::optional<std::string> {
    const char* found = std::getenv(name);
    return found ? std::optional<std::string>(found) : std::nullopt;
  };
  winsize window{};
  const bool is_terminal = isatty(file_descriptor) == 1;
  const bool known = is_terminal && ioctl(file_descriptor, TIOCGWINSZ, &window) == 0;
  return terminal_style(environment, is_terminal, known ? window.ws_col : 0);
}

}  // namespace fovea::views
