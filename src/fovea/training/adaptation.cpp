#include "fovea/training/adaptation.h"

#include <filesystem>
#include <memory>
#include <utility>

#include "fovea/formats/adapter.h"
#include "fovea/models/lora.h"

namespace fovea::training {

void adapt(models::Model& model, const Recipe& recipe, std::vector<std::string> saved) {
  if (formats::is_adapter(recipe.init))
    throw Error(Error::Kind::usage, "recipe: init", shown(recipe.init) + " is an adapter itself",
                "merge it into its base first: fovea export --merge");
  const auto model_type = formats::read_config_of(recipe.init).at("model_type");
  model.set_lora(std::make_shared<models::Lora>(model, model_type.text(), recipe.lora, std::move(saved),
                                                static_cast<std::uint64_t>(recipe.training.seed),
                                                "recipe: lora.targets"));
}

void add_adapter_config(FolderFiles& files, const Recipe& recipe, const models::Model& model,
                        std::string_view task_type) {
  if (!model.lora()) return;
  // PEFT looks from the folder it runs in: a whole path is found from every one.
  const std::string base = std::filesystem::absolute(recipe.init).lexically_normal().string();
  files.emplace_back(formats::adapter_config_name, model.lora()->config_json(base, task_type));
}

}  // namespace fovea::training
