#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/h2_server_test_base.h"

// Heads and trailers that are malformed, or strange and right.

namespace muster {
namespace {

using Client = H2TestClient;

class H2HeadsTest : public H2ServerTest {
 protected:
  // While another connection has the loop look at the time, and the one that is looked at is silent.
  void PassTimeForAHead(Client& other) {
    for (int i = 0; i < 12; ++i) {
      AdvanceClock(std::chrono::seconds(1));
      ASSERT_EQ(other.Await(other.Call("/echo", "x")).status(), "0");
    }
  }
};

// A head, or trailers, that are refused end their stream alone, and have come to their end.
TEST_F(H2HeadsTest, WhatIsRefusedOfAHeadKeepsNobodyWaiting) {
  Start();
  Client client(server_->address());
  Client other(server_->address());
  const std::uint32_t watching = client.Open("/flood");
  const std::vector<Client::Fields> heads = {
      Client::HeadOf("/echo", {{"X-Upper", "a"}}),       Client::HeadOf("/echo", {{":unknown", "a"}}),
      Client::HeadOf("/echo", {{"x-control", "a\x01"}}), Client::HeadOf("/echo", {{"connection", "close"}}),
      Client::HeadOf("/echo", {{"te", "gzip"}}),         {{":method", "POST"}, {":scheme", "http"}}};
  for (const Client::Fields& head : heads) {
    // In one frame, and in two of which the second one says nothing.
    for (const bool is_split : {false, true}) {
      const std::uint32_t refused = client.TakeStream();
      client.SendFrame(Client::kHeaders, is_split ? 0 : Client::kEndHeaders, refused, Client::Block(head));
      if (is_split) client.SendFrame(Client::kContinuation, Client::kEndHeaders, refused);
      EXPECT_EQ(client.Await(refused).reset, 1U) << head.back().first;
      PassTimeForAHead(other);
      ASSERT_EQ(client.Await(client.Call("/echo", "x")).status(), "0") << head.back().first;
      client.SendFrame(Client::kReset, 0, 0x0FFFFFFF, Client::Number(8));  // of a stream that was never opened
      ASSERT_EQ(client.Await(client.Call("/echo", "x")).status(), "0") << head.back().first;
    }
  }
  // Trailers have to end their stream.
  const std::uint32_t refused = client.Open("/echo");
  client.SendFrame(Client::kHeaders, Client::kEndHeaders, refused, Client::Block({{"x-trailer", "a"}}));
  EXPECT_EQ(client.Await(refused).reset, 1U);
  PassTimeForAHead(other);
  client.SendFrame(Client::kData, Client::kEndStream, watching, Client::Message("go"));
  EXPECT_FALSE(client.AwaitMessage(watching).empty());
}

TEST_F(H2HeadsTest, SpacesAroundMetadataAreNotOfIt) {
  Start();
  Client client(server_->address());
  EXPECT_EQ(client.Await(client.Call("/echo", "x", {{"x-note", " hello \t"}})).status(), "0");
  const std::uint32_t waiting = client.Open("/keyed", {{"authorization", " Bearer key "}});
  EXPECT_EQ(client.Await(client.Open("/keyed", {{"authorization", " \t"}})).status(), "16") << "that is no key";
  client.SendFrame(Client::kData, Client::kEndStream, waiting, Client::Message("x"));
  EXPECT_EQ(client.Await(waiting).status(), "0");
}

// A field of 4 KB that is named again with one byte each time.
TEST_F(H2HeadsTest, SpacesCountAsWhateverElseThereIs) {
  Start();
  Client client(server_->address());
  const std::string indexed = std::string("\x40\x01s\x7F\xA1\x1E", 6) + std::string(4000, ' ');
  client.SendFrame(Client::kHeaders, Client::kEndHeaders, client.TakeStream(),
                   Client::Block(Client::HeadOf("/echo")) + indexed + std::string(10'000, '\xBE'));
  EXPECT_TRUE(client.NextOf(Client::kGoAway));
  EXPECT_TRUE(client.AwaitEnd());
}

}  // namespace
}  // namespace muster
