#pragma once

#include <string>
#include <string_view>

namespace fovea::metrics {

/// The stem of an English word of a-z and 0-9: "summaries" -> "summari". Porter's algorithm with the changes
/// that NLTK's PorterStemmer makes by default, since rouge_score counts by that one: a list of irregular
/// forms, "died" -> "die", y -> i only after a consonant, and the rules for -alli, -fulli and -logi.
/// Source   Porter 1980, "An algorithm for suffix stripping"; NLTK 3.10, nltk/stem/porter.py
std::string porter_stem(std::string_view word);

}  // namespace fovea::metrics
