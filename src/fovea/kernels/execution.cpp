#include "fovea/kernels/execution.h"

#include <cstdlib>
#include <new>
#include <string>

#include "fovea/base/error.h"

namespace fovea::kernels {

std::string_view name_of(KernelSet set) {
  switch (set) {
    case KernelSet::reference:
      return "reference";
    case KernelSet::plain:
      return "plain";
    case KernelSet::avx2:
      return "avx2";
    case KernelSet::avx512:
      return "avx512";
  }
  return "?";
}

bool runs_here(KernelSet set) {
  switch (set) {
    case KernelSet::reference:
    case KernelSet::plain:
      return true;
    case KernelSet::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case KernelSet::avx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  }
  return false;
}

bool has_16_bit_dot() {
  static const bool has = runs_here(KernelSet::avx512) && __builtin_cpu_supports("avx512bf16") &&
                          __builtin_cpu_supports("avx512vnni");
  return has;
}

bool has_8_bit_dot() {
  static const bool has = runs_here(KernelSet::avx512) && __builtin_cpu_supports("avx512vnni");
  return has;
}

std::vector<KernelSet> available_kernels() {
  std::vector<KernelSet> sets;
  for (const auto set : {KernelSet::reference, KernelSet::plain, KernelSet::avx2, KernelSet::avx512})
    if (runs_here(set)) sets.push_back(set);
  return sets;
}

KernelSet default_kernels() {
  static const KernelSet chosen = [] {
    const char* wanted = std::getenv("FOVEA_KERNELS");
    if (!wanted || !*wanted) return available_kernels().back();
    for (const auto set : {KernelSet::reference, KernelSet::plain, KernelSet::avx2, KernelSet::avx512}) {
      if (name_of(set) != wanted) continue;
      if (runs_here(set)) return set;
      throw Error(Error::Kind::usage, "FOVEA_KERNELS", std::string(wanted) + " cannot run on this processor",
                  "unset it, or use plain");
    }
    throw Error(Error::Kind::usage, "FOVEA_KERNELS", "unknown kernel set '" + printable(wanted) + "'",
                "use reference, plain, avx2 or avx512");
  }();
  return chosen;
}

Workspace::Workspace(int workers) : blocks_(static_cast<std::size_t>(workers) * slots) {}

Workspace::~Workspace() {
  for (auto& block : blocks_) ::operator delete[](block.data, std::align_val_t{64});
}

float* Workspace::get(int worker, int slot, std::size_t count) {
  Block& block = blocks_[static_cast<std::size_t>(worker) * slots + static_cast<std::size_t>(slot)];
  if (block.count < count) {
    ::operator delete[](block.data, std::align_val_t{64});
    block = {};
    block.data = static_cast<float*>(::operator new[](count * sizeof(float), std::align_val_t{64}));
    block.count = count;
  }
  return block.data;
}

std::size_t Workspace::bytes(int worker) const {
  std::size_t floats = 0;
  for (int slot = 0; slot < slots; ++slot)
    floats += blocks_[static_cast<std::size_t>(worker * slots + slot)].count;
  return floats * sizeof(float);
}

}  // namespace fovea::kernels
