#include "fovea/decoding/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "fovea/base/error.h"

namespace fovea::decoding {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

// Uniform in [0, 1), 53 bits.
double uniform_at(const RandomKey& key, std::int64_t position) {
  const auto element = 2 * static_cast<std::uint64_t>(position);
  const std::uint64_t high = random_word(key, element), low = random_word(key, element + 1);
  return static_cast<double>((high << 32 | low) >> 11) * 0x1p-53;
}

}  // namespace

void validate(const Sampling& sampling) {
  const auto expect = [](bool holds, const char* option, const std::string& found, const char* remedy) {
    if (!holds) throw Error(Error::Kind::usage, option, "is " + found, remedy);
  };
  using std::to_string;
  expect(sampling.temperature > 0 && std::isfinite(sampling.temperature), "temperature",
         to_string(sampling.temperature), "use a number above 0; for the most probable token a beam of 1");
  expect(sampling.top_k >= 0, "top k", to_string(sampling.top_k), "use at least 1, or 0 for all");
  expect(sampling.top_p > 0 && sampling.top_p <= 1, "top p", to_string(sampling.top_p),
         "use a number above 0, at most 1");
  expect(sampling.min_p >= 0 && sampling.min_p <= 1, "min p", to_string(sampling.min_p),
         "use a number from 0 to 1");
  expect(sampling.typical_p > 0 && sampling.typical_p <= 1, "typical p", to_string(sampling.typical_p),
         "use a number above 0, at most 1");
}

RandomKey Sampler::key(std::uint64_t sentence, std::uint32_t number) const {
  const auto words = philox(RandomKey::of(sampling_.seed, 0, site::sample), sentence);
  return RandomKey::of(std::uint64_t{words[1]} << 32 | words[0], number, site::sample);
}

Drawn Sampler::draw(std::span<const float> logits, const RandomKey& key, std::int64_t position) {
  float best = -infinity;
  bool bad = false;
  for (const float x : logits) {
    bad |= !(x < infinity);
    best = std::max(best, x);
  }
  if (bad) return {Drawn::not_a_number};
  if (best == -infinity) return {Drawn::nothing};
  kept_.clear();
  double whole = 0.0;
  for (std::size_t v = 0; v < logits.size(); ++v) {
    const float below = logits[v] - best;
    const auto share = static_cast<double>(std::exp(below));
    whole += share;
    const double weight =
        sampling_.temperature == 1.0 ? share : std::exp(static_cast<double>(below) / sampling_.temperature);
    if (weight > 0.0) kept_.push_back({weight, static_cast<std::int32_t>(v), below});
  }
  const auto log_whole = static_cast<float>(std::log(whole));
  keep_top_k();
  Drawn drawn = choose(key, position);
  drawn.log_probability -= log_whole;
  return drawn;
}

Drawn Sampler::draw(std::span<const std::int32_t> ids, std::span<const float> log_probabilities,
                    const RandomKey& key, std::int64_t position) {
  if (!(log_probabilities.front() > -infinity)) return {Drawn::nothing};
  kept_.clear();
  for (std::size_t i = 0; i < ids.size() && log_probabilities[i] > -infinity; ++i) {
    const auto below = static_cast<double>(log_probabilities[i] - log_probabilities.front());
    const double weight = std::exp(below / sampling_.temperature);
    if (weight > 0.0) kept_.push_back({weight, ids[i], log_probabilities[i]});
  }
  keep_top_k();
  return choose(key, position);
}

void Sampler::keep_top_k() {
  const auto k = static_cast<std::size_t>(sampling_.top_k);
  if (k == 0 || k >= kept_.size()) return;
  std::nth_element(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(k), kept_.end());
  kept_.resize(k);
}

// The nucleus is among the tokens above some weight: the fewer are sorted the better.
void Sampler::keep_top_p() {
  if (sampling_.top_p >= 1.0) return;
  double wanted = 0.0;
  for (const auto& one : kept_) wanted += sampling_.top_p * one.weight;
  auto end = kept_.begin();
  double sum = 0.0;
  for (double least = 1e-2; end != kept_.end() && sum < wanted; least *= 1e-3) {
    end =
        std::partition(kept_.begin(), kept_.end(), [&](const Weighted& one) { return one.weight >= least; });
    sum = 0.0;
    for (auto at = kept_.begin(); at != end; ++at) sum += at->weight;
  }
  std::sort(kept_.begin(), end);
  sum = 0.0;
  auto last = kept_.begin();
  while (last != end && sum < wanted) sum += (last++)->weight;
  kept_.erase(last, kept_.end());
}

void Sampler::keep_typical() {
  if (sampling_.typical_p >= 1.0) return;
  double sum = 0.0, mean = 0.0;  // of -log weight; what the sum adds to it is the same for all
  for (const auto& one : kept_) {
    sum += one.weight;
    mean -= one.weight * std::log(one.weight);
  }
  mean /= sum;
  const auto distance = [&](const Weighted& one) {
    return std::pair(std::abs(-std::log(one.weight) - mean), one.token);
  };
  std::ranges::sort(kept_, {}, distance);
  double passed = 0.0;
  std::size_t count = 0;
  while (count < kept_.size() && passed < sampling_.typical_p * sum) passed += kept_[count++].weight;
  kept_.resize(count);
}

Drawn Sampler::choose(const RandomKey& key, std::int64_t position) {
  keep_top_p();
  std::erase_if(kept_, [&](const Weighted& one) { return one.weight < sampling_.min_p; });
  keep_typical();
  double sum = 0.0;
  for (const auto& one : kept_) sum += one.weight;
  const double wanted = uniform_at(key, position) * sum;
  double passed = 0.0;
  for (const auto& one : kept_) {
    passed += one.weight;
    if (passed > wanted) return {one.token, one.log_probability};
  }
  return {kept_.back().token, kept_.back().log_probability};  // rounding kept the sum below what is wanted
}

}  // namespace fovea::decoding
