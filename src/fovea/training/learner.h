#pragma once

#include <cstdint>
#include <string_view>

#include "fovea/data/batcher.h"
#include "fovea/models/model.h"
#include "fovea/ops/context.h"
#include "fovea/ops/cross_entropy.h"

namespace fovea::training {

/// What a Trainer trains: a model, and the batches that it learns from.
class Learner {
 public:
  virtual ~Learner() = default;

  virtual models::Model& model() = 0;
  /// What is predicted, in the singular: losses are nats of one, and speed is how many a second.
  virtual std::string_view unit() const { return "token"; }
  /// What guessing costs, nats a unit.
  virtual double guessing() const = 0;

  /// Takes the next `count` batches, for update number `update` (from 1); returns the units to be predicted
  /// in all of them.
  virtual std::int64_t take(std::int64_t count, std::int64_t update) = 0;
  /// The loss of batch i of those taken; with a tape, backward() then adds the gradients of weight times it.
  virtual ops::LossSums loss(const ops::Context& ctx, std::int64_t i, float weight) = 0;

  /// Where the next batch is, and going there: see data::Batcher.
  virtual data::BatchPosition position() const = 0;
  virtual void seek(data::BatchPosition position) = 0;
};

}  // namespace fovea::training
