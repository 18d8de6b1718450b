#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "domain/ports/shard_store_contract.h"
#include "domain/testing/members.h"
#include "store/sqlite_test_support.h"

// What tests of group commit and of its faults share.
namespace muster::testing {

inline constexpr std::chrono::seconds kAnswerPatience{30};

// Collects answers of transactions.
class Answers {
 public:
  ShardStore::Done Expect() {
    const std::size_t index = count_++;
    return [this, index](Result<void> result) {
      std::lock_guard lock(mutex_);
      results_.emplace_back(index, std::move(result));
      arrived_.notify_all();
    };
  }
  // In the order in which they were expected.
  std::vector<Result<void>> Wait() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(arrived_.wait_for(lock, kAnswerPatience, [this] { return results_.size() == count_; }));
    std::ranges::sort(results_, {}, [](const auto& entry) { return entry.first; });
    std::vector<Result<void>> results;
    for (const auto& [index, result] : results_) results.push_back(result);
    return results;
  }

 private:
  std::size_t count_ = 0;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<std::pair<std::size_t, Result<void>>> results_;
};

// A store of one file.
class GroupCommitterFixture : public ::testing::Test {
 protected:
  ShardStore& shards() { return harness_.store->shards(); }
  ShardUpkeep& upkeep() { return harness_.store->shard_upkeep(); }
  void Open(SqliteOptions options = {}) {
    harness_.options = options;
    const Result<void> opened = harness_.Open();
    ASSERT_TRUE(opened) << opened.error().message;
  }
  std::uint64_t Counted(const std::string& name) {
    const std::string line = "\n" + name + "{file=\"muster-0.db\"} ";
    const std::string text = harness_.metrics->Expose();
    const std::size_t at = text.find(line);
    EXPECT_NE(at, std::string::npos) << name;
    return at == std::string::npos ? 0 : std::stoull(text.substr(at + line.size()));
  }
  std::uint64_t groups() { return Counted("muster_store_commit_groups_total"); }

  // Keeps the writer in a transaction until the promise is kept.
  void Occupy(std::shared_future<void> release, Answers& answers) {
    std::promise<void> running;
    shards().Run(
        0,
        [&running, release, first = true](ShardTransaction&) mutable -> Result<void> {
          if (first) running.set_value();
          first = false;
          release.wait();
          return {};
        },
        answers.Expect());
    running.get_future().wait();
  }
  static Result<void> Write(ShardTransaction& transaction, std::int64_t id, std::size_t bytes = 0) {
    Member member = contract::PlainMember(MemberId(id));
    member.attributes["filler"] = std::string(bytes, 'f');
    member.identities.push_back(MakeIdentity(static_cast<std::uint64_t>(id)));
    MUSTER_TRY(transaction.WriteMember(member, contract::ChangeOf(member, ChangeType::kRegistered)));
    return transaction.WriteLookup(member.identities[0].key, LookupRow{member.id, OperationId(id)});
  }
  Result<void> WriteAndWait(std::int64_t id, std::size_t bytes = 0) {
    return contract::RunAndWait(shards(), 0,
                                [&](ShardTransaction& transaction) { return Write(transaction, id, bytes); });
  }
  std::optional<Member> Read(std::int64_t id) {
    const auto page = harness_.store->archive().ScanMembers(MemberId(id - 1), 1);
    EXPECT_TRUE(page);
    if (!page || page->empty() || page->front().id != MemberId(id)) return std::nullopt;
    return page->front();
  }

  StoreHarness harness_;
};

}  // namespace muster::testing
