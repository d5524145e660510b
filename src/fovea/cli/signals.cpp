#include "fovea/cli/signals.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

namespace fovea::cli {
namespace {

// A handler can reach nothing but globals.
std::atomic<bool> flag{false};
std::atomic<int> signal_number{0};
constexpr int handled[] = {SIGINT, SIGTERM, SIGHUP};

void handle(int number) {
  if (flag.exchange(true)) _exit(128 + number);
  signal_number = number;
}

void install(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (const int number : handled) sigaction(number, &action, nullptr);
}

}  // namespace

Signals::Signals() {
  flag = false;
  install(handle);
}

Signals::~Signals() { install(SIG_DFL); }

const std::atomic<bool>& Signals::caught() const { return flag; }

void Signals::exit_as_caught() const {
  std::fflush(nullptr);
  _exit(128 + signal_number.load());
}

}  // namespace fovea::cli
