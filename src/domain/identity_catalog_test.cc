#include "domain/identity_catalog.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

namespace muster {
namespace {

void ExpectViolation(const auto& result, std::string_view field) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, Reason::kInvalidArgument);
  ASSERT_EQ(result.error().violations.size(), 1u);
  EXPECT_EQ(result.error().violations[0].field, field) << result.error().message;
  EXPECT_FALSE(result.error().violations[0].description.empty());
}

// The table of the specification.
TEST(DefaultCatalogTest, IsTheOneOfTheSpecification) {
  using enum UniquenessScope;
  const IdentityCatalog catalog = IdentityCatalog::Default();
  const std::vector<std::tuple<std::string, UniquenessScope, int, bool, Normaliser>> kinds = {
      {"phone", kGlobal, 3, false, Normaliser::kPhone},        {"email", kGlobal, 5, false, Normaliser::kEmail},
      {"unionid", kPlatform, 1, true, Normaliser::kOpaque},    {"openid", kPlatform, 10, false, Normaliser::kOpaque},
      {"card", kPlatform, 10, false, Normaliser::kCard},       {"account", kPlatform, 10, false, Normaliser::kAccount},
      {"document", kGlobal, 10, false, Normaliser::kDocument},
  };
  EXPECT_EQ(catalog.kinds().size(), kinds.size());
  for (const auto& [name, scope, limit, per_platform, normaliser] : kinds) {
    const IdentityKind* kind = catalog.Find(name);
    ASSERT_NE(kind, nullptr) << name;
    EXPECT_EQ(kind->scope, scope);
    EXPECT_EQ(kind->members_limit, limit);
    EXPECT_EQ(kind->limit_per_platform, per_platform);
    EXPECT_EQ(kind->normaliser, normaliser);
  }
  for (const char* name : {"", "Phone", "phon", "phones", "fax"}) EXPECT_EQ(catalog.Find(name), nullptr);
}

TEST(MakeCatalogTest, RefusesMalformedKinds) {
  const auto make = [](std::vector<IdentityKind> kinds) { return IdentityCatalog::Make(std::move(kinds), {}, "CN"); };
  ExpectViolation(make({}), "kinds");
  ExpectViolation(make(std::vector<IdentityKind>(65, {.name = "a"})), "kinds");
  for (const std::string name : {"", "Phone", "9a", "_a", "a-b", "a b", "é", "a.b"})
    ExpectViolation(make({{.name = name}}), "kinds[0].name");
  ExpectViolation(make({{.name = std::string(33, 'a')}}), "kinds[0].name");
  EXPECT_TRUE(make({{.name = std::string(32, 'a')}, {.name = "a_9"}}));
  ExpectViolation(make({{.name = "a"}, {.name = "b"}, {.name = "a"}}), "kinds[2].name");
  for (const int limit : {-1, 101}) ExpectViolation(make({{.name = "a", .members_limit = limit}}), "kinds[0].limit");
  EXPECT_TRUE(make({{.name = "a", .members_limit = 100}, {.name = "b", .members_limit = 0}}));
  ExpectViolation(make({{.name = "a", .limit_per_platform = true}}), "kinds[0].limit");
}

TEST(MakeCatalogTest, RefusesMalformedPlatformsAndRegions) {
  const auto make = [](std::vector<std::string> platforms, std::string region) {
    return IdentityCatalog::Make({{.name = "a"}}, std::move(platforms), std::move(region));
  };
  EXPECT_TRUE(make({"wechat", "alipay"}, "US"));
  ExpectViolation(make({"wechat", "WeChat"}, "CN"), "platforms[1]");
  ExpectViolation(make({"wechat", "alipay", "wechat"}, "CN"), "platforms");
  for (const char* region : {"", "cn", "XX", "86"}) ExpectViolation(make({}, region), "default_region");
}

TEST(NormaliseIdentityTest, NormalisesAsTheKindDoes) {
  const IdentityCatalog catalog = IdentityCatalog::Default();
  EXPECT_EQ(catalog.Normalise("phone", "", "138 0000 0001", ""), "+8613800000001");
  EXPECT_EQ(catalog.Normalise("email", "", "Li@A.cn", ""), "li@a.cn");
  EXPECT_EQ(catalog.Normalise("unionid", "wechat", " oA ", ""), "oA");
  EXPECT_EQ(catalog.Normalise("card", "bank", "4111 1111 1111 1111", ""), "4111111111111111");
  EXPECT_EQ(catalog.Normalise("account", "any_platform_9", "Li", ""), "Li");
  EXPECT_EQ(catalog.Normalise("document", "", "11010519491231002x", ""), "11010519491231002X");
}

TEST(NormaliseIdentityTest, NamesWhatIsWrong) {
  const IdentityCatalog catalog = IdentityCatalog::Default();
  ExpectViolation(catalog.Normalise("fax", "", "1", "identities[1]"), "identities[1].kind");
  ExpectViolation(catalog.Normalise("", "", "1", ""), "kind");
  ExpectViolation(catalog.Normalise("phone", "wechat", "13800000001", "identities[1]"), "identities[1].platform");
  ExpectViolation(catalog.Normalise("document", "bank", "E1234567", ""), "platform");
  ExpectViolation(catalog.Normalise("unionid", "", "oA", "identity"), "identity.platform");
  ExpectViolation(catalog.Normalise("unionid", "WeChat", "oA", ""), "platform");
  ExpectViolation(catalog.Normalise("phone", "", "12", "identities[0]"), "identities[0].value");
  ExpectViolation(catalog.Normalise("email", "", "", ""), "value");
}

TEST(NormaliseIdentityTest, ErrorsNeverRepeatTheValue) {
  const IdentityCatalog catalog = IdentityCatalog::Default();
  for (const IdentityKind& kind : catalog.kinds()) {
    const std::string platform = kind.scope == UniquenessScope::kPlatform ? "shop" : "";
    const Result<std::string> refused = catalog.Normalise(kind.name, platform, "canary\n7777", "identity");
    ASSERT_FALSE(refused) << kind.name;
    EXPECT_FALSE(refused.error().message.contains("canary") || refused.error().message.contains("7777"));
    EXPECT_FALSE(refused.error().violations[0].description.contains("canary"));
  }
}

TEST(NormaliseIdentityTest, ConfiguredPlatformsAreTheOnlyOnesToBindOn) {
  const IdentityCatalog catalog =
      *IdentityCatalog::Make({{.name = "openid", .scope = UniquenessScope::kPlatform}}, {"wechat", "alipay"}, "CN");
  EXPECT_TRUE(catalog.CheckPlatform("wechat", "platform"));
  EXPECT_TRUE(catalog.CheckPlatform("alipay", "platform"));
  const Result<void> refused = catalog.CheckPlatform("weixin", "identity.platform");
  ExpectViolation(refused, "identity.platform");
  EXPECT_TRUE(refused.error().message.contains("alipay, wechat"));
  EXPECT_EQ(catalog.Normalise("openid", "weixin", "o1", ""), "o1") << "one that is held is found and unbound";
  ExpectViolation(catalog.Normalise("openid", "Wei Xin", "o1", ""), "platform");
  EXPECT_TRUE(IdentityCatalog::Default().CheckPlatform("weixin", "platform"));
}

TEST(NormaliseIdentityTest, TheDefaultRegionIsConfigured) {
  const IdentityCatalog catalog =
      *IdentityCatalog::Make({{.name = "phone", .normaliser = Normaliser::kPhone}}, {}, "GB");
  EXPECT_EQ(catalog.Normalise("phone", "", "020 7031 3000", ""), "+442070313000");
}

}  // namespace
}  // namespace muster
