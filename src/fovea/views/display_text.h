#pragma once

#include <string>
#include <string_view>
#include <vector>

/// Text as a terminal shows it: how wide it is, where it can be cut, and nothing in it that could steer the
/// terminal.
namespace fovea::views {

/// One character with the marks that sit on it.
struct Glyph {
  std::string text;  // UTF-8
  int width = 1;     // columns: 1, or 2 for East Asian wide characters and emoji

  bool operator==(const Glyph&) const = default;
};

enum class Charset { ascii, unicode };

/// The glyphs of UTF-8 text, made harmless.
///   Control characters become their pictures (ESC is ␛), bytes that are not UTF-8 and unassigned characters
///   U+FFFD. Invisible characters (format controls, direction overrides, joiners, variation selectors) and
///   skin tones are left out: terminals disagree on the width of what they join, and all agree on the parts.
///   A mark without a letter sits on ◌; more than four marks on one letter are left out.
///   With Charset::ascii everything is spelt in ASCII (ü is u, 你 is ni), what has no spelling is '?'.
std::vector<Glyph> glyphs(std::string_view text, Charset charset = Charset::unicode);

int width(const std::vector<Glyph>& glyphs);
/// Columns that `text` takes once it is harmless.
int display_width(std::string_view text, Charset charset = Charset::unicode);

/// The glyphs, cut to at most `columns`; a cut ends in an ellipsis (… or, in ASCII, ~).
std::vector<Glyph> fit(std::vector<Glyph> glyphs, int columns, Charset charset = Charset::unicode);

std::string join(const std::vector<Glyph>& glyphs);

}  // namespace fovea::views
