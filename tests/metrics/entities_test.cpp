#include "fovea/metrics/entities.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "fovea/base/error.h"

namespace fovea::metrics {
namespace {

using nlohmann::json;
using Labels = std::vector<std::string>;

void expect_score(const ClassScore& ours, const json& theirs, const std::string& what) {
  EXPECT_NEAR(ours.precision, theirs[0].get<double>(), 1e-12) << what;
  EXPECT_NEAR(ours.recall, theirs[1].get<double>(), 1e-12) << what;
  EXPECT_NEAR(ours.f1, theirs[2].get<double>(), 1e-12) << what;
  EXPECT_EQ(ours.support, theirs[3].get<std::int64_t>()) << what;
}

// Made with seqeval 1.2.2: benchmarks/peers/entities.py --golden.
TEST(Entities, AreCountedAsSeqevalCountsThem) {
  const auto cases = json::parse(std::ifstream(FOVEA_SOURCE_DIR "/tests/metrics/entities_golden.json"));
  ASSERT_GT(cases.size(), 200u);
  for (const auto& one : cases) {
    const bool strict = one["mode"] == "strict", iobes = one["scheme"] == "iobes";
    EntityCounter counter(strict ? EntityMode::strict : EntityMode::lenient,
                          iobes ? EntityScheme::iobes : EntityScheme::bio);
    for (std::size_t i = 0; i < one["gold"].size(); ++i)
      counter.add(one["gold"][i].get<Labels>(), one["predicted"][i].get<Labels>());
    const auto scores = counter.scores();
    const std::string what = one.dump();
    for (const auto& [type, score] : scores.types) {
      ASSERT_TRUE(one["scores"].contains(type)) << type << what;
      expect_score(score, one["scores"][type], type + what);
    }
    EXPECT_EQ(one["scores"].size(), scores.types.size() + 3) << what;
    expect_score(scores.micro, one["scores"]["micro avg"], "micro" + what);
    expect_score(scores.macro, one["scores"]["macro avg"], "macro" + what);
    expect_score(scores.weighted, one["scores"]["weighted avg"], "weighted" + what);
  }
}

TEST(Entities, ModesDifferInLabelsThatDoNotFit) {
  const Labels labels{"I-PER", "I-PER", "O", "B-LOC", "I-PER"};
  using Set = std::set<Entity>;
  EXPECT_EQ(entities(labels, EntityMode::lenient, EntityScheme::bio),
            (Set{{"PER", 0, 2}, {"LOC", 3, 4}, {"PER", 4, 5}}));
  EXPECT_EQ(entities(labels, EntityMode::strict, EntityScheme::bio), (Set{{"LOC", 3, 4}}));
  const Labels ends{"S-PER", "B-LOC", "I-LOC", "E-LOC", "B-LOC", "O", "E-PER"};
  EXPECT_EQ(entities(ends, EntityMode::strict, EntityScheme::iobes), (Set{{"PER", 0, 1}, {"LOC", 1, 4}}));
}

TEST(Entities, LabelsSayWhetherTheyAreOfEntities) {
  EXPECT_TRUE(are_entity_labels(Labels{"O", "B-PER", "I-PER"}));
  EXPECT_FALSE(are_entity_labels(Labels{"NOUN", "VERB", "O"}));
  EXPECT_FALSE(are_entity_labels(Labels{"O"}));
  EXPECT_FALSE(are_entity_labels(Labels{"B", "I"})) << "no type";
  EXPECT_EQ(scheme_of(Labels{"O", "B-X", "I-X"}), EntityScheme::bio);
  EXPECT_EQ(scheme_of(Labels{"O", "B-X", "E-X"}), EntityScheme::iobes);
}

TEST(Entities, NothingIsScoredAsNothing) {
  EntityCounter counter(EntityMode::lenient, EntityScheme::bio);
  EXPECT_EQ(counter.scores().micro.f1, 0.0);
  counter.add(Labels{"O"}, Labels{"O"});
  EXPECT_TRUE(counter.scores().types.empty());
  EXPECT_THROW(counter.add(Labels{"O"}, Labels{}), Error);
}

}  // namespace
}  // namespace fovea::metrics
