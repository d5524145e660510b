#pragma once

#include <string>
#include <string_view>

namespace fovea::views {

/// A picture in SVG (heat_map_svg(), learning_curve_svg(), ...) as PNG, `scale` pixels for each of its own.
/// Labels are drawn with the fonts of this machine: letters that none of them has become boxes with their
/// number in them (letters_without_font() finds those). Nothing outside the SVG is read.
/// Throws Error (usage) if a side would have more than 32,767 pixels or none, (bug) if it is not SVG, and
/// (machine) if there is no memory for it.
/// Cost     some 30 ms for the heat map of a sentence, most of it finding fonts
std::string png_from_svg(std::string_view svg, double scale = 2);

/// The letters of a text (UTF-8; markup is text too) that no font of this machine can draw, each once, in the
/// order in which they come. For Chinese, Japanese and Korean the package fonts-noto-cjk has them.
std::string letters_without_font(std::string_view text);

}  // namespace fovea::views
