#include "app/client/target.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <array>

#include "app/files.h"
#include "app/temporary_directory.h"

namespace muster {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kAdminKey = "mk_adminadminadmin";
constexpr const char* kOtherKey = "mk_otherother";

class TargetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Write("data/endpoints.json", R"({"http":"127.0.0.1:7411","admin":"127.0.0.1:7412"})");
    Write("data/admin.key", std::string(kAdminKey) + "\n");
    Write("other.key", kOtherKey);
  }
  void Write(const std::string& name, const std::string& content) {
    ASSERT_TRUE(MakePrivateDirectory(Path("data")));
    ASSERT_TRUE(WriteFileDurably(Path(name), content, 0600));
  }
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  Outcome<HttpClientOptions> Resolve(const TargetChoice& choice, const Environment& environment = {}) {
    return ResolveTarget(choice, environment, Path("data"));
  }

 private:
  const TemporaryDirectory directory_ = std::move(TemporaryDirectory::Make("muster-target-test").value());
};

TEST_F(TargetTest, DefaultsAreThoseOfTheDataDirectory) {
  const auto target = Resolve({});
  EXPECT_EQ(target.value().base_url, "http://127.0.0.1:7411");
  EXPECT_EQ(target.value().key, kAdminKey);
}

TEST_F(TargetTest, FlagsWinOverVariablesOverFiles) {
  const Environment environment{.server = "127.0.0.1:1", .key_file = Path("other.key")};
  EXPECT_EQ(Resolve({}, environment).value().base_url, "http://127.0.0.1:1");
  EXPECT_EQ(Resolve({}, environment).value().key, kOtherKey);
  const auto target = Resolve({.server = "localhost:2", .key_file = Path("data/admin.key")}, environment);
  EXPECT_EQ(target.value().base_url, "http://localhost:2");
  EXPECT_EQ(target.value().key, kAdminKey);
}

TEST_F(TargetTest, TheLocalKeyIsNotSentToAnotherMachine) {
  for (const char* server :
       {"muster.example:7400", "https://muster.example", "http://10.0.0.1:7400", "http://127.evil.example:7400",
        "http://127.0.0.1:7400@evil.example", "http://localhost:1@evil.example:80"}) {
    const auto target = Resolve({.server = server});
    ASSERT_FALSE(target) << server;
    EXPECT_EQ(target.error().code, ExitCode::kUsage);
    EXPECT_THAT(target.error().message, HasSubstr("--key-file"));
    EXPECT_EQ(Resolve({.server = server, .key_file = Path("other.key")}).value().key, kOtherKey);
  }
  EXPECT_EQ(Resolve({.server = "[::1]:7400"}).value().key, kAdminKey);
  EXPECT_EQ(Resolve({.server = "http://localhost"}).value().key, kAdminKey);
}

TEST_F(TargetTest, WhatIsNoAddressIsWrongUsage) {
  for (const char* server : {"ftp://127.0.0.1:7400", "http://", "http://127.0.0.1:99999", "a b", "://x"}) {
    const auto flag = Resolve({.server = server});
    ASSERT_FALSE(flag) << server;
    EXPECT_EQ(flag.error().code, ExitCode::kUsage);
    EXPECT_THAT(flag.error().message, HasSubstr("--server"));
    const auto variable = Resolve({}, {.server = server, .key_file = ""});
    ASSERT_FALSE(variable) << server;
    EXPECT_EQ(variable.error().code, ExitCode::kUsage);
    EXPECT_THAT(variable.error().message, HasSubstr("MUSTER_SERVER"));
  }
  EXPECT_TRUE(Resolve({.server = "HTTP://127.0.0.1:7400"}));
}

TEST_F(TargetTest, AServerOnAllAddressesIsReachedOnLoopback) {
  for (const auto& [listens, reached] :
       {std::pair("0.0.0.0:7411", "http://127.0.0.1:7411"), std::pair("[::]:7411", "http://[::1]:7411")}) {
    Write("data/endpoints.json", std::string(R"({"http":")") + listens + R"("})");
    const auto target = Resolve({});
    ASSERT_TRUE(target) << target.error().message;
    EXPECT_EQ(target->base_url, reached);
    EXPECT_EQ(target->key, kAdminKey);
  }
}

TEST_F(TargetTest, AnAddressOfThisMachineIsThisMachine) {
  ifaddrs* first = nullptr;
  ASSERT_EQ(getifaddrs(&first), 0);
  for (const ifaddrs* one = first; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
    std::array<char, INET_ADDRSTRLEN> text{};
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr, text.data(), text.size());
    const std::string address = std::string(text.data()) + ":7411";
    EXPECT_EQ(Resolve({.server = address}).value().key, kAdminKey) << address;
    Write("data/endpoints.json", R"({"http":")" + address + R"("})");
    EXPECT_EQ(Resolve({}).value().base_url, "http://" + address);
  }
  freeifaddrs(first);
  Write("data/endpoints.json", R"({"http":"198.51.100.1:7411"})");  // TEST-NET-2: it had the address once
  EXPECT_EQ(Resolve({}).error().code, ExitCode::kUsage);
}

TEST_F(TargetTest, NoServerIsUnavailableAndSaysHowToStartOne) {
  const auto target = ResolveTarget({}, {}, Path("nothing"));
  ASSERT_FALSE(target);
  EXPECT_EQ(target.error().code, ExitCode::kUnavailable);
  EXPECT_THAT(target.error().message, HasSubstr("muster serve"));
}

TEST_F(TargetTest, WhatIsNotAKeyIsRefusedAndNotRepeated) {
  for (const char* content : {"", "secret words", "mk_abc\nInjected: header", "mk_a\r\nb", "MK_abc"}) {
    Write("bad.key", content);
    const auto target = Resolve({.key_file = Path("bad.key")});
    ASSERT_FALSE(target) << content;
    EXPECT_THAT(target.error().message, Not(HasSubstr("secret")));
    EXPECT_THAT(target.error().message, HasSubstr(Path("bad.key")));
  }
  EXPECT_FALSE(Resolve({.key_file = Path("missing.key")}));
}

TEST_F(TargetTest, MalformedEndpointsAreRefused) {
  Write("data/endpoints.json", "{}");
  EXPECT_THAT(Resolve({}).error().message, HasSubstr("endpoints.json"));
}

TEST(ServerUrlTest, TakesWhatUsersWrite) {
  EXPECT_EQ(NormaliseServerUrl("127.0.0.1:7400"), "http://127.0.0.1:7400");
  EXPECT_EQ(NormaliseServerUrl("http://h:1//"), "http://h:1");
  EXPECT_EQ(NormaliseServerUrl("https://h"), "https://h");
}

TEST(HttpClientTest, NobodyListeningIsUnavailable) {
  HttpClient client({.base_url = "http://127.0.0.1:1", .key = "", .timeout = std::chrono::milliseconds(2000)});
  const auto reply = client.Send({.path = "/"});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ExitCode::kUnavailable);
  EXPECT_THAT(reply.error().message, HasSubstr("http://127.0.0.1:1"));
}

TEST(HttpClientTest, EscapesWhatUrlsDoNotTake) {
  EXPECT_EQ(EscapeUrl("+86 138/苏&="), "%2B86%20138%2F%E8%8B%8F%26%3D");
  EXPECT_EQ(EscapeUrl("a-b.c_d~9"), "a-b.c_d~9");
}

}  // namespace
}  // namespace muster
