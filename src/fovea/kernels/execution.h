#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "fovea/base/thread_pool.h"

namespace fovea::kernels {

/// Which kernels run: the formulas as loops, or vector code for an instruction set.
enum class KernelSet { reference, plain, avx2, avx512 };

std::string_view name_of(KernelSet set);

/// Whether this machine can run `set`.
bool runs_here(KernelSet set);

/// Whether this machine has the dot products of 16-bit pairs (AVX-512 BF16 and VNNI) beside
/// KernelSet::avx512.
bool has_16_bit_dot();

/// Whether this machine has the dot products of 8-bit integers (AVX-512 VNNI) beside KernelSet::avx512.
bool has_8_bit_dot();

/// The best set that runs here, or the one the environment variable FOVEA_KERNELS names
/// (reference, plain, avx2, avx512). Throws Error(usage) if it names none of them or one that cannot run
/// here.
KernelSet default_kernels();

/// How products of matrices round. bf16: both operands are rounded to bf16 (8 bits of mantissa), products are
/// summed in f32; twice as fast where has_16_bit_dot() beside KernelSet::avx512, and f32 elsewhere.
enum class Precision { f32, bf16 };

/// Every set that runs here, reference first: what tests go through.
std::vector<KernelSet> available_kernels();

/// Scratch memory that grows to the largest request and is then reused: one span per worker and slot.
/// Slots keep callers that nest apart. Contents are not kept between calls of get().
class Workspace {
 public:
  static constexpr int slots = 8;
  explicit Workspace(int workers);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  /// At least `count` floats, aligned to 64 bytes. Safe to call from different workers at once.
  float* get(int worker, int slot, std::size_t count);
  /// What a worker holds, bytes.
  std::size_t bytes(int worker) const;

 private:
  struct Block {
    float* data = nullptr;
    std::size_t count = 0;
  };
  std::vector<Block> blocks_;
};

/// How a kernel call runs: threads, scratch memory, kernel set, precision (later a device stream). Passed to
/// every kernel.
struct Execution {
  ThreadPool* pool = nullptr;
  Workspace* workspace = nullptr;
  KernelSet kernels = default_kernels();
  Precision precision = Precision::f32;  ///< of gemm() and what is made of it
};

/// An Execution with a pool and workspace of its own, for tests, examples and programs.
class ExecutionOwner {
 public:
  explicit ExecutionOwner(int threads = 0, KernelSet kernels = default_kernels())
      : pool_(threads), workspace_(pool_.size()), execution_{&pool_, &workspace_, kernels} {}
  const Execution& get() const { return execution_; }

 private:
  ThreadPool pool_;
  Workspace workspace_;
  Execution execution_;
};

/// The implementation of one kernel for each set; missing ones fall to the next slower.
/// Decided above the hot loop: `choose(exec.kernels, &reference::f, &cpu::plain::f, ...)(args)`.
template <class Function>
Function* choose(KernelSet set, Function* reference, Function* plain = nullptr, Function* avx2 = nullptr,
                 Function* avx512 = nullptr) {
  if (set == KernelSet::avx512 && avx512) return avx512;
  if (set >= KernelSet::avx2 && avx2) return avx2;
  if (set >= KernelSet::plain && plain) return plain;
  return reference;
}

}  // namespace fovea::kernels
