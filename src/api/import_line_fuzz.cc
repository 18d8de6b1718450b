#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "api/json_reader.h"
#include "api/member_json.h"
#include "base/check.h"
#include "base/encoding.h"
#include "base/random.h"
#include "domain/member_document.h"
#include "domain/member_rules.h"

// Any line of an import. What is read and legal must be written as the same member: export gives back what import read.

namespace muster {
namespace {

void ReadLine(MemberJson& json, std::string_view line) {
  // Exactly the padding that is promised, so that the sanitizer sees a read beyond it.
  std::vector<char> buffer(line.size() + JsonReader::kPaddingBytes, '"');
  if (!line.empty()) std::memcpy(buffer.data(), line.data(), line.size());
  const auto body = json.ReadMemberInPlace({buffer.data(), line.size()});
  if (!body) {
    MUSTER_CHECK(body.error().reason == Reason::kInvalidArgument);
    MUSTER_CHECK(IsValidUtf8(body.error().message));
    return;
  }
  Member member = body->member;
  if (!body->has_id) member.id = MemberId(7);
  CompleteTimes(member, Timestamp(std::chrono::seconds(1'800'000'000)));
  if (!CheckFields(member)) return;
  const MemberDocumentRef document = MakeMemberDocument(member);
  const auto again = json.ReadMember(document->json());
  MUSTER_CHECK(again.has_value());
  MUSTER_CHECK(again->member == member);
  std::string masked;
  document->AppendMasked(masked);
  MUSTER_CHECK(IsValidUtf8(masked));
}

}  // namespace
}  // namespace muster

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static muster::SeededRandom random(1);
  static const muster::IdentityCatalog catalog = muster::IdentityCatalog::Default();
  static muster::MemberJson json(catalog, muster::Keyring::Generate(random).hash_key());
  muster::ReadLine(json, {reinterpret_cast<const char*>(data), size});
  return 0;
}
