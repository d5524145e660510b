// The command line: joins the subcommands, turns every failure into one line and the exit code of its kind.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/base/nearest.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/cli/signals.h"
#include "fovea/cli/version.h"

namespace fovea::cli {
namespace {

constexpr auto welcome =
    "fovea trains models with attention, translates, writes and classifies with them, and shows what they "
    "look at.";

void add_commands(CLI::App& fovea) {
  fovea.name("fovea");
  fovea.description(welcome);
  fovea.footer(
      "Every command explains itself: fovea COMMAND --help\n"
      "Example: fovea translate \"Two men are riding bicycles.\"");
  fovea.set_version_flag("--version", version_text, "Print version, commit, compiler and kernels");
  add_translate(fovea);
  add_summarize(fovea);
  add_generate(fovea);
  add_attend(fovea);
  add_train(fovea);
  add_evaluate(fovea);
  add_score(fovea);
  add_align(fovea);
  add_synthesise(fovea);
  add_classify(fovea);
  add_embed(fovea);
  add_fill(fovea);
  add_inspect(fovea);
  add_average(fovea);
  add_quantize(fovea);
  add_pack(fovea);
  add_export(fovea);
  add_shortlist(fovea);
  add_doctor(fovea);
}

std::string command_path(const CLI::App& fovea) {
  std::string path = "fovea";
  for (const CLI::App* command : fovea.get_subcommands()) path += " " + command->get_name();
  return path;
}

/// What could have been meant in place of `word`: the options of the command that was named, or the commands.
std::vector<std::string> known_words(const CLI::App& fovea, bool option) {
  const auto named = fovea.get_subcommands();
  const CLI::App& command = named.empty() ? fovea : *named.back();
  std::vector<std::string> words;
  if (option) {
    for (const CLI::Option* known : command.get_options())
      for (const std::string& name : known->get_lnames()) words.push_back("--" + name);
  } else if (named.empty()) {
    for (const CLI::App* known : fovea.get_subcommands({})) words.push_back(known->get_name());
  }
  return words;
}

/// The error for a word that no option or command took; an unknown option comes before the words after it.
Error unknown_word(const CLI::App& fovea, const std::vector<std::string>& words) {
  const auto is_option = [](const std::string& word) { return word.starts_with('-'); };
  const bool command_named = !fovea.get_subcommands().empty();
  const auto option = command_named ? std::find_if(words.begin(), words.end(), is_option) : words.begin();
  const std::string& word = option != words.end() ? *option : words.front();
  const std::string name = word.substr(0, word.find('='));
  const char* what = is_option(word) ? "unknown option '"
                     : command_named ? "unexpected argument '"
                                     : "unknown command '";
  const auto known = known_words(fovea, is_option(word));
  const auto near = nearest(name, known);
  const std::string path = command_path(fovea);
  return Error(Error::Kind::usage, command_named ? path.substr(6) : "", what + printable(name) + "'",
               near.empty() ? "see " + path + " --help" : "did you mean " + std::string(near) + "?");
}

/// CLI11's own words for the rest: a bad number, a missing or repeated option.
Error bad_command_line(const CLI::App& fovea, const CLI::ParseError& error) {
  const auto words = fovea.remaining(true);
  if (!words.empty()) return unknown_word(fovea, words);
  std::string what = error.what();
  std::replace(what.begin(), what.end(), '\n', ' ');
  const std::string path = command_path(fovea);
  return Error(Error::Kind::usage, path == "fovea" ? "" : path.substr(6), what, "see " + path + " --help");
}

void parse_and_run(int argc, char** argv) {
  CLI::App fovea;
  add_commands(fovea);
  try {
    if (argc <= 1) return print(fovea.help());
    fovea.parse(argc, argv);
    if (fovea.get_subcommands().empty())
      throw Error(Error::Kind::usage, "", "no command was named", "see fovea --help");
  } catch (const CLI::CallForHelp&) {
    print(fovea.help());
  } catch (const CLI::CallForVersion& version) {
    print(version.what());
  } catch (const CLI::ParseError& error) {
    throw bad_command_line(fovea, error);
  }
}

int fail(int code, const std::string& line) {
  std::fprintf(stderr, "fovea: %s\n", line.c_str());
  return code;
}

/// Ends as a program does that nobody reads from: by SIGPIPE, without a word.
int end_by_sigpipe() {
  std::signal(SIGPIPE, SIG_DFL);
  std::raise(SIGPIPE);
  return 128 + SIGPIPE;
}

int run(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe becomes an error at the write that meets it
  std::signal(SIGXFSZ, SIG_IGN);  // so does a file that `ulimit -f` does not let grow
  name_files_cut_short();
  try {
    parse_and_run(argc, argv);
    return 0;
  } catch (const BrokenPipe&) {
    return end_by_sigpipe();
  } catch (const Error& error) {
    return fail(error.exit_code(), error.what());
  } catch (const std::bad_alloc&) {
    return fail(5, "not enough memory; try smaller batches or fewer threads");
  } catch (const std::system_error& error) {  // threads, files: the machine said no
    return fail(5, error.what());
  } catch (const std::exception& error) {
    return fail(1,
                std::string("a fault of ours: ") + error.what() + "; please report it with the command line");
  }
}

}  // namespace
}  // namespace fovea::cli

int main(int argc, char** argv) { return fovea::cli::run(argc, argv); }
