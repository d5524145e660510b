#include "fovea/formats/json.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <vector>

#include "fovea/base/checked.h"
#include "fovea/base/file.h"

namespace fovea::formats {

// The document is a tape: one node of 16 bytes a value or key, children after their parent. An object's child
// is a node for its key and, right behind it, the value.
struct Json::Node {
  Type type = Type::null;
  std::uint32_t extent = 1;  // array, object: nodes until the next sibling, this included; text: bytes
  union {
    std::uint64_t natural = 0;
    std::int64_t negative;
    double real;
    bool boolean;
    std::uint64_t start;  // text: where in Document::text
    struct {
      std::uint32_t children;
      std::uint32_t order;  // object: where in Document::order its keys are listed by name
    };
  };
};

struct Json::Document {
  JsonSource source;
  std::vector<Node> nodes;
  std::string text;
  std::vector<std::uint32_t> order;

  std::string_view text_of(std::uint32_t node) const {
    return std::string_view(text).substr(nodes[node].start, nodes[node].extent);
  }
  std::uint32_t after(std::uint32_t node) const {
    return node + (is_container(node) ? nodes[node].extent : 1);
  }
  bool is_container(std::uint32_t node) const {
    return nodes[node].type == Type::array || nodes[node].type == Type::object;
  }
  std::string path_of(std::uint32_t target) const;
};

namespace {

std::string in_quotes(std::string_view text) {
  return std::string("\"").append(printable(text, 60)).append("\"");
}

std::string number_text(double value) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  return {digits, end};
}

}  // namespace

std::string Json::Document::path_of(std::uint32_t target) const {
  std::string path;
  std::uint32_t node = 0;
  while (node < target && is_container(node)) {
    const bool object = nodes[node].type == Type::object;
    std::uint32_t child = node + 1;
    for (std::uint32_t index = 0;; ++index) {
      const std::uint32_t value = object ? child + 1 : child;
      const std::uint32_t next = after(value);
      if (target < next) {
        if (object)
          path.append(path.empty() ? "" : ".").append(printable(text_of(child), 60));
        else
          path.append("[").append(std::to_string(index)).append("]");
        node = value;
        break;
      }
      child = next;
    }
  }
  return path;
}

class Json::Builder final : public JsonEvents {
 public:
  explicit Builder(const JsonSource& source) : document_(std::make_shared<Document>()) {
    document_->source = source;
  }

  void null() override { add({}); }
  void boolean(bool value) override { add({.type = Type::boolean, .boolean = value}); }
  void natural(std::uint64_t value) override { add({.type = Type::natural, .natural = value}); }
  void negative(std::int64_t value) override { add({.type = Type::negative, .negative = value}); }
  void real(double value) override { add({.type = Type::real, .real = value}); }
  void text(std::string& value) override {
    count();
    add_text(value);
  }
  void key(std::string& name) override {
    keys_.push_back(static_cast<std::uint32_t>(document_->nodes.size()));
    add_text(name);
  }
  void begin_object() override { open(Type::object); }
  void begin_array() override { open(Type::array); }
  void end_array() override { close(0); }
  void end_object() override {
    const std::size_t first_key = open_.back().first_key;
    const auto order = static_cast<std::uint32_t>(document_->order.size());
    const std::span keys = std::span(keys_).subspan(first_key);
    const auto name = [&](std::uint32_t node) { return document_->text_of(node); };
    std::ranges::sort(keys, {}, name);
    const auto twice = std::ranges::adjacent_find(keys, {}, name);
    if (twice != keys.end()) refuse_duplicate(*twice);
    document_->order.insert(document_->order.end(), keys.begin(), keys.end());
    keys_.resize(first_key);
    close(order);
  }
  std::shared_ptr<const Document> take() { return std::move(document_); }

 private:
  struct Open {
    std::uint32_t node;
    std::uint32_t children;
    std::size_t first_key;
  };

  void count() {
    if (!open_.empty()) ++open_.back().children;
  }
  void add(Node node) {
    count();
    document_->nodes.push_back(node);
  }
  void add_text(std::string_view value) {
    document_->nodes.push_back({.type = Type::text,
                                .extent = static_cast<std::uint32_t>(value.size()),
                                .start = document_->text.size()});
    document_->text.append(value);
  }
  void open(Type type) {
    Node node;
    node.type = type;
    add(node);
    open_.push_back({static_cast<std::uint32_t>(document_->nodes.size() - 1), 0, keys_.size()});
  }
  void close(std::uint32_t order) {
    Node& node = document_->nodes[open_.back().node];
    node.extent = static_cast<std::uint32_t>(document_->nodes.size()) - open_.back().node;
    node.children = open_.back().children;
    node.order = order;
    open_.pop_back();
  }
  [[noreturn]] void refuse_duplicate(std::uint32_t key) {
    const auto& source = document_->source;
    throw Error(source.kind, source.name,
                "gives the key " + in_quotes(document_->text_of(key)) + " twice in the same object");
  }

  std::shared_ptr<Document> document_;
  std::vector<Open> open_;
  std::vector<std::uint32_t> keys_;  // of all open objects, innermost last
};

Json Json::parse(std::string_view text, const JsonSource& source, const JsonLimits& limits) {
  Builder builder(source);
  parse_json(text, source, limits, builder);
  return {builder.take(), 0};
}

const Json::Node& Json::node() const { return document_->nodes[node_]; }

Json::Type Json::type() const { return node().type; }

std::string Json::path() const { return document_->path_of(node_); }

void Json::reject(std::string_view what, std::string_view remedy) const {
  const std::string inside = path();
  const auto& source = document_->source;
  throw Error(source.kind, inside.empty() ? source.name : source.name + ": " + inside, what, remedy);
}

std::string Json::found() const {
  switch (type()) {
    case Type::null:
      return "null";
    case Type::boolean:
      return node().boolean ? "true" : "false";
    case Type::natural:
      return std::to_string(node().natural);
    case Type::negative:
      return std::to_string(node().negative);
    case Type::real:
      return "the number " + number_text(node().real);
    case Type::text:
      return "the text " + in_quotes(text());
    case Type::array:
      return "an array of " + std::to_string(size());
    case Type::object:
      return "an object";
  }
  return "?";
}

void Json::expected(std::string_view what) const {
  reject("is " + found() + ", but " + std::string(what) + " was expected");
}

std::optional<std::uint32_t> Json::find_node(std::string_view key) const {
  if (!is_object()) expected("an object");
  const std::span keys = std::span(document_->order).subspan(node().order, node().children);
  const auto name = [&](std::uint32_t index) { return document_->text_of(index); };
  const auto place = std::ranges::lower_bound(keys, key, {}, name);
  if (place == keys.end() || name(*place) != key) return std::nullopt;
  return *place + 1;
}

Json Json::at(std::string_view key) const {
  const auto index = find_node(key);
  if (!index) reject("has no " + in_quotes(key));
  return {document_, *index};
}

std::optional<Json> Json::find(std::string_view key) const {
  const auto index = find_node(key);
  if (!index || document_->nodes[*index].type == Type::null) return std::nullopt;
  return Json(document_, *index);
}

bool Json::boolean() const {
  if (type() != Type::boolean) expected("true or false");
  return node().boolean;
}

std::int64_t Json::integer(std::int64_t least, std::int64_t most) const {
  std::optional<std::int64_t> value;
  if (type() == Type::natural) value = checked_cast<std::int64_t>(node().natural);
  if (type() == Type::negative) value = node().negative;
  if (!value || *value < least || *value > most)
    expected("an integer from " + std::to_string(least) + " to " + std::to_string(most));
  return *value;
}

double Json::number(double least, double most) const {
  double value = 0;
  if (type() == Type::real) value = node().real;
  if (type() == Type::natural) value = static_cast<double>(node().natural);
  if (type() == Type::negative) value = static_cast<double>(node().negative);
  if (!is_number()) expected("a number");
  if (value < least || value > most)
    expected("a number from " + number_text(least) + " to " + number_text(most));
  return value;
}

std::string_view Json::text() const {
  if (type() != Type::text) expected("a text");
  return document_->text_of(node_);
}

bool Json::boolean_or(std::string_view key, bool otherwise) const {
  const auto value = find(key);
  return value ? value->boolean() : otherwise;
}

std::int64_t Json::integer_or(std::string_view key, std::int64_t otherwise, std::int64_t least,
                              std::int64_t most) const {
  const auto value = find(key);
  return value ? value->integer(least, most) : otherwise;
}

double Json::number_or(std::string_view key, double otherwise, double least, double most) const {
  const auto value = find(key);
  return value ? value->number(least, most) : otherwise;
}

std::string Json::text_or(std::string_view key, std::string_view otherwise) const {
  const auto value = find(key);
  return std::string(value ? value->text() : otherwise);
}

std::size_t Json::size() const {
  if (!is_array() && !is_object()) expected("an array or an object");
  return node().children;
}

Json::Range<Json> Json::elements() const {
  if (!is_array()) expected("an array");
  return {document_, node_ + 1, document_->after(node_)};
}

Json::Range<Json::Member> Json::members() const {
  if (!is_object()) expected("an object");
  return {document_, node_ + 1, document_->after(node_)};
}

template <>
Json Json::Range<Json>::Iterator::operator*() const {
  return {document_, node_};
}

template <>
Json::Range<Json>::Iterator& Json::Range<Json>::Iterator::operator++() {
  node_ = document_->after(node_);
  return *this;
}

template <>
Json::Member Json::Range<Json::Member>::Iterator::operator*() const {
  return {document_->text_of(node_), Json(document_, node_ + 1)};
}

template <>
Json::Range<Json::Member>::Iterator& Json::Range<Json::Member>::Iterator::operator++() {
  node_ = document_->after(node_ + 1);
  return *this;
}

Json read_json(const std::filesystem::path& path, Error::Kind kind, const JsonLimits& limits,
               FileSystem& files) {
  return Json::parse(read_file(path, limits.bytes, kind, files), {shown(path), kind}, limits);
}

}  // namespace fovea::formats
