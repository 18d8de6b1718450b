#include "api/idempotency.h"

#include <gtest/gtest.h>

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
