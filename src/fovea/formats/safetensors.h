#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/base/file.h"
#include "fovea/base/mapped_file.h"
#include "fovea/formats/stored_type.h"
#include "fovea/tensor/tensor.h"

/// safetensors: `u64 N, little-endian | N bytes of JSON | data`, where the JSON gives each tensor a dtype, a
/// shape and the place of its bytes in the data. Source: huggingface/safetensors, README.md and
/// safetensors/src/tensor.rs.
namespace fovea::formats {

/// What a file may cost before it is refused.
struct SafetensorsLimits {
  std::uint64_t header_bytes = 100'000'000;
  std::size_t tensors = 1'000'000;
  std::size_t rank = 16;
  std::size_t name_bytes = 1'024;
};

/// One tensor as the header describes it.
struct TensorInfo {
  std::string name;
  StoredType type = StoredType::f32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;  ///< of its bytes, counted from the start of the data
  std::uint64_t end = 0;

  /// Number of elements; it fits, as the reader has checked.
  std::int64_t elements() const;
};

/// A safetensors file, open for reading. The header is checked whole when it is opened, in the order of the
/// reference reader; after that every tensor is known to lie inside the file, without overlap, and the file
/// holds nothing else. Tensors are read when asked for. Thread safe.
class SafetensorsFile {
 public:
  /// Throws Error(model) naming the file, the tensor and what is wrong with it.
  static SafetensorsFile open(const std::filesystem::path& path, FileSystem& files = system_files());
  /// The same, for view_stored().
  static SafetensorsFile open_mapped(const std::filesystem::path& path, FileSystem& files = system_files());
  static SafetensorsFile parse(FileBytes bytes, const SafetensorsLimits& limits = {});

  /// For messages: the path, escaped.
  const std::string& name() const { return bytes_.name(); }
  /// All tensors, by name.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  const TensorInfo* find(std::string_view name) const;
  /// Error(model) if there is none of that name.
  const TensorInfo& info(std::string_view name) const;
  /// Bytes of the file, when it was last changed (ns since 1970), and XXH64 of all of it, for which it is
  /// read.
  std::uint64_t bytes() const { return bytes_.size(); }
  std::int64_t modified_ns() const { return bytes_.modified_ns(); }
  std::string digest() const;
  /// The strings of "__metadata__".
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  /// The tensor as f32: F32 as it is, F16 and BF16 exactly, F64 rounded to nearest (Error if a finite value
  /// becomes infinite). Integers and the rest are refused by name. Shapes of more than Shape::max_rank axes
  /// are refused.
  Tensor read(std::string_view name) const;
  /// The tensor as it is stored, if there is a DType for it: F32, BF16, I8, I32.
  Tensor read_stored(std::string_view name) const;
  /// The same where it lies in the mapped file (base/mapped_file.h), not to be written; read_stored() of
  /// what is not at a multiple of 64 bytes there, or if the file cannot be mapped.
  Tensor view_stored(std::string_view name) const;
  /// The elements of an I64, I32, U8, I8 or BOOL tensor (U8 0 and 1 for BOOL, others refused).
  std::vector<std::int64_t> read_integers(std::string_view name) const;
  /// The bytes as they are stored, whatever the type.
  std::vector<std::byte> read_bytes(std::string_view name) const;

 private:
  explicit SafetensorsFile(FileBytes bytes) : bytes_(std::move(bytes)) {}
  [[noreturn]] void reject(const TensorInfo& info, std::string_view what, std::string_view remedy = {}) const;
  Shape shape_of(const TensorInfo& info) const;
  DType dtype_of(const TensorInfo& info) const;

  FileBytes bytes_;
  std::shared_ptr<const MappedFile> map_;  // null: not mapped
  std::uint64_t data_ = 0;                 // where the data starts in the file
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// Collects tensors and writes them as one file, in the order and with the padding of the reference writer:
/// so the bytes are the same as its own for the same tensors. The tensors' elements are shared, not copied.
class SafetensorsWriter {
 public:
  using Metadata = std::map<std::string, std::string>;
  /// `metadata` gets "format": "pt" unless it has a "format" of its own: Transformers refuses files without.
  /// The data begin at a multiple of `alignment`, itself a multiple of 8.
  explicit SafetensorsWriter(Metadata metadata = {}, std::size_t alignment = 8);

  /// Stores the tensor under its own dtype. Error(bug): a name that is empty, too long, not UTF-8, reserved
  /// or used.
  void add(std::string name, Tensor tensor);
  /// Stores an f32 tensor as `stored`: f32, or bf16 (rounded to nearest, ties to even).
  void add(std::string name, Tensor tensor, DType stored);
  /// Stores integers as I64.
  void add(std::string name, Shape shape, std::vector<std::int64_t> integers);

  /// Bytes that write() will give.
  std::uint64_t bytes() const;
  void write(const ByteSink& sink) const;
  /// Writes the file in one step: see AtomicFile.
  void save(const std::filesystem::path& path, FileSystem& files = system_files()) const;

 private:
  struct Entry {
    std::string name;
    StoredType type;
    Shape shape;
    Tensor tensor;
    std::vector<std::int64_t> integers;
    std::uint64_t bytes() const;
  };
  void add(Entry entry);
  std::vector<const Entry*> in_order() const;
  std::string header() const;
  static void write_entry(const Entry& entry, const ByteSink& sink);

  Metadata metadata_;
  std::size_t alignment_;
  std::map<std::string, Entry> entries_;
};

}  // namespace fovea::formats
