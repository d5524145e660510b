// Sentences that join a decoder in mid-sentence: nobody notices, neither they nor those beside them.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "fovea/base/random.h"
#include "fovea/kernels/execution.h"
#include "fovea/models/recurrent.h"
#include "fovea/models/transformer.h"
#include "tests/models/family_variants.h"
#include "tests/models/recurrent_variants.h"
#include "tests/models/small_config.h"

namespace fovea::models {
namespace {

using Ids = std::vector<std::int32_t>;

/// A decoder whose rows come, go and fork at random, beside one state for each row that holds it alone.
class Crowd {
 public:
  Crowd(const TranslationModel& model, std::uint64_t seed)
      : model_(model), key_(RandomKey::of(seed, 0, site::sample)) {
    ctx_.exec = owner_.get();
  }

  void run(int steps) {
    for (int step = 0; step < steps; ++step) {
      if (state_ && draw(2) == 0) reorder();
      if (rows_.empty() || (rows_.size() < 9 && draw(3) == 0)) admit();
      this->step();
    }
    EXPECT_GT(joined_in_mid_sentence_, 2);
  }

 private:
  struct Row {
    Ids source, fed;
  };

  std::uint32_t draw(std::uint32_t bound) { return below(key_, drawn_++, bound); }
  std::int32_t draw_token() {
    const auto words =
        static_cast<std::uint32_t>(std::min(model_.vocabulary().source, model_.vocabulary().target));
    return static_cast<std::int32_t>(3 + draw(words - 3));
  }

  void admit() {
    std::vector<Ids> sources(1 + draw(3));
    for (auto& source : sources) {
      source.resize(draw(6));
      for (auto& id : source) id = draw_token();
      source.push_back(model_.vocabulary().eos);
    }
    if (rows_.empty()) {
      state_ = model_.start(ctx_, sources);
    } else {
      model_.admit(ctx_, *state_, sources);
      ++joined_in_mid_sentence_;
    }
    for (const auto& source : sources) rows_.push_back({source, {}});
    ASSERT_EQ(state_->rows(), std::ssize(rows_));
  }

  void reorder() {
    std::vector<std::int32_t> parents;
    std::vector<Row> next;
    for (std::size_t row = 0; row < rows_.size(); ++row)
      for (std::uint32_t copy = draw(3), most = rows_.size() < 6 ? 2 : 1; copy > 0 && most > 0;
           --copy, --most)
        if (rows_[row].fed.size() < 12) parents.push_back(static_cast<std::int32_t>(row));
    for (std::size_t i = parents.size(); i > 1; --i)
      std::swap(parents[i - 1], parents[draw(static_cast<std::uint32_t>(i))]);
    for (const auto parent : parents) next.push_back(rows_[static_cast<std::size_t>(parent)]);
    state_->reorder(parents);
    rows_ = std::move(next);
  }

  void step() {
    Ids tokens;
    for (auto& row : rows_) {
      tokens.push_back(row.fed.empty() ? model_.vocabulary().start : draw_token());
      row.fed.push_back(tokens.back());
    }
    const Tensor logits = model_.step(ctx_, *state_, tokens);
    const std::int64_t V = model_.vocabulary().target;
    for (std::size_t row = 0; row < rows_.size(); ++row) {
      const Tensor alone = logits_alone(rows_[row]);
      for (std::int64_t v = 0; v < V; ++v)
        ASSERT_EQ(logits.f32()[static_cast<std::int64_t>(row) * V + v], alone.f32()[v])
            << "row " << row << " of " << rows_.size() << " at token " << rows_[row].fed.size();
    }
  }

  Tensor logits_alone(const Row& row) const {
    const auto state = model_.start(ctx_, std::vector<Ids>{row.source});
    Tensor logits;
    for (const auto token : row.fed) logits = model_.step(ctx_, *state, Ids{token});
    return logits;
  }

  const TranslationModel& model_;
  RandomKey key_;
  std::uint64_t drawn_ = 0;
  kernels::ExecutionOwner owner_{2};
  ops::Context ctx_;
  std::unique_ptr<TranslationState> state_;
  std::vector<Row> rows_;
  int joined_in_mid_sentence_ = 0;
};

TEST(Admission, TransformersTakeSentencesInMidSentence) {
  for (const bool pre_norm : {false, true}) {
    TransformerConfig config = small_config();
    if (pre_norm) {
      config.norm = TransformerConfig::Norm::pre;
      config.positions = TransformerConfig::Positions::learned;
    }
    const Transformer model(config, 3);
    for (const std::uint64_t seed : {1, 2, 3}) Crowd(model, seed).run(40);
  }
}

TEST(Admission, ModelsOfEveryFamilyTakeSentencesInMidSentence) {
  for (const auto& [name, config] : family_variants()) {
    SCOPED_TRACE(name);
    const Transformer model(config, 3);
    Crowd(model, 1).run(40);
  }
}

class RecurrentAdmission : public testing::TestWithParam<std::string> {};

TEST_P(RecurrentAdmission, SentencesAreTakenInMidSentence) {
  const RecurrentModel model(variant(GetParam()), 7);
  for (const std::uint64_t seed : {1, 2}) Crowd(model, seed).run(25);
}

INSTANTIATE_TEST_SUITE_P(All, RecurrentAdmission, testing::ValuesIn(variant_names()),
                         [](const auto& variant) { return variant.param; });

}  // namespace
}  // namespace fovea::models
