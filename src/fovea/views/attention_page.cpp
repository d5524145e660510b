#include "fovea/views/attention_page.h"

#include <charconv>
#include <functional>
#include <map>

#include "fovea/base/base64.h"
#include "fovea/views/page_parts.h"
#include "fovea/views/page_recording.h"
#include "fovea/views/svg.h"

namespace fovea::views {
namespace {

/// A hash in a content security policy: the bytes that the digits spell, in base64.
std::string csp_hash(std::string_view hexadecimal) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i + 1 < hexadecimal.size(); i += 2) {
    unsigned value = 0;
    std::from_chars(hexadecimal.data() + i, hexadecimal.data() + i + 2, value, 16);
    bytes.push_back(static_cast<std::byte>(value));
  }
  return "'sha256-" + base64(bytes) + "'";
}

std::string policy() {
  return "default-src 'none'; script-src " + csp_hash(page::script_sha256) + "; style-src " +
         csp_hash(page::style_sha256) + "; base-uri 'none'; form-action 'none'";
}

std::string weight_elements(const std::vector<std::string>& blocks) {
  std::string out;
  for (std::size_t i = 0; i < blocks.size(); ++i)
    out +=
        "<script type=\"text/plain\" id=\"weights-" + std::to_string(i) + "\">" + blocks[i] + "</script>\n";
  return out;
}

using Parts = std::map<std::string_view, std::function<std::string()>>;

/// `pattern` with each {{name}} replaced; what is put in is not looked at again.
std::string filled(std::string_view pattern, const Parts& parts) {
  std::string out;
  for (;;) {
    const auto open = pattern.find("{{");
    out += pattern.substr(0, open);
    if (open == std::string_view::npos) return out;
    const auto close = pattern.find("}}", open);
    out += parts.at(pattern.substr(open + 2, close - open - 2))();
    pattern.remove_prefix(close + 2);
  }
}

}  // namespace

std::string attention_page(const attention::Recording& recording, const PageOptions& options) {
  const PageRecording data = page_recording(recording, options);
  return filled(page::html, {{"policy", policy},
                             {"title", [&] { return escape_xml(options.title); }},
                             {"style", [] { return std::string(page::style); }},
                             {"script", [] { return std::string(page::script); }},
                             {"recording", [&] { return data.json; }},
                             {"weights", [&] { return weight_elements(data.blocks); }}});
}

}  // namespace fovea::views
