#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "api/http_server_test_base.h"

// Who makes room for others when the server holds as much as it may.

namespace muster {
namespace {

using std::chrono::milliseconds;

class HttpServerRoomTest : public HttpServerTest {};

// Answers of any size, which nobody reads, must not keep others from being served until the time-outs of writing.
TEST_F(HttpServerRoomTest, WhoReadsNothingMakesRoomForOthers) {
  options_.buffer_bytes_max = 4 << 20;
  options_.output_bytes_max = 1 << 20;
  options_.write_timeout_ms = options_.idle_timeout_ms = 3'000'000;
  Start();
  HttpTestClient other = Connect();
  const auto status = [&] {
    other.Send(Get("/small"));
    return other.Receive()->status;
  };
  const std::string request = Get("/" + std::string(8000, 'x'));
  std::vector<std::unique_ptr<HttpTestClient>> silent;
  std::vector<std::string> unsent;
  const auto send_some = [&] {
    for (std::size_t i = 0; i < silent.size(); ++i) unsent[i].erase(0, silent[i]->SendSome(unsent[i]));
  };
  Await(
      [&] {
        if (silent.size() < 20) {
          silent.push_back(std::make_unique<HttpTestClient>(server_->address(), 4096));
          unsent.emplace_back();
          for (int i = 0; i < 2000; ++i) unsent.back() += request;
        }
        send_some();
        return status() == 503;
      },
      "what is not read does not count");
  EXPECT_EQ(Metric("muster_http_connections_shed_total"), 0) << "they have only just begun not to read";

  HttpTestClient reader = Connect(4096);
  AwaitInTime([&] { return Metric("muster_http_connections_shed_total") > 0 && status() == 200; },
              "who reads is still not served");
  EXPECT_LT(Metric("muster_http_connections_shed_total"), static_cast<double>(silent.size()));
  reader.Send(Get("/x"));
  EXPECT_EQ(reader.Receive()->status, 200) << "a connection that holds nothing stays";
}

// They send a byte of the next request now and then: that is not reading.
TEST_F(HttpServerRoomTest, WhoSendsAndReadsNothingMakesRoomForOthers) {
  options_.buffer_bytes_max = 16 << 20;
  options_.write_timeout_ms = options_.idle_timeout_ms = options_.header_timeout_ms = 3'000'000;
  Start();
  std::vector<std::unique_ptr<HttpTestClient>> silent;
  for (int i = 0; i < 2; ++i) {
    silent.push_back(std::make_unique<HttpTestClient>(server_->address(), 4096));
    silent.back()->Send(Get("/big?4000000"));
  }
  Await([&] { return handled().size() == 2; }, "nothing is answered");
  HttpTestClient other = Connect();
  const auto status = [&] {
    other.Send(Get("/big?8000000"));
    return other.Receive()->status;
  };
  ASSERT_EQ(status(), 503);
  AwaitInTime(
      [&] {
        for (const auto& client : silent) client->SendSome("G");
        return status() == 200;
      },
      "who sends a byte now and then takes all room");
  EXPECT_GT(Metric("muster_http_connections_shed_total"), 0);
}

TEST_F(HttpServerRoomTest, WhoReadsLargeAnswersSlowlyKeepsThemWhileThereIsRoom) {
  options_.buffer_bytes_max = 16 << 20;
  options_.write_timeout_ms = options_.idle_timeout_ms = 3'000'000;
  Start();
  std::vector<std::unique_ptr<HttpTestClient>> silent;
  for (int i = 0; i < 2; ++i) {
    silent.push_back(std::make_unique<HttpTestClient>(server_->address(), 4096));
    silent.back()->Send(Get("/big?4000000"));
  }
  Await([&] { return handled().size() == 2; }, "nothing is answered");
  HttpTestClient other = Connect();
  for (int i = 0; i < 100; ++i) {
    clock_.Advance(milliseconds(100));
    other.Send(Get("/small"));
    EXPECT_EQ(other.Receive()->status, 200);
  }
  EXPECT_EQ(OpenConnections(), 2 + 1);
  EXPECT_EQ(Metric("muster_http_connections_shed_total"), 0);
  // A large answer for which there is none left.
  AwaitInTime(
      [&] {
        other.Send(Get("/big?8000000"));
        return other.Receive()->status == 200;
      },
      "who reads gets no large answer");
  EXPECT_GT(Metric("muster_http_connections_shed_total"), 0);
}

TEST_F(HttpServerRoomTest, WhoDoesNotSendTheRestMakesRoomForOthers) {
  options_.buffer_bytes_max = 4 << 20;
  options_.body_timeout_ms = options_.idle_timeout_ms = 3'000'000;
  Start();
  std::vector<std::unique_ptr<HttpTestClient>> halves;
  std::size_t received = 0;
  const auto begin = [&](std::size_t bytes) {
    halves.push_back(std::make_unique<HttpTestClient>(server_->address()));
    const std::string request = Post("/half", std::string(bytes, 'x'));
    halves.back()->Send(request.substr(0, request.size() - 1));
    AwaitReceived(received += request.size() - 1);
  };
  for (int i = 0; i < 4; ++i) begin(1'000'000);
  for (int i = 0; i < 15; ++i) begin(15'000);
  HttpTestClient other = Connect();
  const auto status = [&] {
    other.Send(Get("/small"));
    return other.Receive()->status;
  };
  EXPECT_EQ(status(), 503);
  AwaitInTime([&] { return status() == 200; }, "unfinished requests still take all room");
  int refused = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    halves[i]->Send("x");
    refused += halves[i]->Receive()->status == 503 ? 1 : 0;
  }
  EXPECT_THAT(refused, ::testing::AllOf(::testing::Ge(1), ::testing::Lt(4))) << "no more than is needed";
  halves.back()->Send("x");
  EXPECT_EQ(halves.back()->Receive()->status, 200) << "the largest went first";
}

}  // namespace
}  // namespace muster
