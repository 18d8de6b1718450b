#include "api/grpc_gzip.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace muster {
namespace {

RC_GTEST_PROP(GrpcGzipProperty, WhatIsPackedUnpacks, (std::string text)) {
  static GrpcGzip gzip;
  std::string packed = "before";
  gzip.Pack(text, packed);
  const auto unpacked = gzip.Unpack(std::string_view(packed).substr(6), text.size());
  RC_ASSERT(unpacked.has_value());
  RC_ASSERT(*unpacked == text);
}

TEST(GrpcGzipTest, LargeMessagesUnpackToTheirLastByte) {
  GrpcGzip gzip;
  for (const std::size_t size : {16'383U, 16'384U, 16'385U, 1U << 20}) {
    const std::string text(size, 'x');
    std::string packed;
    gzip.Pack(text, packed);
    EXPECT_EQ(gzip.Unpack(packed, size), text);
    EXPECT_EQ(gzip.Unpack(packed, size - 1).error().reason, Reason::kBodyTooLarge);
  }
}

TEST(GrpcGzipTest, ABombIsRefusedWithoutBeingUnpacked) {
  GrpcGzip gzip;
  std::string packed;
  gzip.Pack(std::string(256 << 20, '\0'), packed);
  ASSERT_LT(packed.size(), 2U << 20);
  EXPECT_EQ(gzip.Unpack(packed, 1 << 20).error().reason, Reason::kBodyTooLarge);
}

TEST(GrpcGzipTest, WhatIsNoGzipIsRefused) {
  GrpcGzip gzip;
  std::string packed;
  gzip.Pack("a message", packed);
  const std::string_view whole(packed);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(gzip.Unpack(whole.substr(0, size), 100)) << size;
  }
  EXPECT_FALSE(gzip.Unpack(packed + "x", 100));
  EXPECT_FALSE(gzip.Unpack(packed + packed, 100));
  EXPECT_FALSE(gzip.Unpack("not gzip at all", 100));
  EXPECT_EQ(gzip.Unpack(packed, 100), "a message") << "and works on";
}

}  // namespace
}  // namespace muster
