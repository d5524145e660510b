#include "fovea/ops/match.h"

#include <algorithm>

#include "fovea/kernels/column_sum.h"
#include "fovea/kernels/gemm.h"
#include "fovea/kernels/pairs_rows.h"

namespace fovea::ops {
namespace {

using Runs = std::vector<kernels::PairRun>;

void validate(const Tensor& a_q, const Tensor& a_k, const std::vector<MatchLayer>& layers, const Pairs& pairs,
              const MatchOptions& options) {
  expect_shape(a_q, {-1, -1}, "match: a_q [N_q, D]");
  expect_shape(a_k, {-1, a_q.dim(1)}, "match: a_k [N_k, D]");
  pairs.expect_query_rows(a_q, "match: a_q");
  pairs.expect_key_rows(a_k, "match: a_k");
  if (layers.empty() || options.rows < 1)
    throw Error(
        Error::Kind::bug, "match",
        std::to_string(layers.size()) + " layers, " + std::to_string(options.rows) + " rows at a time");
  std::int64_t in = a_q.dim(1);
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const std::int64_t out = l + 1 < layers.size() ? -1 : pairs.heads();
    const std::string where = "match: W of layer " + std::to_string(l + 2);
    expect_shape(layers[l].W, {out, in}, where);
    in = layers[l].W.dim(0);
    if (layers[l].b.defined()) expect_shape(layers[l].b, {in}, "match: b of layer " + std::to_string(l + 2));
  }
}

// The network on the pairs of one chunk. pre[l] is what reaches the activation before layer l, hidden[l] what
// leaves it; both [rows, width of layer l's input]. Made once, for the largest chunk.
class Network {
 public:
  Network(const kernels::Execution& exec, const Tensor& a_q, const Tensor& a_k,
          const std::vector<MatchLayer>& layers, const Pairs& pairs, const MatchOptions& options)
      : exec_(exec), a_q_(a_q), a_k_(a_k), layers_(layers), pairs_(pairs), options_(options) {
    const std::int64_t rows = std::min(options.rows, std::max<std::int64_t>(1, pairs.elements()));
    for (const MatchLayer& layer : layers) {
      pre_.push_back(Tensor::empty({rows, layer.W.dim(1)}));
      hidden_.push_back(Tensor::empty({rows, layer.W.dim(1)}));
    }
    scores_ = Tensor::empty({rows, pairs.heads()});
  }

  // Runs all layers; `last` false stops before the last one, which backward does not need.
  void forward(const Runs& runs, bool last) {
    const std::int64_t N = rows_of(runs);
    const std::int32_t* key_rows = pairs_.keys().rows.empty() ? nullptr : pairs_.keys().rows.data();
    kernels::pair_rows_forward(exec_, pairs_.extents(), runs, a_q_.dim(1), a_q_.f32(), a_k_.f32(), key_rows,
                               pre_[0].f32());
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      kernels::activation_forward(exec_, N * layers_[l].W.dim(1), options_.activation, {}, pre_[l].f32(),
                                  hidden_[l].f32());
      const bool ends = l + 1 == layers_.size();
      if (!ends || last) linear(N, l, (ends ? scores_ : pre_[l + 1]).f32());
    }
  }
  float* scores() { return scores_.f32(); }

  // After forward(): gradients of one chunk from that of its scores, which are in scores().
  void backward(const Runs& runs, const std::vector<float*>& d_W, const std::vector<float*>& d_b,
                float* d_a_q, float* d_a_k) {
    const std::int64_t N = rows_of(runs);
    float* d_out = scores_.f32();
    for (std::size_t l = layers_.size(); l-- > 0;) {
      const std::int64_t out = layers_[l].W.dim(0), in = layers_[l].W.dim(1);
      if (d_W[l])
        kernels::gemm(exec_,
                      {.M = out, .N = in, .K = N, .lda = out, .ldb = in, .ldc = in, .transpose_a = true},
                      d_out, hidden_[l].f32(), d_W[l], {.accumulate = true});
      if (d_b[l]) kernels::column_sum(exec_, N, out, d_out, d_b[l]);
      float* d_hidden = hidden_[l].f32();  // read above for the last time
      kernels::gemm(exec_, {.M = N, .N = in, .K = out, .lda = out, .ldb = in, .ldc = in}, d_out,
                    layers_[l].W.f32(), d_hidden);
      kernels::activation_backward(exec_, N * in, options_.activation, {}, pre_[l].f32(), d_hidden, d_hidden);
      d_out = d_hidden;
    }
    kernels::pair_rows_backward(exec_, pairs_.extents(), runs, a_q_.dim(1), d_out, d_a_q, d_a_k);
  }

 private:
  void linear(std::int64_t N, std::size_t l, float* out) {
    const MatchLayer& layer = layers_[l];
    const std::int64_t outputs = layer.W.dim(0), inputs = layer.W.dim(1);
    kernels::gemm(exec_,
                  {.M = N,
                   .N = outputs,
                   .K = inputs,
                   .lda = inputs,
                   .ldb = inputs,
                   .ldc = outputs,
                   .transpose_b = true},
                  hidden_[l].f32(), layer.W.f32(), out,
                  {.bias = layer.b.defined() ? layer.b.f32() : nullptr});
  }

  const kernels::Execution& exec_;
  const Tensor &a_q_, &a_k_;
  const std::vector<MatchLayer>& layers_;
  const Pairs& pairs_;
  MatchOptions options_;
  std::vector<Tensor> pre_, hidden_;
  Tensor scores_;
};

// Where shares of the gradient of `tensor` are added; null if it wants none.
float* sums_of(const Tensor& tensor) {
  if (!tensor.defined() || !tensor.requires_grad()) return nullptr;
  const auto target = gradient_target(tensor);
  if (!target.accumulate) std::fill_n(target.data, tensor.elements(), 0.0f);
  return target.data;
}

bool records(const Context& ctx, const Tensor& a_q, const Tensor& a_k,
             const std::vector<MatchLayer>& layers) {
  bool any = ctx.records({&a_q, &a_k});
  for (const MatchLayer& layer : layers) any = any || ctx.records({&layer.W, &layer.b});
  return any;
}

}  // namespace

Tensor match_scores(const Context& ctx, const Tensor& a_q, const Tensor& a_k,
                    const std::vector<MatchLayer>& layers, const PairsPtr& pairs,
                    const MatchOptions& options) {
  validate(a_q, a_k, layers, *pairs, options);
  Tensor scores = Tensor::empty({pairs->elements()});
  {
    Network network(ctx.exec, a_q, a_k, layers, *pairs, options);
    for (const Runs& runs : kernels::chunks_of_pairs(pairs->extents(), options.rows)) {
      network.forward(runs, true);
      kernels::scatter_pair_rows(pairs->extents(), runs, network.scores(), scores.f32());
    }
  }
  if (!records(ctx, a_q, a_k, layers)) return scores;
  if (a_k.requires_grad() && !pairs->keys().rows.empty())
    throw Error(Error::Kind::bug, "match", "gradients of keys do not serve keys by row");

  require_grad(scores);
  ctx.tape->record([exec = ctx.exec, a_q, a_k, layers, pairs, options, scores] {
    const Tensor d_scores = arrived_gradient(scores);
    if (!d_scores.defined()) return;
    std::vector<float*> d_W, d_b;
    for (const MatchLayer& layer : layers) {
      d_W.push_back(sums_of(layer.W));
      d_b.push_back(sums_of(layer.b));
    }
    float *d_a_q = sums_of(a_q), *d_a_k = sums_of(a_k);
    Network network(exec, a_q, a_k, layers, *pairs, options);
    for (const Runs& runs : kernels::chunks_of_pairs(pairs->extents(), options.rows)) {
      network.forward(runs, false);
      kernels::gather_pair_rows(pairs->extents(), runs, d_scores.f32(), network.scores());
      network.backward(runs, d_W, d_b, d_a_q, d_a_k);
    }
  });
  return scores;
}

}  // namespace fovea::ops
