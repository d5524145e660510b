#include "fovea/formats/weights.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "fovea/formats/json.h"

namespace fovea::formats {
namespace {

using Path = std::filesystem::path;

constexpr std::string_view single_name = "model.safetensors";
constexpr std::string_view index_name = "model.safetensors.index.json";
constexpr JsonLimits index_limits{std::size_t{256} << 20, 8, 4096, 4'000'000};

struct Foreign {
  std::string_view ending;
  std::string_view what;
  std::string_view remedy;
};
constexpr std::string_view resave =
    "load it where you trust it, in Transformers, and save_pretrained() it as safetensors";
// Weights that are not read, and the way out.
constexpr std::array<Foreign, 10> foreign{{
    {".bin", "pickled weights, which can run code and are never read", resave},
    {".pt", "pickled weights, which can run code and are never read", resave},
    {".pth", "pickled weights, which can run code and are never read", resave},
    {".ckpt", "pickled weights, which can run code and are never read", resave},
    {".pkl", "pickled weights, which can run code and are never read", resave},
    {".h5", "Keras weights, which are not read", resave},
    {".msgpack", "Flax weights, which are not read", resave},
    {".onnx", "an ONNX graph, which is not read", "get the safetensors of the same model"},
    {".gguf", "a GGUF file, which is not read", "get the safetensors of the same model"},
    {".npz", "native Marian weights, which are not read here",
     "convert them with Transformers' Marian converter"},
}};

const Foreign* foreign_kind(std::string_view name) {
  const auto place =
      std::ranges::find_if(foreign, [&](const Foreign& kind) { return name.ends_with(kind.ending); });
  return place == foreign.end() ? nullptr : &*place;
}

[[noreturn]] void refuse(const Path& path, std::string_view what, std::string_view remedy = {}) {
  throw Error(Error::Kind::model, shown(path), what, remedy);
}

// The folder itself: there, and a folder.
void check_folder(const Path& folder, FileSystem& files) {
  const auto info = files.info(folder);
  if (info.error == ENOENT) refuse(folder, "there is no such folder", "check the path of the model");
  if (!info.ok()) refuse(folder, "cannot be read: " + errno_text(info.error));
  if (info.value.type == FileSystem::Type::directory) return;
  if (const Foreign* kind = foreign_kind(folder.native()))
    refuse(folder, "is " + std::string(kind->what), kind->remedy);
  refuse(folder, "is a file, but a model is a folder", "name the folder that holds it");
}

// Neither file of ours is there: say what is.
[[noreturn]] void refuse_contents(const Path& folder, FileSystem& files) {
  auto names = files.list(folder);
  if (!names.ok()) refuse(folder, "cannot be read: " + errno_text(names.error), "check its permissions");
  if (names.value.empty())
    refuse(folder, "is empty", "a model is a folder with config.json and model.safetensors");
  std::ranges::sort(names.value);
  if (std::ranges::binary_search(names.value, "checkpoints"))
    refuse(folder, "is of a training that has not ended", "go on with fovea train ... --resume");
  for (const auto& name : names.value)
    if (const Foreign* kind = foreign_kind(name))
      refuse(folder, "has no model.safetensors; its " + printable(name) + " is " + std::string(kind->what),
             kind->remedy);
  refuse(folder, "has no model.safetensors", "is it the folder of a model?");
}

// Whether there is something of that name; links that lead nowhere or in circles count, to be named when
// opened.
bool has_name(const Path& path, FileSystem& files) { return files.info(path).error != ENOENT; }

}  // namespace

Weights Weights::open(const Path& folder, FileSystem& files) {
  check_folder(folder, files);
  Weights weights;
  weights.name_ = shown(folder);
  weights.folder_ = folder;
  if (!is_adapter(folder)) {
    weights.open_base(folder, files);
    return weights;
  }
  Adapter adapter = Adapter::open(folder, files);
  const Path base = base_of_adapter(folder);
  check_folder(base, files);
  weights.open_base(base, files);
  weights.adapt(std::move(adapter));
  return weights;
}

Weights Weights::open_file(const Path& path, FileSystem& files) {
  Weights weights;
  weights.name_ = shown(path);
  weights.add_shard(path, files);
  return weights;
}

void Weights::open_base(const Path& folder, FileSystem& files) {
  if (has_name(folder / single_name, files))
    add_shard(folder / single_name, files);
  else if (has_name(folder / index_name, files))
    open_index(folder, files);
  else
    refuse_contents(folder, files);
}

void Weights::add_shard(const Path& path, FileSystem& files) {
  shards_.push_back(SafetensorsFile::open(path, files));
  for (const TensorInfo& info : shards_.back().tensors())
    places_.emplace(info.name, Place{shards_.size() - 1, info.name});
}

void Weights::open_index(const Path& folder, FileSystem& files) {
  const Json index = read_json(folder / index_name, Error::Kind::model, index_limits, files);
  std::map<std::string, std::size_t, std::less<>> shard_numbers;
  for (const auto& [tensor, shard] : index.at("weight_map").members()) {
    const std::string_view name = shard.text();
    if (!is_bare_name(name))
      shard.reject("names the file \"" + printable(name) +
                   "\"; only bare names of files in the folder are allowed");
    const auto [place, is_new] = shard_numbers.emplace(name, shards_.size());
    if (is_new) shards_.push_back(SafetensorsFile::open(folder / name, files));
    if (!shards_[place->second].find(tensor))
      shard.reject("places the tensor in " + printable(name) + ", which has none of that name");
    places_.emplace(tensor, Place{place->second, std::string(tensor)});
  }
  for (std::size_t number = 0; number < shards_.size(); ++number)
    for (const TensorInfo& info : shards_[number].tensors())
      if (const Place* placed = place(info.name); !placed || placed->shard != number)
        throw Error(Error::Kind::model, shards_[number].name(),
                    "holds the tensor \"" + printable(info.name) + "\", which " + std::string(index_name) +
                        (placed ? " places in " + shards_[placed->shard].name() : " does not name"));
}

// The same tensor as the base calls it: the class that an adapter was made for may have a prefix that the
// base's file leaves out, as "transformer.", or the other way about. Empty: there is none.
std::string Weights::name_in_base(const std::string& name) const {
  if (places_.contains(name)) return name;
  if (const std::string shorter = name.substr(name.find('.') + 1); places_.contains(shorter)) return shorter;
  std::string found;
  for (const auto& [longer, place] : places_)
    if (longer.ends_with(name) && longer.find('.') + 1 == longer.size() - name.size()) {
      if (!found.empty()) return {};
      found = longer;
    }
  return found;
}

void Weights::adapt(Adapter adapter) {
  for (const auto& [module, pair] : adapter.pairs()) {
    const std::string name = name_in_base(module + ".weight");
    if (name.empty())
      throw Error(Error::Kind::model, adapter.file().name() + ": " + printable(pair.A),
                  "adapts " + printable(module) + ", which the base has not",
                  "is base_model_name_or_path the model that it was made for?");
    Place& place = places_.at(name);
    if (const auto& info = file_of(place).info(place.name);
        info.type == StoredType::i8 || info.shape.size() != 2)
      throw Error(Error::Kind::model, file_of(place).name() + ": " + printable(name),
                  info.shape.size() != 2 ? "is no matrix, and the adapter adds to it"
                                         : "is of 8-bit integers, to which no adapter adds",
                  "name in base_model_name_or_path the model that it was made for");
    place.module = module;
  }
  for (const auto& [name, key] : adapter.saved()) {
    const std::string known = name_in_base(name);
    places_.insert_or_assign(known.empty() ? name : known, Place{of_adapter, key});
  }
  adapter_ = std::make_shared<const Adapter>(std::move(adapter));
}

std::vector<std::string> Weights::names() const {
  std::vector<std::string> names;
  for (const auto& [name, place] : places_) names.push_back(name);
  return names;
}

std::vector<const SafetensorsFile*> Weights::sources() const {
  std::vector<const SafetensorsFile*> files;
  for (const auto& shard : shards_) files.push_back(&shard);
  if (adapter_) files.push_back(&adapter_->file());
  return files;
}

const Weights::Place* Weights::place(std::string_view name) const {
  const auto found = places_.find(name);
  return found == places_.end() ? nullptr : &found->second;
}

const Weights::Place& Weights::known_place(std::string_view name) const {
  if (const Place* found = place(name)) return *found;
  throw Error(Error::Kind::model, name_, "has no tensor \"" + printable(name) + "\"");
}

const SafetensorsFile& Weights::file_of(const Place& place) const {
  return place.shard == of_adapter ? adapter_->file() : shards_[place.shard];
}

bool Weights::is_of_base(std::string_view name) const {
  const Place* found = place(name);
  return adapter_ && found && found->shard != of_adapter;
}

const TensorInfo& Weights::info(std::string_view name) const {
  const Place& place = known_place(name);
  return file_of(place).info(place.name);
}

Tensor Weights::read(std::string_view name) const {
  const Place& place = known_place(name);
  const Tensor stored = file_of(place).read(place.name);
  return place.module.empty() ? stored : adapter_->merged(place.module, stored);
}

Tensor Weights::read_stored(std::string_view name) const {
  const Place& place = known_place(name);
  return place.module.empty() ? file_of(place).read_stored(place.name) : read(name);
}

}  // namespace fovea::formats
