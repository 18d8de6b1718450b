#include "api/asio_event_loop.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace muster {
namespace {

using ::testing::ElementsAre;

std::unique_ptr<AsioEventLoop> MakeLoop() { return *AsioEventLoop::Make(); }

// A pipe whose reading end is watched.
struct WatchedPipe final : SocketWatcher {
  WatchedPipe() { EXPECT_EQ(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0); }
  ~WatchedPipe() {
    if (ends[0] >= 0) close(ends[0]);
    close(ends[1]);
  }
  void Fill() { EXPECT_EQ(write(ends[1], "x", 1), 1); }
  void Empty() {
    char byte = 0;
    EXPECT_EQ(read(ends[0], &byte, 1), 1);
  }
  void OnReady(Ready ready) override { on_ready(ready); }

  int ends[2] = {-1, -1};
  std::function<void(Ready)> on_ready;
};

TEST(AsioEventLoopTest, RunsPostedWorkOfAThreadInOrder) {
  const auto loop = MakeLoop();
  constexpr int kThreads = 4;
  constexpr int kEach = 5000;
  std::vector<std::vector<int>> seen(kThreads);
  int left = kThreads * kEach;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        loop->Post([&, t, i] {
          seen[static_cast<std::size_t>(t)].push_back(i);
          if (--left == 0) loop->Stop();
        });
      }
    });
  }
  loop->Run();
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<int>& one : seen) {
    ASSERT_EQ(one.size(), static_cast<std::size_t>(kEach));
    EXPECT_TRUE(std::ranges::is_sorted(one));
  }
}

TEST(AsioEventLoopTest, DeferredWorkRunsAfterAllOfItsTurn) {
  const auto loop = MakeLoop();
  std::vector<std::string> order;
  loop->SetTurnEnd([&] { order.push_back("end"); });
  loop->Post([&] {
    order.push_back("first");
    loop->Defer([&] {
      order.push_back("deferred");
      loop->Defer([&] {
        order.push_back("deferred again");
        loop->Post([&] { loop->Stop(); });
      });
    });
  });
  loop->Post([&] { order.push_back("second"); });
  loop->Run();
  // What deferred work defers belongs to the turn after.
  order.resize(6);
  EXPECT_THAT(order, ElementsAre("first", "second", "deferred", "end", "deferred again", "end"));
}

TEST(AsioEventLoopTest, ReadySocketsOfATurnAreToldTogether) {
  const auto loop = MakeLoop();
  std::vector<WatchedPipe> pipes(10);
  int ready = 0;
  std::vector<int> ready_at_turn_end;
  for (WatchedPipe& pipe : pipes) {
    pipe.on_ready = [&](SocketWatcher::Ready what) {
      EXPECT_TRUE(what.readable);
      EXPECT_FALSE(what.writable);
      pipe.Empty();
      if (++ready == 1) loop->Defer([&] { ready_at_turn_end.push_back(ready); });
      if (ready == 10) loop->Stop();
    };
    pipe.Fill();
    ASSERT_TRUE(loop->Watch(pipe.ends[0], pipe, {.read = true}));
  }
  loop->Run();
  EXPECT_THAT(ready_at_turn_end, ElementsAre(10));
}

TEST(AsioEventLoopTest, TellsUntilTheSocketIsEmptyAndOnlyWhileItIsOfInterest) {
  const auto loop = MakeLoop();
  WatchedPipe pipe;
  int told = 0;
  pipe.on_ready = [&](SocketWatcher::Ready) {
    if (++told < 3) return;
    loop->ChangeInterest(pipe.ends[0], pipe, {});
    loop->Post([&] {
      // Still readable: only interest was lost.
      EXPECT_EQ(told, 3);
      pipe.Empty();
      loop->ChangeInterest(pipe.ends[0], pipe, {.read = true});
      loop->Post([&] { loop->Stop(); });
    });
  };
  pipe.Fill();
  ASSERT_TRUE(loop->Watch(pipe.ends[0], pipe, {.read = true}));
  loop->Run();
  EXPECT_EQ(told, 3);
}

TEST(AsioEventLoopTest, ASocketThatIsAlwaysReadyStarvesNeitherWorkNorTicks) {
  const auto loop = MakeLoop();
  WatchedPipe pipe;
  pipe.on_ready = [](SocketWatcher::Ready) {};  // leaves the byte
  pipe.Fill();
  ASSERT_TRUE(loop->Watch(pipe.ends[0], pipe, {.read = true}));
  int ticks = 0;
  bool posted = false;
  loop->SetTick(std::chrono::milliseconds(1), [&] {
    if (++ticks >= 3 && posted) loop->Stop();
  });
  std::thread other([&] { loop->Post([&] { posted = true; }); });
  loop->Run();
  other.join();
  EXPECT_TRUE(posted);
}

TEST(AsioEventLoopTest, TellsOfABrokenSocket) {
  const auto loop = MakeLoop();
  WatchedPipe pipe;
  pipe.on_ready = [&](SocketWatcher::Ready ready) {
    EXPECT_TRUE(ready.broken);
    loop->Stop();
  };
  ASSERT_TRUE(loop->Watch(pipe.ends[0], pipe, {}));
  close(pipe.ends[1]);
  loop->Run();
}

TEST(AsioEventLoopTest, WhatIsForgottenIsNotToldThoughACopyIsOpen) {
  const auto loop = MakeLoop();
  WatchedPipe forgotten;
  WatchedPipe other;
  bool was_told = false;
  forgotten.on_ready = [&](SocketWatcher::Ready) { was_told = true; };
  other.on_ready = [&](SocketWatcher::Ready) { loop->Stop(); };
  const int copy = dup(forgotten.ends[0]);  // as a process has that was forked
  ASSERT_TRUE(loop->Watch(forgotten.ends[0], forgotten, {.read = true}));
  ASSERT_TRUE(loop->Watch(other.ends[0], other, {.read = true}));
  forgotten.Fill();
  other.Fill();
  loop->Forget(forgotten.ends[0]);
  close(std::exchange(forgotten.ends[0], -1));
  loop->Run();
  EXPECT_FALSE(was_told);
  close(copy);
}

TEST(AsioEventLoopTest, DestroysWorkThatHasNotRun) {
  const auto token = std::make_shared<int>(1);
  {
    const auto loop = MakeLoop();
    loop->Post([token] { ADD_FAILURE() << "the loop was never run"; });
    EXPECT_EQ(token.use_count(), 2);
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST(AsioEventLoopTest, WithoutDescriptorsThereIsNoLoop) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = dup(0);
  close(next);
  const rlimit none{.rlim_cur = static_cast<rlim_t>(next), .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto loop = AsioEventLoop::Make();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(loop.has_value());
  EXPECT_EQ(loop.error().reason, Reason::kOverloaded);
  EXPECT_THAT(loop.error().message, ::testing::HasSubstr("ulimit -n"));
}

}  // namespace
}  // namespace muster
