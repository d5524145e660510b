// What a value is: `value is odd`.
#include <map>

#include "fovea/text/jinja/builtins.h"

namespace fovea::text::jinja {
namespace {

using Test = bool (*)(const Value&, const Arguments&, Budget&);

template <bool negated, bool swapped>
bool in_order(const Value& value, const Arguments& arguments, Budget& budget) {
  const Value& other = arguments.at(0, "what it is compared with");
  return (swapped ? less(other, value, budget) : less(value, other, budget)) != negated;
}

bool same(const Value& value, const Arguments& arguments, Budget& budget) {
  return equal(value, arguments.at(0, "what it is compared with"), budget);
}

bool is_string(const Value& value, const Arguments&, Budget&) { return value.text(); }

const std::map<std::string_view, Test>& tests() {
  using V = const Value&;
  using A = const Arguments&;
  using B = Budget&;
  static const std::map<std::string_view, Test> all{
      {"defined", [](V value, A, B) { return !value.is_undefined(); }},
      {"undefined", [](V value, A, B) { return value.is_undefined(); }},
      {"none", [](V value, A, B) { return value.is_none(); }},
      {"boolean", [](V value, A, B) { return value.boolean() != nullptr; }},
      {"true", [](V value, A, B) { return value.boolean() && *value.boolean(); }},
      {"false", [](V value, A, B) { return value.boolean() && !*value.boolean(); }},
      {"integer", [](V value, A, B) { return value.integer() != nullptr; }},
      {"float", [](V value, A, B) { return value.real() != nullptr; }},
      {"number", [](V value, A, B) { return value.is_number(); }},
      {"string", is_string},
      {"mapping", [](V value, A, B) { return value.members() != nullptr; }},
      {"sequence",
       [](V value, A, B) {
         return value.text() || value.items() || value.members() || value.is_undefined();
       }},
      {"iterable",
       [](V value, A, B) {
         return value.text() || value.items() || value.members() || value.is_undefined();
       }},
      {"callable", [](V value, A, B) { return value.is_callable(); }},
      {"odd", [](V value, A, B) { return value.whole("odd") % 2 != 0; }},
      {"even", [](V value, A, B) { return value.whole("even") % 2 == 0; }},
      {"divisibleby",
       [](V value, A arguments, B) {
         const std::int64_t by = arguments.at(0, "num").whole("divisibleby");
         if (by == 0) throw Fault("divides by zero");
         return by == -1 || value.whole("divisibleby") % by == 0;
       }},
      {"lower", [](V value, A,
                   B budget) { return call_method(to_text(value, budget), "islower", {}, budget).truth(); }},
      {"upper", [](V value, A,
                   B budget) { return call_method(to_text(value, budget), "isupper", {}, budget).truth(); }},
      {"in", [](V value, A arguments, B budget) { return contains(arguments.at(0, "seq"), value, budget); }},
      {"eq", same},
      {"equalto", same},
      {"sameas",
       [](V value, A arguments, B budget) {
         const Value& other = arguments.at(0, "other");
         return std::string_view(value.type_name()) == other.type_name() && equal(value, other, budget);
       }},
      {"ne", [](V value, A arguments, B budget) { return !same(value, arguments, budget); }},
      {"lt", in_order<false, false>},
      {"lessthan", in_order<false, false>},
      {"le", in_order<true, true>},
      {"gt", in_order<false, true>},
      {"greaterthan", in_order<false, true>},
      {"ge", in_order<true, false>},
      {"filter", [](V value, A, B) { return value.text() && is_filter(*value.text()); }},
      {"test", [](V value, A, B) { return value.text() && is_test(*value.text()); }}};
  return all;
}

/// Tests may be named by their operators, as in select("==", 3).
std::string_view plain_name(std::string_view name) {
  static const std::map<std::string_view, std::string_view> operators{
      {"==", "eq"}, {"!=", "ne"}, {"<", "lt"}, {"<=", "le"}, {">", "gt"}, {">=", "ge"}};
  const auto found = operators.find(name);
  return found == operators.end() ? name : found->second;
}

}  // namespace

bool is_test(std::string_view name) { return tests().contains(plain_name(name)); }

bool apply_test(std::string_view name, const Value& value, const Arguments& arguments, Budget& budget) {
  const Budget::Level level(budget);
  budget.spend(1);
  const auto found = tests().find(plain_name(name));
  if (found == tests().end()) throw Fault("there is no test '" + std::string(name) + "'");
  return found->second(value, arguments, budget);
}

}  // namespace fovea::text::jinja
