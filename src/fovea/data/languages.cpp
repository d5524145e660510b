#include "fovea/data/languages.h"

namespace fovea::data {

std::string_view language_of(std::string_view file_name) {
  file_name.remove_prefix(file_name.rfind('/') + 1);  // npos + 1 = 0
  if (file_name.ends_with(".gz")) file_name.remove_suffix(3);
  const auto dot = file_name.rfind('.');
  return dot == std::string_view::npos ? std::string_view{} : file_name.substr(dot + 1);
}

std::optional<std::string> swapped_languages(std::string_view source_file, std::string_view target_file,
                                             std::string_view source_language,
                                             std::string_view target_language) {
  if (source_language.empty() || target_language.empty() || source_language == target_language) return {};
  const std::string_view source = language_of(source_file), target = language_of(target_file);
  if (source == source_language || target == target_language) return {};
  if (source != target_language && target != source_language) return {};
  return std::string(source_file) + " and " + std::string(target_file) +
         ": source and target look swapped, " + std::string(source_language) + " is translated to " +
         std::string(target_language);
}

}  // namespace fovea::data
