#include "fovea/kernels/beam_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/kernels/cpu/attention_simd.h"
#include "fovea/kernels/cpu/loops.h"

namespace fovea::kernels::cpu {
constexpr std::int64_t beam_together = 4;  // queries that share what is read
}

#define FOVEA_BODY "fovea/kernels/cpu/beam_attention.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {
namespace reference {

void beam_sentence(const BeamExtents& x, const BeamQueries& s, const float* q, float* out, float* weights,
                   float*) {
  const std::int64_t E = x.key_width, tiles = (s.length + 15) / 16;
  std::vector<double> w(static_cast<std::size_t>(s.length));
  for (std::int64_t row = 0; row < s.count; ++row)
    for (std::int64_t h = 0; h < x.heads; ++h) {
      const float* query = q + (s.first + row) * x.q_stride + h * E;
      double max = -std::numeric_limits<double>::infinity(), sum = 0.0;
      for (std::int64_t j = 0; j < s.length; ++j) {
        const float* key = s.keys + ((h * tiles + j / 16) * E) * 16 + j % 16;
        double score = 0.0;
        for (std::int64_t e = 0; e < E; ++e) score += static_cast<double>(query[e]) * key[e * 16];
        w[static_cast<std::size_t>(j)] = score * x.scale;
        max = std::max(max, score * x.scale);
      }
      for (double& weight : w) sum += weight = std::exp(weight - max);
      for (double& weight : w) weight /= sum;
      if (weights) std::copy(w.begin(), w.end(), weights + (row * x.heads + h) * s.length);
      for (std::int64_t e = 0; e < x.value_width; ++e) {
        double mixed = 0.0;
        for (std::int64_t j = 0; j < s.length; ++j)
          mixed += w[static_cast<std::size_t>(j)] * s.values[j * x.value_stride + h * x.value_width + e];
        out[(s.first + row) * x.out_stride + h * x.value_width + e] = static_cast<float>(mixed);
      }
    }
}

void store_beam_keys(std::int64_t heads, std::int64_t E, std::int64_t S, const float* k,
                     std::int64_t k_stride, float* to) {
  const std::int64_t padded = (S + 15) / 16 * 16;
  for (std::int64_t h = 0; h < heads; ++h)
    for (std::int64_t j = 0; j < padded; ++j)
      for (std::int64_t e = 0; e < E; ++e)
        to[((h * padded + j / 16 * 16) * E) + e * 16 + j % 16] = j < S ? k[j * k_stride + h * E + e] : 0.0f;
}

}  // namespace reference

namespace {

// How many threads are worth waking: multiply-adds and what a row and head cost besides.
int workers_for(const Execution& exec, const BeamExtents& x) {
  constexpr double worth_waking = 60e3;
  std::int64_t work = 0;
  for (std::int64_t i = 0; i < x.count; ++i)
    work +=
        x.sentences[i].count * (x.sentences[i].length * (x.key_width + x.value_width) / 8 + 100) * x.heads;
  if (static_cast<double>(work) < worth_waking) return 1;
  return static_cast<int>(std::min<std::int64_t>(exec.pool->size(), x.count));
}

}  // namespace

std::int64_t beam_key_floats(std::int64_t heads, std::int64_t key_width, std::int64_t length) {
  return heads * key_width * ((length + 15) / 16 * 16);
}

void store_beam_keys(KernelSet set, std::int64_t heads, std::int64_t key_width, std::int64_t length,
                     const float* k, std::int64_t k_stride, float* to) {
  choose(set, &reference::store_beam_keys, &cpu::plain::store_beam_keys, &cpu::avx2::store_beam_keys,
         &cpu::avx512::store_beam_keys)(heads, key_width, length, k, k_stride, to);
}

void beam_attention(const Execution& exec, const BeamExtents& x, const float* q, float* out, float* weights) {
  if (x.heads <= 0 || x.key_width <= 0 || x.value_width <= 0)
    throw Error(Error::Kind::bug, "beam_attention",
                "heads and their widths must be positive: " + std::to_string(x.heads) + ", " +
                    std::to_string(x.key_width) + ", " + std::to_string(x.value_width));
  const auto sentence = choose(exec.kernels, &reference::beam_sentence, &cpu::plain::beam_sentence,
                               &cpu::avx2::beam_sentence, &cpu::avx512::beam_sentence);
  std::int64_t longest = 0;
  for (std::int64_t i = 0; i < x.count; ++i) longest = std::max(longest, x.sentences[i].length);
  const auto room = static_cast<std::size_t>(cpu::beam_together * ((longest + 15) / 16 * 16));
  const int workers = weights ? 1 : std::max(1, workers_for(exec, x));
  const auto share = [&](int worker) {
    if (worker >= workers) return;
    float* scores = exec.workspace->get(worker, 3, room);
    float* of_sentence = weights;
    for (std::int64_t i = x.count * worker / workers; i < x.count * (worker + 1) / workers; ++i) {
      const BeamQueries& s = x.sentences[i];
      sentence(x, s, q, out, of_sentence, scores);
      if (of_sentence) of_sentence += s.count * x.heads * s.length;
    }
  };
  if (workers == 1) return share(0);
  exec.pool->run(share);
}

}  // namespace fovea::kernels
