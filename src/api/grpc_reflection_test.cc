#include "api/grpc_reflection.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include "api/grpc_descriptors.h"
#include "api/testing/grpc_fixture.h"
#include "grpc/reflection/v1/reflection.pb.h"

namespace muster {
namespace {

using ::grpc::reflection::v1::ServerReflectionRequest;
using ::grpc::reflection::v1::ServerReflectionResponse;

class ReflectionTest : public testing::GrpcApiTest {
 protected:
  ReflectionTest() {
    source_ =
        grpc_->Open({.path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", .metadata = {}}, stream_);
  }
  ServerReflectionResponse Ask(const ServerReflectionRequest& request) {
    source_->OnMessage(request.SerializeAsString());
    ServerReflectionResponse response;
    EXPECT_TRUE(!stream_.messages.empty() && response.ParseFromString(stream_.messages.back()));
    EXPECT_EQ(response.original_request().SerializeAsString(), request.SerializeAsString());
    return response;
  }
  testing::TestGrpcStream stream_;
  std::unique_ptr<GrpcSource> source_;
};

TEST_F(ReflectionTest, ListsItsServices) {
  ServerReflectionRequest request;
  request.set_host("here");
  request.set_list_services("");
  const auto response = Ask(request);
  EXPECT_EQ(response.valid_host(), "here");
  std::vector<std::string> names;
  for (const auto& service : response.list_services_response().service()) names.push_back(service.name());
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("muster.v1.MemberService", "grpc.health.v1.Health",
                                                     "grpc.reflection.v1.ServerReflection",
                                                     "grpc.reflection.v1alpha.ServerReflection"));
}

TEST_F(ReflectionTest, AClientCanBuildEveryServiceFromIt) {
  google::protobuf::DescriptorPool pool;
  for (const std::string& service : GrpcDescriptors::Served().services()) {
    ServerReflectionRequest request;
    request.set_file_containing_symbol(service);
    const auto response = Ask(request);
    const auto& files = response.file_descriptor_response().file_descriptor_proto();
    ASSERT_GT(files.size(), 0) << service;
    // The file comes first, and what it imports behind it.
    for (auto bytes = files.rbegin(); bytes != files.rend(); ++bytes) {
      google::protobuf::FileDescriptorProto file;
      ASSERT_TRUE(file.ParseFromString(*bytes));
      if (pool.FindFileByName(file.name()) == nullptr) ASSERT_NE(pool.BuildFile(file), nullptr) << file.name();
    }
    EXPECT_NE(pool.FindServiceByName(service), nullptr);
  }
  EXPECT_NE(pool.FindMethodByName("muster.v1.MemberService.GetMember"), nullptr);
}

TEST_F(ReflectionTest, FindsFilesSymbolsAndExtensions) {
  const auto file_of = [this](const ServerReflectionRequest& request) {
    google::protobuf::FileDescriptorProto file;
    const auto response = Ask(request);
    if (response.file_descriptor_response().file_descriptor_proto_size() > 0) {
      EXPECT_TRUE(file.ParseFromString(response.file_descriptor_response().file_descriptor_proto(0)));
    }
    return file.name();
  };
  ServerReflectionRequest request;
  request.set_file_by_filename("muster/v1/member.proto");
  EXPECT_EQ(file_of(request), "muster/v1/member.proto");
  for (const char* symbol : {"muster.v1.Member", "muster.v1.Member.State", "muster.v1.Member.AttributesEntry",
                             "muster.v1.Identity", "muster.v1.Member.city"}) {
    request.set_file_containing_symbol(symbol);
    EXPECT_EQ(file_of(request), "muster/v1/member.proto") << symbol;
  }
  request.set_file_containing_symbol("muster.v1.MemberService.GetMember");
  EXPECT_EQ(file_of(request), "muster/v1/member_service.proto");
  request.mutable_file_containing_extension()->set_containing_type("google.protobuf.MethodOptions");
  request.mutable_file_containing_extension()->set_extension_number(51817);
  EXPECT_EQ(file_of(request), "muster/http/v1/http.proto");
  request.set_all_extension_numbers_of_type("google.protobuf.MethodOptions");
  EXPECT_EQ(Ask(request).all_extension_numbers_response().extension_number(0), 51817);
}

TEST_F(ReflectionTest, WhatIsNotThereIsNotFound) {
  ServerReflectionRequest request;
  request.set_file_by_filename("nothing.proto");
  EXPECT_EQ(Ask(request).error_response().error_code(), 5);
  request.set_file_containing_symbol("muster.v1.AdminService");
  EXPECT_EQ(Ask(request).error_response().error_code(), 5);
  request.set_all_extension_numbers_of_type("x.Y");
  EXPECT_EQ(Ask(request).error_response().error_code(), 5);
  request.mutable_file_containing_extension()->set_containing_type("x.Y");
  EXPECT_EQ(Ask(request).error_response().error_code(), 5);
  EXPECT_EQ(Ask({}).error_response().error_code(), 3);
  EXPECT_EQ(stream_.status, -1);
  source_->OnMessage("\x0a\x7f");
  EXPECT_EQ(stream_.status, 3);
}

TEST_F(ReflectionTest, AnswersWaitForRoomAndTheEndForThem) {
  stream_.room = 0;
  ServerReflectionRequest request;
  request.set_list_services("");
  source_->OnMessage(request.SerializeAsString());
  source_->OnClientEnd();
  EXPECT_EQ(stream_.status, -1);
  stream_.room = 1;
  source_->OnRoom();
  EXPECT_EQ(stream_.messages.size(), 1U);
  EXPECT_EQ(stream_.status, 0);
}

}  // namespace
}  // namespace muster
