// Workers that draw from one queue: the same results in the same order however many there are, full batches
// from beginning to end, bounded memory, and an end that is clean whatever happens.
#include "fovea/decoding/jobs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <numeric>
#include <thread>

#include "fovea/base/error.h"
#include "fovea/decoding/translator.h"
#include "tests/decoding/fake_model.h"
#include "tests/decoding/small_model.h"

namespace fovea::decoding {
namespace {

/// A source of id n ends after n tokens, which are all n; each step is told to `watch`.
class Counting : public FakeModel {
 public:
  using Watch = std::function<void(std::int64_t rows)>;
  explicit Counting(Watch watch = {})
      : FakeModel(200,
                  [](const Ids& source, const Ids& past) {
                    std::vector<float> logits(200, 0.0f);
                    logits[std::ssize(past) < source[0] ? static_cast<std::size_t>(source[0]) : 0] = 20.0f;
                    return logits;
                  }),
        watch_(std::move(watch)) {}
  Tensor step(DecodingState& state, std::span<const std::int32_t> tokens) const override {
    if (watch_) watch_(std::ssize(tokens));
    return FakeModel::step(state, tokens);
  }

 private:
  Watch watch_;
};

MakeDecoder counting(const Counting::Watch& watch = {}) {
  return [watch](const kernels::Execution&) { return std::make_unique<Counting>(watch); };
}

/// Lengths of the requests of each job; 0: nothing to search for.
using Lengths = std::vector<std::vector<std::int32_t>>;

NextJob jobs_of(const Lengths& lengths, std::size_t& given) {
  return [&]() -> std::unique_ptr<Job> {
    if (given == lengths.size()) return nullptr;
    auto job = std::make_unique<Job>();
    for (const auto length : lengths[given]) job->requests.push_back({length == 0 ? Ids{} : Ids{length}});
    ++given;
    return job;
  };
}

Lengths some_lengths(int jobs) {
  Lengths lengths;
  for (int i = 0; i < jobs; ++i) {
    lengths.emplace_back();
    for (int k = 0; k < 1 + (i % 7 == 3) * 3; ++k) lengths.back().push_back((i * 13 + k * 5) % 24);
  }
  return lengths;
}

const BeamOptions greedy{.beam = 1, .max_length = 30};

void expect_done(const Job& job, const std::vector<std::int32_t>& lengths) {
  ASSERT_EQ(job.found.size(), lengths.size());
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    ASSERT_EQ(job.found[i].size(), lengths[i] == 0 ? 0u : 1u);
    if (lengths[i] == 0) continue;
    EXPECT_EQ(job.found[i][0].tokens, Ids(static_cast<std::size_t>(lengths[i]), lengths[i]));
  }
}

TEST(Jobs, AreDeliveredInTheirOrderWhateverTheWorkers) {
  const Lengths lengths = some_lengths(700);
  for (const int workers : {1, 2, 3, 8})
    for (const std::int64_t rows : {1, 5, 64}) {
      Crew crew(workers, workers);
      std::size_t given = 0, delivered = 0;
      const auto deliver = [&](const std::unique_ptr<Job>& job) { expect_done(*job, lengths[delivered++]); };
      EXPECT_TRUE(search_jobs(crew, counting(), jobs_of(lengths, given), deliver, greedy, {rows, 1000}));
      EXPECT_EQ(delivered, lengths.size());
    }
}

TEST(Jobs, NoneAndOnesWithoutARequestToSearchFor) {
  Crew crew(2);
  for (const Lengths& lengths :
       {Lengths{}, Lengths{{0}}, Lengths{{}, {0, 0}, {}}, Lengths{{0}, {3, 0}, {}}}) {
    std::size_t given = 0, delivered = 0;
    const auto deliver = [&](const std::unique_ptr<Job>& job) { expect_done(*job, lengths[delivered++]); };
    EXPECT_TRUE(search_jobs(crew, counting(), jobs_of(lengths, given), deliver, greedy));
    EXPECT_EQ(delivered, lengths.size());
  }
}

// Several windows of jobs: a batch that was emptied between them would show in the steps.
TEST(Jobs, BatchesStayFullFromWindowToWindow) {
  Lengths lengths;
  for (int i = 0; i < 9000; ++i) lengths.push_back({1 + i * 7 % 12});
  std::vector<std::int64_t> rows;
  Crew crew(1);
  std::size_t given = 0, delivered = 0, most = 0;
  const auto deliver = [&](const std::unique_ptr<Job>&) { most = std::max(most, given - ++delivered); };
  search_jobs(crew, counting([&](std::int64_t n) { rows.push_back(n); }), jobs_of(lengths, given), deliver,
              greedy, {16, 1000});
  const auto thin = std::ranges::count_if(rows, [](std::int64_t n) { return n < 12; });
  EXPECT_LE(thin, 12) << "only at the end";
  EXPECT_LT(most, 5000u) << "jobs that wait are bounded";
}

TEST(Jobs, AWorkerTakesItsShareOfFewAndNoMore) {
  const Lengths lengths(128, {6});
  std::mutex mutex;
  std::condition_variable more;
  std::map<std::thread::id, std::int64_t> most;
  std::size_t workers = 4;
  const auto watch = [&](std::int64_t rows) {
    std::unique_lock lock(mutex);
    auto& mine = most[std::this_thread::get_id()];
    mine = std::max(mine, rows);
    more.notify_all();
    more.wait_for(lock, std::chrono::seconds(20), [&] { return most.size() == workers; });
  };
  Crew crew(4);
  std::size_t given = 0;
  search_jobs(crew, counting(watch), jobs_of(lengths, given), [](const auto&) {}, greedy, {64, 1000});
  EXPECT_EQ(most.size(), 4u);
  for (const auto& [thread, rows] : most) EXPECT_LE(rows, 32);
  // Not a batch for each of the workers: all threads in one search.
  most.clear();
  workers = 1;
  given = 1;
  search_jobs(crew, counting(watch), jobs_of(lengths, given), [](const auto&) {}, greedy, {64, 1000});
  EXPECT_EQ(most, (decltype(most){{std::this_thread::get_id(), 64}}));
}

class JobsThatFail : public testing::TestWithParam<std::string> {};

TEST_P(JobsThatFail, EndAllWorkersWithTheFirstError) {
  const Lengths lengths(6000, {5});
  const auto fail = [&](const char* where, std::size_t count) {
    if (GetParam() == where && count == 3000) throw Error(Error::Kind::data, where, "failed");
  };
  std::atomic<std::size_t> steps{0};
  std::size_t given = 0, asked = 0, delivered = 0;
  Crew crew(3);
  const auto some = jobs_of(lengths, given);
  const auto next = [&] { return fail("next", ++asked), some(); };
  const auto deliver = [&](const auto&) { fail("deliver", ++delivered); };
  const auto watch = [&](std::int64_t) { fail("step", ++steps); };
  try {
    search_jobs(crew, counting(watch), next, deliver, greedy, {4, 1000});
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.what(), GetParam() + ": failed");
  }
  EXPECT_LT(delivered, lengths.size());
  // The crew is whole again.
  given = 0;
  std::size_t again = 0;
  EXPECT_TRUE(search_jobs(
      crew, counting(), some, [&](const auto&) { ++again; }, greedy));
  EXPECT_EQ(again, lengths.size());
}

INSTANTIATE_TEST_SUITE_P(All, JobsThatFail, testing::Values("next", "deliver", "step"),
                         [](const auto& name) { return name.param; });

TEST(Jobs, OptionsThatMakeNoSenseAreRefusedBeforeAnythingIsDelivered) {
  Crew crew(2);
  const Lengths lengths{{0}, {3}, {4}};
  std::size_t given = 0;
  EXPECT_THROW(search_jobs(crew, counting(), jobs_of(lengths, given),
                           [](const auto&) { ADD_FAILURE() << "delivered"; }, {.beam = 0}),
               Error);
}

TEST(Jobs, WhatIsCancelledAreTheLast) {
  const Lengths lengths = some_lengths(5000);
  for (const int workers : {1, 3}) {
    std::atomic<bool> cancelled{false};
    std::size_t given = 0, delivered = 0;
    Crew crew(workers, workers);
    auto options = greedy;
    options.cancelled = &cancelled;
    const auto deliver = [&](const std::unique_ptr<Job>& job) {
      expect_done(*job, lengths[delivered]);
      cancelled = ++delivered >= 300;
    };
    EXPECT_FALSE(search_jobs(crew, counting(), jobs_of(lengths, given), deliver, options, {8, 1000}));
    EXPECT_GE(delivered, 300u);
    EXPECT_LT(delivered, lengths.size());
  }
}

TEST(Jobs, TokensAreStreamedInOrderUnderTheNumbersOfTheirJobs) {
  const Lengths lengths = some_lengths(50);
  std::vector<Ids> streamed(lengths.size());
  auto options = greedy;
  options.on_token = [&](const StreamedToken& token) {
    for (std::size_t later = token.sentence + 1; later < streamed.size(); ++later)
      EXPECT_TRUE(streamed[later].empty());
    streamed[token.sentence].push_back(token.token);
    return true;
  };
  Crew crew(3, 3);
  std::size_t given = 0, delivered = 0;
  const auto deliver = [&](const auto&) {
    std::size_t tokens = 0;
    for (const auto length : lengths[delivered]) tokens += static_cast<std::size_t>(length);
    EXPECT_EQ(streamed[delivered++].size(), tokens);
  };
  search_jobs(crew, counting(), jobs_of(lengths, given), deliver, options, {1, 1000});
  EXPECT_EQ(delivered, lengths.size());
}

// --- lines, with a model

std::vector<std::string> lines_to_translate() {
  auto lines = text::sample::sentences(90, 4);
  lines[7] = lines[40] = "";
  for (const auto& sentence : text::sample::sentences(12, 5)) lines[20] += " " + sentence;
  return lines;
}

TranslateOptions line_options(std::int64_t rows) {
  TranslateOptions options;
  options.beam.beam = 3;
  options.beam.nbest = 2;
  options.beam.attention = true;
  options.beam.max_length_extra = 6;
  options.max_tokens = 40;
  options.batches.max_rows = rows;
  return options;
}

void expect_same(const Translation& found, const Translation& expected) {
  EXPECT_EQ(found.source, expected.source);
  EXPECT_EQ(found.parts, expected.parts);
  ASSERT_EQ(found.candidates.size(), expected.candidates.size());
  for (std::size_t i = 0; i < found.candidates.size(); ++i) {
    EXPECT_EQ(found.candidates[i].text, expected.candidates[i].text);
    EXPECT_EQ(found.candidates[i].tokens, expected.candidates[i].tokens);
    EXPECT_EQ(found.candidates[i].score, expected.candidates[i].score);
    EXPECT_EQ(found.candidates[i].token_log_probabilities, expected.candidates[i].token_log_probabilities);
    EXPECT_EQ(found.candidates[i].attention, expected.candidates[i].attention);
  }
}

TEST(Workers, BitsAreTheSameWhateverWorkersThreadsAndBatch) {
  const auto model = test::small_model();
  const auto lines = lines_to_translate();
  const kernels::ExecutionOwner exec(1);
  for (const bool draws : {false, true}) {
    const auto options = [&](std::int64_t rows) {
      auto options = line_options(rows);
      if (draws) options.beam.beam = 1, options.beam.sampling = Sampling{.temperature = 1.2};
      return options;
    };
    const Translator alone(*model, test::small_tokenizer(), exec.get());
    const auto expected = alone.translate(lines, options(1));
    for (const auto& [threads, workers] : {std::pair{2, 2}, {4, 2}, {5, 3}, {16, 0}})
      for (const std::int64_t rows : {1, 6, 64}) {
        Crew crew(threads, workers);
        const auto found = Translator(*model, test::small_tokenizer(), crew).translate(lines, options(rows));
        ASSERT_EQ(found.size(), expected.size());
        for (std::size_t i = 0; i < found.size(); ++i) expect_same(found[i], expected[i]);
        if (testing::Test::HasFailure()) FAIL() << threads << " threads, " << workers << " workers";
      }
  }
}

TEST(Workers, SeveralCallersAtOnce) {
  const auto model = test::small_model();
  const auto lines = lines_to_translate();
  Crew crew(3);
  const Translator translator(*model, test::small_tokenizer(), crew);
  const auto expected = translator.translate(lines, line_options(8));
  {
    std::vector<std::jthread> callers;
    for (std::size_t caller = 0; caller < 4; ++caller)
      callers.emplace_back([&, caller] {
        const std::size_t first = caller * 11;  // from one sentence to many
        const std::size_t count = caller == 0 ? 1 : caller * 16;
        for (int again = 0; again < 3; ++again) {
          const auto found = translator.translate(std::span(lines).subspan(first, count), line_options(8));
          ASSERT_EQ(found.size(), count);
          for (std::size_t i = 0; i < count; ++i) expect_same(found[i], expected[first + i]);
        }
      });
  }
  EXPECT_EQ(Crew::Lease(crew, 1).executions().front(), &crew.together());
}

std::vector<int> threads_of(const Crew::Lease& lease) {
  std::vector<int> threads;
  for (const auto* execution : lease.executions()) threads.push_back(execution->pool->size());
  std::ranges::sort(threads);
  return threads;
}

TEST(Crews, AreTogetherForFewAndApartForMany) {
  Crew crew(5, 2);
  EXPECT_EQ(crew.threads(), 5);
  EXPECT_EQ(crew.workers(), 2);
  EXPECT_EQ(threads_of(Crew::Lease(crew, 1)), (std::vector{5}));
  EXPECT_EQ(threads_of(Crew::Lease(crew, 2)), (std::vector{2, 3}));
  EXPECT_EQ(threads_of(Crew::Lease(crew, 1000)), (std::vector{2, 3}));
  const kernels::ExecutionOwner exec(4);
  Crew of_one(exec.get());
  EXPECT_EQ(Crew::Lease(of_one, 1000).executions().front(), &exec.get());
}

TEST(Crews, NoCallerWaitsForAnother) {
  Crew crew(3);
  for (const std::size_t first : {1, 100}) {
    const Crew::Lease all(crew, first);
    const Crew::Lease one(crew, 1), another(crew, 100);
    EXPECT_EQ(threads_of(one), (std::vector{1}));
    EXPECT_EQ(threads_of(another), (std::vector{1}));
    EXPECT_NE(one.executions().front(), another.executions().front());
  }
  EXPECT_EQ(threads_of(Crew::Lease(crew, 1)), (std::vector{3}));
}

TEST(Crews, MoreWorkersThanThreads) {
  EXPECT_EQ(test::message_of(Error::Kind::usage, [] { Crew(2, 3); }),
            "workers: 3 of 2 threads; use at most as many workers as threads");
  EXPECT_EQ(Crew(0, 64).threads(), 64);
}

}  // namespace
}  // namespace fovea::decoding
