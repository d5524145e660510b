#include "fovea/training/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <vector>

#include "fovea/training/schedule.h"

namespace fovea::training {
namespace {

// More skipped updates in a row than this, and the model will not recover by itself.
constexpr std::int64_t most_skipped = 10;
// A loss this many times that of guessing, for so many updates, is a training that is lost.
constexpr double hopeless_factor = 4.0;
constexpr std::int64_t most_hopeless = 50;

constexpr auto remedy =
    "lower training.rate, lengthen training.warmup or set training.clip_norm, then use --resume";

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Of all threads.
double process_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

std::string place(std::int64_t update, const data::BatchPosition& at) {
  return "update " + std::to_string(update) + " (epoch " + std::to_string(at.epoch + 1) + ", batch " +
         std::to_string(at.batch) + ")";
}

}  // namespace

Trainer::Trainer(const TrainingOptions& options, Learner& learner, const kernels::Execution& exec,
                 TrainerEvents events, TrainingState state)
    : options_(options),
      learner_(learner),
      exec_(exec),
      events_(std::move(events)),
      state_(std::move(state)),
      optimiser_(options, learner.model().learned()),
      saved_(state_.update) {
  exec_.precision = options_.precision;  // of updates alone: validations are given an Execution of their own
  nn::Parameters& parameters = learner_.model().learned();
  if (!parameters.gradients().defined()) parameters.allocate_gradients();
  learner_.seek(state_.position);
}

Ending Trainer::run(const std::atomic<bool>& stop) {
  counted_until_ = process_seconds();
  std::optional<Ending> ending;
  while (!(ending = reached_limit(options_, state_)) && !stop) {
    update();
    if (events_.updated && state_.window.tokens > 0) events_.updated(log_entry());
    if (due(options_.log_every)) log();
    if (due(options_.validate_every)) validate();
    count_seconds();
    if (due(options_.save_every)) save();
  }
  save();
  if (!ending) return Ending::stopped;
  log();
  if (state_.validated != state_.update) validate();
  return *ending;
}

void Trainer::update() {
  const double began = wall_seconds();
  const data::BatchPosition at = learner_.position();
  const ops::LossSums sums = accumulate_gradients();
  const double norm = optimiser_.gradient_norm(exec_);
  const bool good = finite_or_skipped(sums, norm, at);
  state_.position = learner_.position();
  ++state_.update;
  if (!good) return;
  optimiser_.step(exec_, state_.update, norm);
  state_.gradient_norm = norm;
  state_.target_tokens += sums.tokens;
  state_.window.loss += sums.loss;
  state_.window.nll += sums.nll;
  state_.window.tokens += sums.tokens;
  ++state_.window.updates;
  state_.window.seconds += wall_seconds() - began;
  check_progress(sums.nll / static_cast<double>(sums.tokens));
}

// The gradients of the mean loss over all tokens of the next batches.
ops::LossSums Trainer::accumulate_gradients() {
  const std::int64_t tokens = learner_.take(options_.accumulate, state_.update + 1);
  learner_.model().learned().zero_gradients();
  ops::LossSums sums;
  for (std::int64_t i = 0; i < options_.accumulate; ++i) {
    ops::Context ctx{
        .exec = exec_, .tape = &tape_, .training = true, .seed = static_cast<std::uint64_t>(options_.seed)};
    // Each part of an accumulated update draws random numbers of its own.
    ctx.update = static_cast<std::uint32_t>(state_.update * options_.accumulate + i);
    const auto part = learner_.loss(ctx, i, 1.0f / static_cast<float>(tokens));
    tape_.backward();
    sums.loss += part.loss;
    sums.nll += part.nll;
    sums.tokens += part.tokens;
  }
  return sums;
}

bool Trainer::finite_or_skipped(const ops::LossSums& sums, double norm, const data::BatchPosition& at) {
  if (std::isfinite(sums.loss) && std::isfinite(norm)) {
    state_.skipped_in_a_row = 0;
    return true;
  }
  std::string what = std::isfinite(sums.loss) ? "a gradient is not finite" : "the loss is not finite";
  if (const auto parameter = optimiser_.first_non_finite())
    what += ", first in the gradient of " + *parameter;
  const std::string where = place(state_.update + 1, at);
  if (options_.non_finite == NonFinite::stop) throw Error(Error::Kind::diverged, where, what, remedy);
  ++state_.skipped;
  if (++state_.skipped_in_a_row >= most_skipped)
    throw Error(Error::Kind::diverged, where,
                what + ", as in the " + std::to_string(most_skipped - 1) + " updates before", remedy);
  if (events_.warn) events_.warn(where + ": " + what + "; update skipped");
  return false;
}

void Trainer::check_progress(double nll_per_token) {
  const double guessing = learner_.guessing();
  state_.hopeless_in_a_row = nll_per_token > hopeless_factor * guessing ? state_.hopeless_in_a_row + 1 : 0;
  if (state_.hopeless_in_a_row < most_hopeless) return;
  throw Error(Error::Kind::diverged, "update " + std::to_string(state_.update),
              "the loss is " + std::to_string(nll_per_token) + " nats a " + std::string(learner_.unit()) +
                  ", " + std::to_string(guessing) + " would be guessing",
              remedy);
}

LogEntry Trainer::log_entry() const {
  const LossWindow& window = state_.window;
  const auto tokens = static_cast<double>(window.tokens);
  return {.update = state_.update,
          .epoch = state_.position.epoch + 1,
          .loss = window.loss / tokens,
          .perplexity = std::exp(window.nll / tokens),
          .rate = learning_rate(options_, state_.update),
          .gradient_norm = state_.gradient_norm,
          .unit = learner_.unit(),
          .units_per_second = tokens / std::max(1e-9, window.seconds),
          .skipped = state_.skipped};
}

void Trainer::log() {
  if (events_.log && state_.window.tokens > 0) events_.log(log_entry());
  state_.window = {};
}

void Trainer::validate() {
  if (!events_.validate) return;
  const ValidationResult result = events_.validate();
  if (!std::isfinite(result.loss))
    throw Error(Error::Kind::diverged, "update " + std::to_string(state_.update),
                "the validation loss is not finite", remedy);
  const bool best = state_.best_update == 0 || result.better_than(state_.best, state_.best_loss);
  state_.validated = state_.update;
  if (best) {
    state_.best = result.score();
    state_.best_loss = result.loss;
    state_.best_update = state_.update;
    state_.stalled = 0;
  } else {
    ++state_.stalled;
  }
  if (events_.validated) events_.validated(result, best);
}

void Trainer::save() {
  if (saved_ == state_.update) return;
  if (const auto broken = models::non_finite_tensors(learner_.model()); !broken.empty())
    throw Error(Error::Kind::diverged, "update " + std::to_string(state_.update),
                "weights are not finite, first " + broken.front(), remedy);
  if (events_.save) events_.save(state_);
  saved_ = state_.update;
}

void Trainer::count_seconds() {
  const double now = process_seconds();
  state_.seconds += now - counted_until_;
  counted_until_ = now;
}

std::optional<Ending> reached_limit(const TrainingOptions& options, const TrainingState& state) {
  if (options.updates > 0 && state.update >= options.updates) return Ending::updates;
  if (options.epochs > 0 && state.position.epoch >= options.epochs) return Ending::epochs;
  if (options.patience > 0 && state.stalled >= options.patience) return Ending::patience;
  if (options.max_minutes_cpu > 0 && state.seconds >= 60.0 * options.max_minutes_cpu) return Ending::minutes;
  return std::nullopt;
}

std::string limit_text(Ending ending, const TrainingOptions& options) {
  char number[32];
  std::snprintf(number, sizeof number, "%g", options.max_minutes_cpu);
  switch (ending) {
    case Ending::updates:
      return "training.updates = " + std::to_string(options.updates);
    case Ending::epochs:
      return "training.epochs = " + std::to_string(options.epochs);
    case Ending::patience:
      return "training.patience = " + std::to_string(options.patience);
    case Ending::minutes:
      return std::string("training.max_minutes_cpu = ") + number;
    case Ending::stopped:
      break;
  }
  return "";
}

}  // namespace fovea::training
