#include "fovea/cli/summary_task.h"

#include <algorithm>

namespace fovea::cli {

models::TaskDefaults summary_task(const std::string& folder, const std::optional<std::string>& prefix) {
  const auto general = models::read_generation_defaults(folder);
  auto task = models::read_task(folder, "summarization", general);
  if (!task) task = models::TaskDefaults{{}, {}, general};
  if (prefix) task->prefix = *prefix;
  return *task;
}

decoding::TranslateOptions summary_options(const models::TaskDefaults& task, const DecodingFlags& flags,
                                           const LoadedModel& loaded) {
  auto options = translate_options(task.generation, flags);
  if (options.max_source_tokens == 0)
    options.max_source_tokens =
        std::min<std::int64_t>(loaded.tokenizer.settings().max_length, loaded.model->max_positions());
  return options;
}

}  // namespace fovea::cli
