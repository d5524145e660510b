#include "fovea/text/jinja/interpreter.h"

#include <algorithm>
#include <array>

#include "fovea/text/jinja/lexer.h"
#include "fovea/text/utf8.h"

namespace fovea::text::jinja {

using Kind = Expression::Kind;

Interpreter::~Interpreter() {
  for (const auto& space : spaces_) space->variables.clear();
}

std::string Interpreter::render(const Body& body, Variables variables) {
  root_.variables = std::move(variables);
  std::string out;
  run(body, root_, out);
  return out;
}

// ---- statements

Interpreter::Flow Interpreter::run(const Body& body, Scope& scope, std::string& out) {
  for (const Statement& statement : body)
    if (const Flow flow = run(statement, scope, out); flow != Flow::on) return flow;
  return Flow::on;
}

Interpreter::Flow Interpreter::run(const Statement& statement, Scope& scope, std::string& out) {
  const Budget::Level level(budget_);
  budget_.spend(1);
  line_ = statement.line;
  switch (statement.kind) {
    case Statement::Kind::text:
      budget_.spend_text(statement.text.size());
      out += statement.text;
      break;
    case Statement::Kind::output:
      out += to_text(evaluate(*statement.expression, scope), budget_);
      break;
    case Statement::Kind::condition:
      return run_condition(statement, scope, out);
    case Statement::Kind::loop:
      return run_loop(statement, scope, out);
    case Statement::Kind::assignment:
      run_assignment(statement, scope);
      break;
    case Statement::Kind::block:
      scope.variables[statement.targets[0]] = printed_by(statement, scope);
      break;
    case Statement::Kind::filter:
      out += to_text(printed_by(statement, scope), budget_);
      break;
    case Statement::Kind::macro:
      scope.variables[statement.macro->name] = Value(statement.macro.get());
      break;
    case Statement::Kind::group: {
      Scope inner{&scope, {}};
      for (std::size_t i = 0; i < statement.targets.size(); ++i)
        inner.variables[statement.targets[i]] = evaluate(*statement.values[i], scope);
      return run(statement.body, inner, out);
    }
    case Statement::Kind::break_loop:
      return Flow::stop_loop;
    case Statement::Kind::continue_loop:
      return Flow::next_round;
  }
  return Flow::on;
}

Interpreter::Flow Interpreter::run_condition(const Statement& statement, Scope& scope, std::string& out) {
  for (const auto& branch : statement.branches)
    if (!branch.condition || evaluate(*branch.condition, scope).truth()) return run(branch.body, scope, out);
  return Flow::on;
}

Interpreter::Flow Interpreter::run_loop(const Statement& statement, Scope& scope, std::string& out) {
  const Value source = evaluate(*statement.expression, scope);
  std::vector<Value> items = elements(source, budget_);
  if (statement.filter) {
    const auto fails = [&](const Value& item) {
      Scope inner{&scope, {}};
      assign(statement.targets, item, inner);
      return !evaluate(*statement.filter, inner).truth();
    };
    std::erase_if(items, fails);
  }
  if (items.empty()) return run(statement.otherwise, scope, out);
  const Value list = Value::list(items);
  for (std::size_t i = 0; i < items.size(); ++i) {
    Scope inner{&scope, {}};
    inner.variables["loop"] = Value(std::make_shared<const Value::Loop>(Value::Loop{list, i}));
    assign(statement.targets, items[i], inner);
    if (run(statement.body, inner, out) == Flow::stop_loop) break;
  }
  return Flow::on;
}

void Interpreter::assign(const std::vector<std::string>& targets, const Value& value, Scope& scope) {
  if (targets.size() == 1) {
    scope.variables[targets[0]] = value;
    return;
  }
  const std::vector<Value> parts = elements(value, budget_);
  if (parts.size() != targets.size())
    throw Fault(std::to_string(parts.size()) + " values for " + std::to_string(targets.size()) +
                " variables");
  for (std::size_t i = 0; i < parts.size(); ++i) scope.variables[targets[i]] = parts[i];
}

void Interpreter::run_assignment(const Statement& statement, Scope& scope) {
  Value value = evaluate(*statement.expression, scope);
  if (statement.attribute.empty()) return assign(statement.targets, value, scope);
  const Value target = look_up(statement.targets[0], scope);
  if (!target.space())
    throw Fault("'" + statement.targets[0] + "' is no namespace, so its attributes cannot be set");
  if (statement.attribute.starts_with('_')) throw Fault("attributes of a namespace do not begin with '_'");
  target.space()->variables[statement.attribute] = std::move(value);
}

Value Interpreter::printed_by(const Statement& statement, Scope& scope) {
  Scope inner{&scope, {}};
  std::string text;
  run(statement.body, inner, text);
  if (!statement.expression) return text;
  inner.variables[std::string(printed)] = Value(std::move(text));
  return evaluate(*statement.expression, inner);
}

// ---- expressions

Value Interpreter::look_up(const std::string& name, const Scope& scope) const {
  for (const Scope* at = &scope; at; at = at->parent)
    if (const auto found = at->variables.find(name); found != at->variables.end()) return found->second;
  static constexpr std::array<std::string_view, 5> functions{"range", "namespace", "dict", "raise_exception",
                                                             "strftime_now"};
  const auto found = std::find(functions.begin(), functions.end(), name);
  if (found != functions.end()) return static_cast<Value::Function>(found - functions.begin());
  return Value::Undefined{name};
}

Value Interpreter::evaluate(const Expression& node, Scope& scope) {
  const Budget::Level level(budget_);
  budget_.spend(1);
  line_ = node.line;
  switch (node.kind) {
    case Kind::literal:
      return node.literal;
    case Kind::name:
      return look_up(node.name, scope);
    case Kind::both: {
      Value left = evaluate(*node.parts[0], scope);
      return left.truth() ? evaluate(*node.parts[1], scope) : left;
    }
    case Kind::either: {
      Value left = evaluate(*node.parts[0], scope);
      return left.truth() ? left : evaluate(*node.parts[1], scope);
    }
    case Kind::conditional:
      if (evaluate(*node.parts[1], scope).truth()) return evaluate(*node.parts[0], scope);
      return node.parts[2] ? evaluate(*node.parts[2], scope)
                           : Value(Value::Undefined{"a condition without else"});
    case Kind::comparison:
      return compare(node, scope);
    case Kind::slice:
      return slice(node, scope);
    case Kind::call:
      return call(node, scope);
    case Kind::dict:
      return make_dict(node, scope);
    default:
      return evaluate_parts(node, scope);
  }
}

/// Nodes all of whose parts are evaluated, in order.
Value Interpreter::evaluate_parts(const Expression& node, Scope& scope) {
  std::vector<Value> parts;
  for (const auto& part : node.parts) parts.push_back(evaluate(*part, scope));
  line_ = node.line;
  switch (node.kind) {
    case Kind::list:
    case Kind::tuple:
      return Value::list(std::move(parts), node.kind == Kind::tuple);
    case Kind::attribute:
      return attribute_of(parts[0], node.name);
    case Kind::item:
      return item_of(parts[0], parts[1], budget_);
    case Kind::filter:
      return apply_filter(node.name, parts[0], arguments_of(node, scope), budget_);
    case Kind::test:
      return apply_test(node.name, parts[0], arguments_of(node, scope), budget_);
    case Kind::opposite:
      return !parts[0].truth();
    case Kind::arithmetic:
      return calculate(node.operators[0], parts[0], parts[1], budget_);
    case Kind::negative:
      return calculate("*", Value(std::int64_t{-1}),
                       Value(calculate("+", std::int64_t{0}, parts[0], budget_)), budget_);
    default:  // positive
      return calculate("+", std::int64_t{0}, parts[0], budget_);
  }
}

/// a < b < c holds if a < b and b < c.
Value Interpreter::compare(const Expression& node, Scope& scope) {
  Value left = evaluate(*node.parts[0], scope);
  for (std::size_t i = 0; i < node.operators.size(); ++i) {
    const std::string& op = node.operators[i];
    Value right = evaluate(*node.parts[i + 1], scope);
    const bool holds = op == "=="   ? equal(left, right, budget_)
                       : op == "!=" ? !equal(left, right, budget_)
                       : op == "<"  ? less(left, right, budget_)
                       : op == ">"  ? less(right, left, budget_)
                       : op == "<=" ? !less(right, left, budget_)
                       : op == ">=" ? !less(left, right, budget_)
                       : op == "in" ? contains(right, left, budget_)
                                    : !contains(right, left, budget_);
    if (!holds) return false;
    left = std::move(right);
  }
  return true;
}

Value Interpreter::make_dict(const Expression& node, Scope& scope) {
  std::vector<std::pair<std::string, Value>> items;
  for (std::size_t i = 0; i + 1 < node.parts.size(); i += 2) {
    const Value key = evaluate(*node.parts[i], scope);
    if (!key.text())
      throw Fault(std::string("a key that is ") + key.type_name() + ", but a text was expected");
    items.emplace_back(*key.text(), evaluate(*node.parts[i + 1], scope));
  }
  return Value::dict(std::move(items));
}

/// value[begin:end:step] as Python has it; texts by code points.
Value Interpreter::slice(const Expression& node, Scope& scope) {
  const Value value = evaluate(*node.parts[0], scope);
  const auto bound = [&](std::size_t part, std::int64_t otherwise) {
    if (!node.parts[part]) return otherwise;
    const Value given = evaluate(*node.parts[part], scope);
    return given.is_none() ? otherwise : given.whole("a bound of a slice");
  };
  if (!value.text() && !value.items()) {
    if (const auto* missing = value.get<Value::Undefined>())
      throw Fault("'" + missing->name + "' is undefined");
    throw Fault(std::string(value.type_name()) + " cannot be sliced");
  }
  const std::vector<Value> all = elements(value, budget_);
  const auto length = static_cast<std::int64_t>(all.size());
  const std::int64_t step = std::clamp(bound(3, 1), -(length + 1), length + 1);
  if (step == 0) throw Fault("a slice with step 0");
  constexpr std::int64_t unset = INT64_MIN;
  const auto clipped = [&](std::int64_t place) {
    if (place < 0) place = std::max(place, -length - 1) + length;
    return std::clamp<std::int64_t>(place, step < 0 ? -1 : 0, step < 0 ? length - 1 : length);
  };
  const std::int64_t from = bound(1, unset), to = bound(2, unset);
  const std::int64_t begin = from == unset ? (step < 0 ? length - 1 : 0) : clipped(from);
  const std::int64_t end = to == unset ? (step < 0 ? -1 : length) : clipped(to);
  std::vector<Value> out;
  for (std::int64_t i = begin; step < 0 ? i > end : i < end; i += step)
    out.push_back(all[static_cast<std::size_t>(i)]);
  if (!value.text()) return Value::list(std::move(out), value.is_tuple());
  std::string text;
  for (const Value& character : out) text += *character.text();
  return text;
}

// ---- calls

Arguments Interpreter::arguments_of(const Expression& node, Scope& scope) {
  Arguments out;
  for (const auto& argument : node.arguments) out.positional.push_back(evaluate(*argument, scope));
  for (const auto& [name, argument] : node.named) out.named.emplace_back(name, evaluate(*argument, scope));
  line_ = node.line;
  return out;
}

Value Interpreter::call(const Expression& node, Scope& scope) {
  const Value callee = evaluate(*node.parts[0], scope);
  const Arguments arguments = arguments_of(node, scope);
  if (const auto* method = callee.bound()) return call_method(method->self, method->name, arguments, budget_);
  if (const auto* macro = callee.get<const Macro*>()) return call_macro(**macro, arguments);
  if (const auto* function = callee.get<Value::Function>()) return call_function(*function, arguments);
  if (const auto* missing = callee.get<Value::Undefined>())
    throw Fault("'" + missing->name + "' is undefined");
  throw Fault(std::string(callee.type_name()) + " cannot be called");
}

Value Interpreter::call_macro(const Macro& macro, const Arguments& arguments) {
  if (arguments.positional.size() > macro.parameters.size())
    throw Fault("'" + macro.name + "' takes " + std::to_string(macro.parameters.size()) + " arguments");
  for (const auto& [name, _] : arguments.named)
    if (std::find(macro.parameters.begin(), macro.parameters.end(), name) == macro.parameters.end())
      throw Fault("'" + macro.name + "' has no parameter '" + name + "'");
  Scope scope{&root_, {}};
  for (std::size_t i = 0; i < macro.parameters.size(); ++i) {
    const std::string& name = macro.parameters[i];
    const Value* given = arguments.find(i, name);
    Value value = given               ? *given
                  : macro.defaults[i] ? evaluate(*macro.defaults[i], scope)
                                      : Value(Value::Undefined{name});
    scope.variables[name] = std::move(value);
  }
  std::string out;
  run(macro.body, scope, out);
  return out;
}

Value Interpreter::call_function(Value::Function function, const Arguments& arguments) {
  switch (function) {
    case Value::Function::raise_exception:
      throw Raised(to_text(arguments.at(0, "message"), budget_));
    case Value::Function::make_namespace: {
      auto space = std::make_shared<Value::Namespace>();
      if (!arguments.positional.empty() && arguments.positional[0].members())
        for (const auto& [name, value] : *arguments.positional[0].members()) space->variables[name] = value;
      for (const auto& [name, value] : arguments.named) space->variables[name] = value;
      return spaces_.emplace_back(std::move(space));
    }
    case Value::Function::dict: {
      std::vector<std::pair<std::string, Value>> items;
      if (!arguments.positional.empty() && arguments.positional[0].members())
        items = *arguments.positional[0].members();
      items.insert(items.end(), arguments.named.begin(), arguments.named.end());
      budget_.spend(items.size());
      return Value::dict(std::move(items));
    }
    case Value::Function::strftime_now: {
      std::tm local{};
      char text[256];
      localtime_r(&now_, &local);
      const std::size_t length =
          std::strftime(text, sizeof text, arguments.text_or(0, "format", "").c_str(), &local);
      return std::string_view(text, length);
    }
    case Value::Function::range:
      break;
  }
  const bool from_zero = arguments.positional.size() < 2;
  const std::int64_t begin = from_zero ? 0 : arguments.positional[0].whole("range");
  const std::int64_t end = arguments.at(from_zero ? 0 : 1, "stop").whole("range");
  const std::int64_t step = arguments.whole_or(2, "step", 1);
  constexpr std::int64_t far = 1'000'000'000'000;
  if (step == 0 || std::abs(begin) > far || std::abs(end) > far) throw Fault("a range that makes no sense");
  std::vector<Value> out;
  for (std::int64_t i = begin; step > 0 ? i < end : i > end; i += std::clamp(step, -far, far)) {
    budget_.spend(1);
    if (out.size() >= 100000) throw Fault("a range of more than 100000 numbers");
    out.emplace_back(i);
  }
  return Value::list(std::move(out));
}

}  // namespace fovea::text::jinja
