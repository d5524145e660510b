#pragma once

#include <functional>
#include <optional>
#include <string>

#include "fovea/views/display_text.h"

namespace fovea::views {

enum class ColourDepth { none, sixteen, indexed, true_colour };  // no colour, 16, 256, 16 million

/// What a terminal can show.
struct TerminalStyle {
  ColourDepth colours = ColourDepth::none;
  Charset charset = Charset::unicode;
  int width = 80;            ///< columns
  bool interactive = false;  ///< a terminal that can redraw a line, not a file or pipe
};

/// The value of an environment variable, or nothing if it is not set.
using Environment = std::function<std::optional<std::string>(const char*)>;

/// The style that the environment asks for.
///   colours  none unless a terminal; none if NO_COLOR is not empty or TERM is dumb; else by COLORTERM and
///   TERM.
///            CLICOLOR_FORCE (not empty, not 0) asks for colours in files and pipes too.
///   charset  of LC_ALL, LC_CTYPE or LANG, the first that is set. None of them set (containers) says nothing
///   about the
///            terminal, and terminals are Unicode today: ASCII then only for TERM dumb, vt... or absent.
///   width    window_columns if positive, else COLUMNS, else 80
TerminalStyle terminal_style(const Environment& environment, bool is_terminal, int window_columns);

/// The style of the terminal, file or pipe behind a file descriptor.
TerminalStyle terminal_style_from_environment(int file_descriptor);

}  // namespace fovea::views
