#include "fovea/kernels/beam_attention.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "tests/kernels/random_rows.h"
#include "tests/kernels/same_bits.h"

namespace fovea::kernels {
namespace {

using namespace fovea::test;

struct Widths {
  std::int64_t heads, key, value;
};

/// Sentences of these lengths, each with so many queries.
class Batch {
 public:
  Batch(KernelSet set, const Widths& widths, const std::vector<std::int64_t>& lengths,
        const std::vector<std::int64_t>& queries)
      : widths_(widths), row_(widths.heads * (widths.key + widths.value)) {
    for (std::size_t b = 0; b < lengths.size(); ++b) {
      memory_.push_back(normals(lengths[b] * row_, 10 + b));
      keys_.emplace_back(static_cast<std::size_t>(beam_key_floats(widths.heads, widths.key, lengths[b])),
                         NAN);
      store_beam_keys(set, widths.heads, widths.key, lengths[b], memory_.back().data(), row_,
                      keys_.back().data());
    }
    for (std::size_t b = 0; b < lengths.size(); ++b) {
      sentences.push_back(
          {rows, queries[b], lengths[b], keys_[b].data(), memory_[b].data() + widths.heads * widths.key});
      rows += queries[b];
      weights += queries[b] * widths.heads * lengths[b];
    }
    q = normals(rows * widths.heads * widths.key, 3);
  }
  BeamExtents extents() const {
    const auto& [heads, key, value] = widths_;
    return {
        sentences.data(), std::ssize(sentences), heads, key, value, heads * key, row_, heads * value, 0.3f};
  }
  std::vector<float> run(const Execution& exec, float* w = nullptr) const {
    std::vector<float> out(static_cast<std::size_t>(rows * widths_.heads * widths_.value), -7.0f);
    beam_attention(exec, extents(), q.data(), out.data(), w);
    return out;
  }
  float key(std::size_t b, std::int64_t j, std::int64_t h, std::int64_t e) const {
    return memory_[b][static_cast<std::size_t>(j * row_ + h * widths_.key + e)];
  }

  std::vector<BeamQueries> sentences;
  std::vector<float> q;
  std::int64_t rows = 0, weights = 0;

 private:
  Widths widths_;
  std::int64_t row_;
  std::vector<std::vector<float>> memory_, keys_;
};

/// The formula, and its weights.
struct Formula {
  std::vector<double> out, weights;

  Formula(const Batch& batch, const Widths& w) {
    for (std::size_t b = 0; b < batch.sentences.size(); ++b) {
      const BeamQueries& s = batch.sentences[b];
      for (std::int64_t t = s.first; t < s.first + s.count; ++t)
        for (std::int64_t h = 0; h < w.heads; ++h) row(batch, w, b, t, h);
    }
  }

 private:
  void row(const Batch& batch, const Widths& w, std::size_t b, std::int64_t t, std::int64_t h) {
    const BeamQueries& s = batch.sentences[b];
    std::vector<double> p;
    double sum = 0.0;
    for (std::int64_t j = 0; j < s.length; ++j) {
      double score = 0.0;
      for (std::int64_t e = 0; e < w.key; ++e)
        score +=
            double(batch.q[static_cast<std::size_t>((t * w.heads + h) * w.key + e)]) * batch.key(b, j, h, e);
      p.push_back(std::exp(0.3f * score));
      sum += p.back();
    }
    for (const double weight : p) weights.push_back(weight / sum);
    for (std::int64_t e = 0; e < w.value; ++e) {
      double mixed = 0.0;
      for (std::int64_t j = 0; j < s.length; ++j)
        mixed += p[static_cast<std::size_t>(j)] / sum *
                 s.values[j * batch.extents().value_stride + h * w.value + e];
      out.push_back(mixed);
    }
  }
};

TEST(BeamAttention, IsTheFormula) {
  for (const auto set : available_kernels())
    for (const Widths widths : {Widths{1, 1, 1}, {2, 16, 16}, {4, 32, 32}, {3, 13, 37}, {1, 64, 64}}) {
      const ExecutionOwner owner(2, set);
      const Batch batch(set, widths, {1, 15, 16, 17, 40, 0, 33}, {4, 1, 2, 3, 5, 2, 9});
      std::vector<float> weights(static_cast<std::size_t>(batch.weights), -7.0f);
      const auto out = batch.run(owner.get(), weights.data());
      const Formula expected(batch, widths);
      const auto what = std::string(name_of(set)) + " of width " + std::to_string(widths.key);
      expect_near(out, expected.out, 3e-6, what);
      expect_near(weights, expected.weights, 2e-6, what);
      EXPECT_TRUE(same_bits(batch.run(owner.get()), out)) << what << ": without weights";
    }
}

TEST(BeamAttention, ARowDoesNotDependOnThoseBesideItOrOnThreads) {
  const Widths widths{4, 32, 32};
  for (const auto set : available_kernels()) {
    const ExecutionOwner one(1, set), three(3, set);
    const std::vector<std::int64_t> lengths{20, 31, 7, 50, 64, 90, 12};
    const Batch batch(set, widths, lengths, {4, 4, 3, 2, 7, 4, 1});
    auto all = batch.run(three.get());
    EXPECT_TRUE(same_bits(all, batch.run(one.get())));
    for (const BeamQueries& s : batch.sentences)
      for (std::int64_t t = s.first; t < s.first + s.count; ++t) {
        BeamQueries alone = s;
        alone.first = t;
        alone.count = 1;
        BeamExtents x = batch.extents();
        x.sentences = &alone;
        x.count = 1;
        std::vector<float> out(all.size(), 0.0f);
        beam_attention(one.get(), x, batch.q.data(), out.data());
        const auto begin = static_cast<std::size_t>(t * x.out_stride),
                   count = static_cast<std::size_t>(x.out_stride);
        EXPECT_TRUE(same_bits(std::span(out).subspan(begin, count), std::span(all).subspan(begin, count)))
            << name_of(set) << " row " << t;
      }
  }
}

TEST(BeamAttention, RefusesHeadsOfNoWidth) {
  const ExecutionOwner owner(1);
  EXPECT_THROW(beam_attention(owner.get(), {.heads = 2}, nullptr, nullptr), Error);
}

}  // namespace
}  // namespace fovea::kernels
