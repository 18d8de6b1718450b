// Who has to hear of a write hears of it between its commit and its answer; what is answered again, or finished for
// somebody who died, is announced as well.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/timer.h"
#include "domain/id_allocator.h"
#include "domain/ports/shard_store_testing.h"
#include "domain/testing/members.h"
#include "store/binding.h"
#include "store/mariadb/testing/mariadb_fixture.h"

namespace muster::mariadb_announce_test {
namespace {

using ::testing::Contains;
using testing::MakeIdentity;
using testing::MariadbHarness;
using ::testing::Pair;
using testing::WaitUntil;

// Remembers what it heard; answers at once, or when the test says so.
class Caches final : public CommitListener {
 public:
  bool IsReady() const override { return is_ready_; }
  void Prepare(Deadline, Reply reply) override {
    std::unique_lock lock(mutex_);
    ++prepared_;
    const Result<void> answer = prepare_answer_;
    lock.unlock();
    reply(answer);
  }
  void Announce(TouchedEntries touched, Reply reply) override {
    {
      std::lock_guard lock(mutex_);
      const bool fails = std::ranges::any_of(touched.members, [this](const auto& member) {
        return member.first == failing_id_ && member.second >= failing_from_;
      });
      if (fails) reply = Failing(std::move(reply));
      for (const auto& [id, version] : touched.members) heard_[id] = std::max(heard_[id], version);
      keys_.insert(touched.keys.begin(), touched.keys.end());
      ++announced_;
      if (holds_) return held_.push_back(std::move(reply));
    }
    reply(answer());
  }

  void FailWhenHearing(MemberId id, Version from) {
    std::lock_guard lock(mutex_);
    failing_id_ = id;
    failing_from_ = from;
  }
  void SetReady(bool ready) { is_ready_ = ready; }
  void Hold(bool holds) {
    std::lock_guard lock(mutex_);
    holds_ = holds;
  }
  void Let() {
    std::vector<Reply> held;
    {
      std::lock_guard lock(mutex_);
      held = std::exchange(held_, {});
    }
    for (Reply& reply : held) reply(answer());
  }
  void Answer(Result<void> result) {
    std::lock_guard lock(mutex_);
    answer_ = std::move(result);
  }
  void AnswerPrepare(Result<void> result) {
    std::lock_guard lock(mutex_);
    prepare_answer_ = std::move(result);
  }
  // As if nobody had ever heard of anything: who wrote died before that.
  void Forget() {
    std::lock_guard lock(mutex_);
    heard_.clear();
    keys_.clear();
    announced_ = 0;
  }
  std::map<MemberId, Version> heard() const {
    std::lock_guard lock(mutex_);
    return heard_;
  }
  bool HasHeard(const IdentityKey& key) const {
    std::lock_guard lock(mutex_);
    return keys_.contains(key);
  }
  int announced() const {
    std::lock_guard lock(mutex_);
    return announced_;
  }
  int prepared() const {
    std::lock_guard lock(mutex_);
    return prepared_;
  }
  std::size_t held() const {
    std::lock_guard lock(mutex_);
    return held_.size();
  }

 private:
  static Reply Failing(Reply reply) {
    return [reply = std::move(reply)](const Result<void>&) mutable {
      reply(Fail(Reason::kOutcomeUnknown, "nobody could be told"));
    };
  }
  Result<void> answer() const {
    std::lock_guard lock(mutex_);
    return answer_;
  }

  std::atomic<bool> is_ready_{true};
  mutable std::mutex mutex_;
  Result<void> answer_;
  Result<void> prepare_answer_;
  MemberId failing_id_;
  Version failing_from_{0};
  bool holds_ = false;
  std::vector<Reply> held_;
  std::map<MemberId, Version> heard_;
  std::set<IdentityKey> keys_;
  int announced_ = 0;
  int prepared_ = 0;
};

ShardStore::Transaction PutMember(std::int64_t id, std::int64_t version = 1) {
  return [id, version](ShardTransaction& rows) {
    Member member = contract::PlainMember(MemberId(id));
    member.version = Version(version);
    return rows.WriteMember(member, contract::ChangeOf(member, ChangeType::kUpdated));
  };
}

class MariadbAnnounce : public ::testing::Test {
 protected:
  void Open(std::uint32_t groups = 1, std::int64_t connections = 1) {
    harness_.emplace(groups);
    harness_->options.connections = connections;
    harness_->listener = &caches_;
    harness_->MustOpen();
    caches_.Forget();
  }
  void TearDown() override {
    caches_.Hold(false);
    caches_.Let();
    if (harness_) harness_->store->Close();
  }
  ShardStore& shards() { return harness_->store->shards(); }

  Caches caches_;
  std::optional<MariadbHarness> harness_;
};

TEST_F(MariadbAnnounce, AWriteIsAnsweredAfterItWasHeardOfAndHoldsNoThreadMeanwhile) {
  Open();
  caches_.Hold(true);
  std::atomic<int> answered{0};
  for (std::int64_t id = 1; id <= 5; ++id) {
    shards().Run(0, PutMember(id), [&](const Result<void>& result) {
      EXPECT_TRUE(result);
      ++answered;
    });
  }
  // There is one connection: the second is committed while the first is not answered.
  ASSERT_TRUE(WaitUntil([&] { return caches_.held() == 5; }));
  EXPECT_EQ(answered, 0);
  EXPECT_EQ(harness_->server.ReadInteger("SELECT COUNT(*) FROM member", harness_->Database(0)), 5);
  EXPECT_THAT(caches_.heard(), Contains(Pair(MemberId(5), Version(1))));
  caches_.Let();
  EXPECT_TRUE(WaitUntil([&] { return answered == 5; }));
}

TEST_F(MariadbAnnounce, WhatNobodyCouldBeToldOfIsUnknown) {
  Open();
  caches_.Answer(Fail(Reason::kOutcomeUnknown, "nobody could be told"));
  const Result<void> unknown = contract::RunAndWait(shards(), 0, PutMember(1));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().reason, Reason::kOutcomeUnknown);
  EXPECT_EQ(harness_->server.ReadInteger("SELECT COUNT(*) FROM member", harness_->Database(0)), 1);
  caches_.Answer({});
  EXPECT_TRUE(contract::RunAndWait(shards(), 0, PutMember(2)));
}

TEST_F(MariadbAnnounce, ALeaseThatEndsWhileItIsAnnouncedIsNoSuccess) {
  harness_.emplace(1);
  std::atomic<bool> is_over{false};
  harness_->lease = [&] { return WriterLease{.valid_until = is_over ? Instant::min() : Instant::max()}; };
  harness_->listener = &caches_;
  harness_->MustOpen();
  caches_.Hold(true);
  std::optional<Result<void>> answer;
  std::mutex mutex;
  shards().Run(0, PutMember(1), [&](Result<void> result) {
    std::lock_guard lock(mutex);
    answer = std::move(result);
  });
  ASSERT_TRUE(WaitUntil([&] { return caches_.held() == 1; }));
  is_over = true;
  caches_.Let();
  std::lock_guard lock(mutex);
  ASSERT_TRUE(answer && !*answer);
  EXPECT_EQ(answer->error().reason, Reason::kOutcomeUnknown);
  is_over = false;
}

TEST_F(MariadbAnnounce, WhoWouldHaveToHearAndCannotIsAskedBefore) {
  Open();
  caches_.SetReady(false);
  EXPECT_TRUE(contract::RunAndWait(shards(), 0, PutMember(1)));
  EXPECT_EQ(caches_.prepared(), 1);
  caches_.AnswerPrepare(Fail(Reason::kWritesUnavailable, "a cache is out of reach"));
  const Result<void> refused = contract::RunAndWait(shards(), 0, PutMember(2));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kWritesUnavailable);
  EXPECT_EQ(harness_->server.ReadInteger("SELECT COUNT(*) FROM member", harness_->Database(0)), 1);
  caches_.SetReady(true);
  EXPECT_TRUE(contract::RunAndWait(shards(), 0, PutMember(3)));
}

TEST_F(MariadbAnnounce, WhatIsOutstandingIsBounded) {
  harness_.emplace(1);
  harness_->options.queue_max = 3;
  harness_->listener = &caches_;
  harness_->MustOpen();
  caches_.Hold(true);
  std::atomic<int> answered{0};
  for (std::int64_t id = 1; id <= 3; ++id) {
    shards().Run(0, PutMember(id), [&](const Result<void>& result) {
      EXPECT_TRUE(result);
      ++answered;
    });
    ASSERT_TRUE(WaitUntil([&] { return caches_.held() == static_cast<std::size_t>(id); }));
  }
  const Result<void> refused = contract::RunAndWait(shards(), 0, PutMember(4));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kOverloaded);
  caches_.Hold(false);
  caches_.Let();
  EXPECT_TRUE(WaitUntil([&] { return answered == 3; }));
  EXPECT_TRUE(contract::RunAndWait(shards(), 0, PutMember(5)));
}

TEST_F(MariadbAnnounce, WhatOnlyReadsWhatIsLongKnownIsNotAnnounced) {
  Open();
  ASSERT_TRUE(contract::RunAndWait(shards(), 0, PutMember(1)));
  caches_.Forget();
  // PlainMember was changed long ago.
  ASSERT_TRUE(contract::RunAndWait(shards(), 0, [](ShardTransaction& rows) -> Result<void> {
    MUSTER_ASSIGN(const auto member, rows.ReadMember(MemberId(1)));
    EXPECT_TRUE(member);
    return {};
  }));
  EXPECT_EQ(caches_.announced(), 0);
}

// The directory's own writes, over two groups, by a process that dies before anybody hears of them, and by the next
// one.
class MariadbAnnounceDirectory : public MariadbAnnounce {
 protected:
  void SetUp() override {
    Open(2, 4);
    ids_.emplace(harness_->system_clock, 0, 1);
    const BindingDependencies dependencies{.shards = &shards(),
                                           .catalog = &harness_->catalog,
                                           .ids = &*ids_,
                                           .clock = &harness_->system_clock,
                                           .timer = &timer_};
    writer_ = MakeBindingWriter(dependencies);
    merger_ = MakeBindingMerger(dependencies);
  }
  template <typename T>
  T Wait(Task<T> task) {
    std::promise<T> promise;
    Spawn(std::move(task), [&](T value) { promise.set_value(std::move(value)); });
    return promise.get_future().get();
  }
  Member Register(const std::vector<Identity>& identities) {
    Member member;
    member.identities = identities;
    const Result<Member> made = Wait(writer_->Register(std::move(member), false, {}));
    EXPECT_TRUE(made) << made.error().message;
    return made.value_or(Member());
  }
  // Of two groups, so that there are several transactions.
  std::pair<Member, Member> RegisterApart() {
    Member first = Register({MakeIdentity(next_++)});
    while (true) {
      Member second = Register({MakeIdentity(next_++), MakeIdentity(next_++)});
      if (shards().DatabaseOf(first.id) != shards().DatabaseOf(second.id)) return {first, second};
    }
  }
  static WriteContext WithKey(std::uint8_t number, bool* replayed) {
    WriteContext context;
    context.idempotency = Idempotency{.key = {}, .fingerprint = {}, .replayed = replayed};
    context.idempotency->key.bytes.fill(number);
    return context;
  }

  std::uint64_t next_ = 1;
  ThreadTimer timer_;
  std::optional<IdAllocator> ids_;
  std::unique_ptr<MemberWriter> writer_;
  std::unique_ptr<MemberMerger> merger_;
};

TEST_F(MariadbAnnounceDirectory, AWriteTellsOfTheMemberAndOfEveryIdentityThatItBoundOrFreed) {
  const Member member = Register({MakeIdentity(1), MakeIdentity(2)});
  EXPECT_EQ(caches_.heard(), (std::map{std::pair(member.id, Version(1))}));
  EXPECT_TRUE(caches_.HasHeard(MakeIdentity(1).key) && caches_.HasHeard(MakeIdentity(2).key));
  caches_.Forget();
  ASSERT_TRUE(Wait(writer_->Unbind(member.id, MakeIdentity(1).key, {})));
  EXPECT_THAT(caches_.heard(), Contains(Pair(member.id, Version(2))));
  EXPECT_TRUE(caches_.HasHeard(MakeIdentity(1).key));
}

TEST_F(MariadbAnnounceDirectory, AMergeOverGroupsTellsOfBothBeforeAnythingIsAnswered) {
  const auto [target, source] = RegisterApart();
  caches_.Forget();
  // Nobody hears of what comes after the commit that decides.
  const Result<Member> merged = Wait(merger_->Merge(target.id, source.id, false, {}));
  ASSERT_TRUE(merged) << merged.error().message;
  EXPECT_EQ(caches_.heard().at(target.id), Version(2));
  EXPECT_EQ(caches_.heard().at(source.id), Version(2));
  for (const Identity& identity : source.identities) EXPECT_TRUE(caches_.HasHeard(identity.key));
}

TEST_F(MariadbAnnounceDirectory, AnAnswerThatIsGivenAgainIsAnnouncedAgain) {
  const auto [target, source] = RegisterApart();
  bool replayed = false;
  ASSERT_TRUE(Wait(writer_->Bind(target.id, MakeIdentity(900), WithKey(1, &replayed))));
  ASSERT_TRUE(Wait(writer_->Unbind(target.id, MakeIdentity(900).key, WithKey(2, &replayed))));
  ASSERT_TRUE(Wait(merger_->Merge(target.id, source.id, false, WithKey(3, &replayed))));
  EXPECT_FALSE(replayed);
  // Whoever wrote it died before.
  caches_.Forget();
  ASSERT_TRUE(Wait(writer_->Bind(target.id, MakeIdentity(900), WithKey(1, &replayed))));
  EXPECT_TRUE(replayed);
  EXPECT_GE(caches_.heard()[target.id], Version(2));
  EXPECT_TRUE(caches_.HasHeard(MakeIdentity(900).key));

  caches_.Forget();
  replayed = false;
  ASSERT_TRUE(Wait(writer_->Unbind(target.id, MakeIdentity(900).key, WithKey(2, &replayed))));
  EXPECT_TRUE(replayed);
  EXPECT_GE(caches_.heard()[target.id], Version(3));
  EXPECT_TRUE(caches_.HasHeard(MakeIdentity(900).key)) << "which the answer lists no more";

  caches_.Forget();
  replayed = false;
  ASSERT_TRUE(Wait(merger_->Merge(target.id, source.id, false, WithKey(3, &replayed))));
  EXPECT_TRUE(replayed);
  EXPECT_GE(caches_.heard()[target.id], Version(4));
  EXPECT_GE(caches_.heard()[source.id], Version(2)) << "the member that the answer does not speak of";
  for (const Identity& identity : source.identities) EXPECT_TRUE(caches_.HasHeard(identity.key));
}

TEST_F(MariadbAnnounceDirectory, WhoIsToldThatItIsSoAlreadyFindsItSo) {
  const Member member = Register({MakeIdentity(1)});
  // A writer that died: it bound this, and nobody heard.
  caches_.Forget();
  const Result<Member> again = Wait(writer_->Bind(member.id, MakeIdentity(1), {}));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->version, member.version);
  EXPECT_THAT(caches_.heard(), Contains(Pair(member.id, member.version)));
  EXPECT_TRUE(caches_.HasHeard(MakeIdentity(1).key));
}

TEST_F(MariadbAnnounceDirectory, AMergeThatNobodyHeardOfIsUnknownUntilSomebodyDoes) {
  const auto [target, source] = RegisterApart();
  caches_.FailWhenHearing(target.id, Version(2));
  bool replayed = false;
  const Result<Member> merged = Wait(merger_->Merge(target.id, source.id, false, WithKey(1, &replayed)));
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().reason, Reason::kOutcomeUnknown) << merged.error().message;
  caches_.FailWhenHearing(target.id, Version(1000));
  caches_.Forget();
  const Result<Member> again = Wait(merger_->Merge(target.id, source.id, false, WithKey(1, &replayed)));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(replayed);
  EXPECT_EQ(caches_.heard().at(target.id), Version(2));
  EXPECT_EQ(caches_.heard().at(source.id), Version(2));
}

}  // namespace
}  // namespace muster::mariadb_announce_test
