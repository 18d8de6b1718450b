#include "bench/grpc_request.h"

#include <gtest/gtest.h>

#include <array>

#include "muster/v1/member_service.pb.h"

namespace muster::grpc_request_test {
namespace {

template <typename T>
T MessageOf(const LoadCall& call) {
  std::string framed;
  AppendGrpcMessage(framed, call);
  EXPECT_EQ(framed[0], 0);
  EXPECT_EQ(static_cast<unsigned char>(framed[3]) * 256U + static_cast<unsigned char>(framed[4]), framed.size() - 5);
  T message;
  EXPECT_TRUE(message.ParseFromString(framed.substr(5)));
  EXPECT_EQ(message.GetReflection()->GetUnknownFields(message).field_count(), 0);
  return message;
}

constexpr std::array kIds = {MemberId(7), MemberId(1), MemberId(INT64_MAX)};

TEST(GrpcRequestTest, MessagesAreThoseOfTheContract) {
  EXPECT_EQ(MessageOf<v1::GetMemberRequest>({.verb = LoadVerb::kGet, .ids = std::span(kIds).first(1)}).id(), 7);
  const auto batch = MessageOf<v1::BatchGetMembersRequest>({.verb = LoadVerb::kBatchGet, .ids = kIds});
  ASSERT_EQ(batch.ids_size(), 3);
  EXPECT_EQ(batch.ids(2), INT64_MAX);
  const auto resolve = MessageOf<v1::ResolveMemberRequest>(
      {.verb = LoadVerb::kResolve,
       .identity = {.kind = "unionid", .platform = "wechat", .value = Pii<std::string_view>("o1")}});
  EXPECT_EQ(resolve.kind() + resolve.platform() + resolve.value(), "unionidwechato1");
  const auto update = MessageOf<v1::UpdateMemberRequest>(
      {.verb = LoadVerb::kUpdate, .ids = std::span(kIds).first(1), .city = "Suzhou"});
  EXPECT_EQ(update.id(), 7);
  EXPECT_EQ(update.member().city(), "Suzhou");
  ASSERT_EQ(update.update_mask().paths_size(), 1);
  EXPECT_EQ(update.update_mask().paths(0), "city");
  const auto made =
      MessageOf<v1::RegisterMemberRequest>({.verb = LoadVerb::kRegister, .city = "Leeds", .account = "1-2"});
  EXPECT_EQ(made.member().display_name() + made.member().city(), "BenchmarkLeeds");
  ASSERT_EQ(made.member().identities_size(), 1);
  EXPECT_EQ(
      made.member().identities(0).kind() + made.member().identities(0).platform() + made.member().identities(0).value(),
      "accountbench1-2");
}

TEST(GrpcRequestTest, SearchesBindingsAndMerges) {
  const std::array identities = {IdentityView{.kind = "phone", .platform = "", .value = Pii<std::string_view>("+86 1")},
                                 IdentityView{"openid", "wechat", Pii<std::string_view>("o1")}};
  const auto batch =
      MessageOf<v1::BatchResolveMembersRequest>({.verb = LoadVerb::kBatchResolve, .identities = identities});
  ASSERT_EQ(batch.identities_size(), 2);
  EXPECT_EQ(batch.identities(0).kind() + batch.identities(0).platform() + batch.identities(0).value(), "phone+86 1");
  EXPECT_EQ(batch.identities(1).platform(), "wechat");
  const auto search = MessageOf<v1::SearchMembersRequest>({.verb = LoadVerb::kSearch, .city = "New York"});
  EXPECT_EQ(search.filter(), "city = \"New York\"");
  EXPECT_EQ(search.page_size(), 50);
  const auto bind = MessageOf<v1::BindIdentityRequest>({.verb = LoadVerb::kBind, .ids = kIds, .account = "1-b2"});
  EXPECT_EQ(bind.id(), 7);
  EXPECT_EQ(bind.identity().kind() + bind.identity().platform() + bind.identity().value(), "accountbench1-b2");
  const auto unbind = MessageOf<v1::UnbindIdentityRequest>({.verb = LoadVerb::kUnbind, .ids = kIds, .account = "x"});
  EXPECT_EQ(unbind.identity().value(), "x");
  const auto merge = MessageOf<v1::MergeMembersRequest>({.verb = LoadVerb::kMerge, .ids = kIds});
  EXPECT_EQ(merge.id(), 7);
  EXPECT_EQ(merge.source_id(), 1);
  EXPECT_EQ(MessageOf<v1::UnmergeMembersRequest>({.verb = LoadVerb::kUnmerge, .ids = kIds}).source_id(), 1);
}

TEST(GrpcRequestTest, TheLargestBatchFits) {
  const std::vector<MemberId> ids(1000, MemberId(INT64_MAX));
  EXPECT_EQ(MessageOf<v1::BatchGetMembersRequest>({.verb = LoadVerb::kBatchGet, .ids = ids}).ids_size(), 1000);
}

TEST(GrpcHeadWriterTest, FieldsAreSentOnceAndThenByteForByte) {
  GrpcHeadWriter writer("127.0.0.1:7401", "mk_" + std::string(200, 'k'));
  std::string first;
  writer.Append(first, LoadVerb::kGet);
  EXPECT_GT(first.size(), 250U);
  std::string again;
  writer.Append(again, LoadVerb::kGet);
  // :method, :scheme, :path (the oldest of five), the others.
  EXPECT_EQ(again, "\x83\x86\xC2\xC1\xC0\xBF\xBE");
  std::string other;
  writer.Append(other, LoadVerb::kResolve);
  EXPECT_GT(other.size(), 20U);
  again.clear();
  writer.Append(again, LoadVerb::kGet);
  EXPECT_EQ(again, "\x83\x86\xC3\xC2\xC1\xC0\xBF") << "one entry further";
  writer.Reset();
  again.clear();
  writer.Append(again, LoadVerb::kGet);
  EXPECT_EQ(again, first);
}

}  // namespace
}  // namespace muster::grpc_request_test
