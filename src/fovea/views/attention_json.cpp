#include "fovea/views/attention_json.h"

#include "fovea/attention/head_statistics.h"
#include "fovea/formats/json_writer.h"

namespace fovea::views {
namespace {

using attention::RecordedLayer;
using attention::Side;
using formats::JsonWriter;

void write_labels(JsonWriter& json, std::string_view name, const std::vector<std::string>& labels) {
  json.key(name).begin_array();
  for (const auto& label : labels) json.value(label);
  json.end_array();
}

void write_row(JsonWriter& json, const float* row, std::int64_t columns) {
  json.begin_array();
  for (std::int64_t s = 0; s < columns; ++s) json.value(row[s]);
  json.end_array();
}

void write_statistics(JsonWriter& json, const RecordedLayer& layer) {
  const std::int64_t H = layer.weights_HTS.dim(0), T = layer.weights_HTS.dim(1), S = layer.weights_HTS.dim(2);
  json.key("statistics").begin_array();
  for (std::int64_t h = 0; h < H; ++h) {
    const auto head = attention::head_statistics(layer.weights_HTS.f32() + h * T * S, T, S, layer.side);
    json.begin_object().field("entropy", head.entropy).field("spread", head.spread);
    json.field("distance", head.distance).field("diagonal", head.diagonal);
    json.field("end", head.end).field("confidence", head.confidence).end_object();
  }
  json.end_array();
}

// Which labels stand at the rows: a text that a decoder read alone is one list.
std::string_view rows_of(const attention::Recording& recording, Side side) {
  if (side == Side::encoder) return "source";
  return side == Side::decoder && recording.target_in == recording.target_out ? "target_in" : "target_out";
}

void write_layer(JsonWriter& json, std::string_view kind, const attention::Recording& recording,
                 const RecordedLayer& layer) {
  const std::int64_t H = layer.weights_HTS.dim(0), T = layer.weights_HTS.dim(1), S = layer.weights_HTS.dim(2);
  json.begin_object().field("kind", kind).field("side", attention::name(layer.side));
  json.field("layer", layer.layer).field("heads", H);
  json.field("rows", rows_of(recording, layer.side));
  json.field("columns", layer.side == Side::decoder ? "target_in" : "source");
  write_statistics(json, layer);
  json.key("weights").begin_array();
  for (std::int64_t h = 0; h < H; ++h) {
    json.begin_array();
    for (std::int64_t t = 0; t < T; ++t) write_row(json, layer.weights_HTS.f32() + (h * T + t) * S, S);
    json.end_array();
  }
  json.end_array().end_object();
}

}  // namespace

std::string attention_json(const attention::Recording& recording, const AttentionJsonOptions& options) {
  JsonWriter json(JsonWriter::Layout::compact);
  json.begin_object().field("format", "fovea-attention").field("version", 1);
  json.field("model", options.model);
  write_labels(json, "source", recording.source);
  if (recording.second > 0) json.field("second", recording.second);
  write_labels(json, "target_in", recording.target_in);
  write_labels(json, "target_out", recording.target_out);
  json.key("layers").begin_array();
  for (const auto& layer : recording.layers) write_layer(json, "attention", recording, layer);
  for (const auto& [kind, layers] : options.further)
    for (const auto& layer : layers) write_layer(json, kind, recording, layer);
  return json.end_array().end_object().finish() + "\n";
}

}  // namespace fovea::views
