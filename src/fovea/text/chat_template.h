#pragma once

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fovea/formats/json.h"

namespace fovea::text {

struct ChatMessage {
  std::string role;  ///< "system", "user", "assistant", ...
  std::string content;
};

struct ChatOptions {
  bool add_generation_prompt = true;           ///< end where the assistant is to speak
  std::string bos_token = {}, eos_token = {};  ///< empty: as the model's files say
  /// Further variables: "tools", "enable_thinking", ...
  std::vector<std::pair<std::string, formats::Json>> variables = {};
  std::time_t now = 0;  ///< for strftime_now(); 0: the present time
  std::uint64_t most_steps =
      10'000'000;  ///< of the template's work: a node, an element, 16 bytes of text each
};

/// What turns a conversation into the text a model expects: the Jinja template of its tokenizer_config.json.
/// Renders what transformers' apply_chat_template renders (an ImmutableSandboxedEnvironment with trim_blocks,
/// lstrip_blocks, loop controls, its own tojson, raise_exception and strftime_now), of the part of Jinja that
/// chat templates use: docs/chat-templates.md. Reaches nothing but its variables, and always ends. The text
/// holds the special tokens that the template writes, so it is encoded with Tokenizer::Options{.add_special =
/// false}. May be used from many threads.
class ChatTemplate {
 public:
  /// Throws Error(model) naming `where`, the line and what is wrong there.
  static ChatTemplate parse(std::string_view source, const std::string& where);
  /// Of a model directory: chat_template.jinja, or "chat_template" of tokenizer_config.json, which may be a
  /// list of templates with names, of which `name` is taken ("default" if it is empty), or
  /// chat_template.json. Nothing if the directory has none. Throws Error(model) also if there is none of that
  /// name.
  static std::optional<ChatTemplate> read(const std::filesystem::path& directory, std::string_view name = {});

  /// Throws Error(data) if the template refuses these messages (raise_exception), Error(model) naming the
  /// line for what goes wrong in it, and if it takes too many steps.
  std::string render(std::span<const ChatMessage> messages, const ChatOptions& options = {}) const;
  /// The same of messages as JSON, a list of objects, with whatever the template reads: tool calls, parts of
  /// content.
  std::string render(const formats::Json& messages, const ChatOptions& options = {}) const;

  /// Special tokens that the model's files name: "bos_token", "eos_token", ...
  void set_token(std::string name, std::string text);

 private:
  struct Impl;
  explicit ChatTemplate(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

}  // namespace fovea::text
