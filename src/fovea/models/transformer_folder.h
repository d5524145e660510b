#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "fovea/formats/json.h"
#include "fovea/formats/safetensors.h"
#include "fovea/formats/weights.h"
#include "fovea/models/generation_defaults.h"
#include "fovea/models/transformer.h"

/// Transformers of every family, as directories that Hugging Face's Transformers opens, too.
namespace fovea::models {

/// config.json in the keys of the config's family.
std::string config_json(const TransformerConfig& config, const GenerationDefaults& generation, DType weights);
/// The architecture in a config.json, by its model_type. Throws Error(model) naming file and key: none of
/// these families (saying which are), a key missing, of a wrong type or out of range, an option that is not
/// built here.
TransformerConfig read_config(const formats::Json& config);
/// The same as the weights beside it say it: Transformers writes T5 models with an output layer of their own
/// as tied ones, and the sines of Pegasus are stored or not.
TransformerConfig agreed(TransformerConfig config, const formats::Weights& weights);

/// The weights as a file to be, stored as `dtype` (f32, bf16 or i8) under the family's names; save() writes
/// it in one step.
formats::SafetensorsWriter weights_file(const Transformer& model, DType dtype,
                                        const std::map<std::string, std::string>& metadata = {});

/// Fills the model's parameters. Throws Error(model) listing missing and unknown tensors (up to ten of each),
/// or naming the tensor whose shape disagrees and both shapes, or one that is there twice with different
/// values though the config ties it; the model may then be partly filled.
void read_weights(const formats::Weights& file, Transformer& model);

/// The model in a directory: config.json and the weights, in one file or in shards. Nothing is allocated that
/// the weights do not back: sizes in config.json far beyond them are an Error(model).
std::unique_ptr<Transformer> load_transformer(const std::filesystem::path& directory);
/// The same with config.json in one folder and the weights in another, as a checkpoint's are.
std::unique_ptr<Transformer> load_transformer(const std::filesystem::path& described,
                                              const std::filesystem::path& weighed);

/// How many numbers such a model learns, without building it; a double, as a hostile config may ask for any
/// number.
double parameter_count(const TransformerConfig& config);

}  // namespace fovea::models
