#include "fovea/text/pipeline/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

#include "fovea/base/error.h"
#include "fovea/text/utf8.h"

namespace fovea::text::pipeline {
namespace {

constexpr std::size_t longest_pattern = 64u << 10;
constexpr std::uint32_t most_steps = 10'000'000;
constexpr std::uint32_t most_memory = 64u << 10;  // KiB that one search may take from the heap

[[noreturn]] void refuse(std::string_view pattern, std::string_view what) {
  throw Error(Error::Kind::model, "the regular expression '" + printable(pattern) + "'", what);
}

/// White_Space; PCRE2's own \s has U+180E, too.
constexpr std::string_view spaces =
    "\\t-\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}";

/// Rewrites a pattern, one element after the other.
class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  std::string run() {
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      if (c == '\\')
        escape();
      else if (in_set_)
        set_element(c);
      else if (c == '[')
        open_set();
      else if (rest().starts_with("(?m:") || rest().starts_with("(?m)"))  // . takes line ends: (?s in Perl
        take("(?s", 3);
      else
        repeat(c);
    }
    return std::move(out_);
  }

 private:
  std::string_view rest() const { return pattern_.substr(at_); }

  void take(std::string_view by, std::size_t length) {
    out_.append(by);
    at_ += length;
  }

  void escape() {
    const char kind = at_ + 1 < pattern_.size() ? pattern_[at_ + 1] : '\0';
    const auto group = [&](std::string_view members, bool negated) {
      if (in_set_ && negated) return take(pattern_.substr(at_, 2), 2);
      const std::string text(members);
      take(in_set_ ? text : (negated ? "[^" : "[") + text + "]", 2);
    };
    if (kind == 's' || kind == 'S')
      group(spaces, kind == 'S');
    else if (kind == 'h' || (kind == 'H' && !in_set_))
      group("0-9A-Fa-f", kind == 'H');
    else
      take_escape();
  }

  /// \X, or \X{...} as it is.
  void take_escape() {
    std::size_t length = std::min<std::size_t>(2, pattern_.size() - at_);
    if (rest().substr(length).starts_with('{') && rest().find('}') != std::string_view::npos)
      length = rest().find('}') + 1;
    take(rest().substr(0, length), length);
  }

  void open_set() {
    in_set_ = true;
    take("[", 1);
    if (rest().starts_with('^')) take("^", 1);
    if (rest().starts_with(']')) take("\\]", 1);
  }

  void set_element(char c) {
    if (c == '[' && !rest().starts_with("[:")) refuse(pattern_, "a set within a set is not supported");
    if (rest().starts_with("&&")) refuse(pattern_, "sets joined by && are not supported");
    if (rest().starts_with("[:")) {
      const std::size_t end = rest().find(":]");
      if (end == std::string_view::npos) refuse(pattern_, "a class without end");
      return take(rest().substr(0, end + 2), end + 2);
    }
    if (c == ']') in_set_ = false;
    take(pattern_.substr(at_, 1), 1);
  }

  /// In Ruby's syntax the + of {2,3}+ is no possessive sign but a second repeat.
  void repeat(char c) {
    if (c == '}' && at_ + 1 < pattern_.size() && pattern_[at_ + 1] == '+')
      refuse(pattern_, "a repeat {n,m}+ is not supported");
    take(pattern_.substr(at_, 1), 1);
  }

  std::string_view pattern_;
  std::string out_;
  std::size_t at_ = 0;
  bool in_set_ = false;
};

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

}  // namespace

struct CompiledRegex {
  std::string pattern;
  std::unique_ptr<pcre2_code, FreeCode> code;
  std::unique_ptr<pcre2_match_context, FreeContext> limits;
};

std::string pattern_for_pcre2(std::string_view pattern) {
  if (pattern.size() > longest_pattern) refuse(pattern, "longer than 64 KiB");
  return Translator(pattern).run();
}

Regex::Regex(std::string_view pattern) {
  const std::string translated = pattern_for_pcre2(pattern);
  auto compiled = std::make_shared<CompiledRegex>();
  compiled->pattern = pattern;
  int error = 0;
  PCRE2_SIZE offset = 0;
  compiled->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                     PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                                     &error, &offset, nullptr));
  if (!compiled->code) {
    std::array<PCRE2_UCHAR, 200> message{};
    pcre2_get_error_message(error, message.data(), message.size());
    refuse(pattern, reinterpret_cast<const char*>(message.data()));
  }
  pcre2_jit_compile(compiled->code.get(), PCRE2_JIT_COMPLETE);  // if it cannot, the interpreter runs
  compiled->limits.reset(pcre2_match_context_create(nullptr));
  if (!compiled->limits) throw std::bad_alloc();
  pcre2_set_match_limit(compiled->limits.get(), most_steps);
  pcre2_set_heap_limit(compiled->limits.get(), most_memory);
  compiled_ = std::move(compiled);
}

void FreeRegexWorkspace::operator()(void* workspace) const {
  pcre2_match_data_free(static_cast<pcre2_match_data*>(workspace));
}

Regex::Search::Search(const Regex& regex)
    : compiled_(regex.compiled_), workspace_(pcre2_match_data_create(1, nullptr)) {
  if (!workspace_) throw std::bad_alloc();
}

/// pcre2_match(); by the interpreter, which has more memory, where compiled code runs out of its stack.
int Regex::Search::match(std::string_view text, std::size_t from) {
  const auto run = [&](std::uint32_t options) {
    return pcre2_match(compiled_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                       PCRE2_NO_UTF_CHECK | options, static_cast<pcre2_match_data*>(workspace_.get()),
                       compiled_->limits.get());
  };
  const int result = run(0);
  return result == PCRE2_ERROR_JIT_STACKLIMIT ? run(PCRE2_NO_JIT) : result;
}

std::optional<TextRange> Regex::Search::next(std::string_view text, std::size_t from,
                                             std::optional<std::size_t> last_end) {
  while (from <= text.size()) {
    const int result = match(text, from);
    if (result == PCRE2_ERROR_NOMATCH) return std::nullopt;
    if (result < 0)
      throw Error(Error::Kind::data, "tokenizer",
                  "a text takes the regular expression '" + printable(compiled_->pattern) + "' too long",
                  "shorten the line, or use another tokenizer.json");
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(static_cast<pcre2_match_data*>(workspace_.get()));
    const std::size_t begin = std::min(ends[0], ends[1]);  // \K may turn them round
    if (begin != ends[1] || last_end != ends[1])
      return TextRange{static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(ends[1])};
    if (from == text.size()) return std::nullopt;
    from += decode_utf8(text.substr(from)).length;
  }
  return std::nullopt;
}

}  // namespace fovea::text::pipeline
