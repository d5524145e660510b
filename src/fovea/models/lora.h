#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/models/lora_options.h"
#include "fovea/models/model.h"

namespace fovea::models {

/// Low-rank adapters beside a model that stays as it is: y = x W^T + b + scale dropout(x) A^T B^T, where A
/// begins as PEFT's does and B at zero, so that the model begins as it was. Learned beside them, and stored
/// with them, are whole modules that are new to the model, such as the head of a classifier.
/// Source   Hu et al. 2021, "LoRA"; huggingface/peft, tuners/lora
class Lora {
 public:
  /// Binds to the parameters of `model`, which must outlive this and hold its weights (Declared, then
  /// read_weights() without a packing). `model_type` is that of its config.json; `saved` names the modules
  /// that are learned whole, among them all that read_weights() left without values. Throws Error(usage),
  /// naming `where`, for a target that the model has not, or a family that takes no adapters.
  Lora(Model& model, std::string_view model_type, const LoraOptions& options, std::vector<std::string> saved,
       std::uint64_t seed, std::string_view where);

  /// The adapters' and the saved modules', by their names on disk, with gradients.
  nn::Parameters& parameters() { return parameters_; }
  /// adapter_config.json of what is learned beside the model in the folder `base`.
  std::string config_json(std::string_view base, std::string_view task_type) const;

 private:
  // Rows of a parameter that have a module's name.
  struct Site {
    nn::Parameter* parameter;
    std::string module;
    std::int64_t first, rows;
    bool adapted;
  };
  std::vector<Site> sites(Model& model) const;
  void choose_targets(std::vector<Site>& sites, std::string_view model_type, std::string_view where);
  void write_targets(const std::vector<Site>& sites);
  void add_saved(Model& model);
  bool is_saved(std::string_view name) const;

  LoraOptions options_;
  std::vector<std::string> saved_, targets_;
  bool input_first_ = false;
  nn::Parameters parameters_;
};

}  // namespace fovea::models
