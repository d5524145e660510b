#include "fovea/training/state.h"

#include <charconv>

#include "fovea/formats/json_writer.h"

namespace fovea::training {
namespace {

constexpr std::int64_t version = 1;

// A 64-bit number as hexadecimal text: JSON's numbers are doubles to most readers.
std::string hexadecimal(std::uint64_t value) {
  char text[17];
  const auto end = std::to_chars(text, text + sizeof text, value, 16).ptr;
  return std::string(text, end);
}

std::uint64_t from_hexadecimal(const formats::Json& json) {
  const auto text = json.text();
  std::uint64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size())
    json.reject("is no hexadecimal number");
  return value;
}

}  // namespace

std::string to_json(const TrainingState& state, std::uint64_t data) {
  formats::JsonWriter json;
  json.begin_object().field("version", version).field("update", state.update);
  json.key("position")
      .begin_object()
      .field("epoch", state.position.epoch)
      .field("batch", state.position.batch)
      .end_object();
  json.key("window").begin_object();
  json.field("loss", state.window.loss).field("nll", state.window.nll).field("tokens", state.window.tokens);
  json.field("updates", state.window.updates).field("seconds", state.window.seconds).end_object();
  json.field("gradient_norm", state.gradient_norm)
      .field("skipped", state.skipped)
      .field("skipped_in_a_row", state.skipped_in_a_row)
      .field("hopeless_in_a_row", state.hopeless_in_a_row)
      .field("best", state.best)
      .field("best_loss", state.best_loss)
      .field("best_update", state.best_update)
      .field("validated", state.validated)
      .field("stalled", state.stalled)
      .field("seconds", state.seconds)
      .field("target_tokens", state.target_tokens)
      .field("data", hexadecimal(data));
  return json.end_object().finish();
}

StoredState read_state(const formats::Json& json) {
  const auto count = [](const formats::Json& object, std::string_view key) {
    return object.at(key).integer(0);
  };
  // Absent in the first files of version 1.
  const auto later_number = [](const formats::Json& object, std::string_view key) {
    return object.has(key) ? object.at(key).number() : 0.0;
  };
  if (const auto found = json.at("version").integer(1); found > version)
    json.at("version").reject(
        "is " + std::to_string(found) + ", this fovea reads up to " + std::to_string(version),
        "use a newer fovea");
  StoredState stored;
  TrainingState& state = stored.state;
  state.update = count(json, "update");
  const auto position = json.at("position");
  state.position = {count(position, "epoch"), count(position, "batch")};
  const auto window = json.at("window");
  state.window = {window.at("loss").number(), window.at("nll").number(), count(window, "tokens"),
                  count(window, "updates"), later_number(window, "seconds")};
  state.gradient_norm = later_number(json, "gradient_norm");
  state.skipped = count(json, "skipped");
  state.skipped_in_a_row = count(json, "skipped_in_a_row");
  state.hopeless_in_a_row = count(json, "hopeless_in_a_row");
  state.best = json.at("best").number();
  state.best_loss = later_number(json, "best_loss");
  state.best_update = count(json, "best_update");
  state.validated = json.has("validated") ? count(json, "validated") : 0;
  state.stalled = count(json, "stalled");
  state.seconds = json.at("seconds").number(0);
  state.target_tokens = count(json, "target_tokens");
  stored.data = from_hexadecimal(json.at("data"));
  return stored;
}

}  // namespace fovea::training
