#include "fovea/attention/causal.h"

#include <algorithm>

#include "fovea/base/error.h"

namespace fovea::attention {
namespace {

// Position of each row of a packed matrix, `first` of its sequence at least.
std::vector<std::int32_t> positions(const Sequences& tokens, std::span<const std::int64_t> first) {
  std::int64_t rows = 0;
  for (const auto count : tokens.count) rows += count;
  std::vector<std::int32_t> position(static_cast<std::size_t>(rows));
  for (std::size_t b = 0; b < tokens.start.size(); ++b)
    for (std::int64_t t = 0; t < tokens.count[b]; ++t)
      position.at(static_cast<std::size_t>(tokens.start[b] + t)) =
          static_cast<std::int32_t>((first.empty() ? 0 : first[b]) + t);
  return position;
}

}  // namespace

CacheOptions CausalHeads::cache() const {
  return {.kv_heads = kv_heads,
          .key_width = width,
          .value_width = width,
          .window_left = window > 0 ? window - 1 : -1};
}

CausalPass::CausalPass(std::shared_ptr<const Sequences> tokens)
    : tokens_(std::move(tokens)), position_(positions(*tokens_, {})) {}

CausalPass::CausalPass(std::span<KeyValueCache> caches, std::shared_ptr<const Sequences> tokens)
    : tokens_(std::move(tokens)), caches_(caches) {
  const KeyValueCache& cache = caches.front();
  if (cache.sequences() != tokens_->size())
    throw Error(Error::Kind::bug, "causal pass",
                "tokens of " + std::to_string(tokens_->size()) + " sequences for caches of " +
                    std::to_string(cache.sequences()));
  std::vector<std::int64_t> first;
  for (std::int64_t b = 0; b < cache.sequences(); ++b) {
    first.push_back(cache.length(b));
    fresh_ = fresh_ && (first.back() == 0 || tokens_->count[static_cast<std::size_t>(b)] == 0);
  }
  position_ = positions(*tokens_, first);
}

CausalPass CausalPass::step(std::span<KeyValueCache> caches) {
  auto tokens = std::make_shared<Sequences>();
  for (std::int64_t b = 0; b < caches.front().sequences(); ++b) {
    tokens->start.push_back(b);
    tokens->count.push_back(1);
  }
  CausalPass pass(caches, std::move(tokens));
  pass.fresh_ = false;
  return pass;
}

Tensor CausalPass::attend(const ops::Context& ctx, std::size_t layer, const Tensor& qkv,
                          const CausalHeads& heads, std::string_view place) const {
  const std::int64_t queries = heads.heads * heads.width, keys = heads.kv_heads * heads.width;
  const ops::PackedHeads q{qkv, 0}, k{qkv, queries}, v{qkv, queries + keys};
  if (!caches_.empty()) caches_[layer].append(k, v, *tokens_);
  if (!fresh_)
    return decode_attention(ctx, q, caches_[layer], *tokens_, {.heads = heads.heads, .scale = heads.scale});
  const std::int64_t left = heads.window > 0 ? heads.window - 1 : kernels::Visibility::unbounded;
  return ops::attention(ctx, q, k, v, tokens_, tokens_,
                        {.heads = heads.heads,
                         .kv_heads = heads.kv_heads,
                         .key_width = heads.width,
                         .value_width = heads.width,
                         .scale = heads.scale,
                         .visible = kernels::Visibility::window(left, 0),
                         .dropping = {heads.dropout, heads.site},
                         .place = place});
}

}  // namespace fovea::attention
