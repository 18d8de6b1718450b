#include "api/idempotency.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace muster {
namespace {

Result<std::string> Parse(const std::vector<HttpHeader>& headers) {
  std::string unescaped;
  MUSTER_ASSIGN(const std::string_view key, ParseIdempotencyKey(headers, unescaped));
  return std::string(key);
}

TEST(ParseIdempotencyKey, TakesItRawAndQuoted) {
  EXPECT_EQ(Parse({}).value(), "");
  EXPECT_EQ(Parse({{"Idempotency-Key", "8e03978e-40d5-43dd-bc93-6894a57f9324"}}).value(),
            "8e03978e-40d5-43dd-bc93-6894a57f9324");
  EXPECT_EQ(Parse({{"idempotency-key", "\"8e03978e\""}}).value(), "8e03978e") << "as the draft writes it";
  EXPECT_EQ(Parse({{"Idempotency-Key", R"("a\"b\\c")"}}).value(), "a\"b\\c");
  EXPECT_EQ(Parse({{"Idempotency-Key", std::string(kIdempotencyKeyMax, 'k')}}).value(),
            std::string(kIdempotencyKeyMax, 'k'));
}

TEST(ParseIdempotencyKey, RefusesWhatIsNone) {
  const std::string too_long(kIdempotencyKeyMax + 1, 'k');
  for (const std::string_view value :
       {std::string_view(""), std::string_view("\"\""), std::string_view("a b"), std::string_view("\"open"),
        std::string_view("\""), std::string_view("\"a\"b\""), std::string_view("\"a\\\""), std::string_view("\"a\\n\""),
        std::string_view("schl\xC3\xBCssel"), std::string_view(too_long)}) {
    const Result<std::string> key = Parse({{"Idempotency-Key", value}});
    ASSERT_FALSE(key) << value;
    EXPECT_EQ(key.error().violations.at(0).field, "Idempotency-Key");
  }
  EXPECT_FALSE(Parse({{"Idempotency-Key", "a"}, {"Idempotency-Key", "a"}}));
}

TEST(IdempotencyOf, DependsOnEveryPart) {
  KeyedHash hash(SecretKey{});
  const std::string_view content[] = {"BindIdentity", "7", "{}"};
  const std::string_view shifted[] = {"BindIdentity", "7{", "}"};
  const Idempotency one = IdempotencyOf(hash, "orders", "k", content);
  EXPECT_EQ(IdempotencyOf(hash, "orders", "k", content).fingerprint, one.fingerprint);
  EXPECT_NE(IdempotencyOf(hash, "orders", "k", shifted).fingerprint, one.fingerprint);
  EXPECT_EQ(IdempotencyOf(hash, "orders", "k", shifted).key, one.key);
  EXPECT_NE(IdempotencyOf(hash, "coupons", "k", content).key, one.key);
  EXPECT_NE(IdempotencyOf(hash, "ordersk", "", content).key, one.key);
}

// Registrations are made where their key lives: those of one caller over all databases.
TEST(IdempotencyOf, KeysOfOneCallerAreSpreadOverAllShards) {
  constexpr int kKeys = 16 * static_cast<int>(kShardCount);
  KeyedHash hash(SecretKey{});
  const AnswerOwner owner = OwnerOf(IdempotencyOf(hash, "crm", "k", {}).key);
  std::vector<int> keys_of(kShardCount);
  for (int i = 0; i < kKeys; ++i) {
    const RequestHash key = IdempotencyOf(hash, "crm", std::to_string(i), {}).key;
    EXPECT_EQ(OwnerOf(key), owner);
    ++keys_of[ShardOf(key).value()];
  }
  // 16 are expected of each, with a deviation of 4.
  EXPECT_GE(*std::ranges::min_element(keys_of), 1);
  EXPECT_LE(*std::ranges::max_element(keys_of), 40);
  EXPECT_NE(OwnerOf(IdempotencyOf(hash, "orders", "k", {}).key), owner);
}

TEST(KeysUnderWay, ASecondOneIsRefusedUntilTheFirstHasLeft) {
  KeysUnderWay keys;
  const RequestHash key{{1}};
  EXPECT_TRUE(keys.Enter(key));
  EXPECT_EQ(keys.Enter(key).error().reason, Reason::kIdempotencyInProgress);
  EXPECT_TRUE(keys.Enter(RequestHash{{2}}));
  keys.Leave(key);
  EXPECT_TRUE(keys.Enter(key));
}

}  // namespace
}  // namespace muster
