#include <algorithm>
#include <functional>
#include <utility>

#include "fovea/base/bfloat16.h"
#include "fovea/formats/json_events.h"
#include "fovea/formats/json_writer.h"
#include "fovea/formats/safetensors.h"

namespace fovea::formats {
namespace {

constexpr std::size_t prefix_bytes = 8;  // of the header's length

StoredType stored_as(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return StoredType::f32;
    case DType::bf16:
      return StoredType::bf16;
    case DType::i8:
      return StoredType::i8;
    case DType::i32:
      return StoredType::i32;
  }
  throw Error(Error::Kind::bug, "safetensors", "a dtype that cannot be stored");
}

void write_rounded(std::span<const float> values, const ByteSink& sink) {
  std::vector<bfloat16> block(std::min<std::size_t>(values.size(), 1 << 18));
  while (!values.empty()) {
    const std::size_t count = std::min(block.size(), values.size());
    for (std::size_t i = 0; i < count; ++i) block[i] = bfloat16(values[i]);
    sink(std::as_bytes(std::span(block).first(count)));
    values = values.subspan(count);
  }
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(Metadata metadata, std::size_t alignment)
    : metadata_(std::move(metadata)), alignment_(alignment) {
  metadata_.emplace("format", "pt");
}

void SafetensorsWriter::add(std::string name, Tensor tensor) {
  const StoredType type = stored_as(tensor.dtype());
  const Shape shape = tensor.shape();
  add(Entry{std::move(name), type, shape, std::move(tensor), {}});
}

void SafetensorsWriter::add(std::string name, Tensor tensor, DType stored) {
  const bool rounds = tensor.dtype() == DType::f32 && stored == DType::bf16;
  if (tensor.dtype() != stored && !rounds)
    throw Error(
        Error::Kind::bug, "safetensors",
        std::string(name_of(tensor.dtype())) + " cannot be stored as " + std::string(name_of(stored)));
  const Shape shape = tensor.shape();
  add(Entry{std::move(name), stored_as(stored), shape, std::move(tensor), {}});
}

void SafetensorsWriter::add(std::string name, Shape shape, std::vector<std::int64_t> integers) {
  if (shape.elements() != static_cast<std::int64_t>(integers.size()))
    throw Error(Error::Kind::bug, "safetensors",
                std::to_string(integers.size()) + " integers for " + shape.text());
  add(Entry{std::move(name), StoredType::i64, shape, {}, std::move(integers)});
}

void SafetensorsWriter::add(Entry entry) {
  const std::string name = entry.name;
  const auto misuse = [&](const char* what) {
    throw Error(Error::Kind::bug, "safetensors", "tensor name \"" + printable(name) + "\" " + what);
  };
  if (name.empty() || name == "__metadata__") misuse("is reserved");
  if (name.size() > SafetensorsLimits{}.name_bytes) misuse("is too long");
  if (first_invalid_utf8(name)) misuse("is not valid UTF-8");
  if (!entries_.emplace(name, std::move(entry)).second) misuse("is used twice");
}

std::uint64_t SafetensorsWriter::Entry::bytes() const {
  return static_cast<std::uint64_t>(shape.elements()) * (bits_of(type) / 8);
}

// By alignment, largest first, then by name: as the reference writer.
std::vector<const SafetensorsWriter::Entry*> SafetensorsWriter::in_order() const {
  std::vector<const Entry*> order;
  for (const auto& [name, entry] : entries_) order.push_back(&entry);
  std::ranges::stable_sort(order, std::ranges::greater(), &Entry::type);
  return order;
}

std::string SafetensorsWriter::header() const {
  JsonWriter json(JsonWriter::Layout::compact);
  json.begin_object().key("__metadata__").begin_object();
  for (const auto& [key, text] : metadata_) json.field(key, text);
  json.end_object();
  std::uint64_t begin = 0;
  for (const Entry* entry : in_order()) {
    json.key(entry->name).begin_object().field("dtype", name_of(entry->type)).key("shape").begin_array();
    for (const std::int64_t extent : entry->shape) json.value(extent);
    const std::uint64_t end = begin + entry->bytes();
    json.end_array().key("data_offsets").begin_array().value(begin).value(end).end_array().end_object();
    begin = end;
  }
  std::string text = json.end_object().finish();
  const std::size_t begins = (prefix_bytes + text.size() + alignment_ - 1) / alignment_ * alignment_;
  text.resize(begins - prefix_bytes, ' ');
  return text;
}

std::uint64_t SafetensorsWriter::bytes() const {
  std::uint64_t sum = prefix_bytes + header().size();
  for (const auto& [name, entry] : entries_) sum += entry.bytes();
  return sum;
}

void SafetensorsWriter::write(const ByteSink& sink) const {
  const std::string text = header();
  const std::uint64_t length = text.size();
  std::string head(reinterpret_cast<const char*>(&length), sizeof length);
  sink(as_bytes(head.append(text)));
  for (const Entry* entry : in_order()) write_entry(*entry, sink);
}

void SafetensorsWriter::write_entry(const Entry& entry, const ByteSink& sink) {
  if (entry.type == StoredType::i64)
    sink(std::as_bytes(std::span(entry.integers)));
  else if (entry.type == StoredType::bf16 && entry.tensor.dtype() == DType::f32)
    write_rounded(entry.tensor.values(), sink);
  else
    sink({entry.tensor.raw(), entry.tensor.bytes()});
}

void SafetensorsWriter::save(const std::filesystem::path& path, FileSystem& files) const {
  AtomicFile file(path, bytes(), files);
  write([&](std::span<const std::byte> bytes) { file.write(bytes); });
  file.commit();
}

}  // namespace fovea::formats
