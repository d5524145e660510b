#include "fovea/cli/signals.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace fovea::cli {
namespace {

// A handler can reach nothing but globals.
std::atomic<bool> flag{false};
std::atomic<int> first_signal{0};

void handle(int number) {
  int none = 0;
  if (!first_signal.compare_exchange_strong(none, number)) _exit(128 + number);
  flag = true;  // after the number: whoever sees the flag may ask which signal it was
}

}  // namespace

Signals::Signals() {
  flag = false;
  first_signal = 0;
  struct sigaction action = {};
  action.sa_handler = handle;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before = {};
    sigaction(number, nullptr, &before);
    if (before.sa_handler == SIG_IGN) continue;
    sigaction(number, &action, nullptr);
    handled_.push_back({number, before});
  }
}

Signals::~Signals() {
  for (const auto& [number, before] : handled_) sigaction(number, &before, nullptr);
}

const std::atomic<bool>& Signals::caught() const { return flag; }

void Signals::exit_as_caught() const {
  std::fflush(nullptr);
  _exit(128 + first_signal.load());
}

}  // namespace fovea::cli
