// The keys that recipes of all tasks have.
#include "fovea/training/recipe_keys.h"

#include "fovea/training/recipe_key_table.h"
#include "fovea/training/recipe_task.h"

namespace fovea::training {
namespace {

void add_general(std::vector<Key>& keys) {
  std::vector<Choice> tasks;
  for (const RecipeTask& task : recipe_tasks()) tasks.push_back(choice(task.name, task.task));
  keys.push_back(key<nullptr, &Recipe::task>("task", "what the model is trained for", {}, std::move(tasks)));
  keys.push_back(free_to_change(
      key<nullptr, &Recipe::name>("name", "what the run is called; empty: as the recipe's file")));
  keys.push_back(
      key<nullptr, &Recipe::init>("init", "model directory to continue from; empty: random weights"));
}

void add_lora(std::vector<Key>& keys) {
  constexpr auto section = &Recipe::lora;
  using O = models::LoraOptions;
  keys.push_back(key<section, &O::rank>("rank", "of adapters, which learn in the place of the model of init",
                                        {1, 65536}));
  keys.push_back(key<section, &O::alpha>("alpha", "what they give counts alpha/rank times", {1e-6, 1e6}));
  keys.push_back(key<section, &O::dropout>("dropout", "on what they read", probability));
  keys.push_back(key<section, &O::targets>(
      "targets", "modules by the ends of their names, or all-linear; []: as PEFT, of attention"));
  keys.push_back(key<section, &O::rank_stabilised>("use_rslora", "alpha/sqrt(rank) times instead"));
}

void add_optimisation(std::vector<Key>& keys) {
  constexpr auto section = &Recipe::training;
  using O = TrainingOptions;
  keys.push_back(
      free_to_change(key<section, &O::updates>("updates", "updates to train for; 0: no limit", count)));
  keys.push_back(
      free_to_change(key<section, &O::epochs>("epochs", "passes over the data; 0: no limit", count)));
  keys.push_back(
      key<section, &O::batch_tokens>("batch_tokens", "most tokens of a batch on either side", {1, 1e8}));
  keys.push_back(key<section, &O::accumulate>("accumulate", "batches an update", {1, 1e6}));
  keys.push_back(key<section, &O::precision>(
      "precision", "of an update's products: bf16 rounds, and is faster", {},
      {choice("f32", kernels::Precision::f32), choice("bf16", kernels::Precision::bf16)}));
  keys.push_back(key<section, &O::optimizer>(
      "optimizer", "adamw decays weights apart from the gradient", {},
      {choice("adam", OptimiserKind::adam), choice("adamw", OptimiserKind::adamw)}));
  keys.push_back(free_to_change(
      key<section, &O::rate>("rate", "highest learning rate, reached at the end of warm-up", {0, 10})));
  keys.push_back(key<section, &O::beta1>("beta1", "decay of the gradient's mean", {0, 0.999999}));
  keys.push_back(key<section, &O::beta2>("beta2", "decay of its square's mean", {0, 0.9999999}));
  keys.push_back(key<section, &O::epsilon>("epsilon", "added to the root of the square's mean", {1e-16, 1}));
  keys.push_back(key<section, &O::weight_decay>("weight_decay", "pull of the weights towards zero", {0, 1}));
  keys.push_back(free_to_change(key<section, &O::schedule>(
      "schedule", "the rate after warm-up", {},
      {choice("inverse_sqrt", ScheduleKind::inverse_sqrt), choice("cosine", ScheduleKind::cosine),
       choice("linear", ScheduleKind::linear), choice("constant", ScheduleKind::constant)})));
  keys.push_back(free_to_change(key<section, &O::warmup>("warmup", "updates of linear warm-up", count)));
  keys.push_back(free_to_change(
      key<section, &O::minimum_rate>("minimum_rate", "the schedule does not fall below", {0, 10})));
  keys.push_back(free_to_change(
      key<section, &O::clip_norm>("clip_norm", "scale gradients down to this norm; 0: never", {0, 1e9})));
  keys.push_back(key<section, &O::label_smoothing>("label_smoothing",
                                                   "probability spread over the vocabulary", probability));
  keys.push_back(key<section, &O::seed>("seed", "of weights, dropout and the order of the data", seed_range));
}

void add_run(std::vector<Key>& keys) {
  constexpr auto section = &Recipe::training;
  using O = TrainingOptions;
  keys.push_back(key<section, &O::average_decay>(
      "average_decay", "moving average of the weights, such as 0.9998; 0: none", {0, 0.9999999}));
  keys.push_back(free_to_change(
      key<section, &O::average_last>("average_last", "checkpoints averaged at the end; 0: none", {0, 1000})));
  keys.push_back(free_to_change(
      key<section, &O::validate_every>("validate_every", "updates between validations", at_least_one)));
  keys.push_back(free_to_change(key<section, &O::patience>(
      "patience", "validations without a better score before stopping; 0: never", count)));
  keys.push_back(free_to_change(
      key<section, &O::save_every>("save_every", "updates between checkpoints", at_least_one)));
  keys.push_back(free_to_change(
      key<section, &O::keep_last>("keep_last", "checkpoints kept beside the best", {1, 1000})));
  keys.push_back(free_to_change(
      key<section, &O::log_every>("log_every", "updates between lines of the log", at_least_one)));
  keys.push_back(free_to_change(
      key<section, &O::non_finite>("non_finite", "what an infinite or undefined loss or gradient does", {},
                                   {choice("stop", NonFinite::stop), choice("skip", NonFinite::skip)})));
  keys.push_back(free_to_change(key<section, &O::max_minutes_cpu>(
      "max_minutes_cpu", "stop after this process time; 0: no limit", {0, 1e9})));
}

std::ptrdiff_t place_of(std::string_view section) {
  constexpr std::array<std::string_view, 8> order{"",          "data", "tokenizer", "model",
                                                  "recurrent", "lora", "training",  "decoding"};
  return std::ranges::find(order, section) - order.begin();
}

std::vector<Key> keys_of(const RecipeTask& task) {
  std::vector<Key> all;
  for (const auto add : {add_general, add_lora, add_optimisation, add_run, task.add_keys}) add(all);
  std::ranges::stable_sort(all, {}, [](const Key& key) { return place_of(key.section); });
  return all;
}

}  // namespace

std::vector<Choice> preset_choices() {
  return {choice("tiny", ModelPreset::tiny), choice("small", ModelPreset::small),
          choice("base", ModelPreset::base), choice("big", ModelPreset::big),
          choice("custom", ModelPreset::custom)};
}

std::span<const Key> recipe_keys(TaskKind task) {
  static const std::vector<std::vector<Key>> tables = [] {
    std::vector<std::vector<Key>> all;
    for (const RecipeTask& entry : recipe_tasks()) all.push_back(keys_of(entry));
    return all;
  }();
  return tables[static_cast<std::size_t>(task)];
}

const Key* find_key(TaskKind task, std::string_view full_name) {
  for (const Key& key : recipe_keys(task))
    if (key.full_name() == full_name) return &key;
  return nullptr;
}

}  // namespace fovea::training
