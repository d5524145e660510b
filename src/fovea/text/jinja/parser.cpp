#include "fovea/text/jinja/parser.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <set>

#include "fovea/base/error.h"
#include "fovea/text/jinja/lexer.h"

namespace fovea::text::jinja {
namespace {

using Kind = Expression::Kind;
constexpr int deepest = 200, deepest_level = 400;

/// Recursive descent, with the precedence that Jinja has:
///   if-else < or < and < not < comparisons < + - < ~ < * / // % < ** < unary - + < . [] () < | is
class Parser {
 public:
  Parser(std::vector<Token> tokens, const std::string& where) : tokens_(std::move(tokens)), where_(where) {}

  Body run() {
    Body body = parse_body({});
    if (peek().kind != Token::Kind::end) fail("{% " + peek_block_name() + " %} that ends nothing");
    return body;
  }

 private:
  // ---- tokens

  const Token& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  const Token& take() {
    const Token& token = peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool is_symbol(std::string_view text) const { return peek().is(Token::Kind::symbol, text); }
  bool is_name(std::string_view text) const { return peek().is(Token::Kind::name, text); }
  bool take_symbol(std::string_view text) {
    if (!is_symbol(text)) return false;
    take();
    return true;
  }
  bool take_name(std::string_view text) {
    if (!is_name(text)) return false;
    take();
    return true;
  }
  [[noreturn]] void fail(const std::string& what) const { fail_at(where_, peek().line, what); }

  std::string describe(const Token& token) const {
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
  void expect_symbol(std::string_view text) {
    if (!take_symbol(text)) fail("expected '" + std::string(text) + "' and found " + describe(peek()));
  }
  std::string expect_name(const char* what) {
    if (peek().kind != Token::Kind::name)
      fail(std::string("expected ") + what + " and found " + describe(peek()));
    return take().text;
  }
  void expect(Token::Kind kind) {
    if (peek().kind != kind) fail("expected the end of the tag and found " + describe(peek()));
    take();
  }

  /// Counts how deep the parser has gone down.
  class Level {
   public:
    explicit Level(Parser& parser) : parser_(parser) {
      if (++parser_.level_ > deepest_level) parser_.fail("nests too deeply");
    }
    ~Level() { --parser_.level_; }

   private:
    Parser& parser_;
  };

  // ---- statements

  std::string peek_block_name() const { return peek(1).text; }

  bool at_block(const std::set<std::string_view>& names) const {
    return peek().kind == Token::Kind::block_begin && names.contains(peek(1).text);
  }

  /// Statements up to a block of one of `ends`, which is left where it is, or the end.
  Body parse_body(const std::set<std::string_view>& ends) {
    const Level level(*this);
    Body body;
    while (peek().kind != Token::Kind::end && !at_block(ends)) {
      const Token& token = peek();
      if (token.kind == Token::Kind::text) {
        body.push_back({.kind = Statement::Kind::text, .line = token.line, .text = token.text});
        take();
      } else if (token.kind == Token::Kind::output_begin) {
        take();
        Statement output{.kind = Statement::Kind::output, .line = token.line};
        output.expression = parse_tuple();
        expect(Token::Kind::output_end);
        body.push_back(std::move(output));
      } else {
        if (token.kind == Token::Kind::block_begin && is_closing(peek(1).text)) break;
        body.push_back(parse_block());
      }
    }
    if (!ends.empty() && !at_block(ends)) {
      const std::string wanted(*ends.begin());
      fail("expected {% " + wanted + " %} and found " +
           (peek().kind == Token::Kind::end ? std::string("the end of the template")
                                            : "{% " + peek_block_name() + " %}"));
    }
    return body;
  }

  static bool is_closing(std::string_view name) {
    return name.starts_with("end") || name == "else" || name == "elif";
  }

  /// {% name %}, of which the name is known to stand there.
  void take_end() {
    take();
    take();
    expect(Token::Kind::block_end);
  }

  Statement parse_block() {
    const int line = take().line;
    const std::string name = expect_name("a statement");
    Statement out{.kind = Statement::Kind::group, .line = line};
    if (name == "for") return parse_for(std::move(out));
    if (name == "if") return parse_if(std::move(out));
    if (name == "set") return parse_set(std::move(out));
    if (name == "macro") return parse_macro(std::move(out));
    if (name == "with") return parse_with(std::move(out));
    if (name == "filter") return parse_filter_block(std::move(out));
    if (name == "generation") {
      expect(Token::Kind::block_end);
      out.body = parse_body({"endgeneration"});
      take_end();
      return out;
    }
    if (name == "break" || name == "continue") {
      if (loops_ == 0) fail("{% " + name + " %} outside a loop");
      out.kind = name == "break" ? Statement::Kind::break_loop : Statement::Kind::continue_loop;
      expect(Token::Kind::block_end);
      return out;
    }
    fail_at(where_, line,
            "{% " + printable(name) + " %} is not among the statements that chat templates use");
  }

  std::vector<std::string> parse_targets() {
    std::vector<std::string> targets;
    const bool brackets = take_symbol("(");
    do {
      targets.push_back(expect_name("a variable"));
    } while (take_symbol(",") && peek().kind == Token::Kind::name);
    if (brackets) expect_symbol(")");
    return targets;
  }

  Statement parse_for(Statement out) {
    out.kind = Statement::Kind::loop;
    out.targets = parse_targets();
    if (!take_name("in")) fail("expected 'in' and found " + describe(peek()));
    out.expression = parse_tuple(false);
    if (take_name("if")) out.filter = parse_expression();
    if (is_name("recursive")) fail("recursive loops are not among what chat templates use");
    expect(Token::Kind::block_end);
    ++loops_;
    out.body = parse_body({"endfor", "else"});
    --loops_;
    if (peek(1).text == "else") {
      take_end();
      out.otherwise = parse_body({"endfor"});
    }
    take_end();
    return out;
  }

  Statement parse_if(Statement out) {
    out.kind = Statement::Kind::condition;
    while (true) {
      Statement::Branch branch{parse_tuple(), {}};
      expect(Token::Kind::block_end);
      branch.body = parse_body({"endif", "else", "elif"});
      out.branches.push_back(std::move(branch));
      if (peek(1).text != "elif") break;
      take();
      take();
    }
    if (peek(1).text == "else") {
      take_end();
      out.branches.push_back({nullptr, parse_body({"endif"})});
    }
    take_end();
    return out;
  }

  Statement parse_set(Statement out) {
    if (peek().kind == Token::Kind::name && peek(1).is(Token::Kind::symbol, ".")) {
      out.targets = {take().text};
      take();
      out.attribute = expect_name("an attribute");
    } else {
      out.targets = parse_targets();
    }
    if (take_symbol("=")) {
      out.kind = Statement::Kind::assignment;
      out.expression = parse_tuple();
      expect(Token::Kind::block_end);
      return out;
    }
    if (out.targets.size() != 1 || !out.attribute.empty()) fail("expected '=' and found " + describe(peek()));
    out.kind = Statement::Kind::block;
    if (is_symbol("|")) out.expression = parse_filters(printed_text());
    expect(Token::Kind::block_end);
    out.body = parse_body({"endset"});
    take_end();
    return out;
  }

  ExpressionPointer printed_text() {
    auto node = make(Kind::name);
    node->name = printed;
    return node;
  }

  Statement parse_filter_block(Statement out) {
    out.kind = Statement::Kind::filter;
    auto node = make(Kind::filter);
    node->name = expect_name("a filter");
    add_part(*node, printed_text());
    if (is_symbol("(")) parse_arguments(*node);
    out.expression = parse_filters(std::move(node));
    expect(Token::Kind::block_end);
    out.body = parse_body({"endfilter"});
    take_end();
    return out;
  }

  Statement parse_with(Statement out) {
    while (peek().kind == Token::Kind::name) {
      out.targets.push_back(take().text);
      expect_symbol("=");
      out.values.push_back(parse_expression());
      if (!take_symbol(",")) break;
    }
    expect(Token::Kind::block_end);
    out.body = parse_body({"endwith"});
    take_end();
    return out;
  }

  Statement parse_macro(Statement out) {
    out.kind = Statement::Kind::macro;
    auto macro = std::make_unique<Macro>();
    macro->name = expect_name("a name");
    expect_symbol("(");
    while (!take_symbol(")")) {
      macro->parameters.push_back(expect_name("a parameter"));
      macro->defaults.push_back(take_symbol("=") ? parse_expression() : nullptr);
      if (!is_symbol(")")) expect_symbol(",");
    }
    expect(Token::Kind::block_end);
    const int outer = std::exchange(loops_, 0);
    macro->body = parse_body({"endmacro"});
    loops_ = outer;
    take_end();
    out.macro = std::move(macro);
    return out;
  }

  // ---- expressions

  std::unique_ptr<Expression> make(Kind kind) const {
    auto node = std::make_unique<Expression>();
    node->kind = kind;
    node->line = peek().line;
    return node;
  }
  void grow(Expression& node, const Expression& part) const {
    node.depth = std::max(node.depth, part.depth + 1);
    if (node.depth > deepest) fail("nests more than " + std::to_string(deepest) + " deep");
  }
  void add_part(Expression& node, ExpressionPointer part) const {
    if (part) grow(node, *part);
    node.parts.push_back(std::move(part));
  }
  ExpressionPointer joined(Kind kind, ExpressionPointer left, ExpressionPointer right,
                           std::string op = {}) const {
    auto node = make(kind);
    add_part(*node, std::move(left));
    add_part(*node, std::move(right));
    if (!op.empty()) node->operators.push_back(std::move(op));
    return node;
  }

  /// Expressions with commas between them are a tuple.
  ExpressionPointer parse_tuple(bool with_condition = true) {
    const auto one = [&] { return with_condition ? parse_expression() : parse_or(); };
    ExpressionPointer first = one();
    if (!is_symbol(",")) return first;
    auto node = make(Kind::tuple);
    add_part(*node, std::move(first));
    while (take_symbol(","))
      if (begins_expression()) add_part(*node, one());
    return node;
  }

  bool begins_expression() const {
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

  ExpressionPointer parse_expression() {
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

  ExpressionPointer parse_or() {
    ExpressionPointer left = parse_and();
    while (take_name("or")) left = joined(Kind::either, std::move(left), parse_and());
    return left;
  }

  ExpressionPointer parse_and() {
    ExpressionPointer left = parse_not();
    while (take_name("and")) left = joined(Kind::both, std::move(left), parse_not());
    return left;
  }

  ExpressionPointer parse_not() {
    const Level level(*this);
    if (!is_name("not")) return parse_comparison();
    auto node = make(Kind::opposite);
    take();
    add_part(*node, parse_not());
    return node;
  }

  /// A comparison operator, taken; empty if there is none.
  std::string take_comparison() {
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

  ExpressionPointer parse_comparison() {
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
  ExpressionPointer parse_arithmetic(std::initializer_list<std::string_view> operators, const Next& next) {
    ExpressionPointer left = next();
    while (true) {
      const auto found =
          std::find_if(operators.begin(), operators.end(), [&](auto op) { return is_symbol(op); });
      if (found == operators.end()) return left;
      take();
      left = joined(Kind::arithmetic, std::move(left), next(), std::string(*found));
    }
  }
  ExpressionPointer parse_sum() {
    return parse_arithmetic({"+", "-"}, [&] { return parse_concatenation(); });
  }
  ExpressionPointer parse_concatenation() {
    return parse_arithmetic({"~"}, [&] { return parse_product(); });
  }
  ExpressionPointer parse_product() {
    return parse_arithmetic({"*", "/", "//", "%"}, [&] { return parse_power(); });
  }
  ExpressionPointer parse_power() {
    return parse_arithmetic({"**"}, [&] { return parse_unary(true); });
  }

  ExpressionPointer parse_unary(bool with_filters) {
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

  ExpressionPointer parse_primary() {
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

  Value whole(const Token& token) const {
    std::int64_t value = 0;
    const char* end = token.text.data() + token.text.size();
    const auto [stop, error] = std::from_chars(token.text.data(), end, value);
    if (stop != end || error != std::errc{}) fail_at(where_, token.line, token.text + " is beyond 64 bits");
    return value;
  }
  Value real(const Token& token) const {
    double value = 0;
    const char* end = token.text.data() + token.text.size();
    const auto [stop, error] = std::from_chars(token.text.data(), end, value);
    if (stop != end || error != std::errc{})
      fail_at(where_, token.line, token.text + " is no number that fits");
    return value;
  }

  ExpressionPointer parse_name() {
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

  ExpressionPointer parse_brackets() {
    if (take_symbol(")")) return make(Kind::tuple);
    ExpressionPointer inside = parse_tuple();
    expect_symbol(")");
    return inside;
  }

  ExpressionPointer parse_list() {
    auto node = make(Kind::list);
    while (!take_symbol("]")) {
      add_part(*node, parse_expression());
      if (!is_symbol("]")) expect_symbol(",");
    }
    return node;
  }

  ExpressionPointer parse_dict() {
    auto node = make(Kind::dict);
    while (!take_symbol("}")) {
      add_part(*node, parse_expression());
      expect_symbol(":");
      add_part(*node, parse_expression());
      if (!is_symbol("}")) expect_symbol(",");
    }
    return node;
  }

  ExpressionPointer parse_postfix(ExpressionPointer value) {
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

  ExpressionPointer parse_attribute(ExpressionPointer value) {
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

  ExpressionPointer parse_subscript(ExpressionPointer value) {
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

  ExpressionPointer parse_call(ExpressionPointer value) {
    auto node = make(Kind::call);
    add_part(*node, std::move(value));
    parse_arguments(*node);
    return node;
  }

  void parse_arguments(Expression& node) {
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

  ExpressionPointer parse_filters(ExpressionPointer value) {
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

  ExpressionPointer parse_test(ExpressionPointer value) {
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

  std::vector<Token> tokens_;
  const std::string& where_;
  std::size_t at_ = 0;
  int level_ = 0, loops_ = 0;
};

}  // namespace

Body parse(std::string_view source, const std::string& where) {
  return Parser(tokenise(source, where), where).run();
}

}  // namespace fovea::text::jinja
