#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fovea/text/jinja/lexer.h"
#include "fovea/text/jinja/syntax.h"

namespace fovea::text::jinja {

/// Reads the expressions of a template, by recursive descent with the precedence that Jinja has:
///   if-else < or < and < not < comparisons < + - < ~ < * / // % < ** < unary - + < . [] () < | is
class ExpressionParser {
 protected:
  using Kind = Expression::Kind;
  static constexpr int deepest = 200, deepest_level = 400;

  /// `where` must outlive this.
  ExpressionParser(std::vector<Token> tokens, const std::string& where)
      : tokens_(std::move(tokens)), where_(where) {}

  const Token& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  const Token& take();
  bool is_symbol(std::string_view text) const;
  bool is_name(std::string_view text) const;
  bool take_symbol(std::string_view text);
  bool take_name(std::string_view text);
  [[noreturn]] void fail(const std::string& what) const;
  std::string describe(const Token& token) const;
  void expect_symbol(std::string_view text);
  std::string expect_name(const char* what);
  void expect(Token::Kind kind);

  /// Counts how deep the parser has gone down.
  class Level {
   public:
    explicit Level(ExpressionParser& parser) : parser_(parser) {
      if (++parser_.level_ > deepest_level) parser_.fail("nests too deeply");
    }
    ~Level() { --parser_.level_; }

   private:
    ExpressionParser& parser_;
  };

  std::unique_ptr<Expression> make(Kind kind) const;
  void grow(Expression& node, const Expression& part) const;
  void add_part(Expression& node, ExpressionPointer part) const;
  ExpressionPointer joined(Kind kind, ExpressionPointer left, ExpressionPointer right,
                           std::string op = {}) const;

  /// Expressions with commas between them are a tuple.
  ExpressionPointer parse_tuple(bool with_condition = true);
  bool begins_expression() const;
  ExpressionPointer parse_expression();
  ExpressionPointer parse_or();
  ExpressionPointer parse_and();
  ExpressionPointer parse_not();
  /// A comparison operator, taken; empty if there is none.
  std::string take_comparison();
  ExpressionPointer parse_comparison();
  template <class Next>
  ExpressionPointer parse_arithmetic(std::initializer_list<std::string_view> operators, const Next& next);
  ExpressionPointer parse_sum();
  ExpressionPointer parse_concatenation();
  ExpressionPointer parse_product();
  ExpressionPointer parse_power();
  ExpressionPointer parse_unary(bool with_filters);
  ExpressionPointer parse_primary();
  Value whole(const Token& token) const;
  Value real(const Token& token) const;
  ExpressionPointer parse_name();
  ExpressionPointer parse_brackets();
  ExpressionPointer parse_list();
  ExpressionPointer parse_dict();
  ExpressionPointer parse_postfix(ExpressionPointer value);
  ExpressionPointer parse_attribute(ExpressionPointer value);
  ExpressionPointer parse_subscript(ExpressionPointer value);
  ExpressionPointer parse_call(ExpressionPointer value);
  void parse_arguments(Expression& node);
  ExpressionPointer parse_filters(ExpressionPointer value);
  ExpressionPointer parse_test(ExpressionPointer value);

  std::vector<Token> tokens_;
  const std::string& where_;
  std::size_t at_ = 0;
  int level_ = 0;
};

}  // namespace fovea::text::jinja
