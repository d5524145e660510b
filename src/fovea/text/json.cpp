#include "fovea/text/json.h"

#include <string>
#include <unordered_set>
#include <vector>

#include "fovea/base/error.h"

namespace fovea::text {

nlohmann::json parse_json(std::string_view text, std::string_view where) {
  using Json = nlohmann::json;
  constexpr std::size_t max_bytes = 64u << 20;
  constexpr int max_depth = 32;
  const auto fail = [&](const std::string& what) {
    throw Error(Error::Kind::model, where, what, "the file is damaged or of another kind");
  };
  if (text.size() > max_bytes) fail(std::to_string(text.size()) + " bytes of JSON, more than any real file");
  std::vector<std::unordered_set<std::string>> keys;  // of the objects that are open
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > max_depth) fail("JSON nested deeper than " + std::to_string(max_depth));
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second)
      fail("the key '" + printable(parsed.get<std::string>()) + "' is there twice");
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), watch);
  } catch (const Json::exception& error) {
    fail("not valid JSON: " + printable(error.what(), 200));
  }
  return {};
}

}  // namespace fovea::text
