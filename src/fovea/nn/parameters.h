#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "fovea/kernels/packed_linear.h"
#include "fovea/ops/low_rank.h"
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

/// One learned tensor. Its value is a piece of the arena of its Parameters, if they have one.
struct Parameter {
  std::string name;  ///< on disk, if it has no parts
  Shape shape;
  Initial initial;
  std::vector<NamedRows> parts = {};  ///< on disk, if it is packed of several
  Tensor value = {};        ///< after Parameters::allocate(); undefined where only `packed` was read
  bool multiplies = false;  ///< x W^T is taken of it (nn::linear), and
  bool looked_up = false;   ///< rows by number (nn::embed): nothing else, if either is set
  kernels::PackedLinear packed = {};  ///< as the kernels read it, if it was loaded so; else empty
  bool input_first = false;  ///< a matrix stored [in, out], as GPT-2's are; quantised, all are [out, in]
  bool adaptable = false;    ///< nothing but nn::linear reads it: products by it may have adapters
  std::vector<ops::LowRank> adapters = {};  ///< what is added to them (models/lora.h)

  /// Whether it is packed where weights are held as `dtype`, and whether it has f32 values there: it may have
  /// both.
  bool packs(DType dtype) const { return multiplies || (looked_up && dtype != DType::f32); }
  bool keeps_values(DType dtype) const { return !packs(dtype) || (looked_up && dtype == DType::f32); }
};

/// Weights [N,K] as a file holds them: f32 or bf16; or i8, with scales [N].
struct StoredRows {
  Tensor rows, scales;
};
/// The same as f32.
Tensor widened(const StoredRows& stored);

/// A parameter as Parameters::load() left it: its packed form, bytes [.] as i8, its f32 values, or both.
struct PackedForm {
  Tensor packed, value;
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
  /// In place of allocate(), for a model that only answers: packs each matrix as `dtype` (f32, bf16, i8) as
  /// soon as `read` has given it, and keeps f32 values of nothing else but the rest (and, as f32, of
  /// embeddings). What is given back as f32 or bf16 has the parameter's shape. Products then read the packed
  /// form, as f32 with the same bits.
  void load(const kernels::Execution& exec, DType dtype,
            const std::function<StoredRows(const Parameter&)>& read);

  /// The same where all of it was done before: `form` gives each parameter's, which are used where they lie.
  void bind(const kernels::Execution& exec, DType dtype,
            const std::function<PackedForm(const Parameter&)>& form);

  /// In place of allocate(), for a model that stays as it is while adapters beside it learn: keeps as f32
  /// what `read` gives, without an arena, and so without gradients. What it gives no rows of stays undefined.
  void hold(const std::function<StoredRows(const Parameter&)>& read);

  /// Makes the arena of gradients, zero. Called for training only.
  void allocate_gradients();
  void zero_gradients();

  std::deque<Parameter>& all() { return parameters_; }
  const std::deque<Parameter>& all() const { return parameters_; }
  std::int64_t count() const;                             ///< numbers learned
  const Tensor& values() const { return values_; }        ///< [arena], gaps between parameters are zero
  const Tensor& gradients() const { return gradients_; }  ///< [arena]

  /// Every name on disk, in order of declaration, with the view of its rows (undefined if they are packed
  /// alone).
  struct View {
    std::string name;
    Tensor value;
    Shape shape;
    const Parameter* parameter = nullptr;
  };
  std::vector<View> views() const;

 private:
  std::deque<Parameter> parameters_;
  Tensor values_, gradients_;
  std::vector<Tensor> packed_;  // what the parameters' packed forms lie in
};

}  // namespace fovea::nn
