// fovea attend: what a model looks at while it reads a sentence and its translation.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "fovea/attention/flow.h"
#include "fovea/attention/head_statistics.h"
#include "fovea/attention/rollout.h"
#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/cli/attention_view.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/cli/decoding_options.h"
#include "fovea/cli/model_folder.h"
#include "fovea/decoding/translator.h"
#include "fovea/models/watch.h"
#include "fovea/views/attention_json.h"
#include "fovea/views/attention_page.h"
#include "fovea/views/display_text.h"
#include "fovea/views/head_table.h"
#include "fovea/views/heat_map.h"
#include "fovea/views/heat_map_svg.h"
#include "fovea/views/png.h"
#include "fovea/views/terminal_style.h"

namespace fovea::cli {
namespace {

using attention::Recording;
using attention::Side;
using Ids = std::vector<std::int32_t>;

struct Options {
  std::string source, model, output;
  std::optional<std::string> target;
  ViewFlags view;
  DecodingFlags decoding;
  bool statistics = false;
  int threads = 0;
};

/// The name of a model: that of its folder.
std::string model_name(const std::string& folder) {
  const auto path = std::filesystem::path(folder).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

// Up to so many tokens a page gets the flow unasked: the three sides take half a second.
constexpr std::size_t quick_flow_tokens = 40;

/// The kinds of file that --output writes, by how its name ends.
enum class Picture { none, svg, png, json, html };

Picture picture_of(const std::string& path) {
  if (path.empty()) return Picture::none;
  const std::string ending = std::filesystem::path(path).extension().string();
  if (ending == ".svg") return Picture::svg;
  if (ending == ".png") return Picture::png;
  if (ending == ".json") return Picture::json;
  if (ending == ".html") return Picture::html;
  throw Error(Error::Kind::usage, "--output", printable(path) + " is of no kind that is known",
              "end it in .svg, .png, .json or .html");
}

/// Text of the user's as it can stand in a warning: harmless, and cut.
std::string shown(std::string_view text, int columns) {
  return views::join(views::fit(views::glyphs(text), columns));
}

/// The words of a text that hold what the vocabulary lacks, each in quotes.
template <class Encode>
std::vector<std::string> unknown_words(const std::string& text, std::int32_t unk, const Encode& encode) {
  std::vector<std::string> unknown;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const Ids ids = encode(word);
    if (std::ranges::find(ids, unk) != ids.end()) unknown.push_back("'" + shown(word, 40) + "'");
  }
  return unknown;
}

void warn_of_unknown(const std::string& side, const std::vector<std::string>& words) {
  constexpr std::size_t most_named = 5;
  if (words.empty()) return;
  std::string text = side + ": " + counted(words.size(), "word") + " with what the model does not know: ";
  for (std::size_t i = 0; i < std::min(most_named, words.size()); ++i) text += (i > 0 ? ", " : "") + words[i];
  warn(text + (words.size() > most_named ? ", ..." : "") + "; read as <unk>");
}

class Attending {
 public:
  explicit Attending(const Options& options)
      : options_(options),
        picture_(picture_of(options.output)),
        folder_(model_folder(options.model)),
        translate_(translate_options(folder_, options.decoding)),
        exec_(options.threads),
        loaded_(load_model(folder_, exec_.get())) {
    translate_.shortlist = options.decoding.read_shortlist(loaded_.tokenizer);
  }

  void run() {
    const Recording recording = watched();
    if (options_.statistics) print_statistics(recording);
    if (picture_ != Picture::none) {
      write_atomically(options_.output, file(recording));
    } else if (!options_.statistics) {
      print_map(recording);
    }
  }

 private:
  Recording watched() const {
    const std::string source = argument_line(options_.source, "source");
    const Ids source_ids = loaded_.tokenizer.encode_source(source);
    if (source_ids.size() < 2)
      throw Error(Error::Kind::usage, "source", "is empty: there is nothing to look at",
                  "give it a sentence");
    const auto& tokenizer = loaded_.tokenizer;
    const std::int32_t unk = loaded_.model->vocabulary().unk;
    warn_of_unknown("source", unknown_words(source, unk, [&](const std::string& word) {
                      return tokenizer.encode_source(word);
                    }));
    const Ids target = options_.target ? given_target() : translation(source, source_ids.size());
    ops::Context ctx;
    ctx.exec = exec_.get();
    return models::watch(
        ctx, *loaded_.model, source_ids, target, [&](auto ids) { return tokenizer.source_pieces(ids); },
        [&](auto ids) { return tokenizer.target_pieces(ids); });
  }

  Ids given_target() const {
    const auto& tokenizer = loaded_.tokenizer;
    const std::string target = argument_line(*options_.target, "target");
    warn_of_unknown("target",
                    unknown_words(target, loaded_.model->vocabulary().unk,
                                  [&](const std::string& word) { return tokenizer.encode_target(word); }));
    Ids ids = tokenizer.encode_target(target);
    while (!ids.empty() && ids.back() == loaded_.model->vocabulary().eos) ids.pop_back();
    return ids;
  }

  Ids translation(const std::string& source, std::size_t tokens) const {
    const auto most =
        static_cast<std::size_t>(std::min(translate_.max_tokens, loaded_.model->max_positions()));
    if (tokens > most)
      throw Error(Error::Kind::usage, "source",
                  std::to_string(tokens) + " tokens: more than " + std::to_string(most) +
                      " are translated in parts, and seen in none",
                  std::cmp_less(most, loaded_.model->max_positions())
                      ? "give it a sentence at a time, or a larger --max-tokens"
                      : "give it a sentence at a time");
    const decoding::Translator translator(*loaded_.model, loaded_.tokenizer, exec_.get());
    const auto found = translator.translate(std::vector{source}, translate_).front();
    if (!found.complete) warn("the translation was cut at its greatest length");
    Ids ids = found.candidates.front().tokens;
    // A decoder reads one token more than it writes.
    const auto room = static_cast<std::size_t>(loaded_.model->max_positions()) - 1;
    if (ids.size() > room) ids.resize(room);
    return ids;
  }

  void print_statistics(const Recording& recording) const {
    auto heads = attention::head_statistics(recording);
    if (!options_.view.side.empty()) {
      const Side side = side_of(options_.view.side);
      recording.number(side, -1);  // names what there is if there is none of it
      std::erase_if(heads, [&](const auto& head) { return head.side != side; });
    }
    print(views::head_table(heads));
  }

  void print_map(const Recording& recording) const {
    const AttentionView view = chosen(recording);
    const auto style = views::terminal_style_from_environment(STDOUT_FILENO);
    const auto title = views::fit(views::glyphs(view.title, style.charset), style.width, style.charset);
    print(views::join(title) + "\n\n" + views::heat_map(view.matrix, style));
  }

  AttentionView chosen(const Recording& recording) const {
    AttentionView view = attention_view(exec_.get(), recording, options_.view);
    if (view.matrix.source.size() == 1) warn("there is one token to look at: every row gives it all");
    return view;
  }

  std::string file(const Recording& recording) const {
    switch (picture_) {
      case Picture::svg:
        return svg(recording);
      case Picture::png:
        return png(svg(recording));
      case Picture::json:
        return views::attention_json(recording, {model_name(folder_), further(recording, 0)});
      case Picture::html:
        return views::attention_page(
            recording, {"Attention", model_name(folder_), further(recording, quick_flow_tokens)});
      case Picture::none:
        break;
    }
    throw Error(Error::Kind::bug, "attend", "no kind of file");
  }

  std::string svg(const Recording& recording) const {
    const AttentionView view = chosen(recording);
    return views::heat_map_svg(view.matrix, view.title);
  }

  static std::string png(const std::string& svg) {
    if (const auto missing = views::letters_without_font(svg); !missing.empty())
      warn("no font here has the letters " + shown(missing, 60) + ": install one, or write .svg");
    return views::png_from_svg(svg);
  }

  /// Rollout, and flow if it was asked for or no side has more than `tokens`.
  std::vector<views::NamedLayers> further(const Recording& recording, std::size_t tokens) const {
    std::vector<views::NamedLayers> kinds{{"Rollout", attention::rollouts(recording)}};
    if (!options_.view.flow && std::max(recording.source.size(), recording.target_out.size()) > tokens)
      return kinds;
    kinds.push_back({"Flow", {}});
    for (const Side side : {Side::encoder, Side::decoder, Side::cross})
      if (std::ranges::any_of(recording.layers, [&](const auto& layer) { return layer.side == side; }))
        kinds.back().layers.push_back(attention::flow(exec_.get(), recording, side));
    return kinds;
  }

  const Options& options_;
  Picture picture_;
  std::string folder_;
  decoding::TranslateOptions translate_;
  kernels::ExecutionOwner exec_;
  LoadedModel loaded_;
};

}  // namespace

void add_attend(CLI::App& fovea) {
  CLI::App* command = fovea.add_subcommand("attend", "Show what a model looks at while it translates");
  const auto options = std::make_shared<Options>();
  command->add_option("source", options->source, "A sentence")->type_name("TEXT")->required();
  command
      ->add_option("target", options->target, "Its translation (default: the model's own); may be any text")
      ->type_name("TEXT");
  add_model_option(*command, options->model);
  options->view.add_to(*command);
  command->add_flag("--statistics", options->statistics,
                    "A table of what each head does, in place of the picture");
  command
      ->add_option(
          "--output", options->output,
          "A file in place of the picture: .svg or .png the same view; .html all layers and heads to look "
          "around in; .json all numbers")
      ->type_name("FILE");
  options->decoding.add_to(*command);
  add_threads_option(*command, options->threads);
  command->footer(
      "A row for each token of the target: the share of attention that each token of the source got.\n"
      "In --statistics: entropy in nats, spread its share of the greatest possible, distance in tokens, and "
      "the shares\n"
      "that go to the diagonal, to the end of sentence (or start symbol) and to the strongest other token.\n"
      "Example: fovea attend \"Two men are riding bicycles.\"\n"
      "Example: fovea attend \"Good morning.\" \"Guten Morgen.\" --layer 0 --head 2");
  command->callback([options] { Attending(*options).run(); });
}

}  // namespace fovea::cli
