#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace fovea {

/// Bytes as letters, digits, + and /, padded with = (RFC 4648, section 4).
std::string base64(std::span<const std::byte> bytes);

/// The bytes that such a text stands for; nothing if it is none.
std::optional<std::string> base64_decoded(std::string_view text);

}  // namespace fovea
