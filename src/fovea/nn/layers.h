#pragma once

#include <optional>
#include <string>

#include "fovea/nn/parameters.h"
#include "fovea/ops/embed.h"
#include "fovea/ops/linear.h"
#include "fovea/ops/norm.h"

namespace fovea::nn {

/// Hands out what modules need while a model is built: parameters under a name, and sites for random numbers.
class Builder {
 public:
  explicit Builder(Parameters& parameters) : parameters_(&parameters) {}
  Parameters& parameters() const { return *parameters_; }
  /// A number of its own for a place that draws random numbers.
  std::uint32_t next_site() { return next_site_++; }

 private:
  Parameters* parameters_;
  std::uint32_t next_site_ = site::first_module;
};

/// y = x W^T + b by the form of W that serves: packed where nothing is recorded and the kernels are those it
/// was packed for, else its values. Throws Error(bug) if W has neither.
Tensor linear(const ops::Context& ctx, const Tensor& x_ND, const Parameter& W, const Tensor& b,
              const ops::LinearOptions& options = {});
/// ops::embed of a parameter's rows, as likewise.
Tensor embed(const ops::Context& ctx, std::span<const std::int32_t> ids, const Parameter& table, float scale,
             std::span<const std::int32_t> position, const Tensor& positions, ops::Dropping dropping = {});

/// Both of rows [N, .] in memory of the caller's, for steps that record and allocate nothing: the same bits.
void linear_rows(const kernels::Execution& exec, std::int64_t N, const float* x, const Parameter& W,
                 const Tensor& b, kernels::Activation activation, float* y);
/// Throws Error(bug) for an id or a position that the tables do not have.
void embed_rows(const kernels::Execution& exec, std::span<const std::int32_t> ids, const Parameter& table,
                float scale, std::span<const std::int32_t> position, const Tensor& positions, float* y);
/// The packed form of W, if it serves exec's kernels; null: its values do.
const kernels::PackedLinear* packed_for(const kernels::Execution& exec, const Parameter& W);

enum class Bias : bool { without, with };

/// How a Linear differs from the usual one.
struct LinearForm {
  Bias bias = Bias::with;
  std::optional<Initial> initial = {};  ///< of W; else by Glorot and Bengio's rule
  bool input_first = false;             ///< W is stored [in, out], as GPT-2's are
};

/// y = x W^T + b; W [out, in] begins by Glorot and Bengio's rule, b at zero.
class Linear {
 public:
  Linear(Builder& builder, const std::string& name, std::int64_t in, std::int64_t out,
         Bias bias = Bias::with);
  /// Several products of the same input in one: rows of W and b that have names of their own, as q, k, v.
  /// Each part begins as a Linear of its own would, times `gain`.
  Linear(Builder& builder, std::vector<NamedRows> parts, std::int64_t in, float gain);
  Linear(Builder& builder, const std::string& name, std::int64_t in, std::int64_t out,
         const LinearForm& form);
  Linear(Builder& builder, const std::vector<NamedRows>& parts, std::int64_t in, const LinearForm& form);

  Tensor operator()(const ops::Context& ctx, const Tensor& x_ND,
                    const ops::LinearOptions& options = {}) const {
    return linear(ctx, x_ND, *weight_, bias_ ? bias_->value : Tensor(), options);
  }
  /// The same of rows [N, in] to y [N, out]; see linear_rows.
  void rows(const kernels::Execution& exec, std::int64_t N, const float* x, float* y,
            kernels::Activation activation = kernels::Activation::identity) const {
    linear_rows(exec, N, x, *weight_, bias_ ? bias_->value : Tensor(), activation, y);
  }
  const Tensor& weight() const { return weight_->value; }

 private:
  Parameter* weight_;
  Parameter* bias_ = nullptr;  // or none
};

/// Layer normalisation with a learned scale (gamma, begins at 1) and shift (beta, at 0).
class LayerNorm {
 public:
  LayerNorm(Builder& builder, const std::string& name, std::int64_t width, float eps = 1e-5f);

  Tensor operator()(const ops::Context& ctx, const Tensor& x_ND) const {
    return ops::add_norm(ctx, x_ND, {}, gamma_->value, beta_->value, eps_);
  }
  /// norm(residual + dropout(x))
  Tensor add(const ops::Context& ctx, const Tensor& x_ND, const Tensor& residual_ND,
             ops::Dropping dropping) const {
    return ops::add_norm(ctx, x_ND, residual_ND, gamma_->value, beta_->value, eps_, dropping);
  }
  /// y = norm(residual + x) of rows [N, D]; residual may be null, y may be either. Nothing is recorded.
  void rows(const kernels::Execution& exec, std::int64_t N, const float* x, const float* residual,
            float* y) const;
  std::int64_t width() const { return gamma_->shape[0]; }

 private:
  Parameter* gamma_;
  Parameter* beta_;
  float eps_;
};

/// Root mean square normalisation with a learned scale (gamma, begins at 1).
class RmsNorm {
 public:
  RmsNorm(Builder& builder, const std::string& name, std::int64_t width, float eps = 1e-6f);

  Tensor operator()(const ops::Context& ctx, const Tensor& x_ND) const {
    return ops::add_rms_norm(ctx, x_ND, {}, gamma_->value, eps_);
  }

 private:
  Parameter* gamma_;
  float eps_;
};

}  // namespace fovea::nn
