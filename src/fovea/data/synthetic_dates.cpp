#include "fovea/data/synthetic_dates.h"

#include <array>
#include <chrono>
#include <string_view>

namespace fovea::data {
namespace {

constexpr std::array<std::string_view, 12> months{"January",   "February", "March",    "April",
                                                  "May",       "June",     "July",     "August",
                                                  "September", "October",  "November", "December"};
constexpr std::array<std::string_view, 7> weekdays{"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};

/// Ways to write a date. Y year; D day 3, DD 03, O 3rd; M month 5, MM 05, N May, A abbreviated; W weekday,
/// V abbreviated; other characters stand for themselves.
constexpr std::array<std::string_view, 20> patterns{
    "{O} of {N} {Y}",  "{O} {N} {Y}",   "{D} {N} {Y}",         "{D}. {N} {Y}",      "{N} {D}, {Y}",
    "{N} {O}, {Y}",    "{N} {O} {Y}",   "{A} {D}, {Y}",        "{D} {A} {Y}",       "{DD}-{A}-{Y}",
    "{V} {A} {D} {Y}", "{D}/{M}/{Y}",   "{W}, {D} {N} {Y}",    "{W}, {N} {D}, {Y}", "{D}.{M}.{Y}",
    "{DD}.{MM}.{Y}",   "{Y}/{MM}/{DD}", "the {O} of {N}, {Y}", "{Y} {N} {D}",       "{DD}/{MM}/{Y}"};

enum class Field { none, year, month, day };

struct Date {
  int year, month, day;
  std::string_view weekday;
};

/// A written date, and for each character the field it belongs to.
struct Written {
  std::string text;
  std::vector<Field> fields;

  void append(std::string_view part, Field field) {
    text.append(part);
    fields.insert(fields.end(), part.size(), field);
  }
};

std::string two_digits(int number) { return (number < 10 ? "0" : "") + std::to_string(number); }

std::string ordinal(int day) {
  const bool teen = day >= 11 && day <= 13;
  const char* ending = teen || day % 10 == 0 || day % 10 > 3 ? "th"
                       : day % 10 == 1                       ? "st"
                       : day % 10 == 2                       ? "nd"
                                                             : "rd";
  return std::to_string(day) + ending;
}

void append_field(Written& out, std::string_view name, const Date& date) {
  const std::string_view month = months[static_cast<std::size_t>(date.month - 1)];
  if (name == "Y") out.append(std::to_string(date.year), Field::year);
  if (name == "D") out.append(std::to_string(date.day), Field::day);
  if (name == "DD") out.append(two_digits(date.day), Field::day);
  if (name == "O") out.append(ordinal(date.day), Field::day);
  if (name == "M") out.append(std::to_string(date.month), Field::month);
  if (name == "MM") out.append(two_digits(date.month), Field::month);
  if (name == "N") out.append(month, Field::month);
  if (name == "A") out.append(month.substr(0, 3), Field::month);
  if (name == "W") out.append(date.weekday, Field::none);
  if (name == "V") out.append(date.weekday.substr(0, 3), Field::none);
}

Written write(std::string_view pattern, const Date& date) {
  Written out;
  while (!pattern.empty()) {
    if (pattern.front() == '{') {
      const std::size_t end = pattern.find('}');
      append_field(out, pattern.substr(1, end - 1), date);
      pattern.remove_prefix(end + 1);
    } else {
      out.append(pattern.substr(0, 1), Field::none);
      pattern.remove_prefix(1);
    }
  }
  return out;
}

Date random_date(const RandomKey& key) {
  using namespace std::chrono;
  const sys_days first = year{1900} / January / 1, last = year{2099} / December / 31;
  const auto days_after = below(key, 0, static_cast<std::uint32_t>((last - first).count() + 1));
  const sys_days chosen = first + days{days_after};
  const year_month_day date{chosen};
  return {static_cast<int>(date.year()), static_cast<int>(static_cast<unsigned>(date.month())),
          static_cast<int>(static_cast<unsigned>(date.day())), weekdays[weekday{chosen}.c_encoding()]};
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Links target symbols [begin, begin + size), the digits of a field, to the field where it was written.
void link_field(text::GoldAlignment& links, const Written& written, Field field, std::int32_t begin,
                std::int32_t size) {
  std::vector<std::int32_t> all, digits;
  for (std::size_t i = 0; i < written.text.size(); ++i) {
    if (written.fields[i] != field) continue;
    all.push_back(static_cast<std::int32_t>(i));
    if (is_digit(written.text[i])) digits.push_back(all.back());
  }
  for (std::int32_t back = 1; back <= size; ++back) {
    const std::int32_t j = begin + size - back;
    // The last digit written is the field's last digit, and so on to the left; what is not copied is worked
    // out.
    if (back <= static_cast<std::int32_t>(digits.size()))
      links.sure.insert({digits[digits.size() - static_cast<std::size_t>(back)], j});
    else
      for (const std::int32_t i : all) links.possible.insert({i, j});
  }
  links.possible.insert(links.sure.begin(), links.sure.end());
}

std::string spaced(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (!out.empty()) out.push_back(' ');
    out.push_back(c == ' ' ? '_' : c);
  }
  return out;
}

}  // namespace

SyntheticPair date_pair(const RandomKey& key) {
  const Date date = random_date(key);
  Written written = write(patterns[below(key, 1, patterns.size())], date);
  if (below(key, 2, 4) == 0)
    for (char& c : written.text)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  SyntheticPair pair;
  pair.source = spaced(written.text);
  pair.target = spaced(std::to_string(date.year) + "-" + two_digits(date.month) + "-" + two_digits(date.day));
  link_field(pair.links, written, Field::year, 0, 4);
  link_field(pair.links, written, Field::month, 5, 2);
  link_field(pair.links, written, Field::day, 8, 2);
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(written.text.size()); ++i)
    for (const std::int32_t hyphen : {4, 7}) pair.links.possible.insert({i, hyphen});
  return pair;
}

}  // namespace fovea::data
