#pragma once

#include "fovea/kernels/execution.h"
#include "fovea/ops/context.h"

namespace fovea::models {

/// What a test of models runs on, to be inherited: two threads, and contexts on them.
class WithThreads {
 protected:
  ops::Context context(kernels::KernelSet set = kernels::default_kernels()) const {
    ops::Context ctx;
    ctx.exec = owner_.get();
    ctx.exec.kernels = set;
    ctx.seed = 11;
    return ctx;
  }
  kernels::ExecutionOwner owner_{2};
};

}  // namespace fovea::models
