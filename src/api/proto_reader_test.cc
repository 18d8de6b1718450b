#include "api/proto_reader.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "muster/v1/member_service.pb.h"

namespace muster {
namespace {

RC_GTEST_PROP(ProtoReaderProperty, ReadsWhatProtobufWrites, (std::int64_t id, std::int64_t version, bool flag)) {
  v1::GetMemberRequest request;
  request.set_id(id);
  request.set_min_version(version);
  request.set_no_cache(flag);
  const std::string message = request.SerializeAsString();
  std::int64_t fields[4] = {};
  ProtoReader reader(message);
  while (reader.Next()) {
    RC_ASSERT(reader.type() == WireType::kVarint);
    fields[reader.field()] = reader.number();
  }
  RC_ASSERT(!reader.malformed());
  RC_ASSERT(fields[1] == id && fields[2] == version && fields[3] == (flag ? 1 : 0));
}

// Groups and numbers of more than 64 bits are malformed here and not there.
RC_GTEST_PROP(ProtoReaderProperty, WhatIsTakenProtobufTakesToo, (std::string bytes)) {
  ProtoReader reader(bytes);
  while (reader.Next()) {
  }
  RC_ASSERT(reader.malformed() || v1::GetMemberRequest().ParseFromString(bytes));
}

TEST(ProtoReaderTest, MalformedMessagesEndTheWalk) {
  for (const std::string& bytes :
       {std::string("\x08"), std::string("\x0a\x02x"), std::string("\x09 123456"), std::string("\x0d 12"),
        std::string("\x00\x01", 2), std::string("\x0b"), std::string("\x0c"), std::string("\x0f"),
        std::string(11, '\xff'), std::string("\x08") + std::string(9, '\xff') + "\x02",
        std::string("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")}) {
    ProtoReader reader(bytes);
    EXPECT_FALSE(reader.Next()) << bytes;
    EXPECT_TRUE(reader.malformed()) << bytes;
    EXPECT_FALSE(reader.Next());
  }
}

TEST(ProtoReaderTest, UnknownFieldsAreWalkedOver) {
  const std::string bytes = std::string("\x29 1234567", 9) + "\x35 123" + "\x3a\x03xyz" + "\x08\x05";
  ProtoReader reader(bytes);
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.type(), WireType::kFixed64);
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.type(), WireType::kFixed32);
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.bytes(), "xyz");
  ASSERT_TRUE(reader.Next());
  EXPECT_TRUE(reader.Is(1, WireType::kVarint));
  EXPECT_EQ(reader.number(), 5);
  EXPECT_FALSE(reader.Next());
  EXPECT_FALSE(reader.malformed());
}

}  // namespace
}  // namespace muster
