#include <gmock/gmock.h>

#include <atomic>
#include <memory>
#include <string>

#include "api/http_server_test_base.h"

namespace muster {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

// What a stream's source was told, for the test's thread.
struct Told {
  std::atomic<HttpStream*> stream = nullptr;  // once it has begun
  std::atomic<int> rooms = 0;
  std::atomic<bool> drained = false;
  std::atomic<bool> gone = false;
};

class TestSource final : public HttpSource {
 public:
  // Writes `pieces` pieces of 1,000 bytes as there is room, and ends; -1: what the test says.
  TestSource(std::shared_ptr<Told> told, int pieces) : told_(std::move(told)), left_(pieces) {}
  ~TestSource() override { told_->gone = true; }
  void OnBegin(HttpStream& stream) override {
    stream_ = &stream;
    told_->stream = &stream;
    if (left_ >= 0) Fill();
  }
  void OnRoom() override {
    ++told_->rooms;
    Fill();
  }
  void OnDrain() override {
    told_->drained = true;
    stream_->Write("bye");
    stream_->End();
  }

 private:
  void Fill() {
    for (; left_ > 0; --left_) {
      if (!stream_->HasRoom()) return;
      stream_->Write(std::string(1000, 'p'));
    }
    stream_->End();
  }

  const std::shared_ptr<Told> told_;
  HttpStream* stream_ = nullptr;
  int left_;
};

class HttpServerStreamTest : public HttpServerTest {
 protected:
  // Answers a held request with a stream.
  std::shared_ptr<Told> Stream(const std::string& target, int pieces = -1) {
    auto told = std::make_shared<Told>();
    AwaitHeld(target);
    EventLoop** const loop = &loop_;
    WithHeld(target, [told, pieces, loop](HttpExchange exchange) {
      *loop = &exchange.loop();
      exchange.Stream({.status = 200, .content_type = "text/plain", .extra_headers = "X-Kind: stream\r\n"},
                      std::make_unique<TestSource>(told, pieces));
    });
    return told;
  }
  // On the stream's loop.
  void Write(Told& told, std::string text) {
    loop_->Post([stream = told.stream.load(), text = std::move(text)] { stream->Write(text); });
  }
  void End(Told& told) {
    loop_->Post([stream = told.stream.load()] { stream->End(); });
  }
  void AwaitBegun(Told& told) {
    Await([&] { return told.stream != nullptr; }, "the stream does not begin");
  }
  void AwaitGone(Told& told) {
    Await([&] { return told.gone.load(); }, "the source is not destroyed");
  }
  static std::string ReadUntil(HttpTestClient& client, std::string_view end) {
    std::string text;
    while (!text.ends_with(end)) {
      const std::string more = client.ReceivePiece();
      if (more.empty()) break;
      text += more;
    }
    return text;
  }

  EventLoop* loop_ = nullptr;
};

TEST_F(HttpServerStreamTest, LeavesInChunksAsItIsWritten) {
  Start();
  HttpTestClient client = Connect();
  client.Send(Get("/hold"));
  const auto told = Stream("/hold");
  AwaitBegun(*told);
  const std::string head = ReadUntil(client, "\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(head, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(head, HasSubstr("X-Kind: stream\r\n"));
  EXPECT_THAT(head, Not(HasSubstr("Content-Length")));
  Write(*told, "one");
  EXPECT_EQ(ReadUntil(client, "one\r\n"), "3\r\none\r\n");
  Write(*told, "seventeen letters");
  EXPECT_EQ(ReadUntil(client, "letters\r\n"), "11\r\nseventeen letters\r\n");
  EXPECT_FALSE(told->gone);
  End(*told);
  EXPECT_EQ(ReadUntil(client, "0\r\n\r\n"), "0\r\n\r\n");
  AwaitGone(*told);
  client.Send(Get("/after"));
  EXPECT_THAT(ReadUntil(client, "/after "), HasSubstr("GET /after"));
}

TEST_F(HttpServerStreamTest, TakesItsTurnAmongPipelinedRequests) {
  Start();
  HttpTestClient client = Connect();
  client.Send(Get("/hold1") + Get("/hold2") + Get("/hold3") + Get("/hold4"));
  AwaitHeld("/hold4");
  const auto third = Stream("/hold3", 1);
  const auto second = Stream("/hold2");
  Release("/hold4");
  Release("/hold1");
  AwaitBegun(*second);
  EXPECT_EQ(third->stream, nullptr);
  Write(*second, "x");
  EXPECT_THAT(ReadUntil(client, "1\r\nx\r\n"), HasSubstr("released /hold1"));
  End(*second);
  const std::string rest = ReadUntil(client, "released /hold4");
  EXPECT_THAT(rest, HasSubstr("ppp\r\n0\r\n\r\n"));
  AwaitGone(*third);
}

TEST_F(HttpServerStreamTest, RequestsBehindItWait) {
  Start();
  HttpTestClient client = Connect();
  client.Send(Get("/hold"));
  const auto told = Stream("/hold");
  AwaitBegun(*told);
  client.Send(Get("/behind"));
  Write(*told, "x");
  EXPECT_THAT(ReadUntil(client, "1\r\nx\r\n"), Not(HasSubstr("behind")));
  End(*told);
  EXPECT_THAT(ReadUntil(client, "/behind "), HasSubstr("GET /behind"));
}

TEST_F(HttpServerStreamTest, WhoReadsSlowlyHoldsWhatFitsAndGetsAll) {
  Start();
  HttpTestClient client = Connect();
  client.Send(Get("/hold"));
  constexpr int kPieces = 20'000;  // 20 MB: more than sockets take
  const auto told = Stream("/hold", kPieces);
  AwaitBegun(*told);
  HttpTestClient other = Connect();
  other.Send(Get("/other"));
  EXPECT_THAT(ReadUntil(other, "/other "), HasSubstr("GET /other"));
  EXPECT_FALSE(told->gone);
  const std::string all = ReadUntil(client, "\r\n0\r\n\r\n");
  EXPECT_EQ(std::ranges::count(all.substr(all.find("\r\n\r\n")), 'p'), kPieces * 1000);
  EXPECT_GT(told->rooms, 10);
  AwaitGone(*told);
}

TEST_F(HttpServerStreamTest, AClientThatGoesEndsIt) {
  Start();
  auto client = std::make_unique<HttpTestClient>(server_->address());
  client->Send(Get("/hold"));
  const auto told = Stream("/hold");
  AwaitBegun(*told);
  client.reset();
  AwaitGone(*told);
  Await([&] { return OpenConnections() == 0; }, "the connection stays");
}

TEST_F(HttpServerStreamTest, AClientThatTakesNothingForTooLongIsLetGo) {
  options_.write_timeout_ms = 1000;
  Start();
  HttpTestClient client = Connect();
  client.Send(Get("/hold"));
  const auto told = Stream("/hold", 100'000);
  AwaitBegun(*told);
  AwaitInTime([&] { return told->gone.load(); }, "the source is not destroyed");
}

TEST_F(HttpServerStreamTest, HeadGetsTheHead) {
  Start();
  HttpTestClient client = Connect();
  client.Send("HEAD /hold HTTP/1.1\r\nHost: test\r\n\r\n");
  const auto told = Stream("/hold");
  AwaitGone(*told);
  EXPECT_THAT(ReadUntil(client, "\r\n\r\n"), HasSubstr("Transfer-Encoding: chunked\r\n"));
  client.Send(Get("/after"));
  EXPECT_THAT(ReadUntil(client, "/after "), HasSubstr("GET /after"));
}

TEST_F(HttpServerStreamTest, WithoutChunksItsEndIsThatOfTheConnection) {
  Start();
  HttpTestClient client = Connect();
  client.Send("GET /hold HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const auto told = Stream("/hold", 3);
  const std::string all = ReadUntil(client, "never");
  EXPECT_THAT(all, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(all, Not(HasSubstr("chunked")));
  EXPECT_THAT(all, EndsWith("\r\n\r\n" + std::string(3000, 'p')));
  AwaitGone(*told);
}

TEST_F(HttpServerStreamTest, ADrainEndsIt) {
  Start();
  auto client = std::make_unique<HttpTestClient>(server_->address());
  client->Send(Get("/hold1") + Get("/hold2"));
  const auto live = Stream("/hold1");
  AwaitBegun(*live);
  const auto waiting = Stream("/hold2");
  const std::jthread drain([this] { server_->Drain(); });
  const std::string all = ReadUntil(*client, "never");
  EXPECT_TRUE(live->drained);
  EXPECT_TRUE(waiting->drained);
  EXPECT_THAT(all, HasSubstr("3\r\nbye\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(all, EndsWith("3\r\nbye\r\n0\r\n\r\n"));
  AwaitGone(*waiting);
  client.reset();  // the server waits for it, so that it reads the end
}

}  // namespace
}  // namespace muster
