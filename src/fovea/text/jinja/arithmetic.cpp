#include <cmath>

#include "fovea/text/jinja/interpreter.h"

namespace fovea::text::jinja {
namespace {

[[noreturn]] void cannot(std::string_view op, const Value& a, const Value& b) {
  for (const Value* side : {&a, &b})
    if (const auto* missing = side->get<Value::Undefined>())
      throw Fault("'" + missing->name + "' is undefined");
  throw Fault(std::string(a.type_name()) + " " + std::string(op) + " " + b.type_name() + " has no meaning");
}

Value repeated(const Value& value, std::int64_t times, Budget& budget) {
  times = std::max<std::int64_t>(times, 0);
  const std::size_t size = value.text() ? value.text()->size() : value.items()->size();
  if (size > 0 && static_cast<std::uint64_t>(times) > (std::uint64_t{1} << 30) / size)
    throw Fault("repeats a value too often");
  budget.spend(static_cast<std::uint64_t>(times) * (size / (value.text() ? 16 : 1) + 1));
  std::string text;
  std::vector<Value> items;
  for (; times > 0; --times) {
    if (value.text())
      text += *value.text();
    else
      items.insert(items.end(), value.items()->begin(), value.items()->end());
  }
  return value.text() ? Value(std::move(text)) : Value::list(std::move(items), value.is_tuple());
}

Value powered(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) return std::pow(static_cast<double>(base), static_cast<double>(exponent));
  if (base == 0 || base == 1 || base == -1)
    return exponent == 0 || base == 1 || (base == -1 && exponent % 2 == 0) ? std::int64_t{1} : base;
  std::int64_t out = 1;
  for (; exponent > 0; --exponent)
    if (__builtin_mul_overflow(out, base, &out)) throw Fault("a number beyond 64 bits");
  return out;
}

Value calculate_whole(std::string_view op, std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  bool overflow = false;
  if (op == "+") overflow = __builtin_add_overflow(a, b, &out);
  if (op == "-") overflow = __builtin_sub_overflow(a, b, &out);
  if (op == "*") overflow = __builtin_mul_overflow(a, b, &out);
  if (op == "**") return powered(a, b);
  if (op == "/" || op == "//" || op == "%") {
    if (b == 0) throw Fault("divides by zero");
    if (op == "/") return static_cast<double>(a) / static_cast<double>(b);
    if (b == -1) {
      overflow = op == "//" && __builtin_sub_overflow(std::int64_t{0}, a, &out);
    } else {
      const bool below = a % b != 0 && (a < 0) != (b < 0);  // towards minus infinity
      out = op == "//" ? a / b - below : a % b + (below ? b : 0);
    }
  }
  if (overflow) throw Fault("a number beyond 64 bits");
  return out;
}

Value calculate_real(std::string_view op, double a, double b) {
  if (op == "+") return a + b;
  if (op == "-") return a - b;
  if (op == "*") return a * b;
  if (op == "**") return std::pow(a, b);
  if (b == 0) throw Fault("divides by zero");
  if (op == "/") return a / b;
  const double rest = std::fmod(a, b), remainder = rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
  return op == "%" ? remainder : std::floor((a - remainder) / b + 0.5);
}

Value joined(const Value& a, const Value& b, Budget& budget) {
  if (a.text() && b.text()) {
    budget.spend_text(a.text()->size() + b.text()->size());
    return *a.text() + *b.text();
  }
  if (!a.items() || !b.items() || a.is_tuple() != b.is_tuple()) cannot("+", a, b);
  budget.spend(a.items()->size() + b.items()->size());
  std::vector<Value> items = *a.items();
  items.insert(items.end(), b.items()->begin(), b.items()->end());
  return Value::list(std::move(items), a.is_tuple());
}

}  // namespace

Value calculate(std::string_view op, const Value& a, const Value& b, Budget& budget) {
  if (op == "~") {
    std::string text = to_text(a, budget);
    return text += to_text(b, budget);
  }
  if (a.is_number() && b.is_number())
    return a.real() || b.real() ? calculate_real(op, a.number(""), b.number(""))
                                : calculate_whole(op, a.whole(""), b.whole(""));
  if (op == "+") return joined(a, b, budget);
  const auto repeats = [](const Value& value, const Value& times) {
    return (value.text() || value.items()) && (times.integer() || times.boolean());
  };
  if (op == "*" && repeats(a, b)) return repeated(a, b.whole(""), budget);
  if (op == "*" && repeats(b, a)) return repeated(b, a.whole(""), budget);
  if (op == "%" && a.text())
    return formatted(*a.text(), b.is_tuple() ? *b.items() : std::vector<Value>{b}, budget);
  cannot(op, a, b);
}

}  // namespace fovea::text::jinja
