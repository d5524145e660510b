#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace fovea::views {

/// Bytes as letters, digits, + and /, padded with = (RFC 4648, section 4).
std::string base64(std::span<const std::byte> bytes);

}  // namespace fovea::views
