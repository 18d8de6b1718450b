#include "routing/cache_route.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "routing/testing/documents.h"
#include "routing/testing/recording_reader.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MUSTER_SANITIZED 1
#endif
#endif

namespace {
std::atomic<std::uint64_t> allocations{0};
}  // namespace

// Counts, so that "a hit allocates nothing" is tested. Sanitizers have operators of their own.
#ifndef MUSTER_SANITIZED
void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

namespace muster {
namespace {

// A cache that holds one entry.
class OneEntryCache final : public MemberCache {
 public:
  std::optional<MemberDocumentRef> Find(MemberId wanted) override { return wanted == id ? entry : std::nullopt; }
  std::optional<MemberDocumentRef> FindHolder(const IdentityKey& k) override { return k == key ? entry : std::nullopt; }
  void Fill(MemberId filled, const MemberDocumentRef& document, CommitSequence as_of) override {
    fills.push_back({filled, {}, document, as_of});
  }
  void FillHolder(const IdentityKey& filled, const MemberDocumentRef& document, CommitSequence as_of) override {
    fills.push_back({{}, filled, document, as_of});
  }
  void Erase(std::span<const MemberId>, std::span<const IdentityKey>) override { FAIL(); }
  Stats ReadStats() const override { return {}; }

  struct Filled {
    MemberId id;
    IdentityKey key;
    MemberDocumentRef document;
    CommitSequence as_of;
  };
  MemberId id{1};
  IdentityKey key = TestKey(1);
  std::optional<MemberDocumentRef> entry;
  std::vector<Filled> fills;
};

class CacheRouteTest : public ::testing::Test {
 protected:
  std::map<std::string, std::uint64_t> Counters() {
    const RouteDescription description = route_.Describe();
    return {description.counters.begin(), description.counters.end()};
  }

  OneEntryCache cache_;
  RecordingReader::Log source_;
  CacheRoute route_{"near", cache_, std::make_unique<RecordingReader>(source_)};
  Received received_;
};

TEST_F(CacheRouteTest, AHitAnswersDuringTheCall) {
  cache_.entry = TestDocument(1, 4);
  route_.Get(MemberId(1), {.min_version = Version(4)}, received_.Reply());
  ASSERT_EQ(received_.answers.size(), 1U);
  const MemberAnswer& answer = *received_.answers[0];
  EXPECT_EQ(answer.member.get(), cache_.entry->get());
  EXPECT_EQ(answer.source, Source::kNear);
  EXPECT_EQ(answer.age, Duration(0));
  EXPECT_EQ(answer.as_of, CommitSequence(0));
  EXPECT_TRUE(source_.calls.empty());
  EXPECT_TRUE(cache_.fills.empty());
  EXPECT_EQ(Counters()["hits"], 1U);
}

TEST_F(CacheRouteTest, AMissAsksTheChildAndFillsWithItsMoment) {
  const Deadline deadline(Instant(Duration(5)));
  route_.Get(MemberId(1), {.min_version = Version(3), .deadline = deadline}, received_.Reply());
  ASSERT_EQ(source_.calls.size(), 1U);
  EXPECT_EQ(source_.calls[0].id, MemberId(1));
  EXPECT_EQ(source_.calls[0].options.min_version, Version(3));
  EXPECT_EQ(source_.calls[0].options.deadline.at(), deadline.at());
  EXPECT_TRUE(received_.answers.empty());
  source_.Answer(0, TestAnswer(TestDocument(1, 5), CommitSequence(77)));
  ASSERT_EQ(received_.answers.size(), 1U);
  EXPECT_EQ(received_.answers[0]->source, Source::kPrimary);
  EXPECT_EQ(received_.answers[0]->member->version(), Version(5));
  ASSERT_EQ(cache_.fills.size(), 1U);
  EXPECT_EQ(cache_.fills[0].id, MemberId(1));
  EXPECT_EQ(cache_.fills[0].as_of, CommitSequence(77));
  EXPECT_EQ(cache_.fills[0].document.get(), received_.answers[0]->member.get());
  EXPECT_EQ(Counters()["misses"], 1U);
}

TEST_F(CacheRouteTest, ResolveGoesByIdentity) {
  route_.Resolve(TestKey(1), {}, received_.Reply());
  ASSERT_EQ(source_.calls.size(), 1U);
  EXPECT_EQ(source_.calls[0].id, std::nullopt);
  EXPECT_EQ(source_.calls[0].key, TestKey(1));
  source_.Answer(0, TestAnswer(TestDocument(9, 1, {1}), CommitSequence(3)));
  ASSERT_EQ(cache_.fills.size(), 1U);
  EXPECT_EQ(cache_.fills[0].key, TestKey(1));
  EXPECT_EQ(cache_.fills[0].as_of, CommitSequence(3));
  cache_.entry = received_.answers[0]->member;
  route_.Resolve(TestKey(1), {}, received_.Reply());
  EXPECT_EQ(received_.answers.at(1)->source, Source::kNear);
}

TEST_F(CacheRouteTest, WhatDoesNotExistIsAnAnswerAndAFill) {
  cache_.entry = MemberDocumentRef();
  route_.Get(MemberId(1), {}, received_.Reply());
  ASSERT_EQ(received_.answers.size(), 1U);
  EXPECT_FALSE(received_.answers[0]->member);
  EXPECT_EQ(received_.answers[0]->source, Source::kNear);
  route_.Resolve(TestKey(1), {}, received_.Reply());
  EXPECT_EQ(received_.answers.at(1)->source, Source::kNear);

  route_.Get(MemberId(2), {}, received_.Reply());
  source_.Answer(0, TestAnswer({}, CommitSequence(8)));
  EXPECT_FALSE(received_.answers.at(2)->member);
  ASSERT_EQ(cache_.fills.size(), 1U);
  EXPECT_FALSE(cache_.fills[0].document);
}

TEST_F(CacheRouteTest, AnEntryBelowTheAskedVersionIsAMiss) {
  cache_.entry = TestDocument(1, 4, {1});
  route_.Get(MemberId(1), {.min_version = Version(5)}, received_.Reply());
  route_.Resolve(TestKey(1), {.min_version = Version(5)}, received_.Reply());
  cache_.entry = MemberDocumentRef();
  route_.Get(MemberId(1), {.min_version = Version(1)}, received_.Reply());
  EXPECT_EQ(source_.calls.size(), 3U);
  EXPECT_TRUE(received_.answers.empty());
  EXPECT_EQ(Counters()["too_old"], 3U);
  EXPECT_EQ(Counters()["hits"], 0U);
}

TEST_F(CacheRouteTest, NoCacheAsksTheChildAndFillsAllTheSame) {
  cache_.entry = TestDocument(1, 4, {1});
  route_.Get(MemberId(1), {.no_cache = true}, received_.Reply());
  route_.Resolve(TestKey(1), {.no_cache = true}, received_.Reply());
  ASSERT_EQ(source_.calls.size(), 2U);
  EXPECT_TRUE(source_.calls[0].options.no_cache);
  source_.Answer(0, TestAnswer(TestDocument(1, 4)));
  source_.Answer(1, TestAnswer(TestDocument(1, 4, {1})));
  EXPECT_EQ(received_.answers.at(0)->source, Source::kPrimary);
  EXPECT_EQ(received_.answers.at(1)->source, Source::kPrimary);
  EXPECT_EQ(cache_.fills.size(), 2U);
  EXPECT_EQ(Counters()["skipped"], 2U);
}

TEST_F(CacheRouteTest, AnErrorPassesAndFillsNothing) {
  route_.Get(MemberId(1), {}, received_.Reply());
  route_.Resolve(TestKey(1), {}, received_.Reply());
  source_.Answer(0, Fail(Reason::kStale, "too old"));
  source_.Answer(1, Fail(Reason::kOverloaded, "full"));
  EXPECT_EQ(received_.answers.at(0).error().reason, Reason::kStale);
  EXPECT_EQ(received_.answers.at(1).error().message, "full");
  EXPECT_TRUE(cache_.fills.empty());
}

TEST_F(CacheRouteTest, AHitAllocatesNothingAndAMissLittle) {
  cache_.entry = TestDocument(1, 4, {1});
  MemberDocumentRef got;
  const auto cost = [&](auto&& read) {
    const std::uint64_t before = allocations.load();
    read([&got](Result<MemberAnswer> answer) { got = answer->member; });
    return allocations.load() - before;
  };
#ifdef MUSTER_SANITIZED
  GTEST_SKIP() << "allocations cannot be counted";
#endif
  EXPECT_EQ(cost([&](MemberReply reply) { route_.Get(MemberId(1), {}, std::move(reply)); }), 0U);
  EXPECT_EQ(cost([&](MemberReply reply) { route_.Resolve(TestKey(1), {}, std::move(reply)); }), 0U);
  EXPECT_EQ(got->version(), Version(4));

  source_.calls.reserve(8);
  source_.replies.reserve(8);
  EXPECT_LE(cost([&](MemberReply reply) { route_.Get(MemberId(2), {}, std::move(reply)); }), 1U);
  EXPECT_LE(cost([&](MemberReply reply) { route_.Resolve(TestKey(2), {}, std::move(reply)); }), 1U);
}

TEST_F(CacheRouteTest, DescribesItselfAndItsChild) {
  const RouteDescription description = route_.Describe();
  EXPECT_EQ(description.name, "cache(near)");
  EXPECT_FALSE(description.policy.empty());
  ASSERT_EQ(description.children.size(), 1U);
  EXPECT_EQ(description.children[0].name, "store");
}

}  // namespace
}  // namespace muster
