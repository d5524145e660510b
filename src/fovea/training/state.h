#pragma once

#include <cstdint>
#include <string>

#include "fovea/data/batcher.h"
#include "fovea/formats/json.h"

namespace fovea::training {

/// Sums since the last line of the log.
struct LossWindow {
  double loss = 0.0;        ///< nats, with label smoothing, summed over target tokens
  double nll = 0.0;         ///< nats, without
  std::int64_t tokens = 0;  ///< target tokens
  std::int64_t updates = 0;
  double seconds = 0.0;  ///< wall time of these updates
};

/// Where training is: everything that a resumed run needs beside weights and moments. Stored, not replayed.
struct TrainingState {
  std::int64_t update = 0;       ///< updates done
  data::BatchPosition position;  ///< the next batch
  LossWindow window;
  double gradient_norm = 0.0;  ///< of the last update that was not skipped
  std::int64_t skipped = 0;    ///< updates skipped for a gradient that was not finite
  std::int64_t skipped_in_a_row = 0;
  std::int64_t hopeless_in_a_row = 0;  ///< updates whose loss says that training is lost
  double best = 0.0;                   ///< of the score that validation goes by
  double best_loss = 0.0;              ///< its loss, nats a token
  std::int64_t best_update = 0;        ///< 0: none yet
  std::int64_t validated = 0;          ///< update of the last validation; 0: none yet
  std::int64_t stalled = 0;            ///< validations since the best
  double seconds = 0.0;                ///< process time so far, all threads, validation included
  std::int64_t target_tokens = 0;      ///< seen so far
};

/// The state as JSON (training_state.json); `data` is the fingerprint of the training data.
std::string to_json(const TrainingState& state, std::uint64_t data);

/// The state and the fingerprint back. Throws Error(model) naming what is missing or wrong.
struct StoredState {
  TrainingState state;
  std::uint64_t data = 0;
};
StoredState read_state(const formats::Json& json);

}  // namespace fovea::training
