#pragma once

#include <cstdint>
#include <string>

namespace fovea::views {

struct Colour {
  std::uint8_t red = 0, green = 0, blue = 0;

  bool operator==(const Colour&) const = default;
};

/// Perceived lightness, 0 (black) to 1 (white): the luma of ITU-R BT.709.
double lightness(Colour colour);

/// Colours for a weight of 0 to 1, equally spaced to the eye; outside the range the nearest end, NaN as 0.
///   ember  night blue to violet to orange to pale yellow (after matplotlib's magma, van der Walt and Smith
///   2015) ink    white to blue to near black, for light paper
Colour ember(double weight);
/// ember in ten of xterm's 256 colours, chosen by hand: the nearest ones do not rise evenly.
Colour ember_indexed(double weight);
Colour ink(double weight);

/// Where a weight stands on the colour scale: its power of 0.6, so that a tenth can be told from nothing.
double emphasis(double weight);

/// The nearest of xterm's 256 colours (the 6x6x6 cube and the greys).
int nearest_indexed(Colour colour);

/// "#rrggbb"
std::string hex(Colour colour);

}  // namespace fovea::views
