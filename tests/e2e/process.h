#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/training/tiny_run.h"

namespace fovea::e2e {

/// The program, running beside the test. Its standard error goes to a file.
class Process {
 public:
  Process(const std::vector<std::string>& arguments, std::filesystem::path log) : log_(std::move(log)) {
    std::vector<std::string> words{FOVEA_BINARY};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> pointers;
    for (auto& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    std::filesystem::remove(log_);  // so that nobody takes what another process said for the new one's words
    pid_ = ::fork();
    if (pid_ != 0) return;
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::signal(number, SIG_DFL);
    const int nothing = ::open("/dev/null", O_RDWR);
    const int out = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(nothing, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    ::execv(pointers[0], pointers.data());
    ::_exit(127);
  }
  ~Process() {
    if (pid_ > 0 && !ended_) {
      ::kill(pid_, SIGKILL);
      wait();
    }
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void send(int number) const { ::kill(pid_, number); }

  /// Waits until its standard error holds `text`; false if it ended or a minute passed before.
  bool says(const std::string& text) const {
    const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (std::chrono::steady_clock::now() < until) {
      if (std::filesystem::exists(log_) && said().find(text) != std::string::npos) return true;
      siginfo_t info{};
      if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
          info.si_pid == pid_)
        return said().find(text) != std::string::npos;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
  }
  std::string said() const { return training::test::read(log_); }

  /// Its exit code, or 1000 + the number of the signal that killed it.
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    ended_ = true;
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  std::filesystem::path log_;
  pid_t pid_ = -1;
  bool ended_ = false;
};

}  // namespace fovea::e2e
