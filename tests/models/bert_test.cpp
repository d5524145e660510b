#include "fovea/models/bert.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "fovea/base/file.h"
#include "fovea/models/classifier_folder.h"
#include "tests/base/scratch.h"
#include "tests/models/loss_gradients.h"
#include "tests/models/with_threads.h"

namespace fovea::models {
namespace {

using fovea::test::expect_error;
using fovea::test::message_of;
using fovea::test::ScratchFolder;
using Family = BertConfig::Family;
using Head = BertConfig::Head;
using Ids = std::vector<std::int32_t>;

constexpr Family families[] = {Family::bert, Family::distilbert, Family::roberta, Family::xlm_roberta};
constexpr Head heads[] = {Head::none, Head::text, Head::token, Head::masked};

BertConfig small(Family family, Head head) {
  BertConfig config;
  config.family = family;
  config.head = head;
  config.pooler = family == Family::bert && head == Head::text;
  config.vocabulary = 20;
  config.max_positions = 12;
  config.token_types = family == Family::distilbert ? 0 : 2;
  config.width = 8;
  config.layers = 2;
  config.heads = 2;
  config.feed_forward = 12;
  config.norm_eps = family == Family::distilbert ? 1e-12f : 1e-5f;
  config.dropout = config.attention_dropout = config.classifier_dropout = 0.1f;
  config.deviation = 0.3f;
  config.pad = family == Family::roberta ? 1 : 0;
  if (head == Head::text || head == Head::token) config.classes.names = {"x", "y", "z"};
  return config;
}

struct Texts {
  Ids tokens{3, 4, 5, 6, 7, 8, 9, 2}, types{0, 0, 1, 1, 0, 0, 0, 1}, start{0, 4, 5, 8};
  TextBatch batch() const { return {tokens, types, start}; }
};

Tensor answers(const ops::Context& ctx, const Bert& model, const TextBatch& batch) {
  switch (model.config().head) {
    case Head::none:
      return model.states(ctx, batch);
    case Head::text:
      return model.logits(ctx, batch);
    default:
      return model.token_logits(ctx, batch);
  }
}

double distance(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape().text(), b.shape().text());
  double most = 0.0, largest = 1.0;
  for (std::int64_t i = 0; i < a.elements(); ++i) {
    most = std::max(most, std::abs(double(a.f32()[i]) - b.f32()[i]));
    largest = std::max(largest, std::abs(double(b.f32()[i])));
  }
  return most / largest;
}

class Berts : public WithThreads, public testing::Test {
 protected:
  void save(const Bert& model, DType dtype = DType::f32) const {
    std::filesystem::create_directories(folder_ / "m");
    write_atomically(folder_ / "m/config.json", config_json(model.config(), dtype));
    model.weights_file(dtype).save(folder_ / "m/model.safetensors");
  }
  ScratchFolder folder_;
};

TEST_F(Berts, ModelsOfTransformersGiveTheirOutputs) {
  const std::filesystem::path fixtures = FOVEA_SOURCE_DIR "/tests/models/huggingface";
  for (const std::string family : {"bert", "distilbert", "roberta", "xlm-roberta"})
    for (const std::string head : {"none", "text", "token", "masked"}) {
      const auto folder = fixtures / (family + "-" + head);
      const auto expected = formats::SafetensorsFile::open(folder / "expected.safetensors");
      const auto ids = [&](const char* name) {
        const Tensor t = expected.read(name);
        return Ids(t.f32(), t.f32() + t.elements());
      };
      const Ids tokens = ids("tokens"), types = ids("types"), start = ids("start");
      const TextBatch batch{tokens, types, start};
      const auto model = load_bert(folder), packed = load_bert(folder, owner_.get());
      const Tensor wanted = expected.read(head == "none" ? "states" : "logits");
      EXPECT_LT(distance(answers(context(), *model, batch), wanted), 1e-4) << folder;
      EXPECT_LT(distance(answers(context(), *packed, batch), wanted), 1e-4) << folder;
      if (model->config().pooler && head == "none") {
        const Tensor states = model->states(context(), batch);
        EXPECT_LT(distance(model->pooled(context(), states, batch), expected.read("pooled")), 1e-4);
      }
    }
}

TEST_F(Berts, WhatIsSavedIsReadAgain) {
  const Texts texts;
  for (const Family family : families)
    for (const Head head : heads) {
      const auto config = small(family, head);
      const Bert model(config, 7);
      save(model);
      const Tensor wanted = answers(context(), model, texts.batch());
      EXPECT_TRUE(std::ranges::equal(answers(context(), *load_bert(folder_ / "m"), texts.batch()).values(),
                                     wanted.values()));
      EXPECT_TRUE(std::ranges::equal(
          answers(context(), *load_bert(folder_ / "m", owner_.get()), texts.batch()).values(),
          wanted.values()));
      EXPECT_EQ(config_json(load_bert(folder_ / "m")->config(), DType::f32), config_json(config, DType::f32));
      EXPECT_EQ(parameter_count(config), static_cast<double>(model.parameters().count()));
    }
}

TEST_F(Berts, NeitherNeighboursNorThreadsChangeABit) {
  const Texts texts;
  const Ids alone(texts.tokens.begin() + 5, texts.tokens.end()),
      its_types(texts.types.begin() + 5, texts.types.end()), start{0, 3};
  const kernels::ExecutionOwner one(1);
  ops::Context single;
  single.exec = one.get();
  for (const Family family : families) {
    const Bert model(small(family, Head::text), 3);
    const Tensor all = model.logits(context(), texts.batch());
    const Tensor last = model.logits(single, {alone, its_types, start});
    EXPECT_TRUE(std::ranges::equal(last.values(), all.values().subspan(6, 3)));
  }
}

TEST_F(Berts, GradientsAreDerivatives) {
  const Texts texts;
  const Ids labels{2, 0, 1};
  for (const Family family : {Family::bert, Family::distilbert, Family::roberta}) {
    Bert model(small(family, Head::text), 5);
    expect_gradients_are_derivatives(model, context(), 6, [&](const ops::Context& ctx) {
      return model.loss(ctx, texts.batch(), labels, 0.1f, 1.0f);
    });
  }
}

TEST_F(Berts, GradientsOfTokensAreDerivatives) {
  const Texts texts;
  const Ids rows{1, 4, 6, 7}, targets{2, 0, 1, 1};
  for (const Family family : {Family::bert, Family::distilbert, Family::roberta})
    for (const Head head : {Head::token, Head::masked}) {
      Bert model(small(family, head), 5);
      expect_gradients_are_derivatives(model, context(), 6, [&](const ops::Context& ctx) {
        return model.token_loss(ctx, texts.batch(), rows, targets, 0.1f, 1.0f);
      });
    }
}

TEST_F(Berts, TheLossOfTokensIsThatOfTheirLogits) {
  const Texts texts;
  const Ids rows{1, 4, 6}, targets{2, 0, 1};
  const Bert model(small(Family::bert, Head::token), 5);
  const Tensor logits = model.token_logits(context(), texts.batch(), rows);
  double nll = 0.0;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const float* row = logits.f32() + 3 * r;
    nll += std::log(std::exp(row[0]) + std::exp(row[1]) + std::exp(row[2])) - row[targets[r]];
  }
  const auto sums = model.token_loss(context(), texts.batch(), rows, targets, 0.0f, 1.0f);
  EXPECT_NEAR(sums.nll, nll, 1e-5);
  EXPECT_EQ(sums.tokens, 3);
}

TEST_F(Berts, NarrowWeightsAnswerNearly) {
  const Texts texts;
  const Bert model(small(Family::bert, Head::text), 7);
  const Tensor wanted = model.logits(context(), texts.batch());
  for (const DType dtype : {DType::bf16, DType::i8}) {
    save(model, dtype);
    EXPECT_LT(distance(load_bert(folder_ / "m", owner_.get())->logits(context(), texts.batch()), wanted),
              0.05);
  }
}

TEST_F(Berts, AnEncoderIsTakenFromAModelOfAnyHead) {
  const Texts texts;
  const Bert masked(small(Family::bert, Head::masked), 7);
  save(masked);
  const auto bare = load_bert(folder_ / "m", owner_.get(), Head::none);
  const Tensor states = masked.states(context(), texts.batch());
  EXPECT_TRUE(std::ranges::equal(bare->states(context(), texts.batch()).values(), states.values()));
  Bert classifier(small(Family::bert, Head::text), 9);
  const Tensor head = classifier.parameters().all().back().value.clone();
  classifier.read_pretrained(formats::Weights::open(folder_ / "m"));
  EXPECT_TRUE(std::ranges::equal(classifier.states(context(), texts.batch()).values(), states.values()));
  EXPECT_TRUE(std::ranges::equal(classifier.parameters().all().back().value.values(), head.values()));
}

TEST_F(Berts, OldNamesOfNormsAndMissingPrefixesAreRead) {
  const Texts texts;
  const Bert model(small(Family::bert, Head::none), 7);
  save(model);
  formats::SafetensorsWriter writer;
  {
    const auto weights = formats::Weights::open(folder_ / "m");
    for (auto name : weights.names()) {
      const Tensor tensor = weights.read(name);
      name = name.substr(std::string("bert.").size());
      for (const auto& [now, then] :
           {std::pair{"LayerNorm.weight", "LayerNorm.gamma"}, std::pair{"LayerNorm.bias", "LayerNorm.beta"}})
        if (name.ends_with(now)) name = name.substr(0, name.size() - std::string(now).size()) + then;
      writer.add(name, tensor);
    }
  }
  writer.add("embeddings.position_ids", Tensor::zeros({1, 12}));
  writer.save(folder_ / "m/model.safetensors");
  EXPECT_TRUE(std::ranges::equal(load_bert(folder_ / "m")->states(context(), texts.batch()).values(),
                                 model.states(context(), texts.batch()).values()));
}

TEST_F(Berts, ConfigAndTensorsThatDisagreeAreNamed) {
  auto config = small(Family::bert, Head::text);
  save(Bert(config, 7));
  config.classes.names = {"x", "y"};
  write_atomically(folder_ / "m/config.json", config_json(config, DType::f32));
  expect_error(
      Error::Kind::model, [&] { load_bert(folder_ / "m"); }, "classifier.weight", "[3, 8]", "[2, 8]");
  config.layers = 3;
  write_atomically(folder_ / "m/config.json", config_json(config, DType::f32));
  expect_error(
      Error::Kind::model, [&] { load_bert(folder_ / "m"); }, "missing tensors",
      "bert.encoder.layer.2.attention.self.query.weight");
  save(Bert(small(Family::bert, Head::masked), 7));
  expect_error(
      Error::Kind::model, [&] { load_classifier(folder_ / "m", owner_.get()); }, "config.json",
      "ForSequenceClassification");
}

TEST(BertConfigs, WhatCannotBeIsRefusedByKey) {
  const std::string bert =
      R"({"model_type": "bert", "vocab_size": 9, "hidden_size": 8, "num_attention_heads": 2)";
  const std::string text = R"(, "architectures": ["BertForSequenceClassification"])";
  const std::pair<std::string, std::string> cases[] = {
      {R"({"model_type": "bloom"})", "bloom"},
      {R"({"model_type": "bert"})", "vocab_size"},
      {bert + R"(, "num_hidden_layers": 0})", "num_hidden_layers"},
      {bert + R"(, "position_embedding_type": "relative_key"})", "relative_key"},
      {bert + R"(, "is_decoder": true})", "is_decoder"},
      {bert + R"(, "hidden_act": "mish"})", "mish"},
      {bert + R"(, "architectures": ["BertForQuestionAnswering"]})", "BertForQuestionAnswering"},
      {bert + text + R"(, "id2label": {"0": "a", "2": "b"}})", "id2label"},
      {bert + text + R"(, "problem_type": "ranking"})", "ranking"},
      {R"({"model_type": "bert", "vocab_size": 9, "hidden_size": 8, "num_attention_heads": 3})", "3 heads"},
  };
  for (const auto& [json, named] : cases) {
    const auto message = message_of(Error::Kind::model, [&] {
      read_bert_config(formats::Json::parse(json, {.name = "config.json", .kind = Error::Kind::model}));
    });
    EXPECT_NE(message.find(named), std::string::npos) << json << " -> " << message;
  }
}

TEST(Probabilities, AreWhatTheProblemSays) {
  const std::vector<float> logits{0.0f, std::log(3.0f)};
  EXPECT_NEAR(probabilities(logits, Problem::single_label)[1], 0.75, 1e-6);
  EXPECT_NEAR(probabilities(logits, Problem::multi_label)[0], 0.5, 1e-6);
  EXPECT_EQ(probabilities(logits, Problem::regression)[0], 0.0f);
}

}  // namespace
}  // namespace fovea::models
