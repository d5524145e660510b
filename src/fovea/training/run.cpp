#include "fovea/training/run.h"

#include <algorithm>
#include <chrono>

#include "fovea/base/file.h"
#include "fovea/base/run_lock.h"
#include "fovea/formats/json_writer.h"
#include "fovea/training/log.h"
#include "fovea/training/run_folder.h"
#include "fovea/training/task.h"

namespace fovea::training {
namespace {

Notes notes_of(const Reporter& reporter) {
  return [note = reporter.note](const std::string& text) {
    if (note) note(text);
  };
}

// Where a run goes on.
struct Resumption {
  formats::Checkpoint checkpoint;
  StoredState stored;
};

void expect_usable(const RunFolder& folder, const Recipe& recipe, bool resume) {
  if (folder.holds_run() && !resume)
    throw Error(Error::Kind::usage, shown(folder.path()), "holds a run already",
                "use --resume to go on, or another --output");
  if (!folder.holds_run() && resume)
    throw Error(Error::Kind::usage, shown(folder.path()), "holds no run to resume",
                "start it without --resume");
  if (resume) check_resumable(folder.read_recipe(), recipe);
}

std::optional<Resumption> find_resumption(const RunFolder& folder, const Notes& notes) {
  const auto checkpoint = folder.newest(notes);
  if (!checkpoint) return std::nullopt;  // killed before the first
  return Resumption{*checkpoint, folder.read_state(*checkpoint)};
}

/// One run from its beginning or from a checkpoint to its end.
class Run {
 public:
  Run(const Recipe& recipe, const RunOptions& options, const Reporter& reporter, const RunFolder& folder,
      std::optional<Resumption> resumption)
      : recipe_(recipe),
        reporter_(reporter),
        folder_(folder),
        resumption_(std::move(resumption)),
        exec_(options.threads),
        task_(make_task(recipe, places(options), notes_of(reporter))) {
    if (!resumption_) return;
    expect_same_data(options);
    folder_.read_weights(resumption_->checkpoint, model());
  }

  RunResult train(const std::atomic<bool>& stop) {
    remove_leftovers(folder_.path());
    folder_.write_beginning(recipe_, task_->files());
    folder_.remove_summary();
    const TrainingState begin = resumption_ ? resumption_->stored.state : TrainingState{};
    describe(begin);
    Log log(folder_.path() / log_name, begin);
    log_ = &log;
    Trainer trainer(recipe_.training, task_->learner(), exec_.get(), events(), begin);
    trainer_ = &trainer;
    if (resumption_) folder_.read_moments(resumption_->checkpoint, trainer.optimiser());
    RunResult result;
    result.ending = trainer.run(stop);
    result.state = trainer.state();
    if (result.ending != Ending::stopped) finish(result);
    write_atomically(folder_.path() / "learning_curve.svg", learning_curve());
    return result;
  }

 private:
  static constexpr auto log_name = "log.jsonl";

  TaskPlaces places(const RunOptions& options) const {
    return {.data = options.data,
            .tokenizer = options.resume ? folder_.path() : std::filesystem::path(),
            .from_beginning = !resumption_};
  }

  models::Model& model() { return task_->learner().model(); }

  void expect_same_data(const RunOptions& options) const {
    if (resumption_->stored.data != task_->fingerprint() && !options.allow_changed_data)
      throw Error(Error::Kind::data, shown(options.data),
                  "the training text is not that of the interrupted run",
                  "restore it, or use --allow-changed-data");
  }

  void describe(const TrainingState& begin) {
    const Amount amount = task_->amount();
    std::string text = std::to_string(amount.count) + " " + amount.examples + ", " +
                       std::to_string(amount.batches) + " batches an epoch, " +
                       std::to_string(model().learned().count()) + " parameters";
    if (model().lora()) text += " of adapters to " + std::to_string(model().parameters().count());
    if (begin.update > 0) text += "; going on after update " + std::to_string(begin.update);
    notes_of(reporter_)(text);
  }

  TrainerEvents events() {
    TrainerEvents events;
    events.warn = notes_of(reporter_);
    events.updated = reporter_.updated;
    events.log = [this](const LogEntry& entry) {
      log_->write(entry);
      if (reporter_.logged) reporter_.logged(entry);
    };
    if (task_->validates()) {
      events.validate = [this] { return task_->validate(Care::while_training, exec_.get()); };
      events.validated = [this](const ValidationResult& result, bool best) {
        const std::int64_t update = trainer_->state().update;
        if (best) folder_.write_model(model(), recipe_, "update " + std::to_string(update));
        log_->write(update, result, best);
        if (reporter_.validated) reporter_.validated(update, result, best);
      };
    }
    events.save = [this](const TrainingState& state) {
      const auto& training = recipe_.training;
      folder_.write_checkpoint(model(), trainer_->optimiser(), state, task_->fingerprint());
      folder_.prune(std::max(training.keep_last, training.average_last), training.save_every);
    };
    return events;
  }

  void finish(RunResult& result) {
    std::function<ValidationResult()> validate;
    if (task_->validates()) validate = [this] { return task_->validate(Care::at_the_end, exec_.get()); };
    result.final = choose_final_weights(folder_, recipe_.training, result.state,
                                        trainer_->optimiser().average(), validate, model());
    folder_.write_model(model(), recipe_, result.final.name);
    folder_.write_summary(summary(result));
  }

  std::string learning_curve() const {
    const Metric* metric = task_->metric();
    views::LearningCurveOptions options{.title = recipe_.name, .unit = std::string(task_->learner().unit())};
    if (metric)
      options.metric = {.name = std::string(metric->name),
                        .share = metric->scale != Metric::Scale::hundred,
                        .falls = metric->falls};
    return views::learning_curve_svg(read_log(folder_.path() / log_name, metric), options);
  }

  // How the model came to be, for `fovea inspect` and for people.
  std::string summary(const RunResult& result) const {
    formats::JsonWriter json;
    json.begin_object()
        .field("recipe", recipe_.name)
        .field("updates", result.state.update)
        .field("epochs", result.state.position.epoch)
        .field("target_" + std::string(task_->learner().unit()) + "s", result.state.target_tokens)
        .field("core_minutes", result.state.seconds / 60.0)
        .field("seed", recipe_.training.seed)
        .field("weights", result.final.name);
    const auto& score = result.final.score;
    if (score) {
      json.field("valid_loss", score->loss);
      for (const auto& [metric, value] : score->metrics)
        json.field("valid_" + std::string(metric->key), value);
    }
    task_->summarise(json, score ? &*score : nullptr);
    return json.end_object().finish();
  }

  const Recipe& recipe_;
  const Reporter& reporter_;
  const RunFolder& folder_;
  std::optional<Resumption> resumption_;
  kernels::ExecutionOwner exec_;
  std::unique_ptr<Task> task_;
  Log* log_ = nullptr;
  Trainer* trainer_ = nullptr;
};

// Updates until the recipe's limits, as far as they can be known before; 0: no limit.
std::int64_t planned_updates(const TrainingOptions& options, std::int64_t batches) {
  const std::int64_t by_epochs = (options.epochs * batches + options.accumulate - 1) / options.accumulate;
  if (by_epochs == 0 || options.updates == 0) return std::max(by_epochs, options.updates);
  return std::min(by_epochs, options.updates);
}

// Seconds of an update: one to warm up, then as many as fit into about two seconds.
double time_update(const Recipe& recipe, Learner& learner, const kernels::Execution& exec) {
  TrainingOptions few = recipe.training;
  few.updates = 20;
  few.epochs = few.patience = few.log_every = few.validate_every = few.save_every = 0;
  few.max_minutes_cpu = 0;
  using Clock = std::chrono::steady_clock;
  std::atomic<bool> stop{false};
  Clock::time_point first, last;
  std::int64_t timed = -1;
  Trainer trainer(few, learner, exec, {.updated = [&](const LogEntry&) {
                    last = Clock::now();
                    if (++timed == 0) first = last;
                    stop = last - first > std::chrono::seconds(2);
                  }});
  trainer.run(stop);
  return std::chrono::duration<double>(last - first).count() /
         static_cast<double>(std::max<std::int64_t>(1, timed));
}

}  // namespace

RunResult run_training(const Recipe& recipe, const RunOptions& options, const std::atomic<bool>& stop,
                       const Reporter& reporter) {
  const RunFolder folder(options.output);
  expect_usable(folder, recipe, options.resume);
  std::optional<RunLock> lock;
  std::optional<Resumption> resumption;
  if (options.resume) {
    lock.emplace(folder.path());
    resumption = find_resumption(folder, notes_of(reporter));
  }
  if (resumption && folder.ended_at(resumption->stored.state.update)) {
    const TrainingState& state = resumption->stored.state;
    if (const auto limit = reached_limit(recipe.training, state)) {
      notes_of(reporter)("this run ended at update " + std::to_string(state.update) + " (" +
                         limit_text(*limit, recipe.training) + "); raise that limit to go on");
      return {.ending = *limit, .state = state, .final = {}, .ended_before = true};
    }
  }
  Run run(recipe, options, reporter, folder, std::move(resumption));
  if (!lock) {
    make_folders(folder.path());
    lock.emplace(folder.path());
    expect_usable(folder, recipe, options.resume);  // another process may have begun meanwhile
  }
  return run.train(stop);
}

RunPlan plan_training(const Recipe& recipe, const RunOptions& options, const Reporter& reporter) {
  const kernels::ExecutionOwner exec(options.threads);
  const auto task = make_task(recipe, {.data = options.data, .tokenizer = {}}, notes_of(reporter));
  RunPlan plan;
  plan.amount = task->amount();
  const models::Model& model = task->learner().model();
  plan.parameters = model.learned().count();
  if (model.lora()) plan.held = model.parameters().count();
  plan.seconds_per_update = time_update(recipe, task->learner(), exec.get());
  plan.megabytes = static_cast<double>(storage_statistics().in_use + storage_statistics().cached) / 1e6;
  plan.seconds =
      plan.seconds_per_update * static_cast<double>(planned_updates(recipe.training, plan.amount.batches));
  return plan;
}

}  // namespace fovea::training
