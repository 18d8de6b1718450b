#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/admin_json.h"
#include "api/member_fields.h"
#include "api/member_json.h"
#include "base/check.h"
#include "base/encoding.h"
#include "base/random.h"

// Any body in any place. The first byte says which one; the rest is the body. Every fault must be an INVALID_ARGUMENT
// in UTF-8 that names its fields, and what is read must keep the bounds that the readers promise.

namespace muster {
namespace {

template <typename T>
void CheckResult(const Result<T>& result) {
  if (result) return;
  const Error& error = result.error();
  MUSTER_CHECK(error.reason == Reason::kInvalidArgument);
  MUSTER_CHECK(!error.violations.empty() && error.violations.size() <= JsonFaults::kViolationsMax);
  MUSTER_CHECK(IsValidUtf8(error.message));
  for (const FieldViolation& violation : error.violations) {
    MUSTER_CHECK(IsValidUtf8(violation.field) && IsValidUtf8(violation.description));
  }
}

void ReadAs(MemberJson& json, std::uint8_t kind, std::string_view body) {
  static const std::vector<std::string> kMask = {"city", "tags", "attributes", "state"};
  switch (kind % 11) {
    case 0:
      return CheckResult(json.ReadMember(body));
    case 1:
      return CheckResult(json.ReadPatch(body, nullptr, false));
    case 2:
      return CheckResult(json.ReadPatch(body, nullptr, true));
    case 3:
      return CheckResult(json.ReadPatch(body, &kMask, false));
    case 4:
      return CheckResult(json.ReadIdentity(body, true));
    case 5: {
      const auto ids = json.ReadIds(body);
      CheckResult(ids);
      MUSTER_CHECK(!ids || ids->size() <= kBatchKeysMax);
      return;
    }
    case 6: {
      const auto keys = json.ReadIdentityKeys(body);
      CheckResult(keys);
      MUSTER_CHECK(!keys || keys->size() <= kBatchKeysMax);
      return;
    }
    case 7:
      return CheckResult(json.ReadEmpty(body));
    case 8:
      CheckResult(ReadCallerChange(json.reader(), body));
      return CheckResult(ReadNewCaller(json.reader(), body));
    case 9:
      return CheckResult(ReadRotationBody(json.reader(), body));
    default:
      return CheckResult(ParseUpdateMask(body));
  }
}

}  // namespace
}  // namespace muster

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static muster::SeededRandom random(1);
  static const muster::IdentityCatalog catalog = muster::IdentityCatalog::Default();
  static muster::MemberJson json(catalog, muster::Keyring::Generate(random).hash_key());
  if (size == 0) return 0;
  muster::ReadAs(json, data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  return 0;
}
