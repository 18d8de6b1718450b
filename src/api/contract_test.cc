#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "api/admin_json.h"
#include "api/json_reader.h"
#include "api/member_fields.h"
#include "api/member_json.h"
#include "api/openapi.h"
#include "api/request_headers.h"
#include "api/testing/api_fixture.h"
#include "domain/member_rules.h"
#include "muster/http/v1/http.pb.h"
#include "muster/v1/admin_service.pb.h"
#include "muster/v1/change.pb.h"
#include "muster/v1/member.pb.h"
#include "muster/v1/member_service.pb.h"
#include "traffic/callers.h"

namespace muster {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using testing::Response;

// "GET /v1/members/{id}" → "GetMember".
std::map<std::string, std::string> OperationsOf(const OpenApiDocument& document) {
  std::map<std::string, std::string> operations;
  JsonReader reader;
  JsonFaults faults;
  constexpr std::size_t kMany = 1000;
  const Result<JsonValue> root = reader.Parse(document.json);
  JsonMap members(root.value(), FieldPath(), kMany, faults);
  std::string_view name;
  for (JsonValue value; members.Next(name, value);) {
    if (name != "paths") continue;
    JsonMap paths(value, FieldPath(), kMany, faults);
    std::string_view path;
    for (JsonValue methods; paths.Next(path, methods);) {
      JsonMap of_path(methods, FieldPath(), kMany, faults);
      std::string_view method;
      for (JsonValue operation; of_path.Next(method, operation);) {
        JsonMap of_operation(operation, FieldPath(), kMany, faults);
        std::string_view key;
        for (JsonValue field; of_operation.Next(key, field);) {
          std::string_view id;
          if (key == "operationId" && ReadText(field, FieldPath(), faults, id)) {
            operations[std::string(method) + " " + std::string(path)] = id;
          }
        }
      }
    }
  }
  EXPECT_FALSE(faults.any());
  return operations;
}

HttpMethod MethodOf(std::string_view name) {
  if (name == "get") return HttpMethod::kGet;
  if (name == "post") return HttpMethod::kPost;
  return name == "patch" ? HttpMethod::kPatch : HttpMethod::kOther;
}

// The documents are made from proto/muster/v1: so this holds the server to it, and the other way round.
TEST(ContractTest, OperationsAndRpcsAreTheSame) {
  std::set<std::string_view> documented;
  std::map<std::string, std::string> operations[] = {OperationsOf(MemberOpenApi()), OperationsOf(AdminOpenApi())};
  for (const bool is_admin : {false, true}) {
    for (const auto& [place, id] : operations[is_admin ? 1 : 0]) {
      const std::size_t space = place.find(' ');
      std::string path = place.substr(space + 1);
      if (const std::size_t brace = path.find('{'); brace != std::string::npos) {
        path.replace(brace, path.find('}') + 1 - brace, is_admin ? "orders" : "7");
      }
      const HttpMethod method = MethodOf(place.substr(0, space));
      const Route route = is_admin ? RouteAdminPath(method, path) : RouteMemberPath(method, path);
      EXPECT_EQ(RpcName(route.rpc), id) << place;
      documented.insert(RpcName(route.rpc));
    }
  }
  for (std::size_t i = 1; i < kRpcCount; ++i) {
    const Rpc rpc = static_cast<Rpc>(i);
    if (rpc == Rpc::kCheckHealth || rpc == Rpc::kWatchHealth || rpc == Rpc::kReflect) continue;  // gRPC's own
    EXPECT_TRUE(documented.contains(RpcName(static_cast<Rpc>(i)))) << RpcName(static_cast<Rpc>(i));
  }
}

template <typename Message>
const http::v1::HttpField& RuleOf(const char* field) {
  return Message::descriptor()->FindFieldByName(field)->options().GetExtension(http::v1::field);
}

TEST(ContractTest, BoundsAreThoseOfTheRules) {
  EXPECT_EQ(RuleOf<v1::Member>("display_name").max_bytes(), kNameBytesMax);
  EXPECT_EQ(RuleOf<v1::Member>("real_name").max_bytes(), kNameBytesMax);
  for (const char* word : {"city", "tier", "tags"}) EXPECT_EQ(RuleOf<v1::Member>(word).max_bytes(), kWordBytesMax);
  EXPECT_EQ(RuleOf<v1::Member>("tags").max_items(), kTagsMax);
  EXPECT_EQ(RuleOf<v1::Member>("attributes").max_items(), kAttributesMax);
  EXPECT_EQ(RuleOf<v1::Member>("attributes").max_name_bytes(), kWordBytesMax);
  EXPECT_EQ(RuleOf<v1::Member>("attributes").max_bytes(), kAttributeValueBytesMax);
  EXPECT_EQ(RuleOf<v1::Member>("identities").max_items(), kIdentitiesMax);
  EXPECT_EQ(RuleOf<v1::Identity>("source").max_bytes(), kWordBytesMax);
  EXPECT_EQ(RuleOf<v1::BatchGetMembersRequest>("ids").max_items(), kBatchKeysMax);
  EXPECT_EQ(RuleOf<v1::BatchResolveMembersRequest>("identities").max_items(), kBatchKeysMax);
  EXPECT_EQ(RuleOf<v1::CreateCallerRequest>("purpose").max_bytes(), kPurposeBytesMax);
  EXPECT_EQ(RuleOf<v1::ReserveImportRequest>("lines").max(), kImportFileLinesMax);
  EXPECT_EQ(RuleOf<v1::ImportMembersRequest>("first_line").max(), kImportFileLinesMax);
  EXPECT_EQ(std::chrono::seconds(RuleOf<v1::CreateCallerRequest>("key_lifetime").max_seconds()), kKeyLifetimeMax);
  EXPECT_EQ(std::chrono::seconds(RuleOf<v1::RotateCallerRequest>("key_lifetime").max_seconds()), kKeyLifetimeMax);
  EXPECT_EQ(std::chrono::seconds(RuleOf<v1::RotateCallerRequest>("overlap").max_seconds()), kRotationOverlapMax);
  EXPECT_THAT(std::string(MemberOpenApi().json), HasSubstr("|" + std::to_string(kTimeoutMsMax) + ")?$"));
}

TEST(ContractTest, ListsAreThoseOfTheCode) {
  std::vector<std::string> fields;
  for (int i = 0; i < v1::Member::descriptor()->field_count(); ++i) {
    fields.push_back(v1::Member::descriptor()->field(i)->json_name());
  }
  EXPECT_THAT(fields, ElementsAreArray(kMemberFields));

  const auto& mask = RuleOf<v1::UpdateMemberRequest>("update_mask").values();
  EXPECT_THAT(std::set<std::string>(mask.begin(), mask.end()),
              ElementsAreArray(std::set<std::string>(kUpdatableNames.begin(), kUpdatableNames.end())));
  std::set<std::string> parts;
  for (const auto& part : RuleOf<v1::UpdateMemberRequest>("member").parts()) {
    parts.insert(v1::Member::descriptor()->FindFieldByName(part.name())->json_name());
  }
  EXPECT_EQ(parts, std::set<std::string>(mask.begin(), mask.end()));

  const auto& values = RuleOf<v1::CreateCallerRequest>("scopes").values();
  std::set<std::string> scopes;
  for (const Scope scope : AllScopes()) scopes.emplace(ScopeName(scope));
  EXPECT_EQ(std::set<std::string>(values.begin(), values.end()), scopes);
}

class OpenApiTest : public testing::ApiTest {};

TEST_F(OpenApiTest, IsServedOnBothPortsWithoutAKey) {
  for (const auto& [handler, document] :
       {std::pair(members_.get(), &MemberOpenApi()), std::pair(admin_.get(), &AdminOpenApi())}) {
    const Response whole = Await(Begin(*handler, {.target = "/openapi.json", .caller = ""}));
    EXPECT_EQ(whole.status, 200);
    EXPECT_EQ(whole.content_type, "application/json");
    EXPECT_EQ(whole.body, document->json);
    EXPECT_EQ(whole.Header("ETag"), document->etag);

    const auto ask = [&](const std::string& tag) {
      return Await(Begin(*handler, {.target = "/openapi.json", .caller = "", .headers = {{"If-None-Match", tag}}}));
    };
    EXPECT_EQ(ask(std::string(document->etag)).status, 304);
    EXPECT_EQ(ask("W/" + std::string(document->etag)).status, 304);
    EXPECT_EQ(ask("\"other\"").status, 200);
  }
  EXPECT_NE(MemberOpenApi().etag, AdminOpenApi().etag);
}

}  // namespace
}  // namespace muster
