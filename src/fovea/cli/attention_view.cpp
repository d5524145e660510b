#include "fovea/cli/attention_view.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <functional>
#include <vector>

#include "fovea/attention/flow.h"
#include "fovea/attention/head_statistics.h"
#include "fovea/attention/rollout.h"
#include "fovea/base/error.h"

namespace fovea::cli {
namespace {

using attention::RecordedLayer;
using attention::Recording;
using attention::Side;

/// A number that is not negative, or nothing.
std::optional<int> number(const std::string& text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size() && value >= 0;
  return whole ? std::optional(value) : std::nullopt;
}

/// What CLI11 asks of an option that takes a number or one of some words.
std::function<std::string(const std::string&)> number_or(std::vector<std::string> words) {
  return [words = std::move(words)](const std::string& text) {
    if (number(text) || std::ranges::find(words, text) != words.end()) return std::string();
    std::string what = "'" + printable(text) + "' is neither a number from 0 on nor ";
    for (std::size_t i = 0; i < words.size(); ++i) what += (i > 0 ? " or " : "") + words[i];
    return what;
  };
}

std::string side_title(Side side) {
  if (side == Side::cross) return "cross-attention";
  return std::string(name(side)) + " self-attention";
}

std::string heads_title(const RecordedLayer& layer, std::optional<int> head) {
  if (head) return "head " + std::to_string(*head);
  const auto heads = layer.weights_HTS.dim(0);
  return heads == 1 ? "its one head" : "mean of " + std::to_string(heads) + " heads";
}

/// One head or the mean over heads, [T, S].
Tensor matrix_of(const RecordedLayer& layer, std::optional<int> head) {
  const std::int64_t H = layer.weights_HTS.dim(0), T = layer.weights_HTS.dim(1), S = layer.weights_HTS.dim(2);
  if (!head) return attention::mean_over_heads(layer.weights_HTS, H, T, S);
  if (*head >= H)
    throw Error(Error::Kind::usage, side_title(layer.side) + ", layer " + std::to_string(layer.layer),
                "there is no head " + std::to_string(*head), "choose one of 0 to " + std::to_string(H - 1));
  return layer.weights_HTS.slice(*head * T * S, {T, S});
}

struct Chosen {
  Tensor weights_TS;
  std::string title;
};

Chosen mean_of_layers(const Recording& recording, Side side, std::optional<int> head) {
  Tensor sum;
  std::int64_t count = 0;
  std::string heads;
  for (const auto& layer : recording.layers) {
    if (layer.side != side) continue;
    const Tensor weights = matrix_of(layer, head);
    heads = heads_title(layer, head);
    if (!sum.defined()) sum = Tensor::zeros(weights.shape());
    for (std::int64_t i = 0; i < sum.elements(); ++i) sum.f32()[i] += weights.f32()[i];
    ++count;
  }
  for (float& weight : sum.values()) weight /= static_cast<float>(count);
  return {sum, side_title(side) + ", mean of " + std::to_string(count) + " layers, " + heads};
}

Chosen layer_through(const RecordedLayer& layer, const char* what) {
  return {
      layer.weights_HTS.slice(0, {layer.weights_HTS.dim(1), layer.weights_HTS.dim(2)}),
      std::string(what) + " of " + side_title(layer.side) + " through layer " + std::to_string(layer.layer)};
}

Chosen choose(const kernels::Execution& exec, const Recording& recording, const ViewFlags& flags) {
  const Side side = side_of(flags.side, recording);
  const int layer = recording.number(side, number(flags.layer).value_or(-1));
  if (flags.rollout) return layer_through(attention::rollout(recording, side, layer), "rollout");
  if (flags.flow) return layer_through(attention::flow(exec, recording, side, layer), "flow");
  const auto head = number(flags.head);
  if (flags.layer == "mean") return mean_of_layers(recording, side, head);
  const RecordedLayer* found = recording.find(side, layer);
  std::string which = ", layer " + std::to_string(layer);
  if (!number(flags.layer)) {
    if (const auto* clearest = attention::clearest_layer(recording, side, head.value_or(-1)))
      found = clearest;
    which = ", layer " + std::to_string(found->layer) + " (the clearest)";
  }
  return {matrix_of(*found, head), side_title(side) + which + ", " + heads_title(*found, head)};
}

/// The matrix without the column and the row of the end of sentence, rows scaled to one again (unless all of
/// a row went there). What would leave nothing stays.
views::AttentionMatrix without_end(const views::AttentionMatrix& whole) {
  const std::size_t S = std::max<std::size_t>(1, whole.source.size() - 1);
  const std::size_t T = std::max<std::size_t>(1, whole.target.size() - 1);
  views::AttentionMatrix words{{whole.source.begin(), whole.source.begin() + static_cast<std::ptrdiff_t>(S)},
                               {whole.target.begin(), whole.target.begin() + static_cast<std::ptrdiff_t>(T)},
                               {},
                               whole.source_second < S ? whole.source_second : 0};
  for (std::size_t t = 0; t < T; ++t) {
    float rest = 0.0f;
    for (std::size_t s = 0; s < S; ++s) rest += whole.at(t, s);
    for (std::size_t s = 0; s < S; ++s) words.weights.push_back(rest > 1e-6f ? whole.at(t, s) / rest : 0.0f);
  }
  return words;
}

}  // namespace

Side side_of(const std::string& name, const Recording& recording) {
  if (name.empty()) return recording.main_side();
  if (name == "encoder") return Side::encoder;
  return name == "decoder" ? Side::decoder : Side::cross;
}

void ViewFlags::add_to(CLI::App& command) {
  command
      .add_option("--side", side,
                  "Who looks at whom: encoder, decoder or cross (default: cross where there is any)")
      ->check(CLI::IsMember({"encoder", "decoder", "cross"}))
      ->type_name("SIDE");
  command
      .add_option(
          "--layer", layer,
          "A number from 0 on, mean, or best: the one that points most clearly (default). Rollout and "
          "flow go through this layer (default: the last)")
      ->check(number_or({"mean", "best"}))
      ->type_name("N");
  auto* heads = command.add_option("--head", head, "A number from 0 on, or mean (default)")
                    ->check(number_or({"mean"}))
                    ->type_name("N");
  auto* rolled = command.add_flag("--rollout", rollout, "Attention rollout: what came through all layers");
  auto* flowed = command.add_flag("--flow", flow, "Attention flow: the same by maximum flow");
  rolled->excludes(flowed)->excludes(heads);
  flowed->excludes(rolled)->excludes(heads);
  auto* words = command.add_flag_callback(
      "--words", [] {}, "Pieces joined to words (default)");
  command.add_flag("--pieces", pieces, "The model's own pieces of words")->excludes(words);
  command.add_flag("--special", special,
                   "Keep the end of sentence in cross-attention (otherwise its share is left out)");
}

AttentionView attention_view(const kernels::Execution& exec, const Recording& recording,
                             const ViewFlags& flags) {
  if ((flags.rollout || flags.flow) && flags.layer == "mean")
    throw Error(Error::Kind::usage, "--layer", "rollout and flow go through layers: there is no mean of them",
                "name the layer to go through, or leave --layer out");
  const Side side = side_of(flags.side, recording);
  const Chosen chosen = choose(exec, recording, flags);
  const auto weights = chosen.weights_TS.values();
  AttentionView view{{recording.columns(side), recording.rows(side), {weights.begin(), weights.end()}},
                     chosen.title};
  if (side != Side::decoder) view.matrix.source_second = recording.second;
  if (side == Side::encoder) view.matrix.target_second = recording.second;
  if (side == Side::cross && !flags.special) view.matrix = without_end(view.matrix);
  if (!flags.pieces) view.matrix = views::merge_pieces(view.matrix);
  return view;
}

}  // namespace fovea::cli
