#include "fovea/views/page_recording.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "fovea/base/base64.h"
#include "fovea/base/error.h"
#include "fovea/formats/json_writer.h"
#include "fovea/views/attention_matrix.h"
#include "fovea/views/colour.h"

namespace fovea::views {
namespace {

using attention::RecordedLayer;
using attention::Recording;
using attention::Side;
using formats::JsonWriter;

constexpr std::size_t sixteen_bits_below = 4'000'000;  // weights; a page of 8 MB before compression
constexpr std::string_view word_start = "\u2581";

/// Where the labels of a side's rows and columns stand in the recording and in the page.
struct Axes {
  std::string_view side, rows, columns;
};
Axes axes_of(const Recording& recording, Side side) {
  switch (side) {
    case Side::encoder:
      return {"encoder", "source", "source"};
    case Side::decoder:  // a text that a decoder read alone is one list
      return {"decoder", recording.target_in == recording.target_out ? "target_in" : "target_out",
              "target_in"};
    case Side::cross:
      break;
  }
  return {"cross", "target_out", "source"};
}

const std::vector<std::string>& labels_of(const Recording& recording, std::string_view text) {
  if (text == "source") return recording.source;
  return text == "target_in" ? recording.target_in : recording.target_out;
}

/// The weights of one head.
struct HeadWeights {
  std::span<const float> values;  // [T, S]
  std::size_t T, S;
  float at(std::size_t t, std::size_t s) const {
    const float w = values[t * S + s];
    return std::isfinite(w) && w > 0.0f ? w : 0.0f;
  }
};

struct Heads {
  std::size_t H, T, S;
  std::span<const float> values;
  explicit Heads(const RecordedLayer& layer)
      : H(static_cast<std::size_t>(layer.weights_HTS.dim(0))),
        T(static_cast<std::size_t>(layer.weights_HTS.dim(1))),
        S(static_cast<std::size_t>(layer.weights_HTS.dim(2))),
        values(layer.weights_HTS.values()) {}
  HeadWeights operator[](std::size_t h) const { return {values.subspan(h * T * S, T * S), T, S}; }
};

// ---- what is refused

void check_labels(const Recording& recording) {
  for (const std::string_view text : {"source", "target_in", "target_out"}) {
    const std::size_t found = labels_of(recording, text).size();
    if (found <= most_page_tokens) continue;
    throw Error(Error::Kind::usage, "attention page",
                std::to_string(found) + " tokens on one side; a page shows at most " +
                    std::to_string(most_page_tokens),
                "give it a sentence or a paragraph at a time, or write .json, which has no limit");
  }
}

void check_shape(const Recording& recording, const RecordedLayer& layer) {
  const Axes axes = axes_of(recording, layer.side);
  const auto T = static_cast<std::int64_t>(labels_of(recording, axes.rows).size());
  const auto S = static_cast<std::int64_t>(labels_of(recording, axes.columns).size());
  const Shape& shape = layer.weights_HTS.shape();
  if (shape.rank() == 3 && shape[1] == T && shape[2] == S) return;
  throw Error(Error::Kind::bug, "attention page",
              "layer " + std::to_string(layer.layer) + " of the " + std::string(axes.side) + " side is " +
                  shape.text() + ", not [H, " + std::to_string(T) + ", " + std::to_string(S) +
                  "] as its labels are");
}

std::size_t check(const Recording& recording, const std::vector<NamedLayers>& kinds) {
  check_labels(recording);
  std::size_t weights = 0;
  for (const auto& kind : kinds)
    for (const auto& layer : kind.layers) {
      check_shape(recording, layer);
      weights += static_cast<std::size_t>(layer.weights_HTS.elements());
    }
  if (weights == 0)
    throw Error(Error::Kind::usage, "attention page", "no attention was recorded",
                "choose a model that attends, and at least one token");
  if (weights > most_page_weights)
    throw Error(
        Error::Kind::usage, "attention page",
        std::to_string(weights) + " weights; a page holds at most " + std::to_string(most_page_weights),
        "give it a shorter text, fewer layers, or write .json, which has no limit");
  return weights;
}

// ---- weights

/// Weights on a square-root scale in `Integer`s, low byte first.
template <class Integer>
std::vector<Bytef> quantised(const Heads& heads, float most) {
  constexpr double steps = std::numeric_limits<Integer>::max();
  std::vector<Bytef> out;
  out.reserve(heads.values.size() * sizeof(Integer));
  for (const float value : heads.values) {
    const double share = std::isfinite(value) && value > 0.0f ? static_cast<double>(value) / most : 0.0;
    const auto q = static_cast<Integer>(std::lround(steps * std::sqrt(share)));
    for (std::size_t byte = 0; byte < sizeof(Integer); ++byte)
      out.push_back(static_cast<Bytef>(q >> (8 * byte) & 255));
  }
  return out;
}

std::string packed(const std::vector<Bytef>& bytes) {
  std::vector<std::byte> out(compressBound(bytes.size()));
  uLongf size = out.size();
  const int status = compress2(reinterpret_cast<Bytef*>(out.data()), &size, bytes.data(), bytes.size(),
                               bytes.size() > (1u << 20) ? 3 : 9);
  if (status != Z_OK)
    throw Error(Error::Kind::machine, "attention page", "compressing failed", "free some memory");
  return base64(std::span(out).first(size));
}

float largest(const Heads& heads) {
  float most = 0.0f;
  for (const float value : heads.values)
    if (std::isfinite(value)) most = std::max(most, value);
  return most;
}

// ---- what each head is like

/// Of the mean row of a head: its entropy in bits, and how far from home it looks, in tokens. Home is the
/// token itself, or between two sides the place as far along: t (S - 1) / (T - 1). Rows count as if they
/// summed to one; rows of zeros do not count.
struct HeadNature {
  double entropy = 0, distance = 0;
};
HeadNature nature(const HeadWeights& head, bool two_sides) {
  HeadNature sum;
  std::size_t rows = 0;
  const double slope =
      two_sides && head.T > 1 ? static_cast<double>(head.S - 1) / static_cast<double>(head.T - 1) : 1.0;
  for (std::size_t t = 0; t < head.T; ++t) {
    double total = 0, w_log_w = 0, apart = 0;
    for (std::size_t s = 0; s < head.S; ++s) {
      const double w = head.at(t, s);
      if (w == 0) continue;
      total += w;
      w_log_w += w * std::log2(w);
      apart += w * std::abs(static_cast<double>(s) - slope * static_cast<double>(t));
    }
    if (total == 0) continue;
    ++rows;
    sum.entropy += std::max(0.0, std::log2(total) - w_log_w / total);
    sum.distance += apart / total;
  }
  const double n = std::max<double>(1, static_cast<double>(rows));
  return {sum.entropy / n, sum.distance / n};
}

/// How clearly a layer points: the mean over heads and rows of the largest weight before the last column (the
/// end of sentence, where much of some layers goes).
double clarity(const Heads& heads) {
  double sum = 0;
  for (std::size_t h = 0; h < heads.H; ++h)
    for (std::size_t t = 0; t < heads.T; ++t) {
      float most = 0;
      for (std::size_t s = 0; s + 1 < heads.S; ++s) most = std::max(most, heads[h].at(t, s));
      sum += most;
    }
  return sum / static_cast<double>(std::max<std::size_t>(1, heads.H * heads.T));
}

double rounded(double value) { return std::round(value * 1e4) / 1e4; }

// ---- JSON

/// A token as the page shows it: label(), with control characters as pictures of themselves.
std::string shown(const std::string& token) {
  std::string out;
  for (const char c : label(token)) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20) {
      out += {'\xe2', '\x90', static_cast<char>(0x80 + code)};
    } else if (code == 0x7f) {
      out += "\u2421";
    } else {
      out += c;
    }
  }
  return out;
}

void write_tokens(JsonWriter& json, std::string_view name, const std::vector<std::string>& tokens) {
  json.key(name).begin_array();
  for (const auto& token : tokens) json.value(shown(token));
  json.end_array();
}

template <class Wanted>
void write_places(JsonWriter& json, std::string_view name, std::size_t count, const Wanted& wanted) {
  json.key(name).begin_array();
  for (std::size_t i = 0; i < count; ++i)
    if (wanted(i)) json.value(i);
  json.end_array();
}

bool has_pieces(const Recording& recording) {
  const auto is_piece = [](const std::string& token) { return token.find(word_start) != std::string::npos; };
  return std::ranges::any_of(recording.source, is_piece) ||
         std::ranges::any_of(recording.target_out, is_piece);
}

void write_text(JsonWriter& json, std::string_view name, const std::vector<std::string>& tokens,
                std::size_t second, bool pieces) {
  json.key(name).begin_object();
  write_tokens(json, "tokens", tokens);
  if (second > 0) json.field("second", second);
  write_places(json, "special", tokens.size(), [&](std::size_t i) { return is_symbol(tokens[i]); });
  if (pieces) {
    const PieceWords joined = join_pieces(tokens);
    write_places(json, "continues", tokens.size(),
                 [&](std::size_t i) { return i > 0 && joined.of_piece[i] == joined.of_piece[i - 1]; });
    // Whether a blank stands before the piece: punctuation is a word of its own, yet touches the one before.
    write_places(json, "blank_before", tokens.size(), [&](std::size_t i) {
      return tokens[i].starts_with(word_start) || is_symbol(tokens[i]) || (i > 0 && is_symbol(tokens[i - 1]));
    });
    write_tokens(json, "words", joined.words);
  }
  json.end_object();
}

void write_scale(JsonWriter& json, std::string_view name, Colour (*scale)(double)) {
  constexpr int steps = 64;
  json.key(name).begin_array();
  for (int i = 0; i <= steps; ++i) json.value(hex(scale(static_cast<double>(i) / steps)));
  json.end_array();
}

void write_layer(JsonWriter& json, const RecordedLayer& layer, std::size_t block, float most) {
  const Heads heads(layer);
  json.begin_object().field("number", layer.layer).field("heads", heads.H).field("block", block);
  json.field("most", most);
  std::vector<HeadNature> natures;
  for (std::size_t h = 0; h < heads.H; ++h) natures.push_back(nature(heads[h], layer.side == Side::cross));
  json.key("entropy").begin_array();
  for (const auto& head : natures) json.value(rounded(head.entropy));
  json.end_array().key("distance").begin_array();
  for (const auto& head : natures) json.value(rounded(head.distance));
  json.end_array().end_object();
}

/// Writes the layers of one kind (recorded, rollout, ...) that look from one side to another.
class SideWriter {
 public:
  SideWriter(JsonWriter& json, const Recording& recording, std::vector<std::string>& blocks, bool sixteen)
      : json_(json), recording_(recording), blocks_(blocks), sixteen_(sixteen) {}

  void write(const NamedLayers& kind, Side side) {
    std::vector<const RecordedLayer*> layers;
    for (const auto& layer : kind.layers)
      if (layer.side == side && layer.weights_HTS.elements() > 0) layers.push_back(&layer);
    if (layers.empty()) return;
    const Axes axes = axes_of(recording_, side);
    json_.begin_object().field("kind", kind.name).field("side", axes.side);
    json_.field("rows", axes.rows).field("columns", axes.columns).key("layers").begin_array();
    std::vector<double> clarities;
    for (const auto* layer : layers) {
      const Heads heads(*layer);
      const float most = largest(heads);
      write_layer(json_, *layer, blocks_.size(), most);
      const float divisor = most > 0 ? most : 1.0f;
      blocks_.push_back(packed(sixteen_ ? quantised<std::uint16_t>(heads, divisor)
                                        : quantised<std::uint8_t>(heads, divisor)));
      clarities.push_back(clarity(heads));
    }
    json_.end_array();
    json_.field("clearest", std::ranges::max_element(clarities) - clarities.begin()).end_object();
  }

 private:
  JsonWriter& json_;
  const Recording& recording_;
  std::vector<std::string>& blocks_;
  bool sixteen_;
};

/// JSON that can stand inside an HTML element: these three stand in strings alone, where they may be escaped.
std::string without_markup(const std::string& json) {
  std::string out;
  out.reserve(json.size());
  for (const char c : json) {
    switch (c) {
      case '<':
        out += "\\u003c";
        break;
      case '>':
        out += "\\u003e";
        break;
      case '&':
        out += "\\u0026";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace

PageRecording page_recording(const Recording& recording, const PageOptions& options) {
  std::vector<NamedLayers> kinds{{"Attention", recording.layers}};
  kinds.insert(kinds.end(), options.further.begin(), options.further.end());
  const bool sixteen = check(recording, kinds) < sixteen_bits_below, pieces = has_pieces(recording);

  PageRecording out;
  JsonWriter json(JsonWriter::Layout::compact);
  json.begin_object().field("title", options.title).field("subtitle", options.subtitle);
  json.field("bits", sixteen ? 16 : 8).key("texts").begin_object();
  for (const std::string_view text : {"source", "target_in", "target_out"})
    write_text(json, text, labels_of(recording, text), text == "source" ? recording.second : 0, pieces);
  json.end_object().key("sides").begin_array();
  SideWriter sides(json, recording, out.blocks, sixteen);
  for (const auto& kind : kinds)
    for (const Side side : {Side::encoder, Side::decoder, Side::cross}) sides.write(kind, side);
  json.end_array().key("scales").begin_object();
  write_scale(json, "ink", ink);
  write_scale(json, "ember", ember);
  json.end_object().end_object();
  out.json = without_markup(json.finish());
  return out;
}

}  // namespace fovea::views
