#include "fovea/text/jinja/parser.h"

#include <set>

#include "fovea/base/error.h"
#include "fovea/text/jinja/expression_parser.h"

namespace fovea::text::jinja {
namespace {

/// Statements; what is in them the base reads.
class Parser : private ExpressionParser {
 public:
  Parser(std::vector<Token> tokens, const std::string& where) : ExpressionParser(std::move(tokens), where) {}

  Body run() {
    Body body = parse_body({});
    if (peek().kind != Token::Kind::end) fail("{% " + peek_block_name() + " %} that ends nothing");
    return body;
  }

 private:
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

  int loops_ = 0;
};

}  // namespace

Body parse(std::string_view source, const std::string& where) {
  return Parser(tokenise(source, where), where).run();
}

}  // namespace fovea::text::jinja
