#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstring>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "domain/ports/shard_store.h"
#include "domain/ports/shard_upkeep.h"

namespace muster {

// What tests of a ShardStore, and tests over one, share.
namespace contract {

// Runs a transaction and waits until it is done.
inline Result<void> RunAndWait(ShardStore& shards, std::uint32_t database, ShardStore::Transaction transaction) {
  std::mutex mutex;
  std::condition_variable arrived;
  std::optional<Result<void>> answer;
  shards.Run(database, std::move(transaction), [&](Result<void> result) {
    std::lock_guard lock(mutex);
    EXPECT_FALSE(answer.has_value()) << "done was called twice";
    answer.emplace(std::move(result));
    arrived.notify_one();
  });
  std::unique_lock lock(mutex);
  arrived.wait(lock, [&] { return answer.has_value(); });
  return *answer;
}

// Starts to forget, and waits for how many it was.
inline std::uint64_t WaitForForgotten(std::move_only_function<void(ShardUpkeep::Forgotten)> forget) {
  std::mutex mutex;
  std::condition_variable arrived;
  std::optional<Result<std::uint64_t>> answer;
  forget([&](Result<std::uint64_t> result) {
    std::lock_guard lock(mutex);
    EXPECT_FALSE(answer.has_value()) << "done was called twice";
    answer.emplace(std::move(result));
    arrived.notify_one();
  });
  std::unique_lock lock(mutex);
  arrived.wait(lock, [&] { return answer.has_value(); });
  EXPECT_TRUE(answer->has_value());
  return answer->value_or(0);
}
inline std::uint64_t ForgetAndWait(ShardUpkeep& upkeep, std::uint32_t database, Timestamp before) {
  return WaitForForgotten(
      [&](ShardUpkeep::Forgotten done) { upkeep.ForgetOperations(database, before, std::move(done)); });
}
inline std::uint64_t ForgetAnswersAndWait(ShardUpkeep& upkeep, std::uint32_t database, Timestamp before) {
  return WaitForForgotten(
      [&](ShardUpkeep::Forgotten done) { upkeep.ForgetAnswers(database, before, std::move(done)); });
}

// The `index`-th key that lives in `database`.
inline IdentityKey KeyIn(const ShardStore& shards, std::uint32_t database, std::uint32_t index) {
  std::uint32_t seen = 0;
  for (std::uint64_t salt = 1;; ++salt) {
    IdentityKey key;
    const std::uint64_t words[2] = {Mix64(salt), Mix64(~salt)};
    std::memcpy(key.bytes.data(), words, sizeof words);
    if (shards.DatabaseOf(key) == database && seen++ == index) return key;
  }
}

// The `index`-th member id that lives in `database`.
inline MemberId MemberIn(const ShardStore& shards, std::uint32_t database, std::uint32_t index) {
  std::uint32_t seen = 0;
  for (std::int64_t id = 1;; ++id) {
    if (shards.DatabaseOf(MemberId(id)) == database && seen++ == index) return MemberId(id);
  }
}

inline Change ChangeOf(const Member& member, ChangeType type = ChangeType::kUpdated) {
  return {.member_id = member.id,
          .version = member.version,
          .type = type,
          .time = Timestamp(Duration(1'700'000'000'000'123 + member.version.value())),
          .caller = "contract",
          .request_id = "request-" + std::to_string(member.version.value()),
          .fields = {"city", "tags"},
          .identities = {}};
}

// A member with nothing but an id and a version.
inline Member PlainMember(MemberId id, Version version = Version(1)) {
  Member member;
  member.id = id;
  member.version = version;
  return member;
}

// A mark that uses every field.
inline MoveMark FullMark() {
  return {.role = MoveMark::Role::kGives,
          .kind = MoveMark::Kind::kUnmerge,
          .operation_id = OperationId(19),
          .other = MemberId(98),
          .keys = {IdentityKey{{1}}, IdentityKey{{2}}},
          .time = Timestamp(Duration(1'600'000'000'000'004)),
          .caller = "orders",
          .request_id = "request-1"};
}

// A member that uses every field.
inline Member FullMember(MemberId id, const IdentityKey& key) {
  Member member{.id = id,
                .version = Version(7),
                .state = MemberState::kFrozen,
                .display_name = "李雷",
                .real_name = Pii<std::string>("李雷雷"),
                .gender = Gender::kMale,
                .birth_date = "1990-02-28",
                .city = "Suzhou",
                .tier = "gold",
                .tags = {"frequent", "北方"},
                .attributes = {{"channel", "store"}, {"note", ""}},
                .identities = {},
                .create_time = Timestamp(Duration(1'600'000'000'000'001)),
                .update_time = Timestamp(Duration(1'600'000'000'000'002)),
                .merged_into = MemberId(99),
                .created_by = OperationId(17)};
  member.identities.push_back({.kind = "unionid",
                               .platform = "wechat",
                               .value = Pii<std::string>("oA1b2"),
                               .key = key,
                               .state = IdentityState::kQuarantined,
                               .verified = true,
                               .bind_time = Timestamp(Duration(1'600'000'000'000'003)),
                               .source = "pos",
                               .bound_by = OperationId(18),
                               .origin = OperationId(16)});
  member.move = FullMark();
  return member;
}

inline Error Refusal() { return {.reason = Reason::kStateConflict, .message = "refused by the test"}; }

}  // namespace contract

}  // namespace muster
