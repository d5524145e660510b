#pragma once

#include <cstddef>
#include <string>

#include "fovea/views/attention_matrix.h"
#include "fovea/views/terminal_style.h"

namespace fovea::views {

struct HeatMapOptions {
  bool numbers = true;           ///< percentages in the cells that are wide enough (coloured ones)
  bool legend = true;            ///< a last line that explains the colours
  std::size_t most_tokens = 60;  ///< rows and columns beyond it are not drawn; a line says so
};

/// Attention as a picture for a terminal: a row for each target token, a column for each source token, lines
/// no wider than style.width. With 256 or more colours cells are blocks of colour; otherwise shades (░▒▓█, in
/// ASCII . : = #).
///   Source tokens stand above their columns if there is room, else on steps that lead down to them, else
///   (long sentences) upright, shortened; what is wider than the terminal continues in a further panel.
///   Below 16 columns there is no room for a map: each target token is followed by the source token it
///   attends to most.
/// Where there are two texts, lines above their columns and their rows say "first" and "second".
/// Tokens are made harmless (display_text.h) and ▁ is a space. No tokens: an empty string.
/// Throws Error (bug) unless there are T*S weights.
std::string heat_map(const AttentionMatrix& matrix, const TerminalStyle& style,
                     const HeatMapOptions& options = {});

}  // namespace fovea::views
