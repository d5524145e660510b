#include "fovea/base/thread_pool.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

namespace fovea {
namespace {

TEST(ThreadPool, CutsTheRangeOnceWhateverTheWorkers) {
  for (const int threads : {1, 2, 3, 5}) {
    ThreadPool pool(threads);
    for (const std::int64_t count : {0, 1, 7, 64, 1000}) {
      std::vector<int> seen(static_cast<std::size_t>(count));
      pool.parallel_for(count, 8, [&](std::int64_t begin, std::int64_t end) {
        EXPECT_EQ(begin % 8, 0);
        for (auto i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
      });
      for (const int times : seen) EXPECT_EQ(times, 1);
    }
  }
}

TEST(ThreadPool, ThrowsWhatAWorkerThrewAndGoesOn) {
  ThreadPool pool(3);
  for (int round = 0; round < 50; ++round) {
    EXPECT_THROW(pool.run([&](int worker) {
      if (worker == round % 3) throw std::runtime_error("worker");
    }),
                 std::runtime_error);
    std::atomic<int> ran{0};
    pool.run([&](int) { ++ran; });
    EXPECT_EQ(ran, 3);
  }
}

}  // namespace
}  // namespace fovea
