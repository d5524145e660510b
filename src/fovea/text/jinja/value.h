#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "fovea/formats/json.h"

/// The values of Jinja templates, which are Python's: how they print, compare and count as true.
namespace fovea::text::jinja {

/// What is wrong with a template or with what it was given; the interpreter adds the place.
class Fault : public std::exception {
 public:
  explicit Fault(std::string what) : what_(std::move(what)) {}
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  std::string what_;
};

/// What a template may still do: a step a node evaluated, an element visited, 16 bytes of text made.
/// Everything whose work a template decides spends from it, so that any template ends.
class Budget {
 public:
  explicit Budget(std::uint64_t steps) : left_(steps) {}
  void spend(std::uint64_t steps) {
    if (steps > left_) throw Fault("does more work than a chat template needs");
    left_ -= steps;
  }
  void spend_text(std::size_t bytes) { spend(1 + bytes / 16); }

  /// A level of calls within calls, while it lives.
  class Level {
   public:
    explicit Level(Budget& budget) : budget_(budget) {
      if (++budget_.levels_ > 800) {
        --budget_.levels_;
        throw Fault("calls itself too deeply");
      }
    }
    ~Level() { --budget_.levels_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Budget& budget_;
  };

 private:
  std::uint64_t left_;
  int levels_ = 0;
};

struct Macro;

class Value {
 public:
  struct Undefined {
    std::string name;  ///< what was looked for
  };
  struct None {};
  struct List;
  struct Dict;
  struct Namespace;
  struct Loop;
  struct Method;
  /// A function that templates find by its name.
  enum class Function { range, make_namespace, dict, raise_exception, strftime_now };

  Value() = default;
  Value(Undefined missing) : data_(std::move(missing)) {}
  Value(None none) : data_(none) {}
  Value(bool truth) : data_(truth) {}
  Value(std::int64_t number) : data_(number) {}
  Value(double number) : data_(number) {}
  Value(std::string text) : data_(std::make_shared<const std::string>(std::move(text))) {}
  Value(std::string_view text) : Value(std::string(text)) {}
  Value(const char* text) : Value(std::string(text)) {}
  Value(std::shared_ptr<Namespace> space) : data_(std::move(space)) {}
  Value(std::shared_ptr<const Loop> loop) : data_(std::move(loop)) {}
  Value(const Macro* macro) : data_(macro) {}
  Value(Function function) : data_(function) {}
  /// Throws Fault if values are nested too deeply, as for the next two.
  static Value list(std::vector<Value> items, bool is_tuple = false);
  /// Of the same key the last value counts, in the place of the first.
  static Value dict(std::vector<std::pair<std::string, Value>> items);
  /// `name`, to be called on `self`.
  static Value method(Value self, std::string_view name);
  static Value from_json(const formats::Json& json);

  template <class T>
  const T* get() const {
    return std::get_if<T>(&data_);
  }
  bool is_undefined() const { return get<Undefined>(); }
  bool is_none() const { return get<None>(); }
  const bool* boolean() const { return get<bool>(); }
  const std::int64_t* integer() const { return get<std::int64_t>(); }
  const double* real() const { return get<double>(); }
  const std::string* text() const { return pointed<const std::string>(); }
  const std::vector<Value>* items() const;                            ///< of a list or tuple
  const std::vector<std::pair<std::string, Value>>* members() const;  ///< of a dict
  Namespace* space() const { return pointed<Namespace>(); }
  const Loop* loop() const { return pointed<const Loop>(); }
  const Method* bound() const { return pointed<const Method>(); }
  bool is_tuple() const;
  bool is_number() const { return boolean() || integer() || real(); }
  bool is_callable() const { return bound() || get<const Macro*>() || get<Function>(); }
  /// The member of a dict; null if there is none, or if this is none.
  const Value* member(std::string_view key) const;

  bool truth() const;
  /// Levels of values within this one.
  std::uint32_t depth() const;
  /// As Python names it: "str", "NoneType".
  const char* type_name() const;
  /// A whole number: a truth counts as 0 or 1. Throws Fault for others.
  std::int64_t whole(std::string_view what) const;
  /// Any number. Throws Fault for others.
  double number(std::string_view what) const;

 private:
  template <class T>
  T* pointed() const {
    const auto* pointer = std::get_if<std::shared_ptr<T>>(&data_);
    return pointer ? pointer->get() : nullptr;
  }

  std::variant<Undefined, None, bool, std::int64_t, double, std::shared_ptr<const std::string>,
               std::shared_ptr<const List>, std::shared_ptr<const Dict>, std::shared_ptr<Namespace>,
               std::shared_ptr<const Loop>, std::shared_ptr<const Method>, const Macro*, Function>
      data_;
};

struct Value::List {
  std::vector<Value> items;
  bool is_tuple;
  std::uint32_t depth;
};

struct Value::Dict {
  std::vector<std::pair<std::string, Value>> items;
  std::unordered_map<std::string_view, std::size_t> places;  // keys are views into items
  std::uint32_t depth;
};

/// The one thing that a template can change.
struct Value::Namespace {
  std::unordered_map<std::string, Value> variables;
};

/// What `loop` is in a loop.
struct Value::Loop {
  Value list;
  std::size_t index = 0;
};

struct Value::Method {
  Value self;
  std::string name;
};

/// A number for a text's worth of code points.
std::size_t code_points(std::string_view text);

/// As Python's str() and repr() write it; undefined is empty.
std::string to_text(const Value& value, Budget& budget);
void append_repr(std::string& out, const Value& value, Budget& budget);

bool equal(const Value& a, const Value& b, Budget& budget);
/// Throws Fault where Python cannot tell.
bool less(const Value& a, const Value& b, Budget& budget);
/// `needle in haystack`.
bool contains(const Value& haystack, const Value& needle, Budget& budget);

/// What a loop goes through: elements, keys, code points; nothing if undefined. Throws Fault for others.
std::vector<Value> elements(const Value& value, Budget& budget);

struct JsonStyle {
  bool ascii = false, sort_keys = false;
  int indent = -1;  ///< spaces a level; below 0: one line
  std::string item_separator = ", ", key_separator = ": ";
};
/// As Python's json.dumps. Throws Fault for what JSON cannot hold.
std::string to_json(const Value& value, const JsonStyle& style, Budget& budget);

}  // namespace fovea::text::jinja
