#include "fovea/cli/attention_output.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <vector>

#include "fovea/attention/flow.h"
#include "fovea/attention/head_statistics.h"
#include "fovea/attention/rollout.h"
#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/cli/common.h"
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

/// One way of showing one recording.
class Showing {
 public:
  Showing(const AttentionOutput& output, const kernels::Execution& exec, const Recording& recording,
          const std::string& folder)
      : output_(output), exec_(exec), recording_(recording), name_(model_name(folder)) {}

  void run() const {
    const Picture picture = picture_of(output_.file);
    if (output_.statistics) print_statistics();
    if (picture != Picture::none) {
      write_atomically(output_.file, file(picture));
    } else if (!output_.statistics) {
      print_map();
    }
  }

 private:
  void print_statistics() const {
    auto heads = attention::head_statistics(recording_);
    if (!output_.view.side.empty()) {
      const Side side = side_of(output_.view.side, recording_);
      recording_.number(side, -1);  // names what there is if there is none of it
      std::erase_if(heads, [&](const auto& head) { return head.side != side; });
    }
    print(views::head_table(heads));
  }

  void print_map() const {
    const AttentionView view = chosen();
    const auto style = views::terminal_style_from_environment(STDOUT_FILENO);
    const auto title = views::fit(views::glyphs(view.title, style.charset), style.width, style.charset);
    print(views::join(title) + "\n\n" + views::heat_map(view.matrix, style));
  }

  AttentionView chosen() const {
    AttentionView view = attention_view(exec_, recording_, output_.view);
    if (view.matrix.source.size() == 1) warn("there is one token to look at: every row gives it all");
    return view;
  }

  std::string file(Picture picture) const {
    switch (picture) {
      case Picture::svg:
        return svg();
      case Picture::png:
        return png(svg());
      case Picture::json:
        return views::attention_json(recording_, {name_, further(0)});
      case Picture::html:
        return views::attention_page(recording_, {"Attention", name_, further(quick_flow_tokens)});
      case Picture::none:
        break;
    }
    throw Error(Error::Kind::bug, "attend", "no kind of file");
  }

  std::string svg() const {
    const AttentionView view = chosen();
    return views::heat_map_svg(view.matrix, view.title);
  }

  static std::string png(const std::string& svg) {
    if (const auto missing = views::letters_without_font(svg); !missing.empty())
      warn("no font here has the letters " + fit_for_warning(missing, 60) + ": install one, or write .svg");
    return views::png_from_svg(svg);
  }

  /// Rollout, and flow if it was asked for or no side has more than `tokens`.
  std::vector<views::NamedLayers> further(std::size_t tokens) const {
    std::vector<views::NamedLayers> kinds{{"Rollout", attention::rollouts(recording_)}};
    if (!output_.view.flow && std::max(recording_.source.size(), recording_.target_out.size()) > tokens)
      return kinds;
    kinds.push_back({"Flow", {}});
    for (const Side side : {Side::encoder, Side::decoder, Side::cross})
      if (recording_.has(side)) kinds.back().layers.push_back(attention::flow(exec_, recording_, side));
    return kinds;
  }

  const AttentionOutput& output_;
  const kernels::Execution& exec_;
  const Recording& recording_;
  std::string name_;
};

}  // namespace

/// Text of the user's as it can stand in a warning: harmless, and cut.
std::string fit_for_warning(std::string_view text, int columns) {
  return views::join(views::fit(views::glyphs(text), columns));
}

void AttentionOutput::add_to(CLI::App& command) {
  view.add_to(command);
  command.add_flag("--statistics", statistics, "A table of what each head does, in place of the picture");
  command
      .add_option(
          "--output", file,
          "A file in place of the picture: .svg or .png the same view; .html all layers and heads to look "
          "around in; .json all numbers")
      ->type_name("FILE");
}

void AttentionOutput::check() const { picture_of(file); }

void AttentionOutput::show(const kernels::Execution& exec, const Recording& recording,
                           const std::string& folder) const {
  Showing(*this, exec, recording, folder).run();
}

}  // namespace fovea::cli
