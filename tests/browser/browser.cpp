#include "tests/browser/browser.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace fovea::browser {
namespace {

struct Pipe {
  int read_end, write_end;
};
Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  return {ends[0], ends[1]};
}

/// In the child: the protocol speaks through descriptors 3 and 4. Copies above 10 first, so that neither
/// overwrites the other.
[[noreturn]] void become(std::vector<std::string> words, int commands, int answers) {
  const int in = ::fcntl(commands, F_DUPFD, 10), out = ::fcntl(answers, F_DUPFD, 10);
  ::dup2(in, 3);
  ::dup2(out, 4);
  ::close(in);
  ::close(out);
  const int nothing = ::open("/dev/null", O_RDWR);
  for (const int standard : {0, 1, 2}) ::dup2(nothing, standard);
  ::setpgid(0, 0);
  std::vector<char*> pointers;
  for (auto& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  ::execvp(pointers[0], pointers.data());
  ::_exit(127);
}

bool on_path(const std::string& program) {
  if (program.find('/') != std::string::npos) return ::access(program.c_str(), X_OK) == 0;
  std::istringstream folders(std::getenv("PATH") ? std::getenv("PATH") : "");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (::access((folder + "/" + program).c_str(), X_OK) == 0) return true;
  return false;
}

/// Every byte as base64 spells it.
std::string from_base64(std::string_view text) {
  std::string out;
  unsigned bits = 0, held = 0;
  for (const char c : text) {
    static constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const auto digit = digits.find(c);
    if (digit == std::string_view::npos) break;
    bits = bits << 6 | static_cast<unsigned>(digit);
    if ((held += 6) >= 8) out += static_cast<char>(bits >> (held -= 8) & 255u);
  }
  return out;
}

}  // namespace

std::optional<std::string> Browser::find() {
  if (const char* named = std::getenv("FOVEA_BROWSER"); named && *named)
    return on_path(named) ? std::optional<std::string>(named) : std::nullopt;
  for (const char* program :
       {"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"})
    if (on_path(program)) return program;
  return std::nullopt;
}

Browser::Browser(const std::string& program, const std::filesystem::path& profile) {
  const Pipe commands = make_pipe(), answers = make_pipe();
  pid_ = ::fork();
  if (pid_ == 0)
    become({program, "--headless", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
            "--no-sandbox",  // containers run as root, where the sandbox refuses to; the pages are our own
            "--user-data-dir=" + profile.string(), "about:blank"},
           commands.read_end, answers.write_end);
  ::close(commands.read_end);
  ::close(answers.write_end);
  to_ = commands.write_end;
  from_ = answers.read_end;
  ::signal(SIGPIPE, SIG_IGN);
  call("Browser.getVersion");
}

Browser::~Browser() {
  ::close(to_);  // it ends when its commands end
  ::close(from_);
  for (int i = 0; i < 300; ++i) {
    if (::waitpid(pid_, nullptr, WNOHANG) != 0) {
      pid_ = ::kill(-pid_, SIGKILL);  // what it left of its group
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ::kill(-pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

Json Browser::receive() {
  const auto until = std::chrono::steady_clock::now() + patience;
  for (;;) {
    if (const auto end = unread_.find('\0'); end != std::string::npos) {
      const std::string message = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return Json::parse(message);
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd ready{from_, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) == 0)
      throw std::runtime_error("the browser is silent");
    std::array<char, 1 << 16> block;
    const auto bytes = ::read(from_, block.data(), block.size());
    if (bytes <= 0) throw std::runtime_error("the browser has ended");
    unread_.append(block.data(), static_cast<std::size_t>(bytes));
  }
}

Json Browser::call(const std::string& method, const Json& parameters, const std::string& session) {
  Json command{{"id", ++last_id_}, {"method", method}, {"params", parameters}};
  if (!session.empty()) command["sessionId"] = session;
  const std::string text = command.dump() + '\0';
  for (std::size_t sent = 0; sent < text.size();) {
    const auto bytes = ::write(to_, text.data() + sent, text.size() - sent);
    if (bytes <= 0) throw std::runtime_error("the browser does not listen");
    sent += static_cast<std::size_t>(bytes);
  }
  for (;;) {
    Json message = receive();
    if (!message.contains("id")) {
      events_.push_back(std::move(message));
    } else if (message["id"] == last_id_) {
      if (message.contains("error")) throw std::runtime_error(method + ": " + message["error"].dump());
      return message["result"];
    }
  }
}

Json Browser::wait_for(const std::string& event) {
  for (std::size_t i = 0;; ++i) {
    if (i == events_.size()) events_.push_back(receive());
    if (events_[i].value("method", "") == event) return events_[i]["params"];
  }
}

Tab::Tab(Browser& browser, Size size) : browser_(browser) {
  browser_.forget_events();
  const Json target = browser_.call("Target.createTarget", {{"url", "about:blank"}});
  const Json attached =
      browser_.call("Target.attachToTarget", {{"targetId", target["targetId"]}, {"flatten", true}});
  session_ = attached["sessionId"];
  for (const char* domain : {"Page", "Runtime", "Log", "Network"}) call(std::string(domain) + ".enable");
  resize(size);
}

void Tab::open(const std::filesystem::path& page, const std::string& hash) {
  page_ = "file://" + std::filesystem::absolute(page).string();
  call("Page.navigate", {{"url", "about:blank"}});  // so that a hash alone loads the page anew
  call("Page.navigate", {{"url", hash.empty() ? page_ : page_ + "#" + hash}});
  wait_until("location.protocol === 'file:' && document.documentElement?.dataset.ready === 'yes'");
}

void Tab::resize(Size size) {
  call(
      "Emulation.setDeviceMetricsOverride",
      {{"width", size.width}, {"height", size.height}, {"deviceScaleFactor", size.scale}, {"mobile", false}});
}

void Tab::prefer_dark(bool dark) {
  call("Emulation.setEmulatedMedia",
       {{"features", {{{"name", "prefers-color-scheme"}, {"value", dark ? "dark" : "light"}}}}});
  settle();
}

Json Tab::value_of(const std::string& expression) {
  const Json answer =
      call("Runtime.evaluate", {{"expression", expression}, {"returnByValue", true}, {"awaitPromise", true}});
  if (answer.contains("exceptionDetails"))
    throw std::runtime_error(expression + ": " + answer["exceptionDetails"].dump());
  return answer["result"].value("value", Json());
}

/// What an input changed is loaded and drawn (the page says so), and two frames have passed.
void Tab::settle() {
  value_of(
      "new Promise(done => { const look = () => document.documentElement.dataset.ready === 'yes'"
      " ? requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)))"
      " : setTimeout(look, 5); requestAnimationFrame(() => setTimeout(look)); })");
}

void Tab::wait_until(const std::string& expression) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (value_of("Boolean(" + expression + ")") != true) {
    if (std::chrono::steady_clock::now() > until) throw std::runtime_error("never true: " + expression);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

std::string Tab::text(const std::string& selector) {
  const Json found = value_of("document.querySelector(" + Json(selector).dump() + ")?.innerText");
  if (!found.is_string()) throw std::runtime_error("no " + selector);
  return found;
}

int Tab::count(const std::string& selector) {
  return value_of("document.querySelectorAll(" + Json(selector).dump() + ").length");
}

void Tab::pointer(const char* type, double x, double y, int clicks) {
  Json event{{"type", type}, {"x", x}, {"y", y}};
  if (clicks > 0) event.update({{"button", "left"}, {"clickCount", clicks}});
  call("Input.dispatchMouseEvent", event);
}

void Tab::hover(double x, double y) {
  pointer("mouseMoved", x, y);
  settle();
}

void Tab::hover(const std::string& selector) {
  const Json middle = value_of("(() => { const e = document.querySelector(" + Json(selector).dump() +
                               "); e.scrollIntoView({block: 'nearest'}); const b = e.getBoundingClientRect();"
                               "return [b.x + b.width / 2, b.y + b.height / 2]; })()");
  hover(middle[0], middle[1]);
}

void Tab::click(const std::string& selector, int times) {
  hover(selector);
  const Json middle =
      value_of("(() => { const b = document.querySelector(" + Json(selector).dump() +
               ").getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()");
  for (int i = 1; i <= times; ++i) {
    pointer("mousePressed", middle[0], middle[1], i);
    pointer("mouseReleased", middle[0], middle[1], i);
  }
  settle();
}

void Tab::press(const std::string& key) {
  static const std::map<std::string, int> codes{{"Enter", 13},     {"Escape", 27},  {"Tab", 9},
                                                {"ArrowLeft", 37}, {"ArrowUp", 38}, {"ArrowRight", 39},
                                                {"ArrowDown", 40}, {"Home", 36},    {"End", 35}};
  const auto code = codes.find(key);
  Json down{{"type", "keyDown"}, {"key", key}}, up{{"type", "keyUp"}, {"key", key}};
  if (code != codes.end()) {
    down["windowsVirtualKeyCode"] = up["windowsVirtualKeyCode"] = code->second;
    if (key == "Enter") down["text"] = "\r";
  } else {
    down["text"] = key;
  }
  call("Input.dispatchKeyEvent", down);
  call("Input.dispatchKeyEvent", up);
  settle();
}

void Tab::screenshot(const std::filesystem::path& png) {
  value_of("document.documentElement.style.scrollbarWidth = 'none'");
  settle();
  const Json picture = call("Page.captureScreenshot", {{"format", "png"}});
  std::ofstream(png, std::ios::binary) << from_base64(picture["data"].get<std::string>());
}

std::vector<std::string> Tab::complaints() {
  settle();
  std::vector<std::string> out;
  for (const Json& event : browser_.events()) {
    if (event.value("sessionId", "") != session_) continue;
    const std::string method = event.value("method", "");
    const Json& what = event["params"];
    if (method == "Runtime.exceptionThrown" || method == "Runtime.consoleAPICalled" ||
        method == "Log.entryAdded")
      out.push_back(method + " " + what.dump());
    if (method != "Network.requestWillBeSent") continue;
    const std::string url = what["request"]["url"];
    const bool is_page =
        what.value("type", "") == "Document" && (url.starts_with("file:") || url == "about:blank");
    if (!is_page) out.push_back("request for " + url.substr(0, 200));
  }
  return out;
}

}  // namespace fovea::browser
