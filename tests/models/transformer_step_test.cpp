// A decoder's step: what it ranks, and the memory it takes.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "fovea/kernels/execution.h"
#include "fovea/kernels/top_k.h"
#include "fovea/models/transformer.h"
#include "tests/models/small_config.h"

namespace {
std::atomic<std::int64_t> allocations{0};
}

// Every allocation of this program goes by here. Not inlined: g++ 12 would see free() of what `new` gave, and
// warn.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes ? bytes : 1)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t alignment) {
  ++allocations;
  const auto multiple = static_cast<std::size_t>(alignment);
  if (void* memory = std::aligned_alloc(multiple, (bytes + multiple - 1) / multiple * multiple))
    return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace fovea::models {
namespace {

using Ids = std::vector<std::int32_t>;

const std::vector<Ids> sources{{5, 6, 7, 0}, {8, 9, 0}, {4, 0}, {9, 8, 7, 6, 5, 0}};

TransformerConfig config_of(TransformerConfig::Norm norm) {
  auto config = small_config();
  config.norm = norm;
  config.max_positions = 128;
  return config;
}

/// The same model as it is when it was loaded to answer: its matrices are packed.
std::unique_ptr<Transformer> packed(const Transformer& model) {
  const kernels::ExecutionOwner packer(1);
  auto loaded = std::make_unique<Transformer>(model.config(), Declared{});
  auto parameter = model.parameters().all().begin();
  loaded->parameters().load(packer.get(), DType::f32, [&](const nn::Parameter&) {
    return nn::StoredRows{(parameter++)->value, {}};
  });
  loaded->set_output_bias(model.output_bias());
  return loaded;
}

/// Steps with two hypotheses a sentence, which change places.
class Decoding {
 public:
  Decoding(const Transformer& model, int threads) : model_(model), owner_(threads) {
    ctx_.exec = owner_.get();
    state_ = model.start(ctx_, sources);
    state_->reorder(Ids{0, 0, 1, 1, 2, 2, 3, 3});
  }

  void step_top(const kernels::TopKChoice& choice, float* log_probs, std::int32_t* ids) {
    model_.step_top(ctx_, *state_, tokens_, choice, log_probs, ids);
  }
  Tensor step() { return model_.step(ctx_, *state_, tokens_); }
  Tensor last_logits() { return model_.last_logits(ctx_, *state_); }
  void reorder() { state_->reorder(swapped_); }
  /// The sentences leave, and others take their place.
  void replace_sentences() {
    model_.admit(ctx_, *state_, sources);
    state_->reorder(Ids{8, 8, 9, 9, 10, 10, 11, 11});
  }
  const kernels::Execution& exec() const { return ctx_.exec; }

 private:
  const Transformer& model_;
  kernels::ExecutionOwner owner_;
  ops::Context ctx_;
  std::unique_ptr<TranslationState> state_;
  const Ids tokens_{2, 3, 4, 5, 6, 7, 8, 9}, swapped_{1, 0, 2, 2, 5, 4, 7, 6};
};

TEST(TransformerStep, RanksAsItsLogitsDo) {
  constexpr std::int64_t k = 5;
  for (const auto norm : {TransformerConfig::Norm::post, TransformerConfig::Norm::pre})
    for (const bool is_packed : {false, true})
      for (const int threads : {1, 3}) {
        Transformer trained(config_of(norm), 5);
        const std::int64_t V = trained.config().target_vocabulary;
        Tensor bias = Tensor::zeros({V});
        bias.f32()[7] = 1.5f;
        trained.set_output_bias(bias);
        const auto loaded = packed(trained);
        const Transformer& model = is_packed ? *loaded : trained;
        Decoding one(model, threads), other(model, threads);
        std::vector<float> log_probs(8 * k), expected(8 * k);
        Ids ids(8 * k), expected_ids(8 * k);
        for (int step = 0; step < 4; ++step) {
          one.step_top({.k = k}, log_probs.data(), ids.data());
          const Tensor logits = other.step();
          kernels::top_k_log_softmax(other.exec(), 8, V, {.k = k}, logits.f32(), expected.data(),
                                     expected_ids.data());
          EXPECT_EQ(ids, expected_ids);
          EXPECT_EQ(log_probs, expected);
          EXPECT_TRUE(std::ranges::equal(one.last_logits().values(), logits.values()));
          one.reorder();
          other.reorder();
        }
      }
}

// Of the second sentences, that is: the first were as long.
TEST(TransformerStep, AllocatesNothingInSteadyState) {
  constexpr std::int64_t k = 4;
  for (const auto norm : {TransformerConfig::Norm::post, TransformerConfig::Norm::pre})
    for (const int threads : {1, 2}) {
      const auto model = packed(Transformer(config_of(norm), 5));
      Decoding decoding(*model, threads);
      std::vector<float> log_probs(8 * k);
      Ids ids(8 * k);
      const auto allocated_by = [&](int steps) {
        const std::int64_t before = allocations;
        for (int step = 0; step < steps; ++step) {
          decoding.step_top({.k = k}, log_probs.data(), ids.data());
          decoding.reorder();
        }
        return allocations - before;
      };
      EXPECT_GT(allocated_by(50), 0);
      decoding.replace_sentences();
      EXPECT_EQ(allocated_by(50), 0) << threads << " threads";
    }
}

}  // namespace
}  // namespace fovea::models
