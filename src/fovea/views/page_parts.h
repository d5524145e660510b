#pragma once

#include <string_view>

/// The sources of src/fovea/views/page/, as scripts/embed_page.cmake puts them into the library.
namespace fovea::views::page {

extern const std::string_view html;  ///< with places to fill: {{title}}
extern const std::string_view style, style_sha256;
extern const std::string_view script, script_sha256;  ///< the hashes are hexadecimal

}  // namespace fovea::views::page
