#include "fovea/text/jinja/expression_parser.h"

#include <charconv>

#include "fovea/base/error.h"

namespace fovea::text::jinja {

const Token& ExpressionParser::take() {
  const Token& token = peek();
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool ExpressionParser::is_symbol(std::string_view text) const { return peek().is(Token::Kind::symbol, text); }

bool ExpressionParser::is_name(std::string_view text) const { return peek().is(Token::Kind::name, text); }

bool ExpressionParser::take_symbol(std::string_view text) {
  if (!is_symbol(text)) return false;
  take();
  return true;
}

bool ExpressionParser::take_name(std::string_view text) {
  if (!is_name(text)) return false;
  take();
  return true;
}

void ExpressionParser::fail(const std::string& what) const { fail_at(where_, peek().line, what); }

std::string ExpressionParser::describe(const Token& token) const {
  switch (token.kind) {
    case Token::Kind::end:
      return "the end of the template";
    case Token::Kind::block_end:
    case Token::Kind::output_end:
      return "the end of the tag";
    case Token::Kind::string:
      return "a string";
    default:
      return "'" + printable(token.text) + "'";
  }
}

void ExpressionParser::expect_symbol(std::string_view text) {
  if (!take_symbol(text)) fail("expected '" + std::string(text) + "' and found " + describe(peek()));
}

std::string ExpressionParser::expect_name(const char* what) {
  if (peek().kind != Token::Kind::name)
    fail(std::string("expected ") + what + " and found " + describe(peek()));
  return take().text;
}

void ExpressionParser::expect(Token::Kind kind) {
  if (peek().kind != kind) fail("expected the end of the tag and found " + describe(peek()));
  take();
}

std::unique_ptr<Expression> ExpressionParser::make(Kind kind) const {
  auto node = std::make_unique<Expression>();
  node->kind = kind;
  node->line = peek().line;
  return node;
}

void ExpressionParser::grow(Expression& node, const Expression& part) const {
  node.depth = std::max(node.depth, part.depth + 1);
  if (node.depth > deepest) fail("nests more than " + std::to_string(deepest) + " deep");
}

void ExpressionParser::add_part(Expression& node, ExpressionPointer part) const {
  if (part) grow(node, *part);
  node.parts.push_back(std::move(part));
}

ExpressionPointer ExpressionParser::joined(Kind kind, ExpressionPointer left, ExpressionPointer right,
                                           std::string op) const {
  auto node = make(kind);
  add_part(*node, std::move(left));
  add_part(*node, std::move(right));
  if (!op.empty()) node->operators.push_back(std::move(op));
  return node;
}

ExpressionPointer ExpressionParser::parse_tuple(bool with_condition) {
  const auto one = [&] { return with_condition ? parse_expression() : parse_or(); };
  ExpressionPointer first = one();
  if (!is_symbol(",")) return first;
  auto node = make(Kind::tuple);
  add_part(*node, std::move(first));
  while (take_symbol(","))
    if (begins_expression()) add_part(*node, one());
  return node;
}

bool ExpressionParser::begins_expression() const {
  const Token& token = peek();
  switch (token.kind) {
    case Token::Kind::string:
    case Token::Kind::integer:
    case Token::Kind::real:
      return true;
    case Token::Kind::name:
      return token.text != "in" && token.text != "if" && token.text != "else";
    case Token::Kind::symbol:
      return token.text == "(" || token.text == "[" || token.text == "{" || token.text == "-" ||
             token.text == "+";
    default:
      return false;
  }
}

ExpressionPointer ExpressionParser::parse_expression() {
  const Level level(*this);
  ExpressionPointer value = parse_or();
  while (take_name("if")) {
    auto node = make(Kind::conditional);
    add_part(*node, std::move(value));
    add_part(*node, parse_or());
    add_part(*node, take_name("else") ? parse_expression() : nullptr);
    value = std::move(node);
  }
  return value;
}

ExpressionPointer ExpressionParser::parse_or() {
  ExpressionPointer left = parse_and();
  while (take_name("or")) left = joined(Kind::either, std::move(left), parse_and());
  return left;
}

ExpressionPointer ExpressionParser::parse_and() {
  ExpressionPointer left = parse_not();
  while (take_name("and")) left = joined(Kind::both, std::move(left), parse_not());
  return left;
}

ExpressionPointer ExpressionParser::parse_not() {
  const Level level(*this);
  if (!is_name("not")) return parse_comparison();
  auto node = make(Kind::opposite);
  take();
  add_part(*node, parse_not());
  return node;
}

std::string ExpressionParser::take_comparison() {
  for (const std::string_view op : {"==", "!=", "<", "<=", ">", ">="})
    if (take_symbol(op)) return std::string(op);
  if (take_name("in")) return "in";
  if (is_name("not") && peek(1).is(Token::Kind::name, "in")) {
    take();
    take();
    return "not in";
  }
  return {};
}

ExpressionPointer ExpressionParser::parse_comparison() {
  ExpressionPointer left = parse_sum();
  std::string op = take_comparison();
  if (op.empty()) return left;
  auto node = make(Kind::comparison);
  add_part(*node, std::move(left));
  for (; !op.empty(); op = take_comparison()) {
    node->operators.push_back(op);
    add_part(*node, parse_sum());
  }
  return node;
}

template <class Next>
ExpressionPointer ExpressionParser::parse_arithmetic(std::initializer_list<std::string_view> operators,
                                                     const Next& next) {
  ExpressionPointer left = next();
  while (true) {
    const auto found =
        std::find_if(operators.begin(), operators.end(), [&](auto op) { return is_symbol(op); });
    if (found == operators.end()) return left;
    take();
    left = joined(Kind::arithmetic, std::move(left), next(), std::string(*found));
  }
}

ExpressionPointer ExpressionParser::parse_sum() {
  return parse_arithmetic({"+", "-"}, [&] { return parse_concatenation(); });
}

ExpressionPointer ExpressionParser::parse_concatenation() {
  return parse_arithmetic({"~"}, [&] { return parse_product(); });
}

ExpressionPointer ExpressionParser::parse_product() {
  return parse_arithmetic({"*", "/", "//", "%"}, [&] { return parse_power(); });
}

ExpressionPointer ExpressionParser::parse_power() {
  return parse_arithmetic({"**"}, [&] { return parse_unary(true); });
}

ExpressionPointer ExpressionParser::parse_unary(bool with_filters) {
  const Level level(*this);
  ExpressionPointer node;
  if (is_symbol("-") || is_symbol("+")) {
    auto sign = make(is_symbol("-") ? Kind::negative : Kind::positive);
    take();
    add_part(*sign, parse_unary(false));
    node = std::move(sign);
  } else {
    node = parse_primary();
  }
  node = parse_postfix(std::move(node));
  return with_filters ? parse_filters(std::move(node)) : std::move(node);
}

ExpressionPointer ExpressionParser::parse_primary() {
  const Token& token = peek();
  auto node = make(Kind::literal);
  switch (token.kind) {
    case Token::Kind::name:
      return parse_name();
    case Token::Kind::string: {
      std::string text;
      while (peek().kind == Token::Kind::string) text += take().text;
      node->literal = Value(std::move(text));
      return node;
    }
    case Token::Kind::integer:
      node->literal = whole(take());
      return node;
    case Token::Kind::real:
      node->literal = real(take());
      return node;
    case Token::Kind::symbol:
      if (take_symbol("(")) return parse_brackets();
      if (take_symbol("[")) return parse_list();
      if (take_symbol("{")) return parse_dict();
      break;
    default:
      break;
  }
  fail("expected an expression and found " + describe(token));
}

Value ExpressionParser::whole(const Token& token) const {
  std::int64_t value = 0;
  const char* end = token.text.data() + token.text.size();
  const auto [stop, error] = std::from_chars(token.text.data(), end, value);
  if (stop != end || error != std::errc{}) fail_at(where_, token.line, token.text + " is beyond 64 bits");
  return value;
}

Value ExpressionParser::real(const Token& token) const {
  double value = 0;
  const char* end = token.text.data() + token.text.size();
  const auto [stop, error] = std::from_chars(token.text.data(), end, value);
  if (stop != end || error != std::errc{})
    fail_at(where_, token.line, token.text + " is no number that fits");
  return value;
}

ExpressionPointer ExpressionParser::parse_name() {
  auto node = make(Kind::literal);
  const std::string name = take().text;
  if (name == "true" || name == "True")
    node->literal = true;
  else if (name == "false" || name == "False")
    node->literal = false;
  else if (name == "none" || name == "None")
    node->literal = Value::None{};
  else
    *node = {.kind = Kind::name, .line = node->line, .name = name};
  return node;
}

ExpressionPointer ExpressionParser::parse_brackets() {
  if (take_symbol(")")) return make(Kind::tuple);
  ExpressionPointer inside = parse_tuple();
  expect_symbol(")");
  return inside;
}

ExpressionPointer ExpressionParser::parse_list() {
  auto node = make(Kind::list);
  while (!take_symbol("]")) {
    add_part(*node, parse_expression());
    if (!is_symbol("]")) expect_symbol(",");
  }
  return node;
}

ExpressionPointer ExpressionParser::parse_dict() {
  auto node = make(Kind::dict);
  while (!take_symbol("}")) {
    add_part(*node, parse_expression());
    expect_symbol(":");
    add_part(*node, parse_expression());
    if (!is_symbol("}")) expect_symbol(",");
  }
  return node;
}

ExpressionPointer ExpressionParser::parse_postfix(ExpressionPointer value) {
  while (true) {
    if (is_symbol(".")) {
      take();
      value = parse_attribute(std::move(value));
    } else if (is_symbol("[")) {
      take();
      value = parse_subscript(std::move(value));
    } else if (is_symbol("(")) {
      value = parse_call(std::move(value));
    } else {
      return value;
    }
  }
}

ExpressionPointer ExpressionParser::parse_attribute(ExpressionPointer value) {
  if (peek().kind == Token::Kind::integer) {
    auto index = make(Kind::literal);
    index->literal = whole(take());
    return joined(Kind::item, std::move(value), std::move(index));
  }
  auto node = make(Kind::attribute);
  node->name = expect_name("an attribute");
  add_part(*node, std::move(value));
  return node;
}

ExpressionPointer ExpressionParser::parse_subscript(ExpressionPointer value) {
  ExpressionPointer parts[3];
  int count = 0;
  bool slice = false;
  while (!is_symbol("]")) {
    if (take_symbol(":")) {
      slice = true;
      if (++count > 2) fail("a slice of more than three parts");
    } else {
      if (parts[count]) fail("expected ']' and found " + describe(peek()));
      parts[count] = parse_expression();
    }
  }
  take();
  if (!slice && !parts[0]) fail("expected an index and found ']'");
  auto node = make(slice ? Kind::slice : Kind::item);
  add_part(*node, std::move(value));
  for (int i = 0; i < (slice ? 3 : 1); ++i) add_part(*node, std::move(parts[i]));
  return node;
}

ExpressionPointer ExpressionParser::parse_call(ExpressionPointer value) {
  auto node = make(Kind::call);
  add_part(*node, std::move(value));
  parse_arguments(*node);
  return node;
}

void ExpressionParser::parse_arguments(Expression& node) {
  expect_symbol("(");
  while (!take_symbol(")")) {
    if (is_symbol("*") || is_symbol("**"))
      fail("arguments from a list or dict are not among what chat templates use");
    const bool is_named = peek().kind == Token::Kind::name && peek(1).is(Token::Kind::symbol, "=");
    std::string name;
    if (is_named) {
      name = take().text;
      take();
    } else if (!node.named.empty()) {
      fail("an argument without a name behind one that has a name");
    }
    ExpressionPointer argument = parse_expression();
    grow(node, *argument);
    if (is_named)
      node.named.emplace_back(std::move(name), std::move(argument));
    else
      node.arguments.push_back(std::move(argument));
    if (!is_symbol(")")) expect_symbol(",");
  }
}

ExpressionPointer ExpressionParser::parse_filters(ExpressionPointer value) {
  while (true) {
    if (take_symbol("|")) {
      auto node = make(Kind::filter);
      node->name = expect_name("a filter");
      add_part(*node, std::move(value));
      if (is_symbol("(")) parse_arguments(*node);
      value = std::move(node);
    } else if (is_name("is")) {
      value = parse_test(std::move(value));
    } else if (is_symbol("(")) {
      value = parse_call(std::move(value));
    } else {
      return value;
    }
  }
}

ExpressionPointer ExpressionParser::parse_test(ExpressionPointer value) {
  take();
  const bool negated = take_name("not");
  auto node = make(Kind::test);
  node->name = expect_name("a test");
  add_part(*node, std::move(value));
  const bool ends = is_name("else") || is_name("or") || is_name("and") || is_name("is");
  if (is_symbol("(")) {
    parse_arguments(*node);
  } else if (!ends && begins_expression() && !is_symbol("-") && !is_symbol("+") && !is_name("not")) {
    ExpressionPointer argument = parse_postfix(parse_primary());
    grow(*node, *argument);
    node->arguments.push_back(std::move(argument));
  }
  if (!negated) return node;
  auto opposite = make(Kind::opposite);
  add_part(*opposite, std::move(node));
  return opposite;
}

}  // namespace fovea::text::jinja
