#pragma once

#include <gtest/gtest.h>

#include <cctype>
#include <cstring>
#include <string>
#include <vector>

#include "fovea/views/display_text.h"

/// What a terminal or an XML parser would make of what a view wrote.
namespace fovea::views::test {

/// The lines without colour sequences; fails on any other control character.
inline std::vector<std::string> screen(const std::string& text) {
  std::vector<std::string> lines(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') {
      lines.emplace_back();
    } else if (text.compare(i, 2, "\x1b[") == 0) {
      i += 2;
      while (i < text.size() && (std::isdigit(static_cast<unsigned char>(text[i])) != 0 || text[i] == ';'))
        ++i;
      EXPECT_TRUE(i < text.size() && text[i] == 'm') << "an escape sequence that is not a colour";
    } else {
      EXPECT_GE(static_cast<unsigned char>(text[i]), 0x20u);
      EXPECT_NE(text[i], 0x7f);
      lines.back().push_back(text[i]);
    }
  }
  if (lines.back().empty()) lines.pop_back();
  return lines;
}

inline int widest(const std::vector<std::string>& lines) {
  int most = 0;
  for (const auto& line : lines) most = std::max(most, display_width(line));
  return most;
}

/// Empty if `xml` is well-formed (as far as our SVG goes: elements, double-quoted attributes, text, five
/// entities), else what is wrong.
inline std::string xml_fault(const std::string& xml) {
  std::vector<std::string> open;
  std::size_t i = 0;
  const auto at = [&](const char* what) { return std::string(what) + " at " + std::to_string(i); };
  const auto is_name = [&] { return std::isalnum(static_cast<unsigned char>(xml[i])) != 0 || xml[i] == '-'; };
  const auto entity = [&] {
    for (const char* known : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"}) {
      if (xml.compare(i, std::strlen(known), known) == 0) return true;
    }
    return false;
  };
  while (i < xml.size()) {
    if (xml[i] == '&' && !entity()) return at("bare &");
    if (xml[i] != '<') {
      if (open.empty() && xml[i] != '\n') return at("text outside");
      ++i;
      continue;
    }
    const bool closing = xml[++i] == '/';
    if (closing) ++i;
    std::string name;
    for (; i < xml.size() && is_name(); ++i) name += xml[i];
    if (name.empty()) return at("tag without name");
    while (i < xml.size() && xml[i] == ' ') {
      for (++i; i < xml.size() && is_name(); ++i) continue;
      if (xml.compare(i, 2, "=\"") != 0) return at("attribute without value");
      for (i += 2; i < xml.size() && xml[i] != '"'; ++i) {
        if (xml[i] == '<' || (xml[i] == '&' && !entity())) return at("bare character in attribute");
      }
      ++i;
    }
    const bool empty = i < xml.size() && xml[i] == '/';
    if (empty) ++i;
    if (i >= xml.size() || xml[i++] != '>') return at("unclosed tag");
    if (closing) {
      if (open.empty() || open.back() != name) return at("wrong closing tag");
      open.pop_back();
    } else if (!empty) {
      open.push_back(name);
    }
  }
  return open.empty() ? "" : "unclosed " + open.back();
}

}  // namespace fovea::views::test
