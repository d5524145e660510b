#include "fovea/cli/signals.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "fovea/base/error.h"
#include "fovea/base/mapped_file.h"

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

// Safe in a handler, as std::string is not.
void write_text(const char* text) {
  if (write(STDERR_FILENO, text, std::strlen(text)) < 0) return;  // nobody is left to be told
}

void handle_lost_page(int number, siginfo_t* info, void*) {
  const char* file = mapped_file_at(info->si_addr);
  if (!file) {  // not ours: the instruction is met again, and ends the process
    std::signal(number, SIG_DFL);
    return;
  }
  write_text("fovea: ");
  write_text(file);
  write_text(": was cut short or cannot be read any more while it is mapped; make it again\n");
  _exit(static_cast<int>(Error::Kind::model));
}

}  // namespace

void name_files_cut_short() {
  struct sigaction action = {};
  action.sa_sigaction = handle_lost_page;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, nullptr);
}

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
