#include "fovea/training/run.h"

#include <algorithm>
#include <chrono>

#include "fovea/base/file.h"
#include "fovea/base/run_lock.h"
#include "fovea/formats/json_writer.h"
#include "fovea/models/marian.h"
#include "fovea/training/log.h"
#include "fovea/training/model_config.h"
#include "fovea/training/run_folder.h"
#include "fovea/training/validation.h"

namespace fovea::training {
namespace {

Notes notes_of(const Reporter& reporter) {
  return [note = reporter.note](const std::string& text) {
    if (note) note(text);
  };
}

data::BatcherOptions batcher_options(const Recipe& recipe, const models::TransformerConfig& config) {
  return {.batch_tokens = recipe.training.batch_tokens,
          .seed = static_cast<std::uint64_t>(recipe.training.seed),
          .eos = config.eos,
          .decoder_start = config.pad};
}

// The model at its beginning: random, or the weights that the recipe starts from.
std::unique_ptr<models::Transformer> beginning(const Recipe& recipe, const models::TransformerConfig& config) {
  auto model = std::make_unique<models::Transformer>(config, static_cast<std::uint64_t>(recipe.training.seed));
  if (!recipe.init.empty()) models::read_weights(formats::Weights::open(recipe.init), *model);
  return model;
}

// Weights that continue from another model need its tokenizer.
std::optional<text::TranslationTokenizer> given_tokenizer(const Recipe& recipe) {
  if (recipe.init.empty()) return std::nullopt;
  return text::TranslationTokenizer::read(recipe.init);
}

/// One run from its beginning or from a checkpoint to its end.
class Run {
 public:
  Run(const Recipe& recipe, const RunOptions& options, const Reporter& reporter)
      : recipe_(recipe),
        options_(options),
        reporter_(reporter),
        folder_(options.output),
        lock_(made(options.output)),
        exec_(options.threads),
        corpus_(prepare_corpus(recipe, options.data, tokenizer(), notes_of(reporter))),
        fingerprint_(corpus_.train.fingerprint()),
        config_(model_config(recipe, corpus_.tokenizer)),
        model_(beginning(recipe, config_)),
        batcher_(corpus_.train, batcher_options(recipe, config_)) {
    remove_leftovers(options.output);
    if (options.resume) checkpoint_ = folder_.newest(notes_of(reporter));
    folder_.write_beginning(recipe_, corpus_.tokenizer, config_);
  }

  RunResult train(const std::atomic<bool>& stop) {
    const TrainingState begin = state();
    Log log(folder_.path() / "log.jsonl", begin.update);
    log_ = &log;
    Trainer trainer(recipe_.training, *model_, batcher_, exec_.get(), events(), begin);
    trainer_ = &trainer;
    if (checkpoint_) folder_.read_moments(*checkpoint_, trainer.optimiser());
    RunResult result;
    result.ending = trainer.run(stop);
    result.state = trainer.state();
    if (result.ending != Ending::stopped) finish(result);
    write_atomically(folder_.path() / "learning_curve.svg",
                     views::learning_curve_svg(read_log(folder_.path() / "log.jsonl"), {.title = recipe_.name}));
    return result;
  }

 private:
  const std::filesystem::path& made(const std::filesystem::path& output) const {
    if (folder_.holds_run() && !options_.resume)
      throw Error(Error::Kind::usage, shown(output), "holds a run already", "use --resume to go on, or another --output");
    if (!folder_.holds_run() && options_.resume)
      throw Error(Error::Kind::usage, shown(output), "holds no run to resume");
    if (options_.resume) check_resumable(folder_.read_recipe(), recipe_);
    std::error_code error;
    std::filesystem::create_directories(output, error);
    if (error) throw Error(Error::Kind::machine, shown(output), "cannot be made: " + error.message());
    return output;
  }

  std::optional<text::TranslationTokenizer> tokenizer() const {
    if (options_.resume) return text::TranslationTokenizer::read(folder_.path());
    return given_tokenizer(recipe_);
  }

  // Where to begin; the model gets the checkpoint's weights.
  TrainingState state() {
    if (!checkpoint_) return {};
    const StoredState stored = folder_.read_state(*checkpoint_);
    if (stored.data != fingerprint_ && !options_.allow_changed_data)
      throw Error(Error::Kind::data, shown(options_.data), "the training text is not that of the interrupted run",
                  "restore it, or use --allow-changed-data");
    folder_.read_weights(*checkpoint_, *model_);
    return stored.state;
  }

  TrainerEvents events() {
    TrainerEvents events;
    events.warn = notes_of(reporter_);
    events.log = [this](const LogEntry& entry) {
      log_->write(entry);
      if (reporter_.logged) reporter_.logged(entry);
    };
    if (corpus_.valid.size() > 0) {
      events.validate = [this] {
        const bool bleu = recipe_.training.validate_bleu;
        return validate_model(*model_, corpus_, recipe_, bleu ? recipe_.decoding.validation_beam : 0, exec_.get());
      };
      events.validated = [this](const ValidationResult& result, bool best) {
        const std::int64_t update = trainer_->state().update;
        if (best) folder_.write_model(*model_, recipe_, update);
        log_->write(update, result, best);
        if (reporter_.validated) reporter_.validated(update, result, best);
      };
    }
    events.save = [this](const TrainingState& state) { save(state); };
    return events;
  }

  void save(const TrainingState& state) {
    const auto& training = recipe_.training;
    folder_.write_checkpoint(*model_, trainer_->optimiser(), state, fingerprint_);
    folder_.prune(std::max(training.keep_last, training.average_last), training.save_every);
  }

  // Chooses the final weights on the validation data: the best single ones, the moving average, or the mean of the last
  // checkpoints. Without validation data: the mean, else the moving average, else the last.
  void finish(RunResult& result) {
    struct Candidate {
      std::string name;
      Tensor weights;
    };
    std::vector<Candidate> candidates;
    const Tensor& values = model_->parameters().values();
    if (auto last = averaged_checkpoints(); last.size() > 1) {
      folder_.average(last, *model_);
      candidates.push_back({"average of " + std::to_string(last.size()) + " checkpoints", values.clone()});
    }
    if (const Tensor& average = trainer_->optimiser().average(); average.defined())
      candidates.push_back({"moving average", average});
    if (corpus_.valid.size() > 0 && result.state.best_update > 0) {
      models::read_weights(formats::Weights::open(folder_.path()), *model_);
      candidates.push_back({"update " + std::to_string(result.state.best_update), values.clone()});
    }
    if (candidates.empty()) candidates.push_back({"update " + std::to_string(result.state.update), values.clone()});
    const Candidate* chosen = &candidates.front();
    for (const auto& candidate : candidates) {
      if (corpus_.valid.size() == 0) break;
      std::ranges::copy(candidate.weights.values(), values.f32());
      const auto found = validate_model(*model_, corpus_, recipe_,
                                        recipe_.training.validate_bleu ? recipe_.decoding.beam : 0, exec_.get());
      if (result.final && found.score() <= result.final->score()) continue;
      result.final = found;
      chosen = &candidate;
    }
    std::ranges::copy(chosen->weights.values(), values.f32());
    result.final_weights = chosen->name;
    folder_.write_model(*model_, recipe_, result.state.update);
    write_atomically(folder_.path() / "training.json", summary(result));
  }

  std::vector<formats::Checkpoint> averaged_checkpoints() const {
    const auto& training = recipe_.training;
    std::vector<formats::Checkpoint> last;
    for (const auto& checkpoint : formats::find_checkpoints(folder_.checkpoints())) {
      const bool regular = training.save_every > 0 && checkpoint.step % static_cast<std::uint64_t>(training.save_every) == 0;
      if (regular && static_cast<std::int64_t>(last.size()) < training.average_last) last.push_back(checkpoint);
    }
    return last;
  }

  // How the model came to be, for `fovea inspect` and for people.
  std::string summary(const RunResult& result) const {
    formats::JsonWriter json;
    json.begin_object()
        .field("recipe", recipe_.name)
        .field("updates", result.state.update)
        .field("epochs", result.state.position.epoch)
        .field("target_tokens", result.state.target_tokens)
        .field("pairs", corpus_.train.size())
        .field("core_minutes", result.state.seconds / 60.0)
        .field("seed", recipe_.training.seed)
        .field("weights", result.final_weights);
    if (result.final) {
      json.field("valid_loss", result.final->loss);
      if (result.final->bleu) json.field("valid_bleu", *result.final->bleu).field("valid_beam", recipe_.decoding.beam);
    }
    return json.end_object().finish();
  }

  const Recipe& recipe_;
  const RunOptions& options_;
  const Reporter& reporter_;
  RunFolder folder_;
  RunLock lock_;
  kernels::ExecutionOwner exec_;
  Corpus corpus_;
  std::uint64_t fingerprint_;
  models::TransformerConfig config_;
  std::unique_ptr<models::Transformer> model_;
  data::Batcher batcher_;
  std::optional<formats::Checkpoint> checkpoint_;
  Log* log_ = nullptr;
  Trainer* trainer_ = nullptr;
};

}  // namespace

RunResult run_training(const Recipe& recipe, const RunOptions& options, const std::atomic<bool>& stop,
                       const Reporter& reporter) {
  return Run(recipe, options, reporter).train(stop);
}

RunPlan plan_training(const Recipe& recipe, const RunOptions& options, const Reporter& reporter) {
  const kernels::ExecutionOwner exec(options.threads);
  const Corpus corpus = prepare_corpus(recipe, options.data, given_tokenizer(recipe), notes_of(reporter));
  const auto config = model_config(recipe, corpus.tokenizer);
  const auto model = beginning(recipe, config);
  data::Batcher batcher(corpus.train, batcher_options(recipe, config));
  RunPlan plan;
  plan.pairs = corpus.train.size();
  plan.source_tokens = corpus.train.statistics().source_tokens;
  plan.target_tokens = corpus.train.statistics().target_tokens;
  plan.batches = batcher.batches_in_epoch();
  plan.parameters = model->parameters().count();

  TrainingOptions few = recipe.training;
  few.updates = 3;
  few.epochs = few.patience = few.log_every = few.validate_every = few.save_every = 0;
  few.max_minutes_cpu = 0;
  Trainer trainer(few, *model, batcher, exec.get(), {});
  const std::atomic<bool> never{false};
  const auto began = std::chrono::steady_clock::now();
  trainer.run(never);
  plan.seconds_per_update =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count() / static_cast<double>(few.updates);
  plan.megabytes = static_cast<double>(storage_statistics().in_use + storage_statistics().cached) / 1e6;
  const auto epochs_updates = recipe.training.epochs * plan.batches / std::max<std::int64_t>(1, recipe.training.accumulate);
  std::int64_t updates = recipe.training.updates;
  if (epochs_updates > 0) updates = updates > 0 ? std::min(updates, epochs_updates) : epochs_updates;
  plan.seconds = plan.seconds_per_update * static_cast<double>(updates);
  return plan;
}

}  // namespace fovea::training
