#include "fovea/metrics/porter_stemmer.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

namespace fovea::metrics {
namespace {

bool is_vowel_letter(char c) { return std::string_view("aeiou").find(c) != std::string_view::npos; }

// A letter other than a, e, i, o, u, and other than y after a consonant.
std::vector<bool> consonants(std::string_view word) {
  std::vector<bool> flags;
  for (const char c : word) flags.push_back(c == 'y' ? flags.empty() || !flags.back() : !is_vowel_letter(c));
  return flags;
}

bool ends_in_consonant(std::string_view word) { return !word.empty() && consonants(word).back(); }

// m of [C](VC){m}[V]: how often a consonant follows a vowel.
int measure(std::string_view stem) {
  const auto flags = consonants(stem);
  int m = 0;
  for (std::size_t i = 1; i < flags.size(); ++i) m += flags[i] && !flags[i - 1];
  return m;
}

bool contains_vowel(std::string_view stem) { return std::ranges::count(consonants(stem), false) > 0; }

bool ends_in_double_consonant(std::string_view word) {
  return word.size() >= 2 && word.back() == word[word.size() - 2] && ends_in_consonant(word);
}

// *o: the stem ends consonant, vowel, consonant, the last not w, x or y; or is a vowel and a consonant.
bool ends_cvc(std::string_view word) {
  const auto flags = consonants(word);
  const std::size_t n = flags.size();
  if (n == 2) return !flags[0] && flags[1];
  return n >= 3 && flags[n - 3] && !flags[n - 2] && flags[n - 1] &&
         std::string_view("wxy").find(word.back()) == std::string_view::npos;
}

std::string without(std::string_view word, std::string_view suffix) {
  return std::string(word.substr(0, word.size() - suffix.size()));
}

struct Rule {
  std::string_view suffix, replacement;
  int above;  // the stem's measure must be; -1: any stem will do
};

// The first rule whose suffix is there decides, whether its condition holds or not.
std::string apply(std::string word, std::span<const Rule> rules) {
  for (const auto& [suffix, replacement, above] : rules) {
    if (!word.ends_with(suffix)) continue;
    const std::string stem = without(word, suffix);
    return measure(stem) > above ? stem + std::string(replacement) : word;
  }
  return word;
}

// Plurals.
std::string step_1a(std::string word) {
  if (word.size() == 4 && word.ends_with("ies")) return without(word, "s");
  constexpr std::array rules{Rule{"sses", "ss", -1}, Rule{"ies", "i", -1}, Rule{"ss", "ss", -1},
                             Rule{"s", "", -1}};
  return apply(std::move(word), rules);
}

// What is left of -ed and -ing.
std::string mended(std::string stem) {
  for (const std::string_view end : {"at", "bl", "iz"})
    if (stem.ends_with(end)) return stem + "e";
  if (ends_in_double_consonant(stem)) {
    if (std::string_view("lsz").find(stem.back()) == std::string_view::npos) stem.pop_back();
    return stem;
  }
  return measure(stem) == 1 && ends_cvc(stem) ? stem + "e" : stem;
}

std::string step_1b(std::string word) {
  if (word.ends_with("ied")) return word.size() == 4 ? without(word, "d") : without(word, "ed");
  if (word.ends_with("eed")) return measure(without(word, "eed")) > 0 ? without(word, "d") : word;
  for (const std::string_view suffix : {"ed", "ing"})
    if (word.ends_with(suffix) && contains_vowel(without(word, suffix))) return mended(without(word, suffix));
  return word;
}

std::string step_1c(std::string word) {
  if (word.size() > 2 && word.ends_with('y') && ends_in_consonant(without(word, "y"))) word.back() = 'i';
  return word;
}

// -alli comes first, and its result once more.
std::string step_2(std::string word) {
  while (word.ends_with("alli") && measure(without(word, "alli")) > 0) word = without(word, "li");
  constexpr std::array rules{Rule{"ational", "ate", 0}, Rule{"tional", "tion", 0}, Rule{"enci", "ence", 0},
                             Rule{"anci", "ance", 0},   Rule{"izer", "ize", 0},    Rule{"bli", "ble", 0},
                             Rule{"alli", "al", 0},     Rule{"entli", "ent", 0},   Rule{"eli", "e", 0},
                             Rule{"ousli", "ous", 0},   Rule{"ization", "ize", 0}, Rule{"ation", "ate", 0},
                             Rule{"ator", "ate", 0},    Rule{"alism", "al", 0},    Rule{"iveness", "ive", 0},
                             Rule{"fulness", "ful", 0}, Rule{"ousness", "ous", 0}, Rule{"aliti", "al", 0},
                             Rule{"iviti", "ive", 0},   Rule{"biliti", "ble", 0},  Rule{"fulli", "ful", 0}};
  // The l of -logi counts with the stem, so that geology and archaeology are cut alike.
  if (word.ends_with("logi")) return measure(without(word, "ogi")) > 0 ? without(word, "i") : word;
  return apply(std::move(word), rules);
}

std::string step_3(std::string word) {
  constexpr std::array rules{Rule{"icate", "ic", 0}, Rule{"ative", "", 0},  Rule{"alize", "al", 0},
                             Rule{"iciti", "ic", 0}, Rule{"ical", "ic", 0}, Rule{"ful", "", 0},
                             Rule{"ness", "", 0}};
  return apply(std::move(word), rules);
}

std::string step_4(std::string word) {
  constexpr std::array before{Rule{"al", "", 1},   Rule{"ance", "", 1}, Rule{"ence", "", 1},
                              Rule{"er", "", 1},   Rule{"ic", "", 1},   Rule{"able", "", 1},
                              Rule{"ible", "", 1}, Rule{"ant", "", 1},  Rule{"ement", "", 1},
                              Rule{"ment", "", 1}, Rule{"ent", "", 1}};
  constexpr std::array after{Rule{"ou", "", 1},  Rule{"ism", "", 1}, Rule{"ate", "", 1}, Rule{"iti", "", 1},
                             Rule{"ous", "", 1}, Rule{"ive", "", 1}, Rule{"ize", "", 1}};
  if (word.ends_with("ion")) {
    const std::string stem = without(word, "ion");
    return measure(stem) > 1 && (stem.back() == 's' || stem.back() == 't') ? stem : word;
  }
  const auto has_suffix = [&](const Rule& rule) { return word.ends_with(rule.suffix); };
  const bool first = std::ranges::any_of(before, has_suffix);
  return first ? apply(std::move(word), before) : apply(std::move(word), after);
}

std::string step_5(std::string word) {
  if (word.ends_with('e')) {
    const std::string stem = without(word, "e");
    if (const int m = measure(stem); m > 1 || (m == 1 && !ends_cvc(stem))) word = stem;
  }
  if (word.ends_with("ll") && measure(without(word, "l")) > 1) word.pop_back();
  return word;
}

// Forms whose authors wrote to Porter, as NLTK keeps them.
struct Irregular {
  std::string_view form, stem;
};
constexpr std::array irregular{
    Irregular{"skies", "sky"},      Irregular{"sky", "sky"},          Irregular{"dying", "die"},
    Irregular{"lying", "lie"},      Irregular{"tying", "tie"},        Irregular{"news", "news"},
    Irregular{"innings", "inning"}, Irregular{"inning", "inning"},    Irregular{"outings", "outing"},
    Irregular{"outing", "outing"},  Irregular{"cannings", "canning"}, Irregular{"canning", "canning"},
    Irregular{"howe", "howe"},      Irregular{"proceed", "proceed"},  Irregular{"exceed", "exceed"},
    Irregular{"succeed", "succeed"}};

}  // namespace

std::string porter_stem(std::string_view word) {
  for (const auto& [form, stem] : irregular)
    if (form == word) return std::string(stem);
  std::string stem(word);
  if (stem.size() <= 2) return stem;
  for (const auto step : {step_1a, step_1b, step_1c, step_2, step_3, step_4, step_5})
    stem = step(std::move(stem));
  return stem;
}

}  // namespace fovea::metrics
