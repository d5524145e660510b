#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fovea/base/dtype.h"
#include "fovea/formats/safetensors.h"
#include "fovea/formats/weights.h"
#include "fovea/kernels/execution.h"
#include "fovea/nn/parameters.h"

namespace fovea::models {

/// How weights are held by a model that only answers: packed for these kernels, as f32, bf16 or i8.
struct Packing {
  const kernels::Execution& exec;
  DType dtype = DType::f32;
};

/// Says that a model's parameters are to be declared, and nothing allocated: read_weights() follows.
struct Declared {};

class Lora;

/// What every model has, whatever it is for: weights that are learned, and a file they live in.
class Model {
 public:
  Model() = default;
  virtual ~Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  nn::Parameters& parameters() { return parameters_; }
  const nn::Parameters& parameters() const { return parameters_; }

  /// A fixed shift [V] of the logits, as MarianMT's final_logits_bias; undefined: none. It is not learned.
  const Tensor& output_bias() const { return output_bias_; }
  void set_output_bias(Tensor bias) { output_bias_ = std::move(bias); }

  /// The weights as a file to be, stored as `dtype`: f32, bf16, or i8 (see add_parameters in
  /// models/weights_on_disk.h).
  virtual formats::SafetensorsWriter weights_file(
      DType dtype, const std::map<std::string, std::string>& metadata = {}) const = 0;
  /// Fills the parameters. Throws Error(model) listing missing and unknown tensors (up to ten of each), or
  /// naming the tensor whose shape disagrees and both shapes; the model may then be partly filled.
  /// With a packing, each tensor is packed as soon as it is read, and the model can only answer from then on.
  /// Without one, a model that was only declared holds its weights as they are, for adapters to learn beside
  /// them.
  virtual void read_weights(const formats::Weights& file, const Packing* packing = nullptr) = 0;
  /// Tensors that were found to hold NaN or infinities while they were packed, or read to be held.
  const std::vector<std::string>& packed_non_finite() const { return packed_non_finite_; }

  /// Adapters that learn in the place of the parameters; null: there are none.
  const Lora* lora() const { return lora_.get(); }
  void set_lora(std::shared_ptr<Lora> lora) { lora_ = std::move(lora); }
  /// What training changes: the adapters, or the parameters.
  nn::Parameters& learned();
  const nn::Parameters& learned() const { return const_cast<Model*>(this)->learned(); }
  /// The weights of those as a file, what it is called in a model directory, and reading it from a folder.
  formats::SafetensorsWriter learned_file(DType dtype,
                                          const std::map<std::string, std::string>& metadata = {}) const;
  std::string_view learned_name() const;
  void read_learned(const formats::Weights& file);

 protected:
  nn::Parameters parameters_;
  std::vector<std::string> packed_non_finite_;

 private:
  Tensor output_bias_;
  std::shared_ptr<Lora> lora_;
};

/// The tensors, by their names on disk, that hold NaN or infinities.
std::vector<std::string> non_finite_tensors(const Model& model);

}  // namespace fovea::models
