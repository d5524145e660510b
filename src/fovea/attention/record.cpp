#include "fovea/attention/record.h"

#include <algorithm>
#include <charconv>
#include <tuple>

#include "fovea/base/error.h"

namespace fovea::attention {
namespace {

[[noreturn]] void fits_no_heads(std::string_view place, std::int64_t elements, std::int64_t T,
                                std::int64_t S) {
  throw Error(Error::Kind::bug, place,
              std::to_string(elements) + " attention weights are of no number of heads by " +
                  std::to_string(T) + " rows by " + std::to_string(S) + " columns");
}

// [H, T, S] of a place that was called once with all of it.
Tensor whole(std::string_view place, const Tensor& weights, std::int64_t T, std::int64_t S) {
  const std::int64_t elements = weights.elements(), heads = elements / (T * S);
  if (heads < 1 || heads * T * S != elements) fits_no_heads(place, elements, T, S);
  return weights.reshape({heads, T, S});
}

// [H, T, S] of a place that was called at each of T steps.
Tensor joined(std::string_view place, const std::vector<Tensor>& steps, std::int64_t S) {
  const auto T = static_cast<std::int64_t>(steps.size());
  const std::int64_t heads = steps.back().elements() / S;
  if (heads < 1 || heads * S != steps.back().elements()) fits_no_heads(place, steps.back().elements(), 1, S);
  Tensor weights = Tensor::zeros({heads, T, S});
  for (std::int64_t t = 0; t < T; ++t) {
    const Tensor& step = steps[static_cast<std::size_t>(t)];
    const std::int64_t columns = step.elements() / heads;
    if (columns > S || heads * columns != step.elements()) fits_no_heads(place, step.elements(), 1, S);
    for (std::int64_t h = 0; h < heads; ++h)
      std::copy_n(step.f32() + h * columns, columns, weights.f32() + (h * T + t) * S);
  }
  return weights;
}

// The layers of `record`, whose labels `result` has.
Recording with_layers(const Record& record, Recording result) {
  for (const auto& [place, calls] : record.calls()) {
    const auto where = parse_place(place);
    if (!where) continue;
    const auto T = static_cast<std::int64_t>(result.rows(where->side).size());
    const auto S = static_cast<std::int64_t>(result.columns(where->side).size());
    if (T == 0 || S == 0) fits_no_heads(place, calls.back().elements(), T, S);
    const bool stepwise = calls.size() > 1 && static_cast<std::int64_t>(calls.size()) == T;
    result.layers.push_back(
        {where->side, where->layer, stepwise ? joined(place, calls, S) : whole(place, calls.back(), T, S)});
  }
  std::ranges::sort(result.layers, {}, [](const RecordedLayer& l) { return std::tuple(l.side, l.layer); });
  return result;
}

}  // namespace

std::map<std::string, Tensor> Record::weights() const {
  std::map<std::string, Tensor> last;
  for (const auto& [place, calls] : calls_) last[place] = calls.back();
  return last;
}

Tensor mean_over_heads(const Tensor& weights, std::int64_t heads, std::int64_t T, std::int64_t S) {
  if (weights.elements() != heads * T * S)
    throw Error(Error::Kind::bug, "attention weights",
                weights.shape().text() + " is not [" + std::to_string(heads) + ", " + std::to_string(T) +
                    ", " + std::to_string(S) + "]");
  Tensor mean = Tensor::zeros({T, S});
  for (std::int64_t h = 0; h < heads; ++h)
    for (std::int64_t i = 0; i < T * S; ++i)
      mean.f32()[i] += weights.f32()[h * T * S + i] / static_cast<float>(heads);
  return mean;
}

std::string_view name(Side side) {
  constexpr std::string_view names[] = {"encoder", "decoder", "cross"};
  return names[static_cast<int>(side)];
}

std::optional<Place> parse_place(std::string_view place) {
  const bool encoder = place.starts_with("encoder.");
  if (!encoder && !place.starts_with("decoder.")) return std::nullopt;
  place.remove_prefix(std::string_view("encoder.").size());
  Place found{Side::encoder, 0};
  const char* const last = place.data() + place.size();
  const auto [end, error] = std::from_chars(place.data(), last, found.layer);
  if (error != std::errc() || found.layer < 0) return std::nullopt;
  const std::string_view rest(end, static_cast<std::size_t>(last - end));
  if (encoder) return rest.empty() ? std::optional(found) : std::nullopt;
  found.side = rest == ".self" ? Side::decoder : Side::cross;
  return rest == ".self" || rest == ".cross" ? std::optional(found) : std::nullopt;
}

const RecordedLayer* Recording::find(Side side, int layer) const {
  const auto found = std::find_if(layers.begin(), layers.end(), [&](const RecordedLayer& candidate) {
    return candidate.side == side && candidate.layer == layer;
  });
  return found == layers.end() ? nullptr : &*found;
}

bool Recording::has(Side side) const {
  return std::ranges::any_of(layers, [&](const auto& layer) { return layer.side == side; });
}

Side Recording::main_side() const {
  if (has(Side::cross)) return Side::cross;
  return has(Side::decoder) ? Side::decoder : Side::encoder;
}

int Recording::number(Side side, int layer) const {
  int last = -1;
  for (const auto& candidate : layers)
    if (candidate.side == side) last = std::max(last, candidate.layer);
  const std::string what = std::string(name(side)) + " attention";
  if (last < 0) {
    std::string there;
    for (const Side other : {Side::encoder, Side::decoder, Side::cross})
      if (has(other)) there += (there.empty() ? "" : ", ") + std::string(name(other));
    throw Error(Error::Kind::usage, what, "the model has none", "it has: " + there);
  }
  if (layer > last || (layer >= 0 && !find(side, layer)))
    throw Error(Error::Kind::usage, what, "there is no layer " + std::to_string(layer),
                "choose one of 0 to " + std::to_string(last));
  return layer < 0 ? last : layer;
}

Recording recording(const Record& record, std::vector<std::string> source, std::vector<std::string> target_in,
                    std::vector<std::string> target_out) {
  Recording result{std::move(source), std::move(target_in), std::move(target_out), {}};
  if (result.source.empty() || result.target_out.empty() ||
      result.target_in.size() != result.target_out.size())
    throw Error(Error::Kind::bug, "attention recording",
                "labels of " + std::to_string(result.source.size()) + " source tokens and of " +
                    std::to_string(result.target_in.size()) + " tokens read, " +
                    std::to_string(result.target_out.size()) + " produced");
  return with_layers(record, std::move(result));
}

Recording recording(const Record& record, Side side, std::vector<std::string> text) {
  if (text.empty() || side == Side::cross)
    throw Error(Error::Kind::bug, "attention recording", "no text that one side read");
  Recording result;
  if (side == Side::encoder) {
    result.source = std::move(text);
  } else {
    result.target_in = result.target_out = std::move(text);
  }
  return with_layers(record, std::move(result));
}

}  // namespace fovea::attention
