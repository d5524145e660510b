#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fovea::data {

/// The language that a file's name ends in, compression aside: "en" of "train.en.gz"; empty if it has no
/// ending.
std::string_view language_of(std::string_view file_name);

/// A warning, if the names of two files of parallel text say that source and target changed places: the
/// source file ends in the target's language, or the target file in the source's, and neither in its own.
std::optional<std::string> swapped_languages(std::string_view source_file, std::string_view target_file,
                                             std::string_view source_language,
                                             std::string_view target_language);

}  // namespace fovea::data
