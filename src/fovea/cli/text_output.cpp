#include "fovea/cli/text_output.h"

namespace fovea::cli {
namespace {

constexpr std::size_t shown_in_full = 5;

}  // namespace

void Sink::write(const std::string& text) {
  if (file_) return file_->write(text);
  out_.write(text);
  out_.flush();
}

void LineWarnings::add(std::int64_t line, std::string_view what) {
  if (++count_ <= shown_in_full) warn("line " + std::to_string(line) + ": " + std::string(what));
}

void LineWarnings::finish() const {
  if (count_ > shown_in_full) warn(counted(count_ - shown_in_full, "more line") + " with such warnings");
}

}  // namespace fovea::cli
