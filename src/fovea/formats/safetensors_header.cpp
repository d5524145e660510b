#include "fovea/formats/safetensors_header.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "fovea/base/checked.h"

namespace fovea::formats {
namespace {

// { NAME: { "dtype": TEXT, "shape": [NATURAL ...], "data_offsets": [NATURAL, NATURAL] } ..., "__metadata__":
// { TEXT: TEXT } } read as it comes: one small state, no tree, for there may be a million tensors.
class HeaderReader final : public JsonEvents {
 public:
  HeaderReader(const JsonSource& source, const SafetensorsLimits& limits)
      : source_(source), limits_(limits) {}

  void key(std::string& name) override {
    switch (place_) {
      case Place::root:
        return begin_entry(name);
      case Place::tensor:
        return begin_field(name);
      case Place::metadata:
        metadata_key_ = std::move(name);
        return;
      default:
        return;  // no keys elsewhere
    }
  }

  void begin_object() override {
    if (place_ == Place::start) {
      place_ = Place::root;
    } else if (place_ == Place::root) {
      place_ = in_metadata_ ? Place::metadata : Place::tensor;
    } else {
      refuse("an object");
    }
  }

  void end_object() override {
    if (place_ == Place::tensor) finish_tensor();
    place_ = place_ == Place::root ? Place::start : Place::root;
  }

  void begin_array() override {
    if (place_ != Place::tensor) refuse("an array");
    if (field_ == "shape")
      place_ = Place::shape;
    else if (field_ == "data_offsets")
      place_ = Place::offsets;
    else
      refuse("an array");
  }

  void end_array() override { place_ = Place::tensor; }

  void text(std::string& value) override {
    if (place_ == Place::metadata) {
      if (!header_.metadata.emplace(metadata_key_, std::move(value)).second)
        reject("__metadata__", "gives the key \"" + printable(metadata_key_) + "\" twice");
    } else if (place_ == Place::tensor && field_ == "dtype") {
      const auto type = stored_type(value);
      if (!type) reject(tensor(), "has the unknown dtype \"" + printable(value) + "\"");
      current().type = *type;
    } else {
      refuse("a text");
    }
  }

  void natural(std::uint64_t value) override {
    if (place_ == Place::shape) {
      if (current().shape.size() == limits_.rank)
        reject(tensor(), "has more than " + std::to_string(limits_.rank) + " axes");
      const auto extent = checked_cast<std::int64_t>(value);
      if (!extent) reject(tensor(), "has an axis of " + std::to_string(value) + ": the size overflows");
      current().shape.push_back(*extent);
    } else if (place_ == Place::offsets && offsets_seen_ < 2) {
      (offsets_seen_ == 0 ? current().begin : current().end) = value;
      ++offsets_seen_;
    } else if (place_ == Place::offsets) {
      reject(tensor(), "has more than two data_offsets");
    } else {
      refuse("a number");
    }
  }

  void null() override { refuse("null"); }
  void boolean(bool) override { refuse("true or false"); }
  void negative(std::int64_t value) override { refuse("the number " + std::to_string(value)); }
  void real(double) override { refuse("a number with a point or exponent, or beyond 64 bits"); }

  SafetensorsHeader take() { return std::move(header_); }

 private:
  enum class Place { start, root, metadata, tensor, shape, offsets };
  enum Field : unsigned { dtype = 1, shape = 2, data_offsets = 4 };

  void begin_entry(std::string& name) {
    in_metadata_ = name == "__metadata__";
    if (in_metadata_) {
      if (std::exchange(has_metadata_, true)) reject("", "gives __metadata__ twice");
      return;
    }
    if (name.size() > limits_.name_bytes)
      reject("", "has a tensor name of " + std::to_string(name.size()) + " bytes, \"" + printable(name, 40) +
                     "\"; at most " + std::to_string(limits_.name_bytes) + " are allowed");
    if (header_.tensors.size() == limits_.tensors)
      reject("", "has more than " + std::to_string(limits_.tensors) + " tensors");
    header_.tensors.emplace_back().name = std::move(name);
    fields_seen_ = 0;
    offsets_seen_ = 0;
  }

  void begin_field(std::string& name) {
    unsigned field = 0;
    if (name == "dtype") field = dtype;
    if (name == "shape") field = shape;
    if (name == "data_offsets") field = data_offsets;
    if (field == 0) reject(tensor(), "has the unknown entry \"" + printable(name) + "\"");
    if (fields_seen_ & field) reject(tensor(), "gives \"" + name + "\" twice");
    fields_seen_ |= field;
    field_ = std::move(name);
  }

  void finish_tensor() {
    for (const auto& [field, name] :
         {std::pair{dtype, "dtype"}, {shape, "shape"}, {data_offsets, "data_offsets"}})
      if (!(fields_seen_ & field)) reject(tensor(), std::string("has no \"") + name + "\"");
    if (offsets_seen_ != 2) reject(tensor(), "has fewer than two data_offsets");
  }

  TensorInfo& current() { return header_.tensors.back(); }
  std::string tensor() { return "tensor \"" + printable(current().name) + "\""; }

  // A value of a type that may not stand here.
  [[noreturn]] void refuse(const std::string& found) {
    switch (place_) {
      case Place::start:
        reject("", "is not an object but " + found);
      case Place::root:
        reject("", in_metadata_ ? "has " + found + " as __metadata__ where an object of texts belongs"
                                : "has " + found + " for " + tensor() + " where an object belongs");
      case Place::metadata:
        reject("__metadata__",
               "has " + found + " for \"" + printable(metadata_key_) + "\" where a text belongs");
      case Place::tensor:
        reject(tensor(), "has " + found + " as " + field_);
      case Place::shape:
        reject(tensor(), "has " + found + " in its shape where a size belongs");
      case Place::offsets:
        reject(tensor(), "has " + found + " in its data_offsets where a size belongs");
    }
    throw Error(Error::Kind::bug, source_.name, "no such place");
  }

  [[noreturn]] void reject(const std::string& where, const std::string& what) {
    throw Error(source_.kind, source_.name,
                (where.empty() ? "the header " : "the header's " + where + " ") + what);
  }

  const JsonSource& source_;
  const SafetensorsLimits& limits_;
  SafetensorsHeader header_;
  Place place_ = Place::start;
  bool in_metadata_ = false;
  bool has_metadata_ = false;
  std::string metadata_key_;
  std::string field_;
  unsigned fields_seen_ = 0;
  int offsets_seen_ = 0;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, const JsonSource& source,
                                           const SafetensorsLimits& limits) {
  HeaderReader reader(source, limits);
  JsonLimits json_limits;
  json_limits.bytes = limits.header_bytes;
  json_limits.string_bytes = limits.header_bytes;
  json_limits.values =
      std::numeric_limits<std::size_t>::max();  // the reader keeps no more than its own limits
  parse_json(text, source, json_limits, reader);
  return reader.take();
}

}  // namespace fovea::formats
