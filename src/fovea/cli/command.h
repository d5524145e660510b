#pragma once

namespace CLI {
class App;
}

namespace fovea::cli {

/// Each adds one subcommand with its options, help and example; parsing then runs it. One file a subcommand;
/// main.cpp lists them. A command reads its arguments and makes one library call; it throws fovea::Error,
/// main prints.
void add_align(CLI::App& fovea);
void add_attend(CLI::App& fovea);
void add_average(CLI::App& fovea);
void add_classify(CLI::App& fovea);
void add_doctor(CLI::App& fovea);
void add_embed(CLI::App& fovea);
void add_evaluate(CLI::App& fovea);
void add_export(CLI::App& fovea);
void add_fill(CLI::App& fovea);
void add_generate(CLI::App& fovea);
void add_inspect(CLI::App& fovea);
void add_quantize(CLI::App& fovea);
void add_pack(CLI::App& fovea);
void add_score(CLI::App& fovea);
void add_shortlist(CLI::App& fovea);
void add_summarize(CLI::App& fovea);
void add_synthesise(CLI::App& fovea);
void add_train(CLI::App& fovea);
void add_translate(CLI::App& fovea);

}  // namespace fovea::cli
