#include "fovea/cli/chat.h"

#include <CLI/CLI.hpp>
#include <optional>
#include <utility>

#include "fovea/base/error.h"
#include "fovea/base/file.h"

namespace fovea::cli {
namespace {

text::ChatTemplate template_of(const std::string& folder) {
  if (auto found = text::ChatTemplate::read(folder)) return std::move(*found);
  throw Error(Error::Kind::model, shown(folder), "has no chat template: it was not made to be talked with",
              "leave --chat out; a template is in tokenizer_config.json or chat_template.jinja");
}

}  // namespace

void ChatFlags::add_to(CLI::App& command) {
  auto* chats = command.add_flag("--chat", chat,
                                 "Each prompt is what a user says, put as the model's chat template puts it; "
                                 "lines typed at a terminal are one conversation");
  command.add_option("--system", system, "With --chat: what the model is told before")
      ->needs(chats)
      ->type_name("TEXT");
}

Conversation::Conversation(const std::string& folder, const ChatFlags& flags)
    : template_(template_of(folder)) {
  if (!flags.system.empty()) beginning_.push_back({"system", flags.system});
}

std::string Conversation::asked(std::string_view text, bool goes_on) {
  if (!goes_on || messages_.empty()) messages_ = beginning_;
  messages_.push_back({"user", std::string(text)});
  return template_.render(messages_);
}

void Conversation::answered(std::string_view text) { messages_.push_back({"assistant", std::string(text)}); }

}  // namespace fovea::cli
