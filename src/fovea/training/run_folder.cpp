#include "fovea/training/run_folder.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "fovea/base/file.h"

namespace fovea::training {
namespace {

constexpr auto moments_name = "training_state.safetensors";
constexpr auto state_name = "training_state.json";
constexpr auto summary_name = "training.json";
constexpr auto weights_key = "fovea_weights";  // in the metadata of model.safetensors

// Under a name that is no checkpoint's.
void put_aside(const formats::Checkpoint& damaged) {
  const auto aside = damaged.folder.parent_path() / ("damaged-" + damaged.folder.filename().string());
  std::error_code error;
  std::filesystem::remove_all(aside, error);  // of an earlier accident
  std::filesystem::rename(damaged.folder, aside, error);
  if (error)
    throw Error(Error::Kind::machine, shown(damaged.folder), "cannot be renamed: " + error.message());
}

// What a run has learned, in its folder or a checkpoint's.
formats::Weights learned_in(const std::filesystem::path& folder, const models::Model& model) {
  return formats::Weights::open_file(folder / model.learned_name());
}

void add_tensors(formats::CheckpointWriter& checkpoint, const std::string& name,
                 const formats::SafetensorsWriter& file) {
  checkpoint.add(name, file.bytes(), [&](const ByteSink& sink) { file.write(sink); });
}

}  // namespace

bool RunFolder::holds_run() const {
  std::error_code error;
  return std::filesystem::exists(folder_ / "recipe.toml", error);
}

void RunFolder::write_beginning(const Recipe& recipe, const FolderFiles& files) const {
  make_folders(checkpoints());
  for (const auto& [name, content] : files) write_atomically(folder_ / name, content);
  write_atomically(folder_ / "recipe.toml", to_toml(recipe));  // last: with it, the run has begun
}

Recipe RunFolder::read_recipe() const { return training::read_recipe((folder_ / "recipe.toml").string()); }

void RunFolder::write_model(const models::Model& model, const Recipe& recipe, const std::string& name) const {
  model.learned_file(stored_type(recipe.model), {{weights_key, name}}).save(folder_ / model.learned_name());
}

std::string RunFolder::read_model(models::Model& model) const {
  const auto weights = learned_in(folder_, model);
  model.read_learned(weights);
  const auto& metadata = weights.shards().front().metadata();
  const auto name = metadata.find(weights_key);
  return name == metadata.end() ? "best so far" : name->second;
}

void RunFolder::write_summary(const std::string& summary) const {
  write_atomically(folder_ / summary_name, summary);
}

bool RunFolder::ended_at(std::int64_t update) const {
  if (!std::filesystem::exists(folder_ / summary_name)) return false;
  return formats::read_json(folder_ / summary_name, Error::Kind::model).at("updates").integer() == update;
}

void RunFolder::remove_summary() const {
  std::error_code error;
  std::filesystem::remove(folder_ / summary_name, error);
  if (error)
    throw Error(Error::Kind::machine, shown(folder_ / summary_name), "cannot be removed: " + error.message());
}

void RunFolder::write_checkpoint(const models::Model& model, const Optimiser& optimiser,
                                 const TrainingState& state, std::uint64_t data) const {
  formats::CheckpointWriter checkpoint(checkpoints(), static_cast<std::uint64_t>(state.update));
  add_tensors(checkpoint, std::string(model.learned_name()), model.learned_file(DType::f32));
  formats::SafetensorsWriter moments;
  moments.add("adam.m", optimiser.m());
  moments.add("adam.v", optimiser.v());
  if (optimiser.average().defined()) moments.add("average", optimiser.average());
  add_tensors(checkpoint, moments_name, moments);
  checkpoint.add(state_name, to_json(state, data));
  checkpoint.commit();
}

std::vector<formats::Checkpoint> RunFolder::regular(std::int64_t most, std::int64_t every) const {
  std::vector<formats::Checkpoint> newest;
  for (const auto& checkpoint : formats::find_checkpoints(checkpoints()))
    if (every > 0 && checkpoint.step % static_cast<std::uint64_t>(every) == 0 && std::ssize(newest) < most)
      newest.push_back(checkpoint);
  return newest;
}

void RunFolder::prune(std::int64_t keep, std::int64_t every) const {
  std::set<std::uint64_t> protect;
  for (const auto& checkpoint : regular(keep, every)) protect.insert(checkpoint.step);
  formats::prune_checkpoints(checkpoints(), 1, protect);
}

std::optional<formats::Checkpoint> RunFolder::newest(const Notes& notes) const {
  std::vector<std::string> warnings;
  const auto found = formats::find_checkpoints(checkpoints());
  auto newest = formats::newest_valid_checkpoint(checkpoints(), warnings);
  for (const auto& warning : warnings) notes(warning);
  if (!newest && !found.empty())
    throw Error(Error::Kind::model, shown(checkpoints()), "holds no checkpoint that is whole",
                "train anew with another --output");
  for (const auto& checkpoint : found)
    if (checkpoint.step > newest->step) put_aside(checkpoint);
  return newest;
}

StoredState RunFolder::read_state(const formats::Checkpoint& checkpoint) const {
  return training::read_state(formats::read_json(checkpoint.folder / state_name, Error::Kind::model));
}

void RunFolder::read_weights(const formats::Checkpoint& checkpoint, models::Model& model) const {
  model.read_learned(learned_in(checkpoint.folder, model));
}

void RunFolder::read_moments(const formats::Checkpoint& checkpoint, const Optimiser& optimiser) const {
  const auto file = formats::SafetensorsFile::open(checkpoint.folder / moments_name);
  const auto read = [&](const char* name, const Tensor& into) {
    const Tensor from = file.read(name);
    if (!(from.shape() == into.shape()))
      throw Error(Error::Kind::model, file.name() + ": " + name,
                  "shape is " + from.shape().text() + ", the model has " + into.shape().text());
    std::ranges::copy(from.values(), into.f32());
  };
  read("adam.m", optimiser.m());
  read("adam.v", optimiser.v());
  if (optimiser.average().defined()) read("average", optimiser.average());
}

void RunFolder::average(const std::vector<formats::Checkpoint>& checkpoints, models::Model& model) const {
  const Tensor& values = model.learned().values();
  std::vector<double> sum(static_cast<std::size_t>(values.elements()));
  for (const auto& checkpoint : checkpoints) {
    read_weights(checkpoint, model);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += values.f32()[i];
  }
  for (std::size_t i = 0; i < sum.size(); ++i)
    values.f32()[i] = static_cast<float>(sum[i] / static_cast<double>(checkpoints.size()));
}

}  // namespace fovea::training
