#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "domain/ports/member_reader.h"
#include "domain/ports/shard_store_testing.h"
#include "domain/testing/members.h"

namespace muster {

// The contract of MemberReader as tests, run on every source and on the policies over one:
//
//   struct MyReader { MemberReader& reader(); void Put(const Member&); void RunLoop(); ManualClock& clock(); };  //
//   empty INSTANTIATE_TYPED_TEST_SUITE_P(MyEngine, MemberReaderContract, MyReader);
//
// `Put` commits a version of a member with all that it holds, and tells the caches, as a writer does. `RunLoop` runs
// the reader's loop until it has nothing to do.
template <typename Factory>
concept MemberReaderFactory = std::default_initializable<Factory> && requires(Factory factory, const Member& member) {
  { factory.reader() } -> std::same_as<MemberReader&>;
  { factory.clock() } -> std::same_as<ManualClock&>;
  factory.Put(member);
  factory.RunLoop();
};

template <MemberReaderFactory Factory>
class MemberReaderContract : public ::testing::Test {
 protected:
  void Put(std::int64_t id, std::int64_t version, const std::vector<std::uint64_t>& holds = {}) {
    Member member = contract::PlainMember(MemberId(id), Version(version));
    for (const std::uint64_t number : holds) member.identities.push_back(testing::MakeIdentity(number));
    factory_.Put(member);
  }
  static IdentityKey KeyOf(std::uint64_t number) { return testing::MakeIdentity(number).key; }

  static MemberReply Into(std::optional<Result<MemberAnswer>>& answer) {
    return [&answer](Result<MemberAnswer> result) {
      EXPECT_FALSE(answer.has_value()) << "answered twice";
      answer.emplace(std::move(result));
    };
  }
  Result<MemberAnswer> Get(std::int64_t id, const ReadOptions& options = {}) {
    std::optional<Result<MemberAnswer>> answer;
    reader().Get(MemberId(id), options, Into(answer));
    factory_.RunLoop();
    return answer.value();
  }
  Result<MemberAnswer> Resolve(std::uint64_t number, const ReadOptions& options = {}) {
    std::optional<Result<MemberAnswer>> answer;
    reader().Resolve(KeyOf(number), options, Into(answer));
    factory_.RunLoop();
    return answer.value();
  }
  static void ExpectFailure(const Result<MemberAnswer>& answer, Reason reason) {
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().reason, reason) << answer.error().message;
  }
  MemberReader& reader() { return factory_.reader(); }

  Factory factory_;
};

TYPED_TEST_SUITE_P(MemberReaderContract);

TYPED_TEST_P(MemberReaderContract, AnswersAMemberByItsIdAndByWhatItHolds) {
  this->Put(1, 3, {7, 8});
  this->Put(2, 1, {9});
  for (int again = 0; again < 2; ++again) {
    for (const Result<MemberAnswer>& answer : {this->Get(1), this->Resolve(7), this->Resolve(8)}) {
      ASSERT_TRUE(answer) << answer.error().message;
      ASSERT_TRUE(answer->member);
      EXPECT_EQ(answer->member->id(), MemberId(1));
      EXPECT_EQ(answer->member->version(), Version(3));
      EXPECT_TRUE(answer->member->Holds(this->KeyOf(7)));
    }
    EXPECT_EQ(this->Resolve(9)->member->id(), MemberId(2));
  }
}

TYPED_TEST_P(MemberReaderContract, WhatIsMissingIsAnAnswerUntilItIsThere) {
  for (const Result<MemberAnswer>& answer :
       {this->Get(1), this->Get(INT64_MAX), this->Get(0), this->Resolve(7), this->Get(1), this->Resolve(7)}) {
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_FALSE(answer->member);
  }
  this->Put(1, 1, {7});
  EXPECT_TRUE(this->Get(1)->member);
  EXPECT_TRUE(this->Resolve(7)->member);
}

TYPED_TEST_P(MemberReaderContract, AnOlderVersionThanAskedForIsStale) {
  this->Put(1, 3, {7});
  for (const bool no_cache : {false, true}) {
    EXPECT_TRUE(this->Get(1, {.min_version = Version(3), .no_cache = no_cache}));
    EXPECT_TRUE(this->Resolve(7, {.min_version = Version(3), .no_cache = no_cache}));
    this->ExpectFailure(this->Get(1, {.min_version = Version(4), .no_cache = no_cache}), Reason::kStale);
    this->ExpectFailure(this->Resolve(7, {.min_version = Version(4), .no_cache = no_cache}), Reason::kStale);
  }
  this->Put(1, 4, {7});
  EXPECT_TRUE(this->Get(1, {.min_version = Version(4)}));
}

TYPED_TEST_P(MemberReaderContract, ADeadlineThatPassedIsSaid) {
  this->Put(1, 1, {7});
  const Deadline deadline = Deadline::After(this->factory_.clock(), std::chrono::milliseconds(5));
  this->factory_.clock().Advance(std::chrono::milliseconds(5));
  this->ExpectFailure(this->Get(1, {.deadline = deadline}), Reason::kDeadlineExceeded);
  this->ExpectFailure(this->Resolve(7, {.deadline = deadline}), Reason::kDeadlineExceeded);
  EXPECT_TRUE(this->Get(1));
}

TYPED_TEST_P(MemberReaderContract, AReadSeesEveryCommitThatWasAnsweredBeforeIt) {
  for (std::int64_t version = 1; version <= 50; ++version) {
    this->Put(1, version, {7});
    EXPECT_EQ(this->Get(1)->member->version(), Version(version));
    EXPECT_EQ(this->Resolve(7)->member->version(), Version(version));
  }
}

TYPED_TEST_P(MemberReaderContract, AnIdentityThatMovedIsAnsweredWithWhoHoldsIt) {
  this->Put(1, 1, {7});
  EXPECT_EQ(this->Resolve(7)->member->id(), MemberId(1));
  this->Put(1, 2);
  EXPECT_FALSE(this->Resolve(7)->member);
  this->Put(2, 1, {7});
  EXPECT_EQ(this->Resolve(7)->member->id(), MemberId(2));
  EXPECT_FALSE(this->Get(1)->member->Holds(this->KeyOf(7)));
}

TYPED_TEST_P(MemberReaderContract, EveryCallIsAnsweredOnceAlsoFromWithinAReply) {
  this->Put(1, 1, {7});
  std::vector<int> answers(60, 0);
  for (std::size_t i = 0; i < 40; i += 2) {
    const auto count = [&answers, i](std::size_t at) {
      return [&answers, index = i + at](const Result<MemberAnswer>& answer) {
        EXPECT_TRUE(answer);
        ++answers[index];
      };
    };
    this->reader().Get(MemberId(static_cast<std::int64_t>(i % 3)), {}, count(0));
    this->reader().Resolve(this->KeyOf(7), {}, count(1));
  }
  for (std::size_t i = 40; i < 60; i += 2) {
    this->reader().Get(MemberId(1), {}, [&, i](const Result<MemberAnswer>& answer) {
      EXPECT_TRUE(answer);
      ++answers[i];
      this->reader().Get(MemberId(1), {}, [&answers, i](const Result<MemberAnswer>&) { ++answers[i + 1]; });
    });
  }
  this->factory_.RunLoop();
  EXPECT_EQ(answers, std::vector<int>(60, 1));
}

TYPED_TEST_P(MemberReaderContract, HasAName) { EXPECT_FALSE(this->reader().Describe().name.empty()); }

REGISTER_TYPED_TEST_SUITE_P(MemberReaderContract, AnswersAMemberByItsIdAndByWhatItHolds,
                            WhatIsMissingIsAnAnswerUntilItIsThere, AnOlderVersionThanAskedForIsStale,
                            ADeadlineThatPassedIsSaid, AReadSeesEveryCommitThatWasAnsweredBeforeIt,
                            AnIdentityThatMovedIsAnsweredWithWhoHoldsIt, EveryCallIsAnsweredOnceAlsoFromWithinAReply,
                            HasAName);

}  // namespace muster
