#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/check.h"
#include "base/encoding.h"
#include "domain/ports/shard_store_contract.h"
#include "domain/synthetic_members.h"
#include "store/data_directory.h"
#include "store/doctor.h"
#include "store/sqlite_database.h"
#include "store/sqlite_test_support.h"

namespace muster::testing {

inline constexpr std::uint64_t kMembers = 60;

// A sound directory of one or four files, which each test damages in one way.
class DoctorTest : public ::testing::TestWithParam<int> {
 protected:
  DoctorTest() : harness_({.files = GetParam(), .durable = false}) {
    MUSTER_CHECK(harness_.Open().has_value());
    KeyedHash hash(harness_.keyring.hash_key());
    const SyntheticMembers synthetic(3);
    for (std::uint64_t index = 0; index < kMembers; ++index) {
      Member member = synthetic.Make(index, hash);
      member.id = MemberId(static_cast<std::int64_t>(index) + 1);
      for (Identity& identity : member.identities) identity.bound_by = OperationId(member.id.value() * 100);
      Write(member, ChangeType::kRegistered);
      member.version = Version(2);
      member.city = "Suzhou";
      Write(member, ChangeType::kUpdated);
      members_.push_back(member);
    }
    harness_.store->Close();
    harness_.store.reset();
  }

  // The positions of one file have no gaps; those of several are shared.
  static ::testing::Matcher<std::vector<std::string>> WithGap(const std::string& code) {
    if (GetParam() == 1) return ::testing::UnorderedElementsAre(code, "CHANGE_GAP");
    return ::testing::ElementsAre(code);
  }
  void Write(const Member& member, ChangeType type) {
    ShardStore& shards = harness_.store->shards();
    MUSTER_CHECK(contract::RunAndWait(shards, shards.DatabaseOf(member.id), [&](ShardTransaction& transaction) {
                   return transaction.WriteMember(member, contract::ChangeOf(member, type));
                 }).has_value());
    for (const Identity& identity : member.identities) {
      MUSTER_CHECK(contract::RunAndWait(shards, shards.DatabaseOf(identity.key), [&](ShardTransaction& transaction) {
                     return transaction.WriteLookup(identity.key, LookupRow{member.id, identity.bound_by});
                   }).has_value());
    }
  }
  // Writes a member again as the store does, with whatever the test made of it.
  void Replace(const Member& member, ChangeType type = ChangeType::kUpdated) {
    MUSTER_CHECK(harness_.Open().has_value());
    ShardStore& shards = harness_.store->shards();
    MUSTER_CHECK(contract::RunAndWait(shards, shards.DatabaseOf(member.id), [&](ShardTransaction& transaction) {
                   return transaction.WriteMember(member, contract::ChangeOf(member, type));
                 }).has_value());
    harness_.store.reset();
  }

  std::string Path(std::size_t file) {
    return DataFilePath(harness_.directory.path(), static_cast<std::int64_t>(file));
  }
  std::size_t FileOf(MemberId id) { return ShardOf(id).value() % static_cast<std::size_t>(GetParam()); }
  std::size_t FileOf(const IdentityKey& key) { return ShardOf(key).value() % static_cast<std::size_t>(GetParam()); }
  static std::string Quote(const IdentityKey& key) { return "x'" + ToHex(key.bytes) + "'"; }
  void Sql(std::size_t file, const std::string& sql) {
    Database database = *Database::Open(Path(file), Database::Mode::kWrite);
    const Result<void> done = database.Execute(sql);
    ASSERT_TRUE(done) << done.error().message;
  }

  Examination Examine() {
    const Result<Examination> examination = ExamineStore(harness_.directory.path(), harness_.keyring, nullptr);
    EXPECT_TRUE(examination) << examination.error().message;
    return examination.value_or(Examination{});
  }
  std::vector<std::string> Codes() {
    std::vector<std::string> codes;
    for (const Finding& finding : Examine().findings) {
      EXPECT_FALSE(finding.subject.empty() || finding.detail.empty());
      codes.push_back(finding.code);
    }
    return codes;
  }

  StoreHarness harness_;
  std::vector<Member> members_;
};

}  // namespace muster::testing
