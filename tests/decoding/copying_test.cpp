// A pointer-generator learns to copy, and then copies what it never wrote before.
#include <gtest/gtest.h>

#include <algorithm>

#include "fovea/base/random.h"
#include "fovea/decoding/beam_search.h"
#include "fovea/decoding/translation_decoder.h"
#include "fovea/kernels/optimiser.h"
#include "fovea/models/recurrent.h"
#include "tests/models/some_pairs.h"

namespace fovea::decoding {
namespace {

using models::Pairs;
using models::RecurrentConfig;
using models::RecurrentModel;
using Ids = std::vector<std::int32_t>;

// Tokens of training and, between them and the special ones, tokens that training never shows.
constexpr std::int32_t first_new = 3, first_known = 13, vocabulary = 45;

/// Numbers that are drawn one after another.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : key_(RandomKey::of(seed, 0, site::shuffle)) {}
  std::int32_t operator()(std::int32_t from, std::int32_t below_this) {
    return from +
           static_cast<std::int32_t>(below(key_, next_++, static_cast<std::uint32_t>(below_this - from)));
  }

 private:
  RandomKey key_;
  std::uint64_t next_ = 0;
};

Ids sentence(Dice& dice) {
  Ids ids(static_cast<std::size_t>(dice(3, 7)));
  for (auto& id : ids) id = dice(first_known, vocabulary);
  return ids;
}

RecurrentConfig config(bool copy) {
  RecurrentConfig config;
  config.source_vocabulary = config.target_vocabulary = vocabulary;
  config.width = config.embedding = config.attention_width = 32;
  config.max_positions = 32;
  config.tie_source_target = config.tie_output = false;
  config.copy = copy;
  return config;
}

/// The target is the source.
void train(RecurrentModel& model, const kernels::Execution& exec, int updates) {
  model.parameters().allocate_gradients();
  const auto values = model.parameters().values(), gradients = model.parameters().gradients();
  std::vector<float> m(static_cast<std::size_t>(values.elements())), v(m.size());
  Dice dice(1);
  for (int t = 1; t <= updates; ++t) {
    Pairs pairs;
    for (int i = 0; i < 32; ++i) {
      const Ids ids = sentence(dice);
      pairs.add(ids, ids);
    }
    ops::Tape tape;
    ops::Context ctx{.exec = exec, .tape = &tape, .training = true, .seed = 1};
    ctx.update = static_cast<std::uint32_t>(t);
    std::ranges::fill(gradients.values(), 0.0f);
    model.loss(ctx, pairs.batch(), 0.0f, 1.0f / static_cast<float>(pairs.target_in.size()));
    tape.backward();
    kernels::adam(exec, values.elements(), {.rate = 5e-3f, .t = t}, gradients.f32(), m.data(), v.data(),
                  values.f32(), nullptr);
  }
}

/// Share of new tokens that come out at their place.
double copied(const RecurrentModel& model, const kernels::Execution& exec) {
  Dice dice(2);
  std::vector<Ids> sources;
  for (int i = 0; i < 100; ++i) {
    sources.push_back(sentence(dice));
    auto& ids = sources.back();
    ids[static_cast<std::size_t>(dice(0, static_cast<std::int32_t>(ids.size())))] =
        dice(first_new, first_known);
    ids.push_back(0);
  }
  const auto found = beam_search(TranslationDecoder(model, exec), sources, {.beam = 4, .max_length = 12});
  int right = 0;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const Ids& tokens = found[i].front().tokens;
    for (std::size_t t = 0; t < std::min(tokens.size(), sources[i].size()); ++t)
      right += sources[i][t] >= first_new && sources[i][t] < first_known && tokens[t] == sources[i][t];
  }
  return right / 100.0;
}

TEST(Copying, WritesWhatTrainingNeverShowed) {
  const kernels::ExecutionOwner owner(1);
  RecurrentModel pointing(config(true), 3), plain(config(false), 3);
  train(pointing, owner.get(), 150);
  train(plain, owner.get(), 150);
  const double with = copied(pointing, owner.get()), without = copied(plain, owner.get());
  EXPECT_GE(with, 0.8);
  EXPECT_LE(without, 0.05);
}

}  // namespace
}  // namespace fovea::decoding
