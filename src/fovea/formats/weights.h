#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/formats/adapter.h"
#include "fovea/formats/safetensors.h"

namespace fovea::formats {

/// The weights of a model folder: `model.safetensors`, or the shards that `model.safetensors.index.json`
/// names. One look-up for all tensors, whatever file they are in. Thread safe.
///
/// Of the folder of an adapter (formats/adapter.h): those of its base, to which a tensor's share of the
/// adapter is added when it is read, and the tensors that the adapter holds itself.
///
/// Pickled weights (`pytorch_model.bin`, `.pt`, ...) are never read: unpickling runs code that the file
/// brings along. A link is followed wherever it leads, as the cache of the Hugging Face hub is made of links;
/// names inside the index must be bare.
class Weights {
 public:
  /// Throws Error(model): no such folder, not a folder, nothing readable in it (saying what to do about what
  /// is there), an index that is malformed or does not agree with its shards, or what SafetensorsFile throws.
  static Weights open(const std::filesystem::path& folder, FileSystem& files = system_files());
  /// The tensors of one file, whatever it is called.
  static Weights open_file(const std::filesystem::path& path, FileSystem& files = system_files());

  /// All tensors, by name.
  std::vector<std::string> names() const;
  bool has(std::string_view name) const { return place(name) != nullptr; }
  /// Error(model) naming the folder if there is none of that name.
  const TensorInfo& info(std::string_view name) const;
  /// See SafetensorsFile.
  Tensor read(std::string_view name) const;
  /// The same; a tensor that an adapter adds to as f32.
  Tensor read_stored(std::string_view name) const;
  const std::vector<SafetensorsFile>& shards() const { return shards_; }
  /// What is added to the weights of a base; null: nothing.
  const Adapter* adapter() const { return adapter_.get(); }
  /// Whether a base that is adapted brings that tensor, not the adapter.
  bool is_of_base(std::string_view name) const;
  /// The folder that was opened; empty for a file alone.
  const std::filesystem::path& folder() const { return folder_; }
  /// Every file that tensors come from: the shards, and an adapter's.
  std::vector<const SafetensorsFile*> sources() const;
  /// For messages: the folder, escaped.
  const std::string& name() const { return name_; }

 private:
  // Where a tensor is, and what it is called there.
  struct Place {
    std::size_t shard = of_adapter;
    std::string name;
    std::string module = {};  // of the adapter that adds to it; empty: none does
  };
  static constexpr std::size_t of_adapter = ~std::size_t{0};
  void open_base(const std::filesystem::path& folder, FileSystem& files);
  void open_index(const std::filesystem::path& folder, FileSystem& files);
  void add_shard(const std::filesystem::path& path, FileSystem& files);
  void adapt(Adapter adapter);
  std::string name_in_base(const std::string& name) const;
  const Place* place(std::string_view name) const;
  const Place& known_place(std::string_view name) const;
  const SafetensorsFile& file_of(const Place& place) const;

  std::string name_;
  std::filesystem::path folder_;
  std::vector<SafetensorsFile> shards_;
  std::shared_ptr<const Adapter> adapter_;
  std::map<std::string, Place, std::less<>> places_;
};

}  // namespace fovea::formats
