#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>

#include "api/change_request.h"
#include "api/grpc_gzip.h"
#include "api/member_proto.h"
#include "base/check.h"
#include "domain/member_document.h"
#include "domain/member_protobuf.h"
#include "domain/member_rules.h"

// The first byte chooses which request the rest is read as. What is read as a member and passes the rules becomes a
// message again, which must read as the same member.

namespace {

using namespace muster;

struct Readers {
  IdentityCatalog catalog = IdentityCatalog::Default();
  SecretKey key{};
  MemberProto proto{catalog, key};
  GrpcGzip gzip;
};

void RoundTrip(Readers& readers, MemberBody body) {
  body.member.id = MemberId(1);
  CompleteTimes(body.member, Timestamp(std::chrono::seconds(1'700'000'000)));
  if (!CheckFields(body.member)) return;
  std::string message;
  AppendMemberProtobuf(message, *MakeMemberDocument(body.member), false);
  std::string request;
  ProtoWriter(request).Bytes(1, message);
  auto again = readers.proto.ReadRegister(request);
  MUSTER_CHECK(again.has_value());
  CompleteTimes(again->member, Timestamp{});  // a time of 1970 is left out
  for (std::size_t i = 0; i < body.member.identities.size(); ++i) {
    if (body.member.identities[i].bind_time == Timestamp{}) again->member.identities[i].bind_time = Timestamp{};
  }
  MUSTER_CHECK(again->member == body.member);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Readers readers;
  if (size == 0) return 0;
  const std::string_view message(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 10) {
    case 0:
      if (auto body = readers.proto.ReadRegister(message)) RoundTrip(readers, *std::move(body));
      break;
    case 1:
      std::ignore = readers.proto.ReadUpdate(message);
      break;
    case 2:
      std::ignore = readers.proto.ReadBind(message);
      break;
    case 3:
      std::ignore = readers.proto.ReadBatchGet(message);
      break;
    case 4:
      std::ignore = readers.proto.ReadBatchResolve(message);
      break;
    case 5:
      std::ignore = readers.proto.ReadResolve(message);
      break;
    case 6:
      std::ignore = readers.proto.ReadHistory(message);
      break;
    case 7:
      std::ignore = MemberProto::ReadSearch(message);
      break;
    case 8:
      std::ignore = ReadWatchMessage(message);
      break;
    default:
      if (const auto unpacked = readers.gzip.Unpack(message, 1 << 16)) MUSTER_CHECK(unpacked->size() <= 1 << 16);
      break;
  }
  return 0;
}
