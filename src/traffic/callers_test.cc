#include "traffic/callers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <chrono>
#include <thread>

#include "traffic/caller_key.h"
#include "traffic/testing/memory_topology.h"

namespace muster {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr Duration kHour = std::chrono::hours(1);

class CallersTest : public testing::Test {
 protected:
  NewKey Create(std::string_view name, const std::vector<std::string>& scopes = {"members.read"},
                Duration lifetime = Duration::zero()) {
    auto key =
        callers_->Create({.name = std::string(name), .purpose = "testing", .scopes = scopes, .key_lifetime = lifetime});
    EXPECT_TRUE(key) << key.error().message;
    return key.value_or(NewKey{});
  }

  std::string NameOf(std::string_view key_text) { return NameOf(*callers_, key_text); }
  static std::string NameOf(CallerDirectory& callers, std::string_view key_text) {
    const auto caller = callers.Authenticate("Bearer " + std::string(key_text));
    if (caller) return (*caller)->name;
    EXPECT_EQ(caller.error().reason, Reason::kUnauthenticated);
    EXPECT_THAT(caller.error().message, Not(HasSubstr(std::string(key_text))));
    return "refused: " + caller.error().message;
  }

  std::unique_ptr<CallerDirectory> Directory() { return MakeCallerDirectory(topology_, keyring_, clock_, random_); }

  MemoryTopology topology_;
  SystemRandom random_;
  Keyring keyring_ = Keyring::Generate(random_);
  ManualClock clock_;
  std::unique_ptr<CallerDirectory> callers_ = Directory();
};

TEST_F(CallersTest, KnowsWhoeverItMade) {
  const NewKey key = Create("orders", {"members.write", "members.read"});
  for (int i = 0; i < 3; ++i) {  // the second time from the memo
    const auto caller = callers_->Authenticate("Bearer " + key.text);
    ASSERT_TRUE(caller) << caller.error().message;
    EXPECT_EQ((*caller)->name, "orders");
    EXPECT_TRUE((*caller)->Has(Scope::kMembersRead));
    EXPECT_TRUE((*caller)->Has(Scope::kMembersWrite));
    EXPECT_FALSE((*caller)->Has(Scope::kAdmin));
  }
}

TEST_F(CallersTest, TheSchemeIsCaseInsensitiveAndMayBeFollowedBySpaces) {
  const NewKey key = Create("orders");
  for (const std::string scheme : {"Bearer ", "bearer ", "BEARER ", "bEaReR    "}) {
    EXPECT_TRUE(callers_->Authenticate(scheme + key.text)) << scheme;
  }
}

TEST_F(CallersTest, RefusesMalformedHeaders) {
  const NewKey key = Create("orders");
  const std::vector<std::string> headers = {"",
                                            "Bearer",
                                            "Bearer ",
                                            "Bearer" + key.text,
                                            key.text,
                                            "Basic " + key.text,
                                            "Bearer\t" + key.text,
                                            " Bearer " + key.text,
                                            "Bearer " + key.text + " ",
                                            "Bearer " + key.text + "," + key.text,
                                            "Bearer \"" + key.text + "\"",
                                            "Bearer " + key.text.substr(1),
                                            "Bearer MK_" + key.text.substr(3),
                                            "Bearer " + std::string(100'000, 'A'),
                                            std::string("Bearer \0", 8) + key.text};
  for (const std::string& header : headers) {
    const auto caller = callers_->Authenticate(header);
    ASSERT_FALSE(caller) << header;
    EXPECT_EQ(caller.error().reason, Reason::kUnauthenticated);
    EXPECT_THAT(caller.error().message, Not(HasSubstr(key.text.substr(11, 32)))) << "the secret must not be repeated";
  }
}

TEST_F(CallersTest, AnUnknownKeyAndAWrongSecretGetTheSameAnswer) {
  const NewKey known = Create("orders");
  const std::string unknown = MakeCallerKey(random_);
  // A key with a known id, another secret, and a checksum that is right: made by trying until the ids agree is
  // hopeless, so a second directory with another hash key stands in for it.
  const Keyring other_keyring = Keyring::Generate(random_);
  const auto other = MakeCallerDirectory(topology_, other_keyring, clock_, random_);
  ASSERT_TRUE(other->Refresh());
  const std::string wrong_secret = NameOf(*other, known.text);
  EXPECT_THAT(wrong_secret, HasSubstr("not known here"));
  EXPECT_EQ(NameOf(unknown), wrong_secret);
}

TEST_F(CallersTest, StoresNeitherKeyNorSecret) {
  const NewKey key = Create("orders");
  const auto list = callers_->List();
  ASSERT_TRUE(list);
  ASSERT_EQ(list->size(), 1U);
  const CallerRecord::Key& stored = list->at(0).keys.at(0);
  EXPECT_EQ(stored.id, key.id);
  EXPECT_EQ(stored.hash_hex.size(), 64U);
  EXPECT_THAT(key.text, Not(HasSubstr(stored.hash_hex)));
  EXPECT_EQ(stored.expire_time, Timestamp{});
}

TEST_F(CallersTest, AKeyExpiresExactlyAtItsTime) {
  const NewKey key = Create("orders", {"members.read"}, kHour);
  clock_.Advance(kHour - Duration(1));
  EXPECT_EQ(NameOf(key.text), "orders");
  clock_.Advance(Duration(1));
  EXPECT_THAT(NameOf(key.text), HasSubstr("has expired")) << "though the memo knew it";
  EXPECT_THAT(NameOf(
                  *[this] {
                    auto fresh = Directory();
                    EXPECT_TRUE(fresh->Refresh());
                    return fresh;
                  }(),
                  key.text),
              HasSubstr("has expired"));
}

TEST_F(CallersTest, RotationLetsBothKeysInUntilTheOverlapEnds) {
  const NewKey old_key = Create("orders");
  EXPECT_EQ(NameOf(old_key.text), "orders");
  const auto new_key = callers_->Rotate("orders", kHour, Duration::zero());
  ASSERT_TRUE(new_key) << new_key.error().message;
  EXPECT_NE(new_key->id, old_key.id);
  clock_.Advance(kHour - Duration(1));
  EXPECT_EQ(NameOf(old_key.text), "orders");
  EXPECT_EQ(NameOf(new_key->text), "orders");
  clock_.Advance(Duration(1));
  EXPECT_THAT(NameOf(old_key.text), HasSubstr("has expired"));
  EXPECT_EQ(NameOf(new_key->text), "orders");
}

TEST_F(CallersTest, RotationDoesNotLengthenALife) {
  const NewKey key = Create("orders", {"members.read"}, kHour);
  ASSERT_TRUE(callers_->Rotate("orders", 5 * kHour, Duration::zero()));
  clock_.Advance(kHour);
  EXPECT_THAT(NameOf(key.text), HasSubstr("has expired"));
}

TEST_F(CallersTest, RotationWithoutOverlapEndsTheOldKeyAtOnce) {
  const NewKey key = Create("orders");
  EXPECT_EQ(NameOf(key.text), "orders");
  ASSERT_TRUE(callers_->Rotate("orders", Duration::zero(), Duration::zero()));
  EXPECT_THAT(NameOf(key.text), HasSubstr("not known here"));
}

TEST_F(CallersTest, TheNumberOfValidKeysIsBounded) {
  Create("orders");
  for (std::size_t i = 1; i < kCallerKeysMax; ++i) ASSERT_TRUE(callers_->Rotate("orders", kHour, Duration::zero()));
  const auto refused = callers_->Rotate("orders", kHour, Duration::zero());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kLimitExceeded);
  EXPECT_EQ(callers_->List()->at(0).keys.size(), kCallerKeysMax);
  ASSERT_TRUE(callers_->Rotate("orders", Duration::zero(), Duration::zero())) << "ends the others";
  EXPECT_EQ(callers_->List()->at(0).keys.size(), 1U);
  for (std::size_t i = 1; i < kCallerKeysMax; ++i) ASSERT_TRUE(callers_->Rotate("orders", kHour, Duration::zero()));
  clock_.Advance(kHour);
  EXPECT_TRUE(callers_->Rotate("orders", kHour, Duration::zero())) << "the expired ones are forgotten";
}

TEST_F(CallersTest, ADisabledCallerIsRefusedAtOnceAndCanComeBack) {
  const NewKey key = Create("orders");
  EXPECT_EQ(NameOf(key.text), "orders");
  ASSERT_TRUE(callers_->Change("orders", {.disabled = true}));
  EXPECT_THAT(NameOf(key.text), HasSubstr("orders is disabled"));
  ASSERT_TRUE(callers_->Change("orders", {.disabled = false}));
  EXPECT_EQ(NameOf(key.text), "orders");
}

TEST_F(CallersTest, ADemandOfIdempotencyKeysIsInForceAtOnce) {
  const auto key = callers_->Create(
      {.name = "orders", .purpose = "p", .scopes = {"members.write"}, .idempotency_key_required = true});
  ASSERT_TRUE(key) << key.error().message;
  const auto is_demanded = [&](CallerDirectory& callers) {
    const auto caller = callers.Authenticate("Bearer " + key->text);
    return caller && (*caller)->idempotency_key_required;
  };
  EXPECT_TRUE(is_demanded(*callers_));
  const auto changed = callers_->Change("orders", {.idempotency_key_required = false});
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(*changed, callers_->List()->at(0));
  EXPECT_FALSE(changed->idempotency_key_required);
  EXPECT_FALSE(is_demanded(*callers_)) << "though the memo knew it";
  const auto other = Directory();
  ASSERT_TRUE(other->Refresh());
  ASSERT_TRUE(callers_->Change("orders", {.idempotency_key_required = true}));
  EXPECT_FALSE(is_demanded(*other));
  ASSERT_TRUE(other->Refresh());
  EXPECT_TRUE(is_demanded(*other));
}

TEST_F(CallersTest, AChangeLeavesWhatItDoesNotName) {
  Create("admin", {"admin"});
  Create("orders");
  ASSERT_TRUE(callers_->Change("orders", {.disabled = true}));
  EXPECT_TRUE(callers_->Change("orders", {.idempotency_key_required = true})->disabled);
  EXPECT_TRUE(callers_->Change("orders", {.disabled = false})->idempotency_key_required);
  ASSERT_TRUE(callers_->Rotate("orders", Duration::zero(), Duration::zero()));
  EXPECT_TRUE(callers_->List()->at(1).idempotency_key_required);
  EXPECT_FALSE(callers_->Change("admin", {.disabled = true, .idempotency_key_required = true}));
  EXPECT_FALSE(callers_->List()->at(0).idempotency_key_required) << "a change is whole or not at all";
}

TEST_F(CallersTest, TheLastAdministratorCannotBeDisabled) {
  Create("admin", {"admin"});
  const auto refused = callers_->Change("admin", {.disabled = true});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kStateConflict);
  Create("second", {"admin"}, kHour);
  EXPECT_TRUE(callers_->Change("admin", {.disabled = true}));
  EXPECT_FALSE(callers_->Change("second", {.disabled = true}));
  ASSERT_TRUE(callers_->Change("admin", {.disabled = false}));
  clock_.Advance(kHour);
  EXPECT_FALSE(callers_->Change("admin", {.disabled = true})) << "the second one's key has expired";
}

TEST_F(CallersTest, AnotherProcessIsHeardAtTheNextRefresh) {
  const auto other = Directory();
  const NewKey key = Create("orders");
  EXPECT_THAT(NameOf(*other, key.text), HasSubstr("not known here"));
  ASSERT_TRUE(other->Refresh());
  EXPECT_EQ(NameOf(*other, key.text), "orders");
  ASSERT_TRUE(callers_->Change("orders", {.disabled = true}));
  EXPECT_EQ(NameOf(*other, key.text), "orders");
  ASSERT_TRUE(other->Refresh());
  EXPECT_THAT(NameOf(*other, key.text), HasSubstr("is disabled"));
}

TEST_F(CallersTest, ARefreshThatFailsKeepsWhatWasKnown) {
  const NewKey key = Create("orders");
  topology_.FailWith(Error{.reason = Reason::kInternal, .message = "broken"});
  EXPECT_FALSE(callers_->Refresh());
  EXPECT_FALSE(callers_->List());
  EXPECT_FALSE(callers_->Create({.name = "more", .purpose = "p", .scopes = {"admin"}}));
  EXPECT_EQ(NameOf(key.text), "orders");
}

TEST_F(CallersTest, AChangeOfUnknownOutcomeIsLookedUp) {
  const NewKey key = Create("orders");
  topology_.FailAfterWriteWith(Error{.reason = Reason::kOutcomeUnknown, .message = "disk"});
  EXPECT_FALSE(callers_->Change("orders", {.disabled = true}));
  EXPECT_THAT(NameOf(key.text), HasSubstr("is disabled"));
}

TEST_F(CallersTest, RefusesBadNamesPurposesScopesAndTimes) {
  const std::vector<std::string> scopes = {"members.read"};
  const auto field = [](const auto& result) {
    return result                              ? "accepted"
           : result.error().violations.empty() ? result.error().message
                                               : result.error().violations[0].field;
  };
  for (const std::string name : {"", "Orders", "1orders", "-a", "a b", "a_b", "a\n", "é"}) {
    EXPECT_EQ(field(callers_->Create({.name = name, .purpose = "p", .scopes = scopes})), "name") << name;
    EXPECT_EQ(field(callers_->Rotate(name, Duration::zero(), Duration::zero())), "name") << name;
    EXPECT_EQ(field(callers_->Change(name, {.disabled = true})), "name") << name;
  }
  EXPECT_EQ(field(callers_->Create({.name = std::string(64, 'a'), .purpose = "p", .scopes = scopes})), "name");
  EXPECT_EQ(field(callers_->Create({.name = "a", .purpose = "", .scopes = scopes})), "purpose");
  EXPECT_EQ(field(callers_->Create({.name = "a", .purpose = std::string(257, 'a'), .scopes = scopes})), "purpose");
  EXPECT_EQ(field(callers_->Create({.name = "a", .purpose = "a\nb", .scopes = scopes})), "purpose");
  EXPECT_EQ(field(callers_->Create({.name = "a", .purpose = "\xc3", .scopes = scopes})), "purpose");
  EXPECT_EQ(field(callers_->Create({.name = "a", .purpose = "a\u0085b", .scopes = scopes})), "purpose");
  EXPECT_EQ(field(callers_->Create({.name = "a", .purpose = "p", .scopes = {}})), "scopes");
  EXPECT_EQ(field(callers_->Create({.name = "a", .purpose = "p", .scopes = {"member.read"}})), "scopes[0]");
  EXPECT_EQ(field(callers_->Create({.name = "a", .purpose = "p", .scopes = scopes, .key_lifetime = Duration(-1)})),
            "keyLifetime");
  EXPECT_EQ(field(callers_->Create(
                {.name = "a", .purpose = "p", .scopes = scopes, .key_lifetime = kKeyLifetimeMax + Duration(1)})),
            "keyLifetime");
  EXPECT_EQ(field(callers_->Create(
                {.name = std::string(63, 'a'), .purpose = "订单", .scopes = scopes, .key_lifetime = kKeyLifetimeMax})),
            "accepted");
  EXPECT_EQ(field(callers_->Rotate(std::string(63, 'a'), Duration(-1), Duration::zero())), "overlap");
  EXPECT_EQ(field(callers_->Rotate(std::string(63, 'a'), kRotationOverlapMax + Duration(1), Duration::zero())),
            "overlap");
  EXPECT_EQ(callers_->List()->size(), 1U);
}

TEST_F(CallersTest, ANameIsGivenOnce) {
  const NewKey key = Create("orders");
  const auto again = callers_->Create({.name = "orders", .purpose = "p", .scopes = {"admin"}});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().reason, Reason::kStateConflict);
  EXPECT_FALSE((*callers_->Authenticate("Bearer " + key.text))->Has(Scope::kAdmin));
}

TEST_F(CallersTest, AMistypedNameGetsTheNearest) {
  Create("orders");
  const auto missing = callers_->Rotate("order", Duration::zero(), Duration::zero());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().reason, Reason::kNotFound);
  EXPECT_THAT(missing.error().message, HasSubstr("did you mean orders?"));
  EXPECT_EQ(callers_->Change("zzz", {.disabled = true}).error().reason, Reason::kNotFound);
}

TEST_F(CallersTest, TheFirstStartMakesAnAdminWhoseKeyWasSavedFirst) {
  std::string saved;
  const auto save = [&](const std::string& text) -> Result<void> {
    saved = text;
    EXPECT_THAT(NameOf(text), HasSubstr("not known")) << "not an account yet";
    return {};
  };
  const auto made = callers_->EnsureAdmin(save);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_TRUE(*made);
  const auto caller = callers_->Authenticate("Bearer " + saved);
  ASSERT_TRUE(caller);
  EXPECT_EQ((*caller)->name, "admin");
  for (const Scope scope : AllScopes()) EXPECT_TRUE((*caller)->Has(scope)) << ScopeName(scope);

  const auto next_start = Directory();
  const std::string first = saved;
  const auto again = next_start->EnsureAdmin(save);
  ASSERT_TRUE(again);
  EXPECT_FALSE(*again);
  EXPECT_EQ(saved, first);
  EXPECT_EQ(NameOf(*next_start, saved), "admin") << "it has refreshed";
}

TEST_F(CallersTest, NoAdminIsMadeWhenItsKeyCannotBeSaved) {
  const auto refused =
      callers_->EnsureAdmin([](const std::string&) { return Result<void>(Fail(Reason::kInternal, "full")); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "full");
  EXPECT_TRUE(callers_->List()->empty());
}

TEST_F(CallersTest, AScopeOfANewerMusterGrantsNothing) {
  const NewKey key = Create("orders");
  ASSERT_TRUE(topology_.Update([](TopologyDocument& document) -> Result<void> {
    document.callers[0].scopes = {"members.fly"};
    return {};
  }));
  ASSERT_TRUE(callers_->Refresh());
  const auto caller = callers_->Authenticate("Bearer " + key.text);
  ASSERT_TRUE(caller);
  EXPECT_EQ((*caller)->scopes, 0);
}

TEST_F(CallersTest, MoreKeysThanTheMemoHoldsAreAllKnown) {
  std::vector<std::string> keys;
  for (int i = 0; i < 600; ++i) keys.push_back(Create("c" + std::to_string(i)).text);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 600; ++i) EXPECT_EQ(NameOf(keys[i]), "c" + std::to_string(i));
  }
}

TEST_F(CallersTest, AThreadMayUseSeveralDirectories) {
  MemoryTopology other_topology;
  const auto other = MakeCallerDirectory(other_topology, keyring_, clock_, random_);
  const NewKey here = Create("here");
  const auto there = other->Create({.name = "there", .purpose = "p", .scopes = {"admin"}});
  ASSERT_TRUE(there);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(NameOf(here.text), "here");
    EXPECT_EQ(NameOf(*other, there->text), "there");
    EXPECT_THAT(NameOf(there->text), HasSubstr("not known"));
  }
}

RC_GTEST_FIXTURE_PROP(CallersTest, NoHeaderDoesHarmOrIsRepeated, ()) {
  const NewKey key = Create("orders");
  std::string header = "Bearer " + key.text;
  const auto edits = *rc::gen::container<std::vector<std::pair<std::size_t, char>>>(
      rc::gen::pair(rc::gen::inRange<std::size_t>(0, header.size()), rc::gen::arbitrary<char>()));
  for (const auto& [at, c] : edits) header[at] = c;
  header += *rc::gen::arbitrary<std::string>();
  const auto caller = callers_->Authenticate(header);
  if (caller) {
    RC_ASSERT((*caller)->name == "orders");
    RC_ASSERT(header.substr(header.size() - key.text.size()) == key.text);
  } else {
    RC_ASSERT(caller.error().reason == Reason::kUnauthenticated);
    RC_ASSERT(caller.error().message.find(header.substr(0, header.size() / 2 + 1)) == std::string::npos);
  }
}

// Readers on several threads while keys are rotated and callers disabled. Whoever has heard of a change sees it.
TEST_F(CallersTest, RotationsUnderLoadAreSeenByAllThreads) {
  constexpr int kThreads = 4;
  constexpr int kRotations = 200;
  std::mutex mutex;
  std::string valid = Create("orders").text;
  std::string ended = MakeCallerKey(random_);
  std::atomic<bool> done = false;
  std::atomic<int> checks = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        while (!done) {
          std::lock_guard lock(mutex);  // what is true while it is held was acknowledged before
          EXPECT_TRUE(callers_->Authenticate("Bearer " + valid));
          EXPECT_FALSE(callers_->Authenticate("Bearer " + ended));
          ++checks;
        }
      });
      threads.emplace_back([&] {
        while (!done) {
          std::string key;
          {
            std::lock_guard lock(mutex);
            key = valid;
          }
          const auto caller = callers_->Authenticate("Bearer " + key);  // either answer is right
          if (caller) EXPECT_EQ((*caller)->name, "orders");
        }
      });
    }
    for (int i = 0; i < kRotations; ++i) {
      std::lock_guard lock(mutex);
      const auto key = callers_->Rotate("orders", Duration::zero(), Duration::zero());
      if (!key) {
        ADD_FAILURE() << key.error().message;
        break;
      }
      ended = std::exchange(valid, key->text);
    }
    done = true;
  }
  EXPECT_GT(checks.load(), 0);
}

// Not a proof, but a comparison that ends at the first difference, or an unknown id that costs no HMAC, would show: the
// HMAC is most of the time of either.
TEST_F(CallersTest, UnknownAndWrongKeysTakeTheSamePath) {
  const NewKey known = Create("orders");
  const Keyring other_keyring = Keyring::Generate(random_);
  const auto other = MakeCallerDirectory(topology_, other_keyring, clock_, random_);
  ASSERT_TRUE(other->Refresh());
  const std::string wrong = "Bearer " + known.text;
  const std::string unknown = "Bearer " + MakeCallerKey(random_);
  const auto fastest = [&](const std::string& header) {
    auto best = std::chrono::nanoseconds::max();
    for (int i = 0; i < 2000; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      EXPECT_FALSE(other->Authenticate(header));
      best = std::min(best,
                      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - begin));
    }
    return best.count();
  };
  const auto a = static_cast<double>(fastest(wrong));
  const auto b = static_cast<double>(fastest(unknown));
  EXPECT_LT(a, 1.5 * b);
  EXPECT_LT(b, 1.5 * a);
}

}  // namespace
}  // namespace muster
