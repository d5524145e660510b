#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fovea/base/file.h"
#include "fovea/cli/common.h"

/// What commands that turn lines into lines write.
namespace fovea::cli {

/// Where lines go: standard output, or a file that appears when all is done.
class Sink {
 public:
  explicit Sink(const std::string& path) {
    if (path != "-") file_.emplace(path);
  }
  void write(const std::string& text);
  void finish() {
    if (file_) file_->commit();
  }
  /// Leaves no trace of a file that is not whole.
  void abandon() { file_.reset(); }

 private:
  std::optional<AtomicFile> file_;
  Output out_;
};

/// Warnings about lines: the first few in full, of the rest how many they were.
class LineWarnings {
 public:
  void add(std::int64_t line, std::string_view what);
  void finish() const;

 private:
  std::size_t count_ = 0;
};

}  // namespace fovea::cli
