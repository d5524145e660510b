#pragma once

#include <ctime>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "fovea/text/jinja/builtins.h"
#include "fovea/text/jinja/syntax.h"

namespace fovea::text::jinja {

/// raise_exception() of a template: it cannot put these messages.
class Raised : public std::exception {
 public:
  explicit Raised(std::string what) : what_(std::move(what)) {}
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  std::string what_;
};

/// Runs a template once.
class Interpreter {
 public:
  using Variables = std::unordered_map<std::string, Value>;

  Interpreter(std::uint64_t steps, std::time_t now) : budget_(steps), now_(now) {}
  ~Interpreter();

  /// What the template prints. Throws Fault for what goes wrong, Raised if the template says so; then line()
  /// says where.
  std::string render(const Body& body, Variables variables);
  int line() const { return line_; }

 private:
  struct Scope {
    Scope* parent;
    Variables variables;
  };
  enum class Flow { on, stop_loop, next_round };

  Flow run(const Body& body, Scope& scope, std::string& out);
  Flow run(const Statement& statement, Scope& scope, std::string& out);
  Flow run_condition(const Statement& statement, Scope& scope, std::string& out);
  Flow run_loop(const Statement& statement, Scope& scope, std::string& out);
  void run_assignment(const Statement& statement, Scope& scope);
  /// What the statement's body prints, through its filters.
  Value printed_by(const Statement& statement, Scope& scope);
  void assign(const std::vector<std::string>& targets, const Value& value, Scope& scope);

  Value evaluate(const Expression& node, Scope& scope);
  Value evaluate_parts(const Expression& node, Scope& scope);
  Value compare(const Expression& node, Scope& scope);
  Value slice(const Expression& node, Scope& scope);
  Value call(const Expression& node, Scope& scope);
  Value call_macro(const Macro& macro, const Arguments& arguments);
  Value call_function(Value::Function function, const Arguments& arguments);
  Value make_dict(const Expression& node, Scope& scope);
  Value look_up(const std::string& name, const Scope& scope) const;
  Arguments arguments_of(const Expression& node, Scope& scope);

  Budget budget_;
  std::time_t now_;
  int line_ = 1;
  Scope root_{nullptr, {}};
  std::deque<std::shared_ptr<Value::Namespace>> spaces_;  // to be emptied: they may hold each other
};

/// a op b, of + - * / // % ** ~, as Python has it. Throws Fault beyond 64 bits.
Value calculate(std::string_view op, const Value& a, const Value& b, Budget& budget);

}  // namespace fovea::text::jinja
