#include "fovea/formats/safetensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "fovea/base/bfloat16.h"
#include "fovea/base/checked.h"
#include "fovea/formats/hash.h"
#include "fovea/formats/safetensors_header.h"

namespace fovea::formats {
namespace {

static_assert(std::endian::native == std::endian::little,
              "elements are read and written as they lie in memory");

constexpr std::uint64_t prefix_bytes = 8;

std::string in_quotes(std::string_view name) { return "\"" + printable(name) + "\""; }

// Steps 1 to 3 of the reference reader: the length of the header.
std::uint64_t read_header_length(const FileBytes& bytes, const SafetensorsLimits& limits) {
  const auto refuse = [&](const std::string& what) {
    throw Error(bytes.kind(), bytes.name(), what, "it is no safetensors file, or it was cut");
  };
  if (bytes.size() < prefix_bytes)
    refuse("has " + std::to_string(bytes.size()) + " bytes, fewer than the 8 that give the header's length");
  std::uint64_t length = 0;
  bytes.read_at(0, std::as_writable_bytes(std::span(&length, 1)));
  if (length > limits.header_bytes)
    refuse("gives its header a length of " + std::to_string(length) + " bytes; at most " +
           std::to_string(limits.header_bytes) + " are allowed");
  if (length > bytes.size() - prefix_bytes)
    refuse("gives its header a length of " + std::to_string(length) + " bytes, but only " +
           std::to_string(bytes.size() - prefix_bytes) + " follow");
  return length;
}

// Steps 7 to 9: the bytes that dtype and shape ask for are those between the offsets.
std::string size_fault(const TensorInfo& info) {
  std::int64_t elements = 1;
  for (const std::int64_t extent : info.shape) {
    const auto product = checked_mul(elements, extent);
    if (!product) return "has a shape whose size overflows";
    elements = *product;
  }
  const auto bits = checked_mul(static_cast<std::uint64_t>(elements), bits_of(info.type));
  if (!bits) return "has a shape whose size overflows";
  if (*bits % 8 != 0) return "does not end on a whole byte";
  if (*bits / 8 == info.end - info.begin) return {};
  return "takes " + std::to_string(*bits / 8) + " bytes by dtype and shape, but " +
         std::to_string(info.end - info.begin) + " by data_offsets";
}

// Steps 6 to 10: the tensors lie one behind the other and fill the data exactly.
void check_layout(const std::vector<TensorInfo>& tensors, const FileBytes& bytes, std::uint64_t data_bytes) {
  std::vector<const TensorInfo*> order;
  order.reserve(tensors.size());
  for (const auto& info : tensors) order.push_back(&info);
  std::ranges::sort(order, {}, [](const TensorInfo* info) { return std::pair(info->begin, info->end); });
  std::uint64_t start = 0;
  for (const TensorInfo* info : order) {
    const auto refuse = [&](const std::string& what) {
      throw Error(bytes.kind(), bytes.name(), "tensor " + in_quotes(info->name) + " " + what);
    };
    if (info->begin != start)
      refuse("begins at byte " + std::to_string(info->begin) + " of the data, but the one before ends at " +
             std::to_string(start) + (info->begin < start ? ": they overlap" : ": there is a hole"));
    if (info->end < info->begin) refuse("ends before it begins");
    if (const auto fault = size_fault(*info); !fault.empty()) refuse(fault);
    start = info->end;
  }
  if (start != data_bytes)
    throw Error(
        bytes.kind(), bytes.name(),
        "has " + std::to_string(data_bytes) + " bytes of data, but its tensors take " + std::to_string(start),
        start > data_bytes ? "the file was cut: fetch it again" : "something was appended to the file");
}

// Steps through `elements` elements of `Stored` that start at `offset`, a block at a time.
template <class Stored, class Take>
void for_each_element(const FileBytes& bytes, std::uint64_t offset, std::uint64_t elements, Take take) {
  std::vector<Stored> block(static_cast<std::size_t>(std::min<std::uint64_t>(elements, 1 << 16)));
  for (std::uint64_t done = 0; done < elements;) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), elements - done));
    bytes.read_at(offset + done * sizeof(Stored), std::as_writable_bytes(std::span(block).first(count)));
    for (std::size_t i = 0; i < count; ++i) take(block[i]);
    done += count;
  }
}

}  // namespace

std::int64_t TensorInfo::elements() const {
  std::int64_t product = 1;
  for (const std::int64_t extent : shape) product *= extent;
  return product;
}

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path, FileSystem& files) {
  return parse(FileBytes::open(path, Error::Kind::model, files));
}

SafetensorsFile SafetensorsFile::open_mapped(const std::filesystem::path& path, FileSystem& files) {
  SafetensorsFile file = open(path, files);
  file.map_ = file.bytes_.map();
  return file;
}

std::string SafetensorsFile::digest() const {
  Xxh64 hash;
  std::vector<std::byte> block(std::size_t{1} << 20);
  for (std::uint64_t at = 0; at < bytes_.size(); at += block.size()) {
    const auto piece = std::span(block).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), bytes_.size() - at)));
    bytes_.read_at(at, piece);
    hash.update(piece);
  }
  return hash.hex();
}

SafetensorsFile SafetensorsFile::parse(FileBytes bytes, const SafetensorsLimits& limits) {
  SafetensorsFile file(std::move(bytes));
  const std::uint64_t length = read_header_length(file.bytes_, limits);
  std::string text(static_cast<std::size_t>(length), '\0');
  file.bytes_.read_at(prefix_bytes, std::as_writable_bytes(std::span(text)));
  SafetensorsHeader header = parse_safetensors_header(text, {file.bytes_.name(), file.bytes_.kind()}, limits);
  file.tensors_ = std::move(header.tensors);
  file.metadata_ = std::move(header.metadata);
  file.data_ = prefix_bytes + length;
  std::ranges::sort(file.tensors_, {}, &TensorInfo::name);
  const auto twice = std::ranges::adjacent_find(file.tensors_, {}, &TensorInfo::name);
  if (twice != file.tensors_.end())
    throw Error(file.bytes_.kind(), file.bytes_.name(),
                "the header gives the tensor " + in_quotes(twice->name) + " twice");
  check_layout(file.tensors_, file.bytes_, file.bytes_.size() - file.data_);
  return file;
}

const TensorInfo* SafetensorsFile::find(std::string_view name) const {
  const auto place = std::ranges::lower_bound(tensors_, name, {}, &TensorInfo::name);
  return place != tensors_.end() && place->name == name ? &*place : nullptr;
}

const TensorInfo& SafetensorsFile::info(std::string_view name) const {
  if (const TensorInfo* found = find(name)) return *found;
  throw Error(bytes_.kind(), bytes_.name(), "has no tensor " + in_quotes(name));
}

void SafetensorsFile::reject(const TensorInfo& info, std::string_view what, std::string_view remedy) const {
  throw Error(bytes_.kind(), bytes_.name(), "tensor " + in_quotes(info.name) + " " + std::string(what),
              remedy);
}

Shape SafetensorsFile::shape_of(const TensorInfo& info) const {
  if (info.shape.size() > static_cast<std::size_t>(Shape::max_rank))
    reject(info, "has " + std::to_string(info.shape.size()) + " axes; at most " +
                     std::to_string(Shape::max_rank) + " can be used");
  Shape shape;
  for (const std::int64_t extent : info.shape) shape.append(extent);
  return shape;
}

Tensor SafetensorsFile::read(std::string_view name) const {
  const TensorInfo& stored = info(name);
  const Shape shape = shape_of(stored);
  const std::uint64_t offset = data_ + stored.begin;
  const auto elements = static_cast<std::uint64_t>(stored.elements());
  switch (stored.type) {
    case StoredType::f32:
      return read_stored(name);
    case StoredType::f16:
    case StoredType::bf16:
    case StoredType::f64:
      break;
    default:
      reject(stored, "holds " + std::string(name_of(stored.type)) + " where floating point was expected",
             "F32, F16, BF16 and F64 are read");
  }
  Tensor tensor = Tensor::empty(shape);
  float* out = tensor.f32();
  if (stored.type == StoredType::f16) {
    for_each_element<std::uint16_t>(bytes_, offset, elements,
                                    [&](std::uint16_t bits) { *out++ = half_to_float(bits); });
  } else if (stored.type == StoredType::bf16) {
    for_each_element<bfloat16>(bytes_, offset, elements,
                               [&](bfloat16 value) { *out++ = static_cast<float>(value); });
  } else {
    for_each_element<double>(bytes_, offset, elements, [&](double value) {
      if (std::isfinite(value) && std::abs(value) > std::numeric_limits<float>::max())
        reject(stored, "holds " + std::to_string(value) + ", more than an f32 can hold");
      *out++ = static_cast<float>(value);
    });
  }
  return tensor;
}

DType SafetensorsFile::dtype_of(const TensorInfo& info) const {
  switch (info.type) {
    case StoredType::f32:
      return DType::f32;
    case StoredType::bf16:
      return DType::bf16;
    case StoredType::i8:
      return DType::i8;
    case StoredType::i32:
      return DType::i32;
    default:
      reject(info, "holds " + std::string(name_of(info.type)) + ", which is an unsupported dtype here",
             "F32, BF16, I8 and I32 are read as they are");
  }
}

Tensor SafetensorsFile::read_stored(std::string_view name) const {
  const TensorInfo& stored = info(name);
  Tensor tensor = Tensor::empty(shape_of(stored), dtype_of(stored));
  bytes_.read_at(data_ + stored.begin, {tensor.raw(), tensor.bytes()});
  return tensor;
}

Tensor SafetensorsFile::view_stored(std::string_view name) const {
  constexpr std::uint64_t alignment = 64;  // of tensors in memory
  const TensorInfo& stored = info(name);
  const std::uint64_t place = data_ + stored.begin;
  if (!map_ || place % alignment != 0) return read_stored(name);
  return Tensor::over(map_, map_->bytes().data() + place, shape_of(stored), dtype_of(stored));
}

std::vector<std::int64_t> SafetensorsFile::read_integers(std::string_view name) const {
  const TensorInfo& stored = info(name);
  const std::uint64_t offset = data_ + stored.begin;
  const auto elements = static_cast<std::uint64_t>(stored.elements());
  std::vector<std::int64_t> integers;
  integers.reserve(static_cast<std::size_t>(elements));
  const auto take = [&](std::int64_t value) { integers.push_back(value); };
  switch (stored.type) {
    case StoredType::i64:
      for_each_element<std::int64_t>(bytes_, offset, elements, take);
      break;
    case StoredType::i32:
      for_each_element<std::int32_t>(bytes_, offset, elements, take);
      break;
    case StoredType::i8:
      for_each_element<std::int8_t>(bytes_, offset, elements, take);
      break;
    case StoredType::u8:
      for_each_element<std::uint8_t>(bytes_, offset, elements, take);
      break;
    case StoredType::boolean:
      for_each_element<std::uint8_t>(bytes_, offset, elements, [&](std::uint8_t value) {
        if (value > 1) reject(stored, "holds " + std::to_string(value) + " as a BOOL");
        take(value);
      });
      break;
    default:
      reject(stored, "holds " + std::string(name_of(stored.type)) + " where integers were expected",
             "I64, I32, I8, U8 and BOOL are read");
  }
  return integers;
}

std::vector<std::byte> SafetensorsFile::read_bytes(std::string_view name) const {
  const TensorInfo& stored = info(name);
  std::vector<std::byte> bytes(static_cast<std::size_t>(stored.end - stored.begin));
  bytes_.read_at(data_ + stored.begin, bytes);
  return bytes;
}

}  // namespace fovea::formats
