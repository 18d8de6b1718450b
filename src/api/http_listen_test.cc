#include "api/http_listen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace muster {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class HttpListenTest : public ::testing::Test {
 protected:
  ~HttpListenTest() override {
    for (const int socket : open_) close(socket);
  }
  Result<HttpListeners> Listen(const std::string& address, std::size_t count = 1) {
    Result<HttpListeners> listeners = ListenHttp(address, count, "http.listen");
    if (listeners) open_.insert(open_.end(), listeners->sockets.begin(), listeners->sockets.end());
    return listeners;
  }
  std::vector<int> open_;
};

TEST_F(HttpListenTest, PicksAFreePortForAllItsSockets) {
  const auto listeners = Listen("127.0.0.1:0", 4);
  ASSERT_TRUE(listeners.has_value());
  EXPECT_EQ(listeners->sockets.size(), 4U);
  EXPECT_THAT(listeners->address, AllOf(StartsWith("127.0.0.1:"), ::testing::Not(HasSubstr(":0"))));
}

TEST_F(HttpListenTest, TakesNamesAndVersion6) {
  const auto name = Listen("localhost:0");
  ASSERT_TRUE(name.has_value()) << name.error().message;
  const auto six = Listen("[::1]:0");
  ASSERT_TRUE(six.has_value()) << six.error().message;
  EXPECT_THAT(six->address, StartsWith("[::1]:"));
}

TEST_F(HttpListenTest, APortHasOneServer) {
  const auto first = Listen("127.0.0.1:0", 2);
  ASSERT_TRUE(first.has_value());
  const auto second = Listen(first->address, 2);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().reason, Reason::kStateConflict);
  EXPECT_THAT(second.error().message,
              AllOf(HasSubstr(first->address), HasSubstr("in use"), HasSubstr("http.listen"), HasSubstr("port 0")));
}

TEST_F(HttpListenTest, AddressesAreCheckedWithoutListening) {
  const auto taken = Listen("127.0.0.1:0");
  EXPECT_TRUE(CheckListenAddress(taken->address, "http.listen"));
  const auto checked = CheckListenAddress("127.0.0.1:99999", "http.listen");
  ASSERT_FALSE(checked.has_value());
  EXPECT_THAT(checked.error().message, HasSubstr("http.listen 127.0.0.1:99999 is not host:port"));
}

TEST_F(HttpListenTest, TellsAddressesThatCollide) {
  EXPECT_TRUE(ListenAddressesCollide("127.0.0.1:7400", "127.0.0.1:7400"));
  EXPECT_TRUE(ListenAddressesCollide("127.0.0.1:7400", "0.0.0.0:7400"));
  EXPECT_TRUE(ListenAddressesCollide("[::]:7400", "[::1]:7400"));
  EXPECT_FALSE(ListenAddressesCollide("127.0.0.1:7400", "127.0.0.1:7401"));
  EXPECT_FALSE(ListenAddressesCollide("127.0.0.1:7400", "127.0.0.2:7400"));
  EXPECT_FALSE(ListenAddressesCollide("127.0.0.1:0", "127.0.0.1:0"));
}

TEST_F(HttpListenTest, RefusesWhatIsNotHostAndPort) {
  for (const char* address : {"", "7400", ":7400", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536",
                              "127.0.0.1:-1", "::1:7400", "127.0.0.1:80 "}) {
    const auto listeners = Listen(address);
    ASSERT_FALSE(listeners.has_value()) << address;
    EXPECT_EQ(listeners.error().reason, Reason::kInvalidArgument);
    EXPECT_THAT(listeners.error().message, AllOf(HasSubstr("http.listen"), HasSubstr("host:port"))) << address;
  }
}

TEST_F(HttpListenTest, SaysThatAnAddressIsNotOurs) {
  const auto other = Listen("192.0.2.1:0");  // TEST-NET-1
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(other.error().reason, Reason::kInvalidArgument);
  EXPECT_THAT(other.error().message, HasSubstr("not an address of this machine"));
  const auto unknown = Listen("no-such-host.invalid:0");
  ASSERT_FALSE(unknown.has_value());
  EXPECT_THAT(unknown.error().message, HasSubstr("not known"));
}

}  // namespace
}  // namespace muster
