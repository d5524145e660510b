// fovea doctor: what this machine and this build are, for a first look when something is slow or wrong.
#include <sched.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "fovea/attention/attend.h"
#include "fovea/base/error.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/cli/version.h"
#include "fovea/kernels/execution.h"

namespace fovea::cli {
namespace {

std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) return line.substr(line.find(": ") + 2);
  return "unknown";
}

/// Processors this process may use: fewer than the machine has under taskset or in a container.
int allowed_processors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0)
    return static_cast<int>(std::thread::hardware_concurrency());
  return CPU_COUNT(&set);
}

std::string memory() {
  const double bytes =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GiB", bytes / (1 << 30));
  return text;
}

std::string kernel_sets() {
  std::string sets;
  for (const auto set : kernels::available_kernels()) {
    if (!sets.empty()) sets += ", ";
    sets += kernels::name_of(set);
  }
  return sets;
}

std::string libraries() {
  return "CLI11 " CLI11_VERSION ", JSON for Modern C++ " + std::to_string(NLOHMANN_JSON_VERSION_MAJOR) + "." +
         std::to_string(NLOHMANN_JSON_VERSION_MINOR) + "." + std::to_string(NLOHMANN_JSON_VERSION_PATCH);
}

// Tiled and decoding attention have code for every set; what else attend() serves goes by explicit pairs.
std::string attention_kernels(kernels::KernelSet set) {
  using attention::Kernel;
  return std::string(attention::name_of(Kernel::tiled_dot)) + ", " +
         std::string(attention::name_of(Kernel::tiled_additive)) +
         ", one query over a cache: " + std::string(kernels::name_of(set)) +
         (set == kernels::KernelSet::reference ? " (the formulas as loops: slow)" : "");
}

std::string short_dot_products(kernels::KernelSet set) {
  const bool used = kernels::has_16_bit_dot() && set == kernels::KernelSet::avx512;
  return std::string(used                        ? "used"
                     : kernels::has_16_bit_dot() ? "not by these kernels"
                                                 : "not on this processor") +
         (used ? ": bf16, and caches of bf16 and i8, are multiplied as they are"
               : ": bf16, and caches of bf16 and i8, are widened to f32 as they are read");
}

void examine() {
  Output out;
  const auto line = [&out](std::string name, std::string_view value) {
    name.resize(14, ' ');
    out.write(name.append(value).append("\n"));
  };
  const char* forced = std::getenv("FOVEA_KERNELS");
  out.write(version_text());
  line("processor", processor());
  line("threads", std::to_string(allowed_processors()) + " of " +
                      std::to_string(std::thread::hardware_concurrency()) + " processors");
  line("memory", memory());
  line("kernels", std::string(kernels::name_of(kernels::default_kernels())) +
                      (forced && *forced ? " (chosen by FOVEA_KERNELS)" : " (the fastest that runs here)"));
  line("could run", kernel_sets() + "; choose with FOVEA_KERNELS=NAME");
  line("attention", attention_kernels(kernels::default_kernels()));
  line("16-bit dots", short_dot_products(kernels::default_kernels()));
  line("libraries", libraries());
  out.flush();
}

}  // namespace

void add_doctor(CLI::App& fovea) {
  CLI::App* command = fovea.add_subcommand("doctor", "Show what this machine and this build are");
  command->footer("Example: FOVEA_KERNELS=plain fovea doctor");
  command->callback(examine);
}

}  // namespace fovea::cli
