#include "fovea/text/pipeline/split_text.h"

namespace fovea::text::pipeline {

Delimiters parse_delimiters(const formats::Json& json) {
  const std::string_view kind = json.text();
  if (kind == "Removed") return Delimiters::removed;
  if (kind == "Isolated") return Delimiters::isolated;
  if (kind == "MergedWithPrevious") return Delimiters::merged_with_previous;
  if (kind == "MergedWithNext") return Delimiters::merged_with_next;
  if (kind == "Contiguous") return Delimiters::contiguous;
  json.reject("no way to split", "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

void Cutter::begin(std::uint32_t begin, std::vector<Split>& out) {
  out_ = &out;
  begin_ = end_ = begin;
  pending_ = ends_in_delimiter_ = false;
}

void Cutter::emit() {
  if (pending_ && begin_ < end_) out_->push_back({begin_, end_});
  begin_ = end_;
  pending_ = false;
}

void Cutter::add(std::uint32_t end, bool delimiter) {
  bool joins = false;  // whether these bytes belong to the part being made
  switch (kind_) {
    case Delimiters::removed:
    case Delimiters::isolated:
      break;
    case Delimiters::contiguous:
      joins = delimiter == ends_in_delimiter_;
      break;
    case Delimiters::merged_with_previous:
      joins = delimiter && !ends_in_delimiter_;
      break;
    case Delimiters::merged_with_next:
      joins = !delimiter && ends_in_delimiter_;
      break;
  }
  if (!joins) emit();
  end_ = end;
  pending_ = !(delimiter && kind_ == Delimiters::removed);
  ends_in_delimiter_ = delimiter;
}

void Cutter::finish() { emit(); }

}  // namespace fovea::text::pipeline
