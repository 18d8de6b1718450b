#include "bench/grpc_request.h"

#include "base/check.h"
#include "domain/proto_writer.h"

namespace muster {

namespace {

constexpr std::size_t kPrefixBytes = 5;

std::string_view PathOf(LoadVerb verb) {
  switch (verb) {
    case LoadVerb::kGet:
      return "/muster.v1.MemberService/GetMember";
    case LoadVerb::kResolve:
      return "/muster.v1.MemberService/ResolveMember";
    case LoadVerb::kUpdate:
      return "/muster.v1.MemberService/UpdateMember";
    case LoadVerb::kBatchGet:
      return "/muster.v1.MemberService/BatchGetMembers";
    case LoadVerb::kRegister:
      return "/muster.v1.MemberService/RegisterMember";
    case LoadVerb::kBatchResolve:
      return "/muster.v1.MemberService/BatchResolveMembers";
    case LoadVerb::kSearch:
      return "/muster.v1.MemberService/SearchMembers";
    case LoadVerb::kBind:
      return "/muster.v1.MemberService/BindIdentity";
    case LoadVerb::kUnbind:
      return "/muster.v1.MemberService/UnbindIdentity";
    case LoadVerb::kMerge:
      return "/muster.v1.MemberService/MergeMembers";
    case LoadVerb::kUnmerge:
      return "/muster.v1.MemberService/UnmergeMembers";
  }
  MUSTER_UNREACHABLE("a verb without a path");
}

void WriteIdentity(ProtoWriter& proto, unsigned field, std::string_view kind, std::string_view platform,
                   std::string_view value) {
  const std::size_t identity = proto.Begin(field);
  proto.Text(1, kind);
  proto.Text(2, platform);
  proto.Text(3, value);
  proto.End(identity);
}

// Numbers of fields are those of proto/muster/v1.
void WriteMessage(ProtoWriter& proto, const LoadCall& call) {
  switch (call.verb) {
    case LoadVerb::kGet:
      return proto.Number(1, call.ids[0].value());
    case LoadVerb::kResolve:
      proto.Text(1, call.identity.kind);
      proto.Text(2, call.identity.platform);
      return proto.Text(3, call.identity.value.Reveal());
    case LoadVerb::kUpdate: {
      proto.Number(1, call.ids[0].value());
      const std::size_t member = proto.Begin(2);
      proto.Text(7, call.city);
      proto.End(member);
      const std::size_t mask = proto.Begin(3);
      proto.Text(1, "city");
      return proto.End(mask);
    }
    case LoadVerb::kBatchGet:
      for (const MemberId id : call.ids) proto.Number(1, id.value());
      return;
    case LoadVerb::kRegister: {
      const std::size_t member = proto.Begin(1);
      proto.Text(3, "Benchmark");
      proto.Text(7, call.city);
      WriteIdentity(proto, 11, "account", "bench", call.account);
      return proto.End(member);
    }
    case LoadVerb::kBatchResolve:
      for (const IdentityView& one : call.identities)
        WriteIdentity(proto, 1, one.kind, one.platform, one.value.Reveal());
      return;
    case LoadVerb::kSearch:
      proto.Text(1, "city = \"" + std::string(call.city) + "\"");
      return proto.Number(3, 50);
    case LoadVerb::kBind:
    case LoadVerb::kUnbind:
      proto.Number(1, call.ids[0].value());
      return WriteIdentity(proto, 2, "account", "bench", call.account);
    case LoadVerb::kMerge:
    case LoadVerb::kUnmerge:
      proto.Number(1, call.ids[0].value());
      return proto.Number(2, call.ids[1].value());
  }
}

void AppendText(std::string& out, std::string_view text) {
  constexpr std::size_t kShort = 0x7f;
  if (text.size() < kShort) {
    out.push_back(static_cast<char>(text.size()));
  } else {
    out.push_back(static_cast<char>(kShort));
    std::size_t rest = text.size() - kShort;
    for (; rest >= 0x80; rest >>= 7) out.push_back(static_cast<char>(rest | 0x80));
    out.push_back(static_cast<char>(rest));
  }
  out.append(text);
}

}  // namespace

void AppendGrpcMessage(std::string& out, const LoadCall& call) {
  const std::size_t begin = out.size();
  out.append(kPrefixBytes, '\0');
  ProtoWriter proto(out);
  WriteMessage(proto, call);
  const std::size_t size = out.size() - begin - kPrefixBytes;
  MUSTER_CHECK(size + kPrefixBytes <= kGrpcMessageBytesMax);
  for (std::size_t i = 0; i < 4; ++i) out[begin + 1 + i] = static_cast<char>(size >> (24 - 8 * i));
}

GrpcHeadWriter::GrpcHeadWriter(std::string_view authority, std::string_view key) {
  fields_.push_back({":authority", std::string(authority)});
  fields_.push_back({"content-type", "application/grpc"});
  fields_.push_back({"te", "trailers"});
  if (!key.empty()) fields_.push_back({"authorization", "Bearer " + std::string(key)});
}

void GrpcHeadWriter::Reset() {
  entries_ = 0;
  paths_ = {};
  for (Field& field : fields_) field.position = 0;
}

void GrpcHeadWriter::Append(std::string& out, LoadVerb verb) {
  out.append("\x83\x86");  // :method POST, :scheme http: of the static table
  AppendField(out, paths_[static_cast<std::size_t>(verb)], ":path", PathOf(verb));
  for (Field& field : fields_) AppendField(out, field.position, field.name, field.value);
}

// `position` is what an entry's number was when it entered; zero: it is not there.
void GrpcHeadWriter::AppendField(std::string& out, std::uint32_t& position, std::string_view name,
                                 std::string_view value) {
  constexpr std::uint32_t kStaticEntries = 61;
  if (position != 0) {
    // The newest entry comes first.
    out.push_back(static_cast<char>(0x80 | (kStaticEntries + 1 + entries_ - position)));
    return;
  }
  position = ++entries_;
  out.push_back('\x40');
  AppendText(out, name);
  AppendText(out, value);
}

}  // namespace muster
