#include "app/demo/banner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/demo/demo_load.h"

namespace muster {
namespace {

using ::testing::HasSubstr;

TEST(BannerTest, LinesStandAlone) {
  const std::string banner = RenderBanner({}, {.http_url = "http://127.0.0.1:7400",
                                               .grpc_address = "127.0.0.1:7401",
                                               .admin_url = "http://127.0.0.1:7402",
                                               .key = "mk_key",
                                               .admin_key_file = "/tmp/x/admin.key",
                                               .program = "/bin/muster",
                                               .members = 100'000,
                                               .member_id = "42",
                                               .phone = "+8613800000001"});
  EXPECT_THAT(banner, HasSubstr("100,000 synthetic members"));
  EXPECT_THAT(banner, HasSubstr("Not for production."));
  EXPECT_THAT(banner,
              HasSubstr("curl -s \"http://127.0.0.1:7400/v1/members/42\" -H \"Authorization: Bearer mk_key\"\n"));
  EXPECT_THAT(banner,
              HasSubstr("members:resolve?kind=phone&value=+8613800000001\" -H \"Authorization: Bearer mk_key\"\n"));
  EXPECT_THAT(banner, HasSubstr("/bin/muster routes --server http://127.0.0.1:7400 --key-file /tmp/x/admin.key\n"));
  EXPECT_THAT(banner, HasSubstr("  grpcurl -plaintext -H \"authorization: Bearer mk_key\" -d '{\"id\":\"42\"}' "
                                "127.0.0.1:7401 muster.v1.MemberService/GetMember\n"));
  std::size_t curls = 0;
  for (std::size_t at = banner.find("curl "); at != std::string::npos; at = banner.find("curl ", at + 1)) {
    ++curls;
    EXPECT_LT(banner.find("Bearer mk_key", at), banner.find('\n', at));
  }
  EXPECT_EQ(curls, 7U);
}

TEST(DemoLoadTest, DescribesAWindow) {
  EXPECT_EQ(DemoLoad::Describe({.seconds = 2,
                                .requests = 400,
                                .failures = 3,
                                .reads = 380,
                                .near_hits = 190,
                                .p50 = Duration(310),
                                .p99 = Duration(1204)}),
            "200 requests/s, p50 0.31 ms, p99 1.20 ms, near cache 50 %, 3 failed");
  EXPECT_EQ(DemoLoad::Describe({}), "0 requests/s, p50 0.00 ms, p99 0.00 ms, near cache 0 %");
}

}  // namespace
}  // namespace muster
