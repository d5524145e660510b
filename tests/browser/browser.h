#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fovea::browser {

using Json = nlohmann::json;

/// A browser of this machine without a window, driven over a pipe by the Chrome DevTools Protocol
/// (https://chromedevtools.github.io/devtools-protocol). Calls throw std::runtime_error if the browser says
/// no, ends, or is silent for `patience`.
class Browser {
 public:
  /// $FOVEA_BROWSER (nothing if it names none that is there), or chromium-headless-shell, chromium or Chrome
  /// on the path.
  static std::optional<std::string> find();

  Browser(const std::string& program, const std::filesystem::path& profile);
  ~Browser();
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

  /// Sends a command and waits for its result. Events that come meanwhile are kept.
  Json call(const std::string& method, const Json& parameters = Json::object(),
            const std::string& session = {});
  /// Waits for the next event of that name, or takes it from those kept.
  Json wait_for(const std::string& event);
  const std::vector<Json>& events() const { return events_; }
  void forget_events() { events_.clear(); }

 private:
  Json receive();

  static constexpr std::chrono::seconds patience{30};
  pid_t pid_ = -1;
  int to_ = -1, from_ = -1;  // pipe ends
  int last_id_ = 0;
  std::string unread_;
  std::vector<Json> events_;
};

/// A page in a tab.
class Tab {
 public:
  struct Size {
    int width = 1200, height = 750;
    double scale = 1;  ///< pixels of the screen for each of the page's
  };
  Tab(Browser& browser, Size size);

  /// Opens a file, with what stands behind '#'; returns once the page has drawn itself.
  void open(const std::filesystem::path& page, const std::string& hash = {});
  void resize(Size size);
  void prefer_dark(bool dark);

  /// The value of a JavaScript expression (promises are waited for); drawing that it caused is done.
  Json value_of(const std::string& expression);
  /// Waits until a JavaScript expression is true.
  void wait_until(const std::string& expression);
  /// The visible text of the first element that matches, as innerText gives it.
  std::string text(const std::string& selector);
  int count(const std::string& selector);

  /// The pointer goes to the middle of the first element that matches; clicks there.
  void hover(const std::string& selector);
  void hover(double x, double y);
  void click(const std::string& selector, int times = 1);
  /// "a", "ArrowLeft", "Tab", ...
  void press(const std::string& key);

  void screenshot(const std::filesystem::path& png);

  /// Console messages, exceptions, violations of the content security policy; and requests for anything but
  /// the page itself. All that came since the tab was opened.
  std::vector<std::string> complaints();

 private:
  Json call(const std::string& method, const Json& parameters = Json::object()) {
    return browser_.call(method, parameters, session_);
  }
  void pointer(const char* type, double x, double y, int clicks = 0);
  void settle();

  Browser& browser_;
  std::string session_, page_;
};

}  // namespace fovea::browser
