#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fovea/formats/json.h"
#include "fovea/formats/safetensors.h"

/// Low-rank adapters as PEFT stores them: a folder with adapter_config.json and adapter_model.safetensors,
/// which say what is added to the weights of a base model that lies elsewhere. docs/lora.md has the layout.
/// Source   huggingface/peft: tuners/lora/config.py, utils/save_and_load.py
namespace fovea::formats {

inline constexpr std::string_view adapter_config_name = "adapter_config.json";
inline constexpr std::string_view adapter_weights_name = "adapter_model.safetensors";
inline constexpr std::string_view adapter_prefix = "base_model.model.";  ///< of all its tensors

/// What adapter_config.json says of what the weights mean.
struct AdapterConfig {
  std::string base;              ///< base_model_name_or_path
  std::string task_type;         ///< "CAUSAL_LM", "SEQ_CLS", "SEQ_2_SEQ_LM", ...; empty: not said
  std::int64_t rank = 8;         ///< r
  double alpha = 8;              ///< lora_alpha
  bool rank_stabilised = false;  ///< use_rslora: the scale is alpha / sqrt(r), not alpha / r
  bool input_first = false;      ///< fan_in_fan_out: the adapted matrices are stored [in, out]
  /// rank_pattern and alpha_pattern: other values where a module's name is, or ends in, what the first says.
  std::vector<std::pair<std::string, double>> ranks = {}, alphas = {};

  /// Of the module of that name.
  std::int64_t rank_of(std::string_view module) const;
  double scale_of(std::string_view module) const;
};

/// Throws Error(model) naming the key: missing, of a wrong type, or something that is not built here (another
/// kind of adapter than LoRA, DoRA, ...).
AdapterConfig read_adapter_config(const Json& config);

/// Whether the folder is an adapter's.
bool is_adapter(const std::filesystem::path& folder);

/// The folder of an adapter's base: base_model_name_or_path, which if it is relative is looked for from the
/// adapter's folder and then from the current one. Throws Error(model) if there is none, or if it is an
/// adapter's itself.
std::filesystem::path base_of_adapter(const std::filesystem::path& folder);

/// Where the papers of the model in `folder` lie, such as `names`: there, or, if it is an adapter that has
/// none of them, with its base.
std::filesystem::path papers_of(const std::filesystem::path& folder,
                                std::initializer_list<std::string_view> names);
/// The same for whatever makes up a tokenizer.
std::filesystem::path tokenizer_papers_of(const std::filesystem::path& folder);
/// config.json of the model in `folder`, or of its base. Throws as read_json does.
Json read_config_of(const std::filesystem::path& folder);

/// An adapter's weights: what they add to which matrix, and what they put in whose place.
class Adapter {
 public:
  /// Throws Error(model): a config that is refused, weights that are missing, damaged, or of another kind.
  static Adapter open(const std::filesystem::path& folder, FileSystem& files = system_files());

  const AdapterConfig& config() const { return config_; }
  const SafetensorsFile& file() const { return file_; }
  /// Modules with a low-rank pair, by name, such as "model.layers.0.self_attn.q_proj".
  struct Pair {
    std::string A, B;  ///< tensors of file(), [r, in] and [out, r]
  };
  const std::map<std::string, Pair, std::less<>>& pairs() const { return pairs_; }
  /// Tensors that stand in the place of the base's, or beside them: their name there, and in file().
  const std::map<std::string, std::string, std::less<>>& saved() const { return saved_; }

  /// W + scale B A, W [out, in] as f32; or its transposed, if the base stores W so. Throws Error(model)
  /// naming the shapes if they disagree.
  Tensor merged(const std::string& module, const Tensor& W) const;

 private:
  Adapter(AdapterConfig config, SafetensorsFile file) : config_(std::move(config)), file_(std::move(file)) {}
  void sort_tensors();
  void take(const std::string& key);

  AdapterConfig config_;
  SafetensorsFile file_;
  std::map<std::string, Pair, std::less<>> pairs_;
  std::map<std::string, std::string, std::less<>> saved_;
};

}  // namespace fovea::formats
