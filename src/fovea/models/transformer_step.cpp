// The decoder, a token for each of its rows at a time, in memory that is kept from step to step.

#include <algorithm>
#include <string>
#include <utility>

#include "fovea/kernels/linear_top_k.h"
#include "fovea/models/transformer.h"

namespace fovea::models {
namespace {

// Neighbouring rows first .. first + count - 1 that translate one sentence, in layer n.
void find_sentences(const TransformerState& state, std::int64_t n, std::int64_t first, std::int64_t count,
                    std::vector<kernels::BeamQueries>& found) {
  found.clear();
  const auto sentence = [&](std::int64_t row) { return state.sentence[static_cast<std::size_t>(row)].get(); };
  for (std::int64_t row = first, next; row < first + count; row = next) {
    for (next = row + 1; next < first + count && sentence(next) == sentence(row);) ++next;
    found.push_back(sentence(row)->queries(n, row - first, next - row));
  }
}

// Whether reading so few tokens is not worth waking anyone: some hundred microseconds of one core, in which
// the others would mostly wake up.
bool reads_alone(const TransformerConfig& config, std::int64_t tokens) {
  constexpr double worth_waking = 800e3;
  const std::int64_t D = config.width, heads = config.heads * (config.d_k() + config.d_v());
  const std::int64_t weights =
      config.encoder_layers * 2 * D * (heads + config.feed_forward) + config.decoder_layers * D * heads;
  return static_cast<double>(weights * tokens) / 16 < worth_waking;
}

}  // namespace

// Cycles of one core, roughly, for a step of so many rows: multiply-adds, or reading the weights.
double Transformer::step_cost(std::int64_t rows, std::int64_t outputs) const {
  const auto number = [](std::int64_t n) { return static_cast<double>(n); };
  const double D = number(config_.width), F = number(config_.feed_forward);
  const double K = number(config_.heads * config_.d_k()), V = number(config_.heads * config_.d_v());
  const double layer = 3 * D * (K + V) + 2 * D * F;
  const double weights = number(config_.decoder_layers) * layer + number(outputs) * D;
  return weights * std::max(number(rows) / 16, 0.16);
}

// How many threads take rows of a step through all layers, each by itself; 0: all threads share each product.
// A step of some 100 us is not worth waking anyone. One that is gains by a thread for each share of the rows,
// if both can read all of the weights from the last cache: then they meet once a step, not at each product.
int Transformer::shares_of(const ops::Context& ctx, std::int64_t rows, std::int64_t outputs) const {
  constexpr double worth_waking = 400e3, shared_cache = 16e6, least_rows = 8;
  const int threads = ctx.exec.pool->size();
  if (threads == 1 || ctx.recorder || ctx.tape) return 0;
  if (step_cost(rows, outputs) < worth_waking) return 1;
  const double layers = 4 * step_cost(16, 0);  // bytes
  return layers <= shared_cache && static_cast<double>(rows) >= least_rows * threads ? threads : 0;
}

StepRoom Transformer::room_for(std::int64_t rows, kernels::Workspace& memory) const {
  const std::int64_t D = config_.width, K = config_.heads * config_.d_k(), V = config_.heads * config_.d_v();
  const auto room = [&](int slot, std::int64_t columns) {
    return memory.get(0, slot, static_cast<std::size_t>(rows * columns));
  };
  return {room(0, std::max(2 * K + V, FeedForward::room(config_))), room(1, V), room(2, D),
          config_.norm == TransformerConfig::Norm::pre ? room(3, D) : nullptr};
}

// Rows first on, through all layers, into their rows of state.states.
void Transformer::step_rows(const ops::Context& ctx, TransformerState& state,
                            std::span<const std::int32_t> tokens, std::int64_t first,
                            StepShare& share) const {
  const std::int64_t N = std::ssize(tokens);
  const auto past = state.past_of(first, N);
  share.position.clear();
  for (std::int64_t i = 0; i < N; ++i)
    share.position.push_back(static_cast<std::int32_t>(past.count[i] - 1 + config_.position_offset));
  float* x = state.states.f32() + first * config_.width;
  const Ends& ends = decoder_ends_;
  nn::embed_rows(ctx.exec, tokens, *ends.embedding, embedding_scale(), share.position, positions(ends), x);
  if (ends.embedding_norm) ends.embedding_norm->rows(ctx.exec, N, x, nullptr, x);
  const StepRoom room = room_for(N, share.memory);
  for (std::size_t n = 0; n < decoder_.size(); ++n) {
    find_sentences(state, static_cast<std::int64_t>(n), first, N, share.sentences);
    decoder_[n].step(ctx, x, state.cache[n], past, share.sentences, room);
  }
  if (ends.norm) ends.norm->rows(ctx.exec, N, x, nullptr, x);
  if (const float scale = output_scale(config_); scale != 1.0f)
    std::transform(x, x + N * config_.width, x, [=](float value) { return scale * value; });
}

// The biases of all distances that a row looks back over; kept, and made for twice as many where they end.
void Transformer::reach_back(const ops::Context& ctx, TransformerState& state) const {
  const std::int64_t longest = std::ranges::max(state.past.count);
  if (state.distance_bias.defined() && state.distance_bias.dim(1) >= longest) return;
  const std::int64_t reach = std::max<std::int64_t>(64, 2 * longest);
  ops::Context plain;
  plain.exec = ctx.exec;
  state.distance_bias = (*decoder_ends_.distances)(plain, {0, reach - 1}).values;
}

// All rows through all layers. Returns how what follows is best computed: by all threads, or by this one.
ops::Context Transformer::advance(const ops::Context& ctx, TransformerState& state,
                                  std::span<const std::int32_t> tokens) const {
  const std::int64_t N = state.rows();
  if (std::ssize(tokens) != N)
    throw Error(Error::Kind::bug, "transformer: step",
                std::to_string(tokens.size()) + " tokens for " + std::to_string(N) + " rows");
  const std::int64_t cached = state.add_tokens();
  for (std::size_t n = 0; n < decoder_.size(); ++n) state.cache[n].reserve(cached, decoder_[n].cache_width());
  if (decoder_ends_.distances) reach_back(ctx, state);
  if (!state.states.defined() || state.states.dim(0) < N) state.states = Tensor::empty({N, config_.width});

  const int shares = shares_of(ctx, N, state.output ? state.output->outputs() : config_.target_vocabulary);
  while (std::cmp_less(state.shares.size(), std::max(shares, 1)))
    state.shares.push_back(std::make_unique<StepShare>(ctx.exec.kernels));
  ops::Context how = ctx;
  if (shares == 1) how.exec = state.shares[0]->alone.get();
  if (shares <= 1) {
    step_rows(how, state, tokens, 0, *state.shares[0]);
    return how;
  }
  ctx.exec.pool->run([&](int worker) {
    const std::int64_t first = N * worker / shares, count = N * (worker + 1) / shares - first;
    StepShare& share = *state.shares[static_cast<std::size_t>(worker)];
    ops::Context own = ctx;
    own.exec = share.alone.get();
    step_rows(own, state, tokens.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)),
              first, share);
  });
  return how;
}

Tensor Transformer::step(const ops::Context& ctx, TranslationState& begun,
                         std::span<const std::int32_t> tokens) const {
  auto& state = static_cast<TransformerState&>(begun);
  const ops::Context how = advance(ctx, state, tokens);
  const Tensor states_ND = state.states.rows(0, state.rows());
  return state.output ? (*state.output)(how, states_ND) : logits(how, states_ND);
}

std::shared_ptr<const nn::PartialLinear> Transformer::output_for(const kernels::Execution& exec,
                                                                 std::span<const std::int32_t> tokens) const {
  return std::make_shared<nn::PartialLinear>(exec, *output_, output_bias(), tokens);
}

void Transformer::step_top(const ops::Context& ctx, TranslationState& begun,
                           std::span<const std::int32_t> tokens, const kernels::TopKChoice& choice,
                           float* log_probs, std::int32_t* ids) const {
  auto& state = static_cast<TransformerState&>(begun);
  const ops::Context how = advance(ctx, state, tokens);
  if (const auto* packed = nn::packed_for(how.exec, *output_))
    return kernels::linear_top_k(how.exec, state.rows(), state.states.f32(), *packed,
                                 output_bias().defined() ? output_bias().f32() : nullptr, choice, log_probs,
                                 ids);
  const Tensor all = logits(how, state.states.rows(0, state.rows()));
  kernels::top_k_log_softmax(how.exec, state.rows(), config_.target_vocabulary, choice, all.f32(), log_probs,
                             ids);
}

Tensor Transformer::last_logits(const ops::Context& ctx, const TranslationState& begun) const {
  const auto& state = static_cast<const TransformerState&>(begun);
  return logits(ctx, state.states.rows(0, state.rows()));
}

std::unique_ptr<TranslationState> Transformer::start(
    const ops::Context& ctx, std::span<const std::vector<std::int32_t>> sources) const {
  auto state = std::make_unique<TransformerState>();
  std::vector<std::int32_t> packed, start{0};
  std::vector<std::shared_ptr<SourceMemory>> memories;
  const auto layers = static_cast<std::int64_t>(decoder_.size());
  for (const auto& source : sources) {
    packed.insert(packed.end(), source.begin(), source.end());
    start.push_back(static_cast<std::int32_t>(packed.size()));
    memories.push_back(std::make_shared<SourceMemory>(config_.head_shape(), layers, std::ssize(source)));
  }
  ops::Context how = ctx;
  if (ctx.exec.pool->size() > 1 && reads_alone(config_, start.back())) {
    state->shares.push_back(std::make_unique<StepShare>(ctx.exec.kernels));
    how.exec = state->shares[0]->alone.get();
  }
  const Tensor memory_MD = encode(how, packed, Sequences::packed(start));
  for (std::size_t n = 0; n < decoder_.size(); ++n) {
    const Tensor keys_values = decoder_[n].keys_values(how, memory_MD);
    how.exec.pool->parallel_for(std::ssize(memories), 4, [&](std::int64_t begin, std::int64_t end) {
      for (auto b = static_cast<std::size_t>(begin); b < static_cast<std::size_t>(end); ++b)
        memories[b]->set(ctx.exec.kernels, static_cast<std::int64_t>(n),
                         keys_values.f32() + start[b] * keys_values.dim(1));
    });
  }
  state->cache.resize(decoder_.size());
  for (auto& memory : memories) {
    state->sentence.push_back(std::move(memory));
    state->past.add({});
  }
  return state;
}

void Transformer::admit(const ops::Context& ctx, TranslationState& state,
                        std::span<const std::vector<std::int32_t>> sources) const {
  const auto fresh = start(ctx, sources);
  static_cast<TransformerState&>(state).append(static_cast<const TransformerState&>(*fresh));
}

}  // namespace fovea::models
