#include "lab/control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "lab/lab_directory.h"
#include "lab/testing/temporary_place.h"

namespace muster::lab {
namespace {

using testing::TemporaryPlace;

constexpr std::chrono::seconds kControlPatience{30};

TEST(Control, ARequestIsALineAndReadsBack) {
  const ControlRequest request{.verb = "clock", .arguments = {"mariadb-a1", "+5s", "with \"quotes\"\nand a line"}};
  const std::string line = RenderRequest(request);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(*ParseRequest(line), request);
}

TEST(Control, AReplyReadsBackAsWhatItWas) {
  EXPECT_EQ(*ParseReply(RenderReply(std::string(R"({"up":true})"))), R"({"up":true})");
  const Error error{.reason = Reason::kNotFound, .message = "there is none"};
  EXPECT_EQ(ParseReply(RenderReply(std::unexpected(error))).error(), error);
}

TEST(Control, WhatIsNoRequestIsRefused) {
  for (const char* const line : {"", "{", "null", "[]", R"({"verb":"kill"})", R"({"verb":1,"arguments":[]})",
                                 R"({"verb":"kill","arguments":"x"})", R"({"verb":"kill","arguments":[],"more":1})"}) {
    EXPECT_EQ(ParseRequest(line).error().reason, Reason::kInvalidArgument) << line;
  }
  const ControlRequest long_one{.verb = "kill", .arguments = std::vector<std::string>(17, "x")};
  EXPECT_EQ(ParseRequest(RenderRequest(long_one)).error().reason, Reason::kInvalidArgument);
}

class ControlServerTest : public ::testing::Test {
 protected:
  void Serve(ControlServer::Handler handler) {
    // Longer than the name of a socket may be.
    ASSERT_TRUE(MakeDirectory(directory_));
    auto started = ControlServer::Start(directory_, std::move(handler), NullLogger());
    ASSERT_TRUE(started) << started.error().message;
    server_ = std::move(*started);
  }
  const TemporaryPlace place_;
  const std::string directory_ = place_.path() + "/" + std::string(120, 'd');
  std::unique_ptr<ControlServer> server_;
};

TEST_F(ControlServerTest, AnswersAndRefuses) {
  Serve([](const ControlRequest& request) -> Result<std::string> {
    if (request.verb == "echo") return request.arguments.at(0);
    return Fail(Reason::kNotFound, "no " + request.verb);
  });
  EXPECT_EQ(*AskLab(directory_, {.verb = "echo", .arguments = {"hello"}}, kControlPatience), "hello");
  const auto refused = AskLab(directory_, {.verb = "other"}, kControlPatience);
  EXPECT_EQ(refused.error().reason, Reason::kNotFound);
  EXPECT_EQ(refused.error().message, "no other");
  EXPECT_EQ(AskLab(directory_, {.verb = "echo", .arguments = {"\xff"}}, kControlPatience).error().reason,
            Reason::kInvalidArgument);
}

TEST_F(ControlServerTest, IsForItsUserAlone) {
  Serve([](const ControlRequest&) -> Result<std::string> { return "{}"; });
  struct stat status{};
  ASSERT_EQ(::stat((directory_ + "/control").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(ControlServerTest, NobodyThereSaysHowToStartOne) {
  const auto none = AskLab(directory_, {.verb = "status"}, kControlPatience);
  EXPECT_EQ(none.error().reason, Reason::kNotFound);
  EXPECT_THAT(none.error().message, ::testing::HasSubstr("muster lab up"));
  Serve([](const ControlRequest&) -> Result<std::string> { return "{}"; });
  server_.reset();  // and the socket is left, as when it was killed
  EXPECT_EQ(AskLab(directory_, {.verb = "status"}, kControlPatience).error().reason, Reason::kNotFound);
  Serve([](const ControlRequest&) -> Result<std::string> { return "again"; });
  EXPECT_EQ(*AskLab(directory_, {.verb = "status"}, kControlPatience), "again");
}

TEST_F(ControlServerTest, ASlowRequestHoldsUpNoOtherAndASilentOneHasADeadline) {
  std::mutex mutex;
  std::condition_variable freed;
  bool is_free = false;
  Serve([&](const ControlRequest& request) -> Result<std::string> {
    if (request.verb != "slow") return "quick";
    std::unique_lock lock(mutex);
    freed.wait_for(lock, kControlPatience, [&] { return is_free; });
    return "slow";
  });
  EXPECT_EQ(AskLab(directory_, {.verb = "slow"}, std::chrono::milliseconds(50)).error().reason,
            Reason::kDeadlineExceeded);
  EXPECT_EQ(*AskLab(directory_, {.verb = "other"}, kControlPatience), "quick");
  {
    std::lock_guard lock(mutex);
    is_free = true;
  }
  freed.notify_all();
  EXPECT_EQ(*AskLab(directory_, {.verb = "slow"}, kControlPatience), "slow");
  server_.reset();  // the first handler may still be on its way out of what ends here
}

}  // namespace
}  // namespace muster::lab
