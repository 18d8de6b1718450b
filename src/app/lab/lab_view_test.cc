#include "app/lab/lab_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace muster {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kLabStatus = R"({"components":[
  {"name":"mariadb-a1","kind":"mariadb","center":"A","role":"primary","pid":7,"address":"127.0.0.1:1","remoteAddress":"127.0.0.1:2","up":true,"state":"running"},
  {"name":"redis-b","kind":"redis","center":"B","role":"","pid":0,"address":"127.0.0.1:3","up":false,"state":"ended","end":"signal 9"},
  {"name":"muster-a1","kind":"muster","center":"A","role":"ready","pid":8,"address":"127.0.0.1:4","grpc":"127.0.0.1:5","admin":"127.0.0.1:6","up":true,
   "state":"running","diskIsFull":true,"clockOffsetMs":-1500}],
  "links":[{"from":"A","to":"B","isCut":true,"delayMs":2,"bytesPerSecond":65536}],"keyFile":"/lab/admin.key","directory":"/lab"})";

TEST(LabView, ATableHasALineAComponentAndTheLinksThatAreNotWell) {
  const auto text = RenderLabStatus({}, kLabStatus);
  ASSERT_TRUE(text);
  EXPECT_THAT(*text, AllOf(HasSubstr("mariadb-a1"), HasSubstr("primary"), HasSubstr("127.0.0.1:2")));
  EXPECT_THAT(*text, HasSubstr("signal 9"));
  EXPECT_THAT(*text, HasSubstr("disk is full, clock -1500ms"));
  EXPECT_THAT(*text, HasSubstr("A to B: nothing arrives, 2ms late, at most 64 KiB a second\n"));
}

TEST(LabView, TheBannerHasLinesToPaste) {
  const auto view = ParseLabStatus(kLabStatus);
  ASSERT_TRUE(view);
  const std::string banner = RenderLabBanner({}, *view, "/bin/muster");
  EXPECT_THAT(banner, AllOf(HasSubstr("Not for production"),
                            HasSubstr("http://127.0.0.1:4   gRPC 127.0.0.1:5   admin http://127.0.0.1:6")));
  EXPECT_THAT(banner, HasSubstr("Bearer $(cat /lab/admin.key)"));
  EXPECT_THAT(banner, HasSubstr("  /bin/muster lab kill center:A --dir /lab\n"));
}

TEST(LabView, WithoutServersTheBannerSpeaksOfEngines) {
  auto view = ParseLabStatus(kLabStatus);
  view->components.pop_back();
  const std::string banner = RenderLabBanner({}, *view, "/bin/muster");
  EXPECT_THAT(banner, AllOf(HasSubstr("mariadb-a1"), HasSubstr("lab partition A B"), Not(HasSubstr("curl"))));
}

TEST(LabView, AShellIsToldWhereAServerIs) {
  auto view = ParseLabStatus(kLabStatus);
  EXPECT_EQ(RenderLabEnvironment(*view, "muster-a1").value(),
            "export MUSTER_SERVER='http://127.0.0.1:4'\nexport MUSTER_KEY_FILE='/lab/admin.key'\n");
  view->key_file = "/my 'lab'/admin.key";
  EXPECT_THAT(RenderLabEnvironment(*view, "muster-a1").value(), HasSubstr(R"('/my '\''lab'\''/admin.key')"));
  const auto missing = RenderLabEnvironment(*view, "redis-b");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ExitCode::kNotFound);
  EXPECT_THAT(missing.error().message, HasSubstr("there are muster-a1"));
  view->components.pop_back();
  EXPECT_EQ(RenderLabEnvironment(*view, "muster-a1").error().code, ExitCode::kRefused);
}

TEST(LabView, WhatIsNoJsonIsRefused) {
  EXPECT_FALSE(ParseLabStatus("nonsense"));
  EXPECT_FALSE(ParseLabProgress("[]"));
  EXPECT_EQ(ParseLabProgress(R"({"state":"ready","doing":""})")->state, "ready");
}

}  // namespace
}  // namespace muster
