#pragma once

#include <string>
#include <string_view>

#include "fovea/text/jinja/syntax.h"

namespace fovea::text::jinja {

/// The statements of a template. Throws Error(model) naming `where`, the line and what is wrong; for tags
/// that chat templates do not use (include, import, extends, block, call, ...) too, and for one that nests
/// too deeply.
Body parse(std::string_view source, const std::string& where);

}  // namespace fovea::text::jinja
