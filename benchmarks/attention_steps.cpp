// Attention as a recurrent decoder calls it while it trains: one query a sequence at each of T steps, the
// longest targets first, so that fewer and fewer sequences are alive; then everything backward. Microseconds
// a step of the quickest run, forward and backward, by score and normaliser, and before it what they take
// when every step sends its own gradients of keys and values. Projections of queries and keys are not
// counted.
//
//   bench_attention_steps THREADS [B S T D E [RUNS]]      (2 80 16 16 256 512 20)

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "fovea/attention/attend.h"
#include "fovea/attention/match_score.h"
#include "fovea/base/random.h"

namespace fovea::attention {
namespace {

using Clock = std::chrono::steady_clock;

struct Sizes {
  std::int64_t B = 80, S = 16, T = 16, D = 256, E = 512;
};

Tensor normals(Shape shape, std::uint64_t seed, float scale) {
  Tensor tensor = Tensor::empty(shape);
  for (std::int64_t i = 0; i < tensor.elements(); ++i)
    tensor.f32()[i] = scale * normal(RandomKey::of(seed, 0, 1), static_cast<std::uint64_t>(i));
  return tensor;
}

std::shared_ptr<const Sequences> equal_lengths(std::int64_t count, std::int64_t length) {
  std::vector<std::int32_t> offsets;
  for (std::int64_t b = 0; b <= count; ++b) offsets.push_back(static_cast<std::int32_t>(b * length));
  return Sequences::packed(offsets);
}

// A score whose queries and keys come projected: those products are not attention's.
class Compared : public Score {
 public:
  explicit Compared(std::shared_ptr<const Score> score) : score_(std::move(score)) {}
  std::string_view name() const override { return score_->name(); }
  Form form() const override { return score_->form(); }
  std::int64_t heads() const override { return score_->heads(); }
  std::int64_t width() const override { return score_->width(); }
  PackedHeads queries(const ops::Context&, const PackedHeads& q) const override { return q; }
  PackedHeads keys(const ops::Context&, const PackedHeads& k) const override { return k; }
  float scale() const override { return score_->scale(); }
  Tensor v(const ops::Context& ctx) const override { return score_->v(ctx); }
  Tensor pairs(const ops::Context& ctx, const PackedHeads& q, const PackedHeads& k,
               const ops::PairsPtr& pairs) const override {
    return score_->pairs(ctx, q, k, pairs);
  }

 private:
  std::shared_ptr<const Score> score_;
};

struct Way {
  std::string name, score;
  AttendOptions options;
};

// One sentence batch read by T steps.
class Steps {
 public:
  Steps(const Sizes& n, const Way& way, int threads) : n_(n), way_(way), owner_(threads) {
    nn::Builder builder(parameters_);
    const auto score =
        make_score(builder, "score", {.name = way.score, .query_width = n.D, .key_width = n.D, .width = n.D});
    score_ = std::make_shared<Compared>(score);
    location_ = std::dynamic_pointer_cast<const LocationScore>(score);
    parameters_.allocate(1);
    parameters_.allocate_gradients();
    keys_ = normals({n.B * n.S, n.D}, 1, 0.5f);
    values_ = normals({n.B * n.S, n.E}, 2, 0.5f);
    sequences_ = equal_lengths(n.B, n.S);
    for (std::int64_t t = 0; t < n.T; ++t) {
      queries_.push_back(normals({n.B, n.D}, 3 + static_cast<std::uint64_t>(t), 0.5f));
      d_context_.push_back(normals({n.B, n.E}, 100 + static_cast<std::uint64_t>(t), 0.1f));
    }
  }

  struct Seconds {
    double forward = 1e30, backward = 1e30;
  };
  Seconds run(bool stepwise) {
    ops::Tape tape;
    ops::Context ctx;
    ctx.exec = owner_.get();
    ctx.tape = &tape;
    ctx.training = true;
    Tensor keys = keys_.detached(), values = values_.detached();
    ops::require_grad(keys);
    ops::require_grad(values);
    const auto one = equal_lengths(n_.B, 1);
    std::vector<Tensor> queries, contexts;
    for (const Tensor& q : queries_) ops::require_grad(queries.emplace_back(q.detached()));
    const auto make = stepwise ? &remember_stepwise : &remember;
    const Memory memory = make(ctx, *score_, {keys}, {values}, n_.E, sequences_);
    const auto begin = Clock::now();
    Tensor weights;
    for (const Tensor& q : queries) {
      AttendOptions options = way_.options;
      if (options.normaliser == Normaliser::monotonic || location_)
        options.weights = WeightsWanted::with_gradient;
      options.previous = location_ ? Tensor() : weights;
      const Memory seen =
          location_ && weights.defined() ? location_->memory_after(ctx, memory, weights) : memory;
      const Attended attended = attend(ctx, *score_, {q}, one, seen, options);
      weights = attended.weights;
      contexts.push_back(attended.context);
    }
    const auto turn = Clock::now();
    for (std::size_t t = 0; t < contexts.size(); ++t) ops::give_gradient(contexts[t], d_context_[t]);
    tape.backward();
    const auto end = Clock::now();
    return {std::chrono::duration<double>(turn - begin).count(),
            std::chrono::duration<double>(end - turn).count()};
  }

 private:
  Sizes n_;
  Way way_;
  kernels::ExecutionOwner owner_;
  nn::Parameters parameters_;
  std::shared_ptr<const Score> score_;
  std::shared_ptr<const LocationScore> location_;
  Tensor keys_, values_;
  std::shared_ptr<const Sequences> sequences_;
  std::vector<Tensor> queries_, d_context_;
};

std::vector<Way> ways() {
  std::vector<Way> all;
  for (const char* score : {"additive", "additive_normalised", "dot", "match", "location"})
    all.push_back({score, score, {}});
  for (const auto& [name, normaliser] : {std::pair{"sparsemax", Normaliser::sparsemax},
                                         {"hardmax", Normaliser::hardmax},
                                         {"monotonic", Normaliser::monotonic}})
    all.push_back({std::string("additive ") + name, "additive", {.normaliser = normaliser}});
  return all;
}

int measure(const std::vector<std::int64_t>& n) {
  const Sizes sizes{n[1], n[2], n[3], n[4], n[5]};
  std::printf("%lld threads, B %lld, S %lld, T %lld, D %lld, E %lld: us a step\n", (long long)n[0],
              (long long)n[1], (long long)n[2], (long long)n[3], (long long)n[4], (long long)n[5]);
  for (const Way& way : ways()) {
    Steps steps(sizes, way, static_cast<int>(n[0]));
    Steps::Seconds best[2];
    for (std::int64_t i = 0; i < 2 * n[6]; ++i) {
      const auto seconds = steps.run(i % 2 == 1);
      Steps::Seconds& least = best[i % 2];
      least = {std::min(least.forward, seconds.forward), std::min(least.backward, seconds.backward)};
    }
    const double each = 1e6 / static_cast<double>(sizes.T);
    std::printf("  %-20s forward %8.1f -> %8.1f   backward %8.1f -> %8.1f\n", way.name.c_str(),
                best[0].forward * each, best[1].forward * each, best[0].backward * each,
                best[1].backward * each);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace fovea::attention

int main(int argc, char** argv) {
  std::vector<std::int64_t> numbers{2, 80, 16, 16, 256, 512, 20};
  for (int i = 1; i < argc && i <= static_cast<int>(numbers.size()); ++i)
    numbers[static_cast<std::size_t>(i - 1)] = std::atoll(argv[i]);
  return fovea::attention::measure(numbers);
}
