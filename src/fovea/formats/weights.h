#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/formats/safetensors.h"

namespace fovea::formats {

/// The weights of a model folder: `model.safetensors`, or the shards that `model.safetensors.index.json`
/// names. One look-up for all tensors, whatever file they are in. Thread safe.
///
/// Pickled weights (`pytorch_model.bin`, `.pt`, ...) are never read: unpickling runs code that the file
/// brings along. A link is followed wherever it leads, as the cache of the Hugging Face hub is made of links;
/// names inside the index must be bare.
class Weights {
 public:
  /// Throws Error(model): no such folder, not a folder, nothing readable in it (saying what to do about what
  /// is there), an index that is malformed or does not agree with its shards, or what SafetensorsFile throws.
  static Weights open(const std::filesystem::path& folder, FileSystem& files = system_files());

  /// All tensors, by name.
  std::vector<std::string> names() const;
  bool has(std::string_view name) const { return place(name) != nullptr; }
  /// Error(model) naming the folder if there is none of that name.
  const TensorInfo& info(std::string_view name) const { return file_of(name).info(name); }
  /// See SafetensorsFile.
  Tensor read(std::string_view name) const { return file_of(name).read(name); }
  const SafetensorsFile& file_of(std::string_view name) const;
  const std::vector<SafetensorsFile>& shards() const { return shards_; }
  /// For messages: the folder, escaped.
  const std::string& name() const { return name_; }

 private:
  void open_index(const std::filesystem::path& folder, FileSystem& files);
  const std::size_t* place(std::string_view name) const;

  std::string name_;
  std::vector<SafetensorsFile> shards_;
  std::map<std::string, std::size_t, std::less<>> places_;  // tensor to shard
};

}  // namespace fovea::formats
