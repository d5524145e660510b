#pragma once

#include <string>
#include <string_view>

namespace fovea::views {

/// What a terminal shows of `text`, as a picture in SVG: a dark window of `columns` (at least; wider lines
/// widen it). `text` is lines of UTF-8 with the colour sequences that Canvas writes (SGR 0, 1, 2, 33, 38 and
/// 48 with 5 or 2); other control characters are shown as pictures of themselves. For documentation: a
/// screenshot without a screen.
std::string terminal_picture_svg(std::string_view text, const std::string& title = {}, int columns = 0);

}  // namespace fovea::views
