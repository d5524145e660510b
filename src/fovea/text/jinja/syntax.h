#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fovea/text/jinja/value.h"

/// A template as a tree. Its depth is limited, so that walking and freeing it may recurse.
namespace fovea::text::jinja {

struct Expression;
using ExpressionPointer = std::unique_ptr<const Expression>;

struct Expression {
  enum class Kind {
    literal,
    name,
    list,
    tuple,
    dict,         ///< parts: key, value, key, value, ...
    attribute,    ///< parts[0].name
    item,         ///< parts[0][parts[1]]
    slice,        ///< parts[0][parts[1]:parts[2]:parts[3]], each but the first may be null
    call,         ///< parts[0](...)
    filter,       ///< parts[0]|name(...)
    test,         ///< parts[0] is name(...)
    both,         ///< parts[0] and parts[1]
    either,       ///< parts[0] or parts[1]
    opposite,     ///< not parts[0]
    conditional,  ///< parts[0] if parts[1] else parts[2], which may be null
    comparison,   ///< parts[0] operators[0] parts[1] operators[1] parts[2] ...
    arithmetic,   ///< parts[0] operators[0] parts[1]
    negative,     ///< -parts[0]
    positive,     ///< +parts[0]
  };

  Kind kind;
  int line = 0;
  int depth = 1;
  std::string name = {};
  Value literal = {};
  std::vector<ExpressionPointer> parts = {};
  std::vector<std::string> operators = {};
  std::vector<ExpressionPointer> arguments = {};
  std::vector<std::pair<std::string, ExpressionPointer>> named = {};
};

struct Statement;
using Body = std::vector<Statement>;

/// A statement; which members count, the kind says.
struct Statement {
  enum class Kind {
    text,        ///< text
    output,      ///< expression
    condition,   ///< branches; the last may have no condition
    loop,        ///< for targets in expression if filter: body; else: otherwise
    assignment,  ///< set targets = expression; or target.attribute = expression
    block,       ///< set targets[0]: what body prints, through the filters of expression if there is one
    macro,       ///< the macro is called macro->name
    group,       ///< body as it is: generation, with (targets[i] = values[i])
    filter,      ///< what body prints, through expression
    break_loop,
    continue_loop,
  };
  struct Branch {
    ExpressionPointer condition;
    Body body;
  };

  Kind kind;
  int line = 0;
  std::string text = {}, attribute = {};
  std::vector<std::string> targets = {};
  ExpressionPointer expression = {}, filter = {};
  std::vector<ExpressionPointer> values = {};
  std::vector<Branch> branches = {};
  Body body = {}, otherwise = {};
  std::unique_ptr<const Macro> macro = {};
};

struct Macro {
  std::string name;
  std::vector<std::string> parameters;
  std::vector<ExpressionPointer> defaults;  ///< of each parameter; null: none
  Body body;
};

/// What stands for the printed text in the expression of a block or filter statement.
inline constexpr std::string_view printed = "(printed)";

}  // namespace fovea::text::jinja
