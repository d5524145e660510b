#include "fovea/training/trainer.h"

#include <chrono>
#include <cmath>
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

Trainer::Trainer(const TrainingOptions& options, models::Transformer& model, data::Batcher& batcher,
                 const kernels::Execution& exec, TrainerEvents events, TrainingState state)
    : options_(options),
      model_(model),
      batcher_(batcher),
      exec_(exec),
      events_(std::move(events)),
      state_(std::move(state)),
      optimiser_(options, model.parameters()) {
  if (!model.parameters().gradients().defined()) model.parameters().allocate_gradients();
  batcher_.seek(state_.position);
}

std::optional<Ending> Trainer::reached_limit() const {
  if (options_.updates > 0 && state_.update >= options_.updates) return Ending::updates;
  if (options_.epochs > 0 && state_.position.epoch >= options_.epochs) return Ending::epochs;
  if (options_.patience > 0 && state_.stalled >= options_.patience) return Ending::patience;
  if (options_.max_minutes_cpu > 0 && state_.seconds >= 60.0 * options_.max_minutes_cpu) return Ending::minutes;
  return std::nullopt;
}

Ending Trainer::run(const std::atomic<bool>& stop) {
  logged_at_ = wall_seconds();
  const auto due = [this](std::int64_t every) { return every > 0 && state_.update % every == 0; };
  std::int64_t saved = state_.update;
  const auto save = [&] {
    if (events_.save && saved != state_.update) events_.save(state_);
    saved = state_.update;
  };
  std::optional<Ending> ending;
  while (!(ending = reached_limit()) && !stop) {
    const double began = process_seconds();
    update();
    state_.seconds += process_seconds() - began;
    if (due(options_.log_every)) log();
    if (due(options_.validate_every)) validate();
    if (due(options_.save_every)) save();
  }
  if (state_.window.updates > 0 && ending) log();
  if (ending && !due(options_.validate_every)) validate();
  save();
  return ending.value_or(Ending::stopped);
}

void Trainer::update() {
  const data::BatchPosition at = batcher_.position();
  std::vector<data::Batch> batches;
  std::int64_t tokens = 0;
  for (std::int64_t i = 0; i < options_.accumulate; ++i) {
    batches.push_back(batcher_.next());
    tokens += static_cast<std::int64_t>(batches.back().target_out.size());
  }
  model_.parameters().zero_gradients();
  ops::LossSums sums;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const data::Batch& batch = batches[i];
    // Each part of an accumulated update draws random numbers of its own.
    ops::Context ctx{.exec = exec_, .tape = &tape_, .training = true, .seed = static_cast<std::uint64_t>(options_.seed)};
    ctx.update = static_cast<std::uint32_t>(state_.update * options_.accumulate + static_cast<std::int64_t>(i));
    const auto part = model_.loss(
        ctx, {batch.source, batch.source_start, batch.target_in, batch.target_out, batch.target_start},
        static_cast<float>(options_.label_smoothing), 1.0f / static_cast<float>(tokens));
    tape_.backward();
    sums.loss += part.loss;
    sums.nll += part.nll;
    sums.tokens += part.tokens;
  }
  const double norm = optimiser_.gradient_norm(exec_);
  const bool good = finite_or_skipped(sums, norm, at);
  state_.position = batcher_.position();
  ++state_.update;
  if (!good) return;
  optimiser_.step(exec_, state_.update, norm);
  last_norm_ = norm;
  state_.target_tokens += sums.tokens;
  state_.window.loss += sums.loss;
  state_.window.nll += sums.nll;
  state_.window.tokens += sums.tokens;
  ++state_.window.updates;
  check_progress(sums.nll / static_cast<double>(sums.tokens));
}

bool Trainer::finite_or_skipped(const ops::LossSums& sums, double norm, const data::BatchPosition& at) {
  if (std::isfinite(sums.loss) && std::isfinite(norm)) {
    state_.skipped_in_a_row = 0;
    return true;
  }
  std::string what = std::isfinite(sums.loss) ? "a gradient is not finite" : "the loss is not finite";
  if (const auto parameter = optimiser_.first_non_finite()) what += ", first in the gradient of " + *parameter;
  const std::string where = place(state_.update + 1, at);
  constexpr auto remedy = "lower training.rate, lengthen training.warmup or set training.clip_norm, then use --resume";
  if (options_.non_finite == NonFinite::stop) throw Error(Error::Kind::diverged, where, what, remedy);
  ++state_.skipped;
  if (++state_.skipped_in_a_row >= most_skipped)
    throw Error(Error::Kind::diverged, where, what + ", as in the " + std::to_string(most_skipped - 1) + " updates before",
                remedy);
  if (events_.warn) events_.warn(where + ": " + what + "; update skipped");
  return false;
}

void Trainer::check_progress(double nll_per_token) {
  const double guessing = std::log(static_cast<double>(model_.config().target_vocabulary));
  state_.hopeless_in_a_row = nll_per_token > hopeless_factor * guessing ? state_.hopeless_in_a_row + 1 : 0;
  if (state_.hopeless_in_a_row < most_hopeless) return;
  throw Error(Error::Kind::diverged, "update " + std::to_string(state_.update),
              "the loss is " + std::to_string(nll_per_token) + " nats a token, " + std::to_string(guessing) +
                  " would be guessing",
              "lower training.rate or lengthen training.warmup");
}

void Trainer::log() {
  const double now = wall_seconds();
  LossWindow& window = state_.window;
  const auto tokens = static_cast<double>(window.tokens);
  if (events_.log && window.tokens > 0)
    events_.log({.update = state_.update,
                 .epoch = state_.position.epoch + 1,
                 .loss = window.loss / tokens,
                 .perplexity = std::exp(window.nll / tokens),
                 .rate = learning_rate(options_, state_.update),
                 .gradient_norm = last_norm_,
                 .tokens_per_second = tokens / std::max(1e-9, now - logged_at_),
                 .skipped = state_.skipped});
  window = {};
  logged_at_ = now;
}

bool Trainer::validate() {
  if (!events_.validate) return false;
  const double began = wall_seconds();
  const ValidationResult result = events_.validate();
  const bool best = state_.best_update == 0 || result.score() > state_.best;
  if (best) {
    state_.best = result.score();
    state_.best_update = state_.update;
    state_.stalled = 0;
  } else {
    ++state_.stalled;
  }
  if (events_.validated) events_.validated(result, best);
  logged_at_ += wall_seconds() - began;  // the speed in the log is that of training
  return best;
}

}  // namespace fovea::training
