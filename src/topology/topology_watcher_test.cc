#include "topology/topology_watcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "base/testing/recording_logger.h"

namespace muster {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A store of one document, each read of which takes a while, or fails.
class FakeTopology final : public TopologyStore {
 public:
  explicit FakeTopology(ManualClock& clock) : clock_(clock) {}

  Result<std::shared_ptr<const TopologyDocument>> Read() override {
    std::lock_guard lock(mutex_);
    clock_.Advance(read_takes_);
    if (error_) return Fail(*error_);
    return std::make_shared<const TopologyDocument>(document_);
  }
  Result<std::shared_ptr<const TopologyDocument>> Update(
      const std::function<Result<void>(TopologyDocument&)>& change) override {
    std::lock_guard lock(mutex_);
    MUSTER_TRY(change(document_));
    ++document_.revision;
    return std::make_shared<const TopologyDocument>(document_);
  }
  void Break(std::optional<Error> error) {
    std::lock_guard lock(mutex_);
    error_ = std::move(error);
  }
  void Slow(Duration read_takes) {
    std::lock_guard lock(mutex_);
    read_takes_ = read_takes;
  }
  void Set(TopologyDocument document) {
    std::lock_guard lock(mutex_);
    document_ = std::move(document);
  }

 private:
  ManualClock& clock_;
  std::mutex mutex_;
  TopologyDocument document_;
  std::optional<Error> error_;
  Duration read_takes_{0};
};

// Lets the watcher look when the test says so, and the test wait until it has.
class SteppedSignal final : public TopologySignal {
 public:
  bool Wait(Duration at_most) override {
    std::unique_lock lock(mutex_);
    last_wait_ = at_most;
    is_waiting_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return steps_ > 0 || woken_; });
    is_waiting_ = false;
    woken_ = false;
    if (steps_ == 0) return false;
    --steps_;
    return true;
  }
  void Wake() override {
    {
      std::lock_guard lock(mutex_);
      woken_ = true;
    }
    changed_.notify_all();
  }
  // One look of the watcher; answers how long it then wanted to wait.
  Duration Step() {
    std::unique_lock lock(mutex_);
    ++steps_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return steps_ == 0 && is_waiting_; });
    return last_wait_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int steps_ = 0;
  bool woken_ = false;
  bool is_waiting_ = false;
  Duration last_wait_{0};
};

class TopologyWatcherTest : public ::testing::Test {
 protected:
  ~TopologyWatcherTest() override { watcher_.Stop(); }

  void Start() {
    const auto started = watcher_.Start();
    ASSERT_TRUE(started) << started.error().message;
  }
  void Publish(int epoch = 1) {
    ASSERT_TRUE(store_.Update([&](TopologyDocument& document) -> Result<void> {
      document.epoch = Epoch(epoch);
      return {};
    }));
  }

  ManualClock clock_;
  testing::RecordingLogger logger_;
  FakeTopology store_{clock_};
  SteppedSignal* const signal_ = new SteppedSignal;
  WriterLeaseKeeper lease_{"", LeaseTerm::kTimed};
  TopologyWatcher watcher_{{.store = &store_,
                            .signal = std::unique_ptr<TopologySignal>(signal_),
                            .clock = &clock_,
                            .logger = &logger_,
                            .lease = &lease_}};
};

TEST_F(TopologyWatcherTest, HasTheDocumentFromTheStart) {
  Publish();
  Start();
  EXPECT_EQ(watcher_.revision(), 1);
  EXPECT_EQ(watcher_.snapshot()->revision, 1);
  EXPECT_TRUE(watcher_.Health());
}

TEST_F(TopologyWatcherTest, DoesNotStartWithoutADocument) {
  store_.Break(Error{.reason = Reason::kStale, .message = "down"});
  const auto started = watcher_.Start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().message, "down");
}

TEST_F(TopologyWatcherTest, TellsEachRevisionOnceAndInOrder) {
  Publish();
  std::vector<std::int64_t> told;
  Start();
  auto subscription = watcher_.Subscribe([&](const auto& document) {
    EXPECT_EQ(watcher_.snapshot(), document) << "what is told is there";
    told.push_back(document->revision);
  });
  signal_->Step();
  Publish();
  signal_->Step();
  signal_->Step();
  Publish();
  Publish();
  signal_->Step();
  EXPECT_THAT(told, ElementsAre(2, 4)) << "3 was never seen";
  subscription.reset();
  Publish();
  signal_->Step();
  EXPECT_THAT(told, ElementsAre(2, 4));
  EXPECT_EQ(watcher_.revision(), 5);
}

TEST_F(TopologyWatcherTest, KeepsTheLastDocumentAndSaysHowOldItIs) {
  Publish();
  Start();
  store_.Break(Error{.reason = Reason::kStale, .message = "etcd is gone"});
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(std::chrono::seconds(2));
    signal_->Step();
  }
  EXPECT_EQ(watcher_.snapshot()->revision, 1);
  EXPECT_EQ(watcher_.AgeOfConfirmation(), std::chrono::seconds(6));
  EXPECT_EQ(watcher_.failures(), 3U);
  EXPECT_EQ(watcher_.Health().error().message, "etcd is gone");
  store_.Break(std::nullopt);
  signal_->Step();
  EXPECT_EQ(watcher_.AgeOfConfirmation(), Duration(0));
  EXPECT_TRUE(watcher_.Health());
  watcher_.Stop();
  ASSERT_EQ(logger_.lines.size(), 2U) << "once for a row of failures";
  EXPECT_THAT(logger_.lines[0].second, HasSubstr("etcd is gone"));
  EXPECT_THAT(logger_.lines[1].second, HasSubstr("confirmed again"));
}

TEST_F(TopologyWatcherTest, RenewsALeaseWellBeforeItEnds) {
  store_.Slow(milliseconds(40));
  Start();
  EXPECT_EQ(signal_->Step(), milliseconds(250 - 40)) << "counted from when the last read was sent";
  EXPECT_EQ(lease_.valid_until(), clock_.Monotonic() - milliseconds(40) + milliseconds(1000));
}

TEST_F(TopologyWatcherTest, ALateAnswerDoesNotProlongTheLease) {
  Start();
  EXPECT_TRUE(lease_.IsValid(clock_.Monotonic()));
  store_.Slow(std::chrono::seconds(2));
  const Instant sent = clock_.Monotonic();
  signal_->Step();
  EXPECT_EQ(lease_.valid_until(), sent + milliseconds(1000));
  EXPECT_FALSE(lease_.IsValid(clock_.Monotonic())) << "the answer came, and it came too late";
  EXPECT_EQ(watcher_.confirmed_at(), sent);
}

TEST_F(TopologyWatcherTest, TheLeaseEndsByItselfWhileNothingIsConfirmed) {
  Start();
  const Instant sent = clock_.Monotonic();
  store_.Break(Error{.reason = Reason::kStale, .message = "down"});
  clock_.Advance(milliseconds(900));
  signal_->Step();
  EXPECT_EQ(lease_.valid_until(), sent + milliseconds(1000));
  clock_.Advance(milliseconds(100));
  EXPECT_FALSE(lease_.IsValid(clock_.Monotonic()));
}

TEST_F(TopologyWatcherTest, TheLeaseEndsBeforeAnybodyHearsWhy) {
  Publish();
  Start();
  std::optional<bool> was_valid;
  const auto subscription =
      watcher_.Subscribe([&](const auto&) { was_valid = lease_.current().Covers(Epoch(1), clock_.Monotonic()); });
  Publish(2);
  signal_->Step();
  EXPECT_EQ(was_valid, false);
}

TEST_F(TopologyWatcherTest, ARevisionThatWentBackIsNotTakenUp) {
  for (int i = 0; i < 5; ++i) Publish();
  Start();
  store_.Set({.revision = 3});
  clock_.Advance(milliseconds(1000));
  signal_->Step();
  EXPECT_EQ(watcher_.revision(), 5);
  EXPECT_THAT(watcher_.Health().error().message, HasSubstr("from revision 5 to 3"));
  EXPECT_FALSE(lease_.IsValid(clock_.Monotonic()));
}

TEST(TopologyWatcherOfAFile, SeesWhatAnotherProcessChanges) {
  std::string directory = (std::filesystem::temp_directory_path() / "muster-topology-XXXXXX").string();
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  const auto ours = OpenTopologyFile(directory + "/topology.json").value();
  const auto theirs = OpenTopologyFile(directory + "/topology.json").value();
  const SystemClock clock;
  WriterLeaseKeeper lease("", LeaseTerm::kWhileDataHeld);
  TopologyWatcher watcher({.store = ours.get(),
                           .signal = MakeSilentSignal(),
                           .clock = &clock,
                           .logger = &NullLogger(),
                           .lease = &lease,
                           .reread = milliseconds(1)});
  ASSERT_TRUE(watcher.Start());
  for (int revision = 1; revision <= 3; ++revision) {
    ASSERT_TRUE(theirs->Update([](TopologyDocument&) -> Result<void> { return {}; }));
    const Instant until = clock.Monotonic() + std::chrono::seconds(10);
    while (watcher.revision() < revision && clock.Monotonic() < until) std::this_thread::yield();
    EXPECT_EQ(watcher.snapshot()->revision, revision);
    EXPECT_EQ(lease.valid_until(), Instant::max());
  }
  watcher.Stop();
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace muster
