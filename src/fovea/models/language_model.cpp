#include "fovea/models/language_model.h"

#include <algorithm>
#include <string>

#include "fovea/base/error.h"
#include "fovea/kernels/cross_entropy.h"
#include "fovea/nn/layers.h"

namespace fovea::models {

using attention::CausalPass;
using attention::Sequences;

void LanguageState::reorder(std::span<const std::int32_t> parents) {
  for (auto& cache : caches_) cache.reorder(parents);
}

formats::SafetensorsWriter LanguageModel::weights_file(
    DType dtype, const std::map<std::string, std::string>& metadata) const {
  formats::SafetensorsWriter file(metadata);
  add_parameters(file, parameters_, dtype);
  return file;
}

void LanguageModel::read_weights(const formats::Weights& file, const Packing* packing) {
  packed_non_finite_ = read_parameters(file, parameters_, packing, names_in(file));
}

Tensor LanguageModel::states_of(const ops::Context& ctx, std::span<const std::int32_t> tokens,
                                const CausalPass& pass) const {
  if (std::ssize(tokens) != pass.rows())
    throw Error(Error::Kind::bug, "language model",
                std::to_string(tokens.size()) + " tokens for " + std::to_string(pass.rows()) + " rows");
  for (const auto position : pass.position())
    if (position >= max_positions())
      throw Error(Error::Kind::bug, "language model",
                  "position " + std::to_string(position) + " is beyond the " +
                      std::to_string(max_positions()) + " that the model has");
  return states(ctx, tokens, pass);
}

ops::LossSums LanguageModel::loss(const ops::Context& ctx, const LanguageBatch& batch, float label_smoothing,
                                  float weight) const {
  const Tensor states_ND = states_of(ctx, batch.tokens, CausalPass(Sequences::packed(batch.start)));
  return ops::linear_cross_entropy(ctx, states_ND, output().value, output_bias(), ops::ids_tensor(batch.next),
                                   label_smoothing, weight);
}

std::vector<float> LanguageModel::losses(const ops::Context& ctx, const LanguageBatch& batch) const {
  constexpr std::int64_t at_once = 128;  // rows of logits
  const Tensor states_ND = states_of(ctx, batch.tokens, CausalPass(Sequences::packed(batch.start)));
  const std::int64_t N = std::ssize(batch.tokens), V = output().shape[0];
  std::vector<float> smoothed(static_cast<std::size_t>(N)), losses(static_cast<std::size_t>(N));
  for (std::int64_t first = 0; first < N; first += at_once) {
    const std::int64_t rows = std::min(at_once, N - first);
    const Tensor logits = nn::linear(ctx, states_ND.rows(first, first + rows), output(), output_bias());
    kernels::cross_entropy(ctx.exec, {.N = rows, .V = V, .gradient = false}, logits.f32(),
                           batch.next.data() + first, smoothed.data() + first, losses.data() + first);
  }
  return losses;
}

Tensor LanguageModel::predict(const ops::Context& ctx, std::span<const std::int32_t> tokens,
                              std::span<const std::int32_t> start) const {
  return nn::linear(ctx, states_of(ctx, tokens, CausalPass(Sequences::packed(start))), output(),
                    output_bias());
}

void LanguageModel::read(const ops::Context& ctx, std::span<const std::int32_t> tokens) const {
  const std::vector<std::int32_t> start{0, static_cast<std::int32_t>(tokens.size())};
  states_of(ctx, tokens, CausalPass(Sequences::packed(start)));
}

std::unique_ptr<LanguageState> LanguageModel::start(const ops::Context& ctx,
                                                    std::span<const std::vector<std::int32_t>> texts,
                                                    Tensor* states) const {
  std::vector<attention::KeyValueCache> caches;
  // Keys and values are held as weights are: f32, or where those are narrower bf16.
  const auto& packed = output().packed;
  const bool narrow = packed.bytes() > 0 && packed.dtype() != DType::f32;
  for (const auto& layer : heads()) {
    auto options = layer.cache();
    options.dtype = narrow ? DType::bf16 : DType::f32;
    caches.emplace_back(options);
  }
  auto state = std::make_unique<LanguageState>(std::move(caches));
  admit(ctx, *state, texts, states);
  return state;
}

void LanguageModel::admit(const ops::Context& ctx, LanguageState& state,
                          std::span<const std::vector<std::int32_t>> texts, Tensor* states) const {
  const auto before = static_cast<std::size_t>(state.rows());
  for (auto& cache : state.caches()) cache.admit(std::ssize(texts));
  auto tokens = std::make_shared<Sequences>();
  tokens->start.assign(before, 0);
  tokens->count.assign(before, 0);
  std::vector<std::int32_t> packed;
  for (const auto& text : texts) {
    tokens->start.push_back(std::ssize(packed));
    tokens->count.push_back(std::ssize(text));
    packed.insert(packed.end(), text.begin(), text.end());
  }
  Tensor read;
  if (!packed.empty()) read = states_of(ctx, packed, CausalPass(state.caches(), tokens));
  if (states) *states = std::move(read);
}

Tensor LanguageModel::step(const ops::Context& ctx, LanguageState& state,
                           std::span<const std::int32_t> tokens, Tensor* states) const {
  const Tensor read = states_of(ctx, tokens, CausalPass::step(state.caches()));
  if (states) *states = read;
  return nn::linear(ctx, read, output(), output_bias());
}

}  // namespace fovea::models
