#include "fovea/base/error.h"

#include <cstdio>

namespace fovea {
namespace {

std::string compose(std::string_view where, std::string_view what, std::string_view remedy) {
  std::string line;
  if (!where.empty()) line.append(where).append(": ");
  line.append(what);
  if (!remedy.empty()) line.append("; ").append(remedy);
  return line;
}

}  // namespace

Error::Error(Kind kind, std::string_view where, std::string_view what, std::string_view remedy)
    : std::runtime_error(compose(where, what, remedy)), kind_(kind) {}

std::string printable(std::string_view text, std::size_t limit) {
  std::string out;
  for (const char c : text) {
    if (out.size() >= limit) return out + "...";
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '\\') {
      out.push_back(c);
    } else {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", byte);
      out += escaped;
    }
  }
  return out;
}

}  // namespace fovea
