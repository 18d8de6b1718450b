#include "base/task.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace muster {
namespace {

using Done = Callback<int>::Done;

// Keeps what it is asked until the test answers it.
class Desk {
 public:
  Task<int> Ask() {
    co_return co_await Callback<int>([this](Done done) { waiting_.push_back(std::move(done)); });
  }
  std::size_t waiting() const { return waiting_.size(); }
  void Answer(int value) {
    Done done = std::move(waiting_.front());
    waiting_.erase(waiting_.begin());
    done(value);
  }
  void Forget() { waiting_.clear(); }

 private:
  std::vector<Done> waiting_;
};

Task<int> Immediately(int value) { co_return value; }

Task<int> Sum(Desk& desk, int count) {
  int sum = 0;
  for (int i = 0; i < count; ++i) sum += co_await desk.Ask();
  co_return sum;
}

Task<std::unique_ptr<int>> MoveOnly(Desk& desk) { co_return std::make_unique<int>(co_await desk.Ask()); }

Task<int> AwaitsInline(int times) {
  int sum = 0;
  for (int i = 0; i < times; ++i) sum += co_await Callback<int>([](Done done) { done(1); });
  co_return sum;
}

// Says when its frame is gone.
struct Guard {
  explicit Guard(bool* flag) : gone(flag) {}
  ~Guard() { *gone = true; }
  Guard(const Guard&) = delete;
  bool* gone;
};

Task<int> Guarded(Desk& desk, bool* inner_gone) {
  const Guard guard(inner_gone);
  co_return co_await desk.Ask();
}

Task<int> GuardedTwice(Desk& desk, bool* outer_gone, bool* inner_gone) {
  const Guard guard(outer_gone);
  co_return co_await Guarded(desk, inner_gone);
}

TEST(Task, DoesNothingBeforeItIsStarted) {
  Desk desk;
  Task<int> task = Sum(desk, 1);
  EXPECT_EQ(desk.waiting(), 0U);
  EXPECT_FALSE(task.done());
}

TEST(Task, CompletesAtOnceWhenNothingWaits) {
  Task<int> task = Immediately(7);
  task.Start();
  ASSERT_TRUE(task.done());
  EXPECT_EQ(task.TakeValue(), 7);
}

TEST(Task, ContinuesWhenWhatItWaitsForArrives) {
  Desk desk;
  Task<int> task = Sum(desk, 3);
  task.Start();
  for (const int value : {1, 10, 100}) {
    EXPECT_FALSE(task.done());
    ASSERT_EQ(desk.waiting(), 1U);
    desk.Answer(value);
  }
  ASSERT_TRUE(task.done());
  EXPECT_EQ(task.TakeValue(), 111);
}

TEST(Task, GivesValuesThatOnlyMove) {
  Desk desk;
  Task<std::unique_ptr<int>> task = MoveOnly(desk);
  task.Start();
  desk.Answer(5);
  EXPECT_EQ(*task.TakeValue(), 5);
}

TEST(Task, MovesWithItsFrame) {
  Desk desk;
  Task<int> task = Sum(desk, 1);
  task.Start();
  Task<int> moved = std::move(task);
  desk.Answer(3);
  EXPECT_EQ(moved.TakeValue(), 3);
}

TEST(Task, AssignmentDestroysWhatItReplaces) {
  Desk desk;
  bool gone = false;
  Task<int> task = Guarded(desk, &gone);
  task.Start();
  task = Immediately(1);
  EXPECT_TRUE(gone);
  desk.Forget();
  task.Start();
  EXPECT_EQ(task.TakeValue(), 1);
}

TEST(Task, DestroyedWhileSuspendedFreesAllThatItAwaits) {
  Desk desk;
  bool outer_gone = false;
  bool inner_gone = false;
  {
    Task<int> task = GuardedTwice(desk, &outer_gone, &inner_gone);
    task.Start();
    EXPECT_EQ(desk.waiting(), 1U);
    EXPECT_FALSE(inner_gone);
  }
  EXPECT_TRUE(outer_gone);
  EXPECT_TRUE(inner_gone);
  desk.Forget();
}

TEST(Task, DestroyedBeforeItStartsRunsNothing) {
  Desk desk;
  bool gone = false;
  {
    Task<int> task = Guarded(desk, &gone);
  }
  EXPECT_FALSE(gone);
  EXPECT_EQ(desk.waiting(), 0U);
}

TEST(Callback, MayBeAnsweredDuringTheCall) {
  Task<int> task = AwaitsInline(1'000);
  task.Start();
  ASSERT_TRUE(task.done());
  EXPECT_EQ(task.TakeValue(), 1'000);
}

TEST(Callback, MayEndTheTaskThatHoldsItDuringTheCall) {
  int result = 0;
  bool gone = false;
  auto whole = [](bool* flag) -> Task<int> {
    const Guard guard(flag);
    co_return co_await Callback<int>([](Done done) { done(9); });
  };
  Spawn(whole(&gone), [&result](int value) { result = value; });
  EXPECT_EQ(result, 9);
  EXPECT_TRUE(gone);
}

TEST(Callback, MayBeAnsweredFromAnotherThread) {
  std::jthread answering;
  auto whole = [](std::jthread& thread) -> Task<std::string> {
    const auto here = std::this_thread::get_id();
    const int value = co_await Callback<int>(
        [&thread](Done done) { thread = std::jthread([done = std::move(done)]() mutable { done(4); }); });
    co_return here == std::this_thread::get_id() ? "same" : std::to_string(value);
  };
  std::string result;
  Spawn(whole(answering), [&result](std::string value) { result = std::move(value); });
  answering.join();
  EXPECT_EQ(result, "4");
}

TEST(Spawn, AnswersOnceAndFreesItself) {
  Desk desk;
  bool gone = false;
  std::vector<int> answers;
  Spawn(Guarded(desk, &gone), [&answers](int value) { answers.push_back(value); });
  EXPECT_TRUE(answers.empty());
  desk.Answer(2);
  EXPECT_EQ(answers, std::vector<int>{2});
  EXPECT_TRUE(gone);
}

TEST(TaskDeathTest, AnExceptionMustNotLeaveIt) {
  auto throws = []() -> Task<int> {
    if (true) throw std::string("lost");
    co_return 0;
  };
  EXPECT_DEATH(
      {
        Task<int> task = throws();
        task.Start();
      },
      "an exception left a Task");
}

}  // namespace
}  // namespace muster
