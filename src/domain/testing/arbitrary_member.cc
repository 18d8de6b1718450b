#include "domain/testing/arbitrary_member.h"

#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>
#include <vector>

#include "domain/member_document.h"
#include "domain/member_rules.h"
#include "domain/testing/members.h"

namespace muster::testing {
namespace {

// One character as UTF-8, of all lengths, without control characters.
rc::Gen<std::string> ArbitraryCharacter() {
  return rc::gen::weightedOneOf<std::string>({
      {8, rc::gen::map(rc::gen::inRange<int>(' ', 0x7f), [](int c) { return std::string(1, static_cast<char>(c)); })},
      {2, rc::gen::element<std::string>("\"", "\\", "/", "<", "&", "\\u0041", "'")},
      {3, rc::gen::element<std::string>("é", "ß", "Ω", "ж", "ש", "ع")},
      {4, rc::gen::element<std::string>("李", "雷", "の", "한", "ท", "€")},
      {2, rc::gen::element<std::string>("😀", "𠀀", "𝄞", "\U0010FFFF")},
  });
}

// A text that is not taken for a masked value.
rc::Gen<std::string> ArbitraryPersonalText(std::size_t bytes_max) {
  return rc::gen::suchThat(ArbitraryText(bytes_max), [](const std::string& text) { return !IsMasked(text); });
}

}  // namespace

rc::Gen<std::string> ArbitraryText(std::size_t bytes_max) {
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(ArbitraryCharacter()),
                      [bytes_max](const std::vector<std::string>& characters) {
                        std::string text;
                        for (const std::string& character : characters) {
                          if (text.size() + character.size() <= bytes_max) text += character;
                        }
                        return text;
                      });
}

rc::Gen<Timestamp> ArbitraryTime() {
  constexpr std::int64_t kSecondsMin = -62'135'596'800;  // 0001-01-01
  constexpr std::int64_t kSecondsMax = 253'402'300'799;  // 9999-12-31
  return rc::gen::apply(
      [](std::int64_t seconds, std::int64_t micros, std::int64_t unit) {
        return Timestamp(std::chrono::seconds(seconds) + Duration(micros / unit * unit));
      },
      rc::gen::oneOf(rc::gen::inRange<std::int64_t>(kSecondsMin, kSecondsMax),
                     rc::gen::inRange<std::int64_t>(0, 2'000'000'000)),
      rc::gen::inRange<std::int64_t>(0, 1'000'000), rc::gen::element<std::int64_t>(1, 1'000, 1'000'000));
}

rc::Gen<Identity> ArbitraryIdentity() {
  return rc::gen::exec([] {
    static const std::vector<std::array<std::string, 3>> kExamples = {{"phone", "", "+8613800000001"},
                                                                      {"phone", "", "+14155550123"},
                                                                      {"phone", "", "+85212345678"},
                                                                      {"email", "", "li.lei@example.com"},
                                                                      {"email", "", "é@b.cn"},
                                                                      {"unionid", "wechat", "oA1b2C3d4E5f6"},
                                                                      {"card", "bank", "4111111111111111"},
                                                                      {"document", "", "11010519491231002X"},
                                                                      {"account", "shop", ""}};
    const auto [kind, platform, value] = *rc::gen::elementOf(kExamples);
    Identity identity = MakeIdentity(*rc::gen::arbitrary<std::uint64_t>(), kind, platform);
    identity.value = Pii(value.empty() ? "a" + *ArbitraryPersonalText(100) : value);
    identity.state = *rc::gen::element(IdentityState::kBound, IdentityState::kQuarantined);
    identity.verified = *rc::gen::arbitrary<bool>();
    identity.bind_time = *ArbitraryTime();
    identity.source = *ArbitraryText(kWordBytesMax);
    identity.bound_by = OperationId(*rc::gen::inRange<std::int64_t>(0, INT64_MAX));
    return identity;
  });
}

rc::Gen<Member> ArbitraryMember() {
  return rc::gen::exec([] {
    Member member;
    member.id =
        MemberId(*rc::gen::oneOf(rc::gen::inRange<std::int64_t>(1, 100), rc::gen::inRange<std::int64_t>(1, INT64_MAX)));
    member.version = Version(*rc::gen::inRange<std::int64_t>(1, INT64_MAX));
    member.state =
        *rc::gen::element(MemberState::kActive, MemberState::kFrozen, MemberState::kMerged, MemberState::kClosed);
    member.display_name = *ArbitraryText(kNameBytesMax);
    member.real_name = Pii(*ArbitraryPersonalText(kNameBytesMax));
    member.gender = *rc::gen::element(Gender::kUnspecified, Gender::kFemale, Gender::kMale, Gender::kOther);
    member.birth_date = *rc::gen::element<std::string>("", "2000-02-29", "1999-12-31", "0001-01-01");
    member.city = *ArbitraryText(kWordBytesMax);
    member.tier = *ArbitraryText(kWordBytesMax);
    for (std::string& tag : *rc::gen::container<std::vector<std::string>>(ArbitraryText(kWordBytesMax))) {
      if (!tag.empty() && member.tags.size() < kTagsMax && std::ranges::find(member.tags, tag) == member.tags.end()) {
        member.tags.push_back(std::move(tag));
      }
    }
    for (const std::string& name : *rc::gen::container<std::vector<std::string>>(ArbitraryText(kWordBytesMax))) {
      if (!name.empty() && member.attributes.size() < kAttributesMax) member.attributes[name] = *ArbitraryText(100);
    }
    const bool holds_identities = member.state == MemberState::kActive || member.state == MemberState::kFrozen;
    const auto identities = *rc::gen::container<std::vector<Identity>>(ArbitraryIdentity());
    for (const Identity& identity : identities) {
      if (!holds_identities || member.identities.size() == kIdentitiesMax) break;
      if (FindIdentity(member, identity.key) == nullptr) member.identities.push_back(identity);
    }
    member.create_time = *ArbitraryTime();
    member.update_time = *ArbitraryTime();
    if (member.state == MemberState::kMerged) {
      member.merged_into = MemberId(member.id.value() == 1 ? 2 : member.id.value() - 1);
    }
    member.created_by = OperationId(*rc::gen::inRange<std::int64_t>(0, INT64_MAX));
    return member;
  });
}

}  // namespace muster::testing
