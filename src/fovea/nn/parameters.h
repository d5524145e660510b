#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "fovea/kernels/gemm.h"
#include "fovea/tensor/tensor.h"

namespace fovea::nn {

/// How a parameter begins.
struct Initial {
  enum class Kind { zeros, ones, normal, uniform, orthogonal, values };
  Kind kind = Kind::zeros;
  float scale = 0.0f;         ///< standard deviation (normal) or bound (uniform)
  std::vector<float> values;  ///< for Kind::values

  static Initial zeros() { return {}; }
  static Initial ones() { return {Kind::ones, 0.0f, {}}; }
  static Initial normal(float deviation) { return {Kind::normal, deviation, {}}; }
  /// Uniform in +-gain*sqrt(6/(in + out)); Glorot and Bengio 2010.
  static Initial xavier(std::int64_t in, std::int64_t out, float gain = 1.0f);
  /// Uniform in +-bound.
  static Initial uniform(float bound) { return {Kind::uniform, bound, {}}; }
  /// Square blocks below each other, each a random orthogonal matrix: what W h keeps of h's length is all of
  /// it.
  static Initial orthogonal() { return {Kind::orthogonal, 0.0f, {}}; }
};

/// A part of a parameter that has a name of its own on disk: rows of a packed matrix, as q, k, v of one
/// product.
struct NamedRows {
  std::string name;
  std::int64_t rows = 0;
};

/// One learned tensor. Its value is a piece of the arena of its Parameters.
struct Parameter {
  std::string name;  ///< on disk, if it has no parts
  Shape shape;
  Initial initial;
  std::vector<NamedRows> parts;  ///< on disk, if it is packed of several
  Tensor value;                  ///< after Parameters::allocate()
  bool multiplies = false;       ///< x W^T is taken of it: worth packing
  kernels::PackedMatrix packed;  ///< W^T as the kernels read it, while nobody changes `value`; else empty

  /// The packed form for products without a tape, or null.
  const kernels::PackedMatrix* ready() const { return packed.data() ? &packed : nullptr; }
};

/// All learned tensors of a model in one flat array, their gradients in another: an optimiser, an average or
/// a norm is one pass over memory. Modules declare what they need, then allocate() binds it.
class Parameters {
 public:
  /// Declares a parameter. The address stays valid for the life of this object.
  Parameter* add(std::string name, Shape shape, Initial initial);
  /// Declares a matrix (or vector) of several named ones stacked by rows.
  Parameter* add_packed(std::vector<NamedRows> parts, Shape shape, Initial initial);

  /// Makes the arena and sets every parameter to its beginning; `seed` decides the random ones.
  void allocate(std::uint64_t seed);
  /// Packs every matrix that multiplies, once, for inference with exec's kernels: products without a tape
  /// then read the packed form, with the same bits. Whoever changes a value afterwards calls release_packed()
  /// first. Takes as much memory again as those matrices. Throws Error(bug) if the model is being trained
  /// (has gradients).
  void pack(const kernels::Execution& exec);
  void release_packed();

  /// Makes the arena of gradients, zero, and releases what is packed. Called for training only.
  void allocate_gradients();
  void zero_gradients();

  std::deque<Parameter>& all() { return parameters_; }
  const std::deque<Parameter>& all() const { return parameters_; }
  std::int64_t count() const;                             ///< numbers learned
  const Tensor& values() const { return values_; }        ///< [arena], gaps between parameters are zero
  const Tensor& gradients() const { return gradients_; }  ///< [arena]

  /// Every name on disk with the view of its rows, in order of declaration.
  struct View {
    std::string name;
    Tensor value;
  };
  std::vector<View> views() const;

 private:
  std::deque<Parameter> parameters_;
  Tensor values_, gradients_, packed_;
};

}  // namespace fovea::nn
