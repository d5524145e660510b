#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fovea/text/chat_template.h"

namespace CLI {
class App;
}

namespace fovea::cli {

/// Talking with a model, as the command line says it.
struct ChatFlags {
  bool chat = false;
  std::string system = {};  ///< empty: what the template says of itself

  /// --chat and --system, written to this object, which must outlive the parsing.
  void add_to(CLI::App& command);
};

/// What was said so far, as the model's template writes it.
class Conversation {
 public:
  /// Throws Error(model) if the model has no chat template or a broken one.
  Conversation(const std::string& folder, const ChatFlags& flags);

  /// The text that the model is to go on from when the user has said `text`: begins anew unless `goes_on`.
  /// It holds the special tokens that it needs. Throws Error(data) if the template refuses it.
  std::string asked(std::string_view text, bool goes_on);
  /// What the model said then.
  void answered(std::string_view text);

 private:
  text::ChatTemplate template_;
  std::vector<text::ChatMessage> beginning_, messages_;
};

}  // namespace fovea::cli
