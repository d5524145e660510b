#include "fovea/text/pipeline/pre_tokenisers.h"

namespace fovea::text::pipeline {
namespace {

/// Writes spaces as a character that can be seen and cuts before each.
class Metaspace final : public PreTokeniser {
 public:
  explicit Metaspace(const formats::Json& json) : options_(parse_metaspace(json)) {}

  bool needs_origins() const override { return options_.prepend == MetaspaceOptions::Prepend::first; }

  void split(SplitText& text) const override {
    rewrite_splits(text, [&](std::string_view part, std::size_t begin, Rewriter& out) {
      if (prepends(text, part, begin)) out.put(options_.replacement, begin);
      for (std::size_t at = 0; at < part.size();) {
        const std::size_t space = std::min(part.find(' ', at), part.size());
        if (space > at) out.copy(begin + at, begin + space);
        if (space < part.size()) out.put(options_.replacement, begin + space);
        at = space + 1;
      }
    });
    if (!options_.split) return;
    cut_splits(text, Delimiters::merged_with_next, [this](std::string_view part, const auto& add) {
      std::size_t done = 0;
      for (std::size_t at; (at = part.find(options_.replacement, done)) != std::string_view::npos;) {
        if (at != done) add(at, false);
        add(done = at + options_.replacement.size(), true);
      }
      if (done != part.size()) add(part.size(), false);
    });
  }

 private:
  bool prepends(const SplitText& text, std::string_view part, std::size_t begin) const {
    using enum MetaspaceOptions::Prepend;
    if (options_.prepend == never || part.starts_with(' ') || part.starts_with(options_.replacement))
      return false;
    return options_.prepend == always || text.text.origin(begin, begin + part.size()).begin == 0;
  }

  MetaspaceOptions options_;
};

}  // namespace

MetaspaceOptions parse_metaspace(const formats::Json& json) {
  using enum MetaspaceOptions::Prepend;
  MetaspaceOptions options{std::string(character_of(json.at("replacement"))), always,
                           json.boolean_or("split", true)};
  if (const auto scheme = json.find("prepend_scheme")) {
    const std::string_view name = scheme->text();
    if (name != "always" && name != "first" && name != "never")
      scheme->reject("no scheme", "always, first or never");
    options.prepend = name == "always" ? always : name == "first" ? first : never;
  }
  // What files said before there were schemes.
  if (!json.boolean_or("add_prefix_space", true)) {
    if (json.has("prepend_scheme") && options.prepend != never)
      json.at("add_prefix_space").reject("disagrees with prepend_scheme");
    options.prepend = never;
  }
  return options;
}

std::unique_ptr<const PreTokeniser> make_metaspace(const formats::Json& json) {
  return std::make_unique<Metaspace>(json);
}

}  // namespace fovea::text::pipeline
