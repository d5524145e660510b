#pragma once

#include <string>

#include "fovea/base/error.h"

namespace fovea::test {

/// What `f` throws as an Error, or "" if it does not.
template <class F>
std::string message(const F& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

/// Whether `text` contains `part`.
inline bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace fovea::test
