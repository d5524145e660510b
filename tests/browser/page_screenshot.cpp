// page_screenshot PAGE.html PICTURE.png ADDRESS WIDTH HEIGHT SCALE: scripts/page_screenshot.sh runs it.
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "tests/browser/browser.h"

namespace {

/// A folder for the browser that goes with the program.
struct Profile {
  std::string path = (std::filesystem::temp_directory_path() / "fovea-screenshot-XXXXXX").string();
  Profile() {
    if (!::mkdtemp(path.data())) throw std::runtime_error("no temporary folder");
  }
  ~Profile() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

void take(char** arguments, const std::string& program) {
  const Profile profile;
  fovea::browser::Browser browser(program, profile.path);
  fovea::browser::Tab tab(browser,
                          {std::atoi(arguments[4]), std::atoi(arguments[5]), std::atof(arguments[6])});
  tab.open(arguments[1], arguments[3]);
  tab.wait_until("state.view !== 'model' || document.querySelector('.painted')");
  tab.value_of("new Promise(done => setTimeout(done, 400))");  // until what fades in is there
  tab.screenshot(arguments[2]);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) return std::fprintf(stderr, "page_screenshot: see scripts/page_screenshot.sh\n"), 2;
  const auto program = fovea::browser::Browser::find();
  if (!program)
    return std::fprintf(stderr, "page_screenshot: no browser; install chromium-headless-shell\n"), 5;
  try {
    take(argv, *program);
    return 0;
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "page_screenshot: %s\n", error.what()), 5;
  }
}
