#include "fovea/base/error.h"

#include <cstdio>

namespace fovea {
namespace {

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

void append_escaped(std::string& out, char c) {
  char escaped[8];
  std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned char>(c));
  out += escaped;
}

// A name that came unescaped, with a line end in it, does not make two lines of a message.
std::string on_one_line(const std::string& text) {
  std::string line;
  for (const char c : text) is_control(c) ? append_escaped(line, c) : line.push_back(c);
  return line;
}

std::string compose(std::string_view where, std::string_view what, std::string_view remedy) {
  std::string line;
  if (!where.empty()) line.append(where).append(": ");
  line.append(what);
  if (!remedy.empty()) line.append("; ").append(remedy);
  return on_one_line(line);
}

}  // namespace

Error::Error(Kind kind, std::string_view where, std::string_view what, std::string_view remedy)
    : std::runtime_error(compose(where, what, remedy)), kind_(kind) {}

std::string printable(std::string_view text, std::size_t limit) {
  std::string out;
  for (const char c : text) {
    if (out.size() >= limit) return out + "...";
    const bool plain = static_cast<unsigned char>(c) < 0x7f && !is_control(c) && c != '\\';
    plain ? out.push_back(c) : append_escaped(out, c);
  }
  return out;
}

}  // namespace fovea
